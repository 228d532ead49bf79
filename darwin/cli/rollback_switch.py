"""The phases of a rollback that stop what acts and trains, and let it go on again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from darwin.cli.rollback_phases import Asked, Plan, now
from darwin.errors import StorageError
from darwin.rl.cli.options import open_registry

if TYPE_CHECKING:
    from darwin.store.db import Database

TRAINING = "training"
"""The lane of jobs that bring new versions."""
_PATIENCE_S = 15.0  # with a training that was asked to stop; two leases of a worker and more
_POLL_S = 0.1


def stop(asked: Asked, plan: Plan | None) -> Iterator[str]:
    """Switch all agents off, and end trainings that would bring a new version."""
    from darwin.rl.cli.killing import kill, look
    from darwin.rl.serving.kill_file import stands

    stood = stands(asked.artifacts)  # what kills in any other way may end by itself, as damage does
    if asked.dry or (stood and _is_said(asked)):
        yield (
            f"agents are switched off already: {look(asked.artifacts, asked.where.db).why}"
            if stood
            else "would switch all agents off: darwin kill on"
        )
    else:  # though another has: that one may let go while this goes on
        told = kill(
            asked.artifacts, asked.where.db, by=asked.by, reason=asked.told, at=now()
        )  # fmt: skip
        yield f"switched all agents off ({told.file})" + (", as others had" if stood else "")
        for what in filter(None, (told.unmade, told.unrecorded)):
            yield f"warning: by one way alone, the other fails: {what}"
    if plan is not None:
        yield from _end_trainings(asked)


def release(asked: Asked, plan: Plan | None) -> Iterator[str]:
    """Let agents go on, if this rollback is what had switched them off."""
    from darwin.rl.cli.killing import look
    from darwin.rl.cli.killing import release as let_go

    if asked.dry:
        yield "would release what it had switched on itself, and nothing else"
        return
    if not _is_ours_alone(asked):
        why = look(asked.artifacts, asked.where.db).why
        yield f"agents stay switched off, for not this rollback alone did it: {why}"
        return
    done = let_go(asked.artifacts, asked.where.db, by=asked.by, reason=asked.told, at=now())
    if done.now.killed:
        yield f"released, and still switched off: {done.now.why}"
    else:
        yield f"released: {asked.agent} observes, the others act as far as they may"


def _is_said(asked: Asked) -> bool:
    """Whether the file KILL says it of this rollback by this person, from an earlier attempt."""
    return any(_is_of_this(asked, line) for line in _lines(asked))


def _is_ours_alone(asked: Asked) -> bool:
    """Whether this person's rollbacks of this agent, and nothing else, switched agents off."""
    from darwin.rl.serving.kill_file import stands
    from darwin.store.logs import sound_rows_in
    from darwin.store.schema import kill_events

    on: list[tuple[str, str]] = []
    with open_registry(asked.where) as registry, registry.database.read() as connection:
        for row in sound_rows_in(connection, kill_events):
            on = [] if row["kind"] == "off" else [*on, (row["by"], row["reason"])]
    lines = _lines(asked)
    by_hand = stands(asked.artifacts) and not lines
    return not by_hand and all(
        [by == asked.by and reason.startswith(f"{asked.mark}: ") for by, reason in on]
        + [_is_of_this(asked, line) for line in lines]
    )


def _lines(asked: Asked) -> list[str]:
    from darwin.rl.serving.kill_file import ours

    return ours(asked.artifacts).decode("utf-8", "replace").splitlines()


def _is_of_this(asked: Asked, line: str) -> bool:
    return f" UTC, {asked.by}: {asked.mark}: " in line


def _end_trainings(asked: Asked) -> Iterator[str]:
    """Cancel the trainings of the agent, and wait until they are over."""
    from darwin.store import jobs
    from darwin.store.db import connect, connect_readonly

    with connect_readonly(asked.where.db) as database:
        found = [
            job
            for job in jobs.latest(database, limit=1000)
            if not job.state.over and job.lane == TRAINING and job.agent in (asked.agent, None)
        ]
    if not found:
        yield f"no training of {asked.agent} waits or runs as a job"
        return
    for job in found:
        if asked.dry:
            yield f"would cancel job {job.id}, a training that is {job.state}"
    if asked.dry:
        return
    with connect(asked.where.db) as database:
        for job in found:
            state = jobs.cancel(database, job.id, now()).state
            yield f"job {job.id}: {'cancelled' if state.over else 'asked to stop'}"
        _await_end(database, [job.id for job in found])


def _await_end(database: Database, numbers: list[int]) -> None:
    """Wait until jobs are over. Raises StorageError where one goes on all the same."""
    from darwin.store import jobs

    until = time.monotonic() + _PATIENCE_S
    while running := [n for n in numbers if not jobs.find(database, n).state.over]:
        if time.monotonic() > until:
            raise StorageError(
                f"job {running[0]} was asked to stop and goes on",
                where="jobs",
                mend="stop its process, then do this again: what it deploys would serve",
            )
        jobs.reap(database, now())  # of a worker that is gone
        time.sleep(_POLL_S)

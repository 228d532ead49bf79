"""Which runs may not leave the database yet, because something that still counts refers to them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from darwin.core.agents import Model
    from darwin.rl.graduation.record import Promotion

_LIFE = "lifecycle.json"


def held_runs(connection: Connection, artifacts: Path) -> dict[str, str]:
    """The runs that must stay, each with the reason, as a transaction sees them.

    Evidence holds a run where its model serves, challenges or is promoted: a run on paper that
    asked it, the latest run that asked the agent, and whatever a promotion in force rests on. One
    that counts in a finished replay alone counts no more. How long a stage was held counts bars
    that are newer than any version was asked about on paper: so the newest such run stays, and all
    of them while the agent is promoted.
    Runs hold the run whose verdicts they repeat, unfinished lives those they were begun with, jobs
    those they name. Raises IntegrityError, RecordError.
    """
    found: dict[str, str] = {}
    for held in (_by_evidence(connection), _by_runs(connection), _by_jobs(connection),
                 _by_lives(artifacts)):  # fmt: skip
        for run_id, why in held:
            found.setdefault(run_id, why)
    return found


def _by_evidence(connection: Connection) -> Iterator[tuple[str, str]]:
    from darwin.core.rebalance import ALL_AGENTS
    from darwin.rl.graduation.latest import read_latest
    from darwin.rl.graduation.record import record_in
    from darwin.rl.registry.registry import shelf_in

    for agent in ALL_AGENTS:
        shelf, held = shelf_in(connection, agent), record_in(connection, agent).promotion
        latest = read_latest(connection, agent)
        if latest.run_id is not None:
            yield latest.run_id, f"it is the latest run that asked {agent}"
        if held is not None:
            for run_id in _rests_on(held):
                yield run_id, f"the promotion of {agent} rests on it"
            for run_id in _on_paper(connection, agent):
                yield run_id, f"the time for which {agent} has held its stage is reckoned from it"
        for run_id in _on_paper(connection, agent)[-1:]:
            yield run_id, f"no run on paper asked {agent} about newer bars"
        promoted = None if held is None else held.model
        asked = (shelf.serving, shelf.challenger, latest.model, promoted)
        for model in {one for one in asked if one is not None}:
            for run_id in _on_paper(connection, agent, model):
                yield run_id, f"it is evidence on version {model.version} of {agent}"


def _rests_on(held: Promotion) -> Iterator[str]:
    """The runs that a promotion in force names: those it counts in, and those it was earned in."""
    for act in (held.basis, held.stage_basis):
        yield str(act.detail.get("run") or "")
        yield str(act.detail.get("scope") or "").partition(":")[2]


def _on_paper(connection: Connection, agent: str, model: Model | None = None) -> list[str]:
    """The runs on paper that asked an agent, or one model of it, by the newest bar of that."""
    from sqlalchemy import func, select

    from darwin.store.queries import ON_PAPER, kind_of_run
    from darwin.store.schema import decisions_of, id_range, runs

    d = decisions_of(agent).c
    papers = select(runs.c.run_id, runs.c.number).where(kind_of_run() == ON_PAPER)
    found = []
    for run_id, number in connection.execute(papers).all():
        newest = select(func.max(d.bar_time)).where(d.id.between(*id_range(number)))
        newest = newest.where(d.agent_name == agent)
        if model is not None:
            newest = newest.where(d.model_sha256 == model.sha256)
        time = connection.execute(newest).scalar()
        if time is not None:
            found.append((time, number, run_id))
    return [run_id for _, _, run_id in sorted(found)]


def _by_runs(connection: Connection) -> Iterator[tuple[str, str]]:
    """The runs whose verdicts another run repeats, finished or not: `darwin replay` reads them."""
    from sqlalchemy import select

    from darwin.store.schema import runs

    for run_id, text in connection.execute(select(runs.c.run_id, runs.c.config_json)):
        decider: Any = json.loads(text).get("decider") or {}
        if isinstance(decider.get("run_id"), str):
            yield decider["run_id"], f"run '{run_id}' repeats its verdicts"


def _by_jobs(connection: Connection) -> Iterator[tuple[str, str]]:
    from sqlalchemy import select

    from darwin.store.schema import jobs

    waiting = select(jobs.c.id, jobs.c.words).where(jobs.c.state.in_(("queued", "running")))
    for number, words in connection.execute(waiting):
        for word in json.loads(words):
            for name in word.split(","):
                yield name, f"job {number}, which is not over, names it"


def _by_lives(artifacts: Path) -> Iterator[tuple[str, str]]:
    """The runs that a life was begun with which is not lived yet."""
    for path in sorted((artifacts / "runs").glob(f"*/{_LIFE}")):
        try:
            tree = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            continue  # what cannot be read goes on with nothing
        if isinstance(tree, dict) and "lived" not in tree:
            collected = tree.get("collected") or {}
            life = path.parent.name
            yield life, "its life is not finished"
            yield str(collected.get("run_id") or ""), f"the life of '{life}' is not finished"

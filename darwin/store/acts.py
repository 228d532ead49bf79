"""What comes from outside: effective from a decision on, journaled, fed again in a replay."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from sqlalchemy import func, insert, select

from darwin.core.facts import RELEASE, Input, Subject
from darwin.core.journaled import Journaled
from darwin.errors import ConfigError
from darwin.store import chain, schema
from darwin.store.db import Database
from darwin.store.queries import require_run
from darwin.store.runs import Begun, Standing, iso_time, standing_of

_LOOK_EVERY_S = 0.5


def ask(database: Database, run_id: str, kind: str, *, by: str, reason: str, at: datetime) -> None:
    """Write down that a person asks a run for something; it journals it when it takes effect.

    Raises ConfigError for an unknown run, and for one that cannot hear it any more.
    """
    with database.write() as connection:
        run = standing_of(connection, require_run(connection, database, run_id))
        if run.standing is Standing.FINISHED:
            raise ConfigError(
                f"run '{run_id}' is finished, nothing can take effect in it",
                where=str(database.path),
                mend="`darwin runs` lists those that are running",
            )
        if run.identity.mode == "replay":
            raise ConfigError(
                f"run '{run_id}' is a replay, which hears nobody",
                where=str(database.path),
                mend="set limits.reducing_resume to a number of days in its config",
            )
        row: dict[str, object] = {
            "id": (connection.execute(select(func.max(schema.acts.c.id))).scalar() or 0) + 1,
            "run_id": run_id,
            "kind": kind,
            "by": by,
            "reason": reason,
            "at": iso_time(at),
        }
        connection.execute(insert(schema.acts), row | {"seal": act_seal(row)})


def act_seal(row: Mapping[str, object]) -> bytes:
    """The seal of a row of `acts`, over all its other columns."""
    [line] = chain.sealed_lines(schema.acts, {name: [value] for name, value in row.items()})
    return hashlib.sha256(line).digest()


class Heard:
    """What reaches a running run from outside; what it has journaled already comes first.

    Implements `core.ports.Inputs`.
    """

    def __init__(self, database: Database, run: Begun, *sources: Source) -> None:
        """Ask all `sources` before each decision that no earlier attempt has made."""
        inputs = recorded_inputs(database, run)
        self._journaled = Journaled(inputs)
        self._decided = _decided(database, run)
        self._sources = sources

    def before(self, candidate: Subject) -> Iterable[Input]:
        """What takes effect from the decision on this candidate on."""
        known = self._journaled.before(candidate)
        if known or candidate.row < self._decided:
            return known
        return [one for source in self._sources for one in source.look(candidate)]


class Source(Protocol):
    """Somewhere that inputs come from."""

    def look(self, candidate: Subject) -> Sequence[Input]:
        """What came up since the last time; it takes effect before this candidate."""
        ...


class Releases:
    """Persons who release a run, looked up twice a second. A `Source`."""

    def __init__(self, database: Database, run: Begun) -> None:
        """Leave out what the run has journaled already."""
        self._database, self._run = database, run
        inputs = recorded_inputs(database, run)
        self._taken = sum(one.kind == RELEASE for one in inputs)  # acts that have taken effect
        self._look_at = 0.0

    def look(self, candidate: Subject) -> Sequence[Input]:
        """Acts since the last time."""
        if time.monotonic() < self._look_at:
            return ()
        self._look_at = time.monotonic() + _LOOK_EVERY_S
        acts = schema.acts
        with self._database.read() as connection:
            asked = connection.execute(
                select(acts)
                .where(acts.c.run_id == self._run.run_id)
                .order_by(acts.c.id)
                .offset(self._taken)
            ).all()
        self._taken += len(asked)
        at = (candidate.row, candidate.id, candidate.bar_time)
        return [Input(*at, act.kind, act.by, act.reason) for act in asked]


def journaled(database: Database, run: Begun) -> Journaled | None:
    """The inputs of a recorded run, to be fed again; None without any."""
    inputs = recorded_inputs(database, run)
    return Journaled(inputs) if inputs else None


def recorded_inputs(database: Database, run: Begun) -> list[Input]:
    """What took effect in a run so far, in order."""
    table = schema.inputs
    with database.read() as connection:
        rows = connection.execute(
            select(table)
            .where(table.c.id.between(*schema.id_range(run.number)))
            .order_by(table.c.id)
        ).all()
    return [
        Input(
            -1, int(row.candidate_id, 16), row.time, row.kind, row.by, row.reason,
            row.agent_name or "", row.detail or "",
        )
        for row in rows
    ]  # fmt: skip


def _decided(database: Database, run: Begun) -> int:
    """How many candidates, or rebalances of a book, earlier attempts have decided on."""
    ids = schema.id_range(run.number)
    candidates, rebalances = schema.candidates, schema.rebalances
    some = select(func.count()).select_from(candidates).where(candidates.c.id.between(*ids))
    of_book = select(func.count(func.distinct(rebalances.c.rebalance_id)))
    others = of_book.select_from(rebalances).where(rebalances.c.id.between(*ids))
    with database.read() as connection:
        return connection.execute(some).scalar_one() + connection.execute(others).scalar_one()

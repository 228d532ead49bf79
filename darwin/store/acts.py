"""Acts of persons: asked for at any time, effective from a decision on, fed again in a replay."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from sqlalchemy import func, insert, select

from darwin.core.candidate import Candidate
from darwin.core.facts import Input
from darwin.errors import ConfigError
from darwin.store import chain, schema
from darwin.store.db import Database
from darwin.store.queries import require_run
from darwin.store.runs import Begun, Standing, iso_time, standing_of

RELEASE = "release"
"""A person lifts a halt or a drawdown stop."""
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


class Journaled:
    """The inputs that a run has recorded, each before the decision it had come before.

    Implements `core.ports.Inputs`.
    """

    def __init__(self, inputs: Iterable[Input]) -> None:
        self._before: dict[int, list[Input]] = {}
        for one in inputs:
            self._before.setdefault(one.candidate_id, []).append(one)

    def before(self, candidate: Candidate) -> Iterable[Input]:
        """What took effect from the decision on this candidate on."""
        found = self._before.pop(candidate.id, ()) if self._before else ()
        return [one._replace(row=candidate.row) for one in found]


class Heard:
    """What persons ask of a running run, looked up twice a second; what it journaled comes first.

    Implements `core.ports.Inputs`.
    """

    def __init__(self, database: Database, run: Begun, caught_up: Callable[[], bool]) -> None:
        """Listen once `caught_up` says that all that earlier attempts decided is behind."""
        self._database, self._run, self._caught_up = database, run, caught_up
        inputs = _recorded(database, run)
        self._journaled = Journaled(inputs)
        self._taken = len(inputs)  # acts that have taken effect
        self._look_at = 0.0

    def before(self, candidate: Candidate) -> Iterable[Input]:
        """What takes effect from the decision on this candidate on."""
        if not self._caught_up():
            return self._journaled.before(candidate)
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
    inputs = _recorded(database, run)
    return Journaled(inputs) if inputs else None


def _recorded(database: Database, run: Begun) -> list[Input]:
    table = schema.inputs
    with database.read() as connection:
        rows = connection.execute(
            select(table)
            .where(table.c.id.between(*schema.id_range(run.number)))
            .order_by(table.c.id)
        ).all()
    return [
        Input(-1, int(row.candidate_id, 16), row.time, row.kind, row.by, row.reason) for row in rows
    ]

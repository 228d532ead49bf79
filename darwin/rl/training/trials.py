"""The ledger of trials: how many networks have seen the time that a test is made of.

Each network that was trained is a row of `trials`, written before its test is looked at. It counts
for every later test that lies in the time of its rows, whatever they were used for; one whose rows
end before a test begins cannot have been chosen by it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import NamedTuple

import numpy as np
from sqlalchemy import Connection

from darwin.store import logs, schema
from darwin.store.db import Database
from darwin.store.runs import iso_time

SEED, SEARCH = "seed", "search"


@dataclass(frozen=True, slots=True)
class Trial:
    """A network that was trained on rows and looked at on validation; times in ms UTC."""

    agent_name: str
    kind: str  # SEED: of a training; SEARCH: of a search
    finished: bool  # else it was stopped after a look
    data_digest: str  # of all rows
    plan_digest: str
    algo: str
    seed: int
    timesteps: int  # decisions that it learned from
    rows_from: int  # its first decision
    test_from: int  # from here on held out
    rows_until: int  # its last outcome
    gain_r: float  # learned gain per decision on validation, the best look; of books: of reward
    sharpe: float | None = None  # of that gain per day; None: stopped, or it cannot be said

    @property
    def aim(self) -> tuple[object, ...]:
        """What it was asked to be: the same again comes out the same, on one machine."""
        digests = (self.data_digest, self.plan_digest)
        return self.agent_name, self.kind, *digests, self.algo, self.seed


class Recorded(NamedTuple):
    """A row of the ledger."""

    id: int
    trial: Trial
    by: str
    at: str  # wall clock, ISO 8601 UTC


class Count(NamedTuple):
    """What a Sharpe ratio is deflated by."""

    trained: int  # rows of the ledger
    trials: int  # different networks among them
    variance: float  # of their Sharpe ratios per day on validation; NaN below two that have one


def record(
    database: Database, trial: Trial, *, by: str, at: datetime, resumed: bool = False
) -> None:
    """Write down that a network was trained. Raises StorageError, and RecordError for a bad ledger.

    Where the training was `resumed`, one that is on record already is not written again.
    """
    told = _as_kept(trial)
    with database.write() as connection:
        if resumed and told in (one.trial for one in _read(connection, told.agent_name)):
            return
        values = asdict(told) | {"finished": int(told.finished)}
        logs.append(connection, schema.trials, **values, by=by, at=iso_time(at))


def require_ready(database: Database) -> None:
    """Raise StorageError where the ledger may not be written, RecordError where it was changed."""
    with database.write() as connection:
        logs.sound_rows_in(connection, schema.trials)


def recorded(database: Database, agent: str) -> list[Recorded]:
    """The trials of an agent, oldest first. Raises RecordError where a row was changed."""
    with database.read() as connection:
        return _read(connection, agent)


def counted(database: Database, agent: str, since: int, until: int) -> Count:
    """Count the trials of an agent whose rows reach into the time from `since` to `until`, ms UTC.

    One alone differs from nothing: its variance is 0.
    Raises RecordError where a row of the ledger was changed: it might be one that is missing.
    """
    return _count(
        one.trial
        for one in recorded(database, agent)
        if one.trial.rows_from <= until and one.trial.rows_until >= since
    )


def counted_by(database: Database, agent: str, at: str) -> Count:
    """Count all trials of an agent that were on record at a moment, ISO 8601 UTC.

    Raises RecordError where a row of the ledger was changed.
    """
    return _count(one.trial for one in recorded(database, agent) if one.at <= at)


def _count(trials: Iterable[Trial]) -> Count:
    reach = list(trials)
    networks = different(reach)
    ratios = [one.sharpe for one in networks if one.sharpe is not None]
    unknown = math.nan if len(networks) > 1 else 0.0
    variance = float(np.var(ratios, ddof=1)) if len(ratios) > 1 else unknown
    return Count(len(reach), len(networks), variance)


def different(trials: Iterable[Trial]) -> list[Trial]:
    """Each network once: a training made again, stopped and resumed adds nothing to choose from.

    One that was stopped is the one that was finished later under the same aim. What comes out
    otherwise under the same aim, by newer code or on another machine, is another network.
    """
    every = list(trials)
    done = {one.aim for one in every if one.finished}
    kept = {
        (one.aim, one.gain_r if one.finished else None): one
        for one in every
        if one.finished or one.aim not in done
    }
    return list(kept.values())


def _read(connection: Connection, agent: str) -> list[Recorded]:
    names = [one.name for one in fields(Trial)]
    found = []
    for row in logs.sound_rows_in(connection, schema.trials):
        if row["agent_name"] == agent:
            told = {name: row[name] for name in names} | {"finished": bool(row["finished"])}
            found.append(Recorded(row["id"], Trial(**told), row["by"], row["at"]))
    return found


def _as_kept(trial: Trial) -> Trial:
    """As SQLite gives it back: it has no numbers of numpy, no NaN and no negative zero."""
    sharpe = trial.sharpe
    if sharpe is not None:
        sharpe = None if math.isnan(sharpe) else float(sharpe) + 0.0
    return replace(trial, gain_r=float(trial.gain_r) + 0.0, sharpe=sharpe)

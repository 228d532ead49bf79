"""The story of one rebalance: what was seen and advised, what stood instead, what came of it."""

from __future__ import annotations

import json
import math
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, Row, select

from darwin.config.book import BASELINES
from darwin.core.agents import Role
from darwin.core.market import FloatArray, Timeframe
from darwin.errors import ConfigError, IntegrityError
from darwin.store.book_columns import as_numbers
from darwin.store.db import Database
from darwin.store.queries import require_run
from darwin.store.schema import holdings, rebalances
from darwin.store.story import Story, beginning, begun_with, candidate, digits, only


class Asked(NamedTuple):
    """One model that was asked, and what came of its advice; rows carry their tables' columns."""

    decision: Row[Any]
    holding: Row[Any] | None  # None: it is not over, or never was carried out

    @property
    def observation(self) -> list[float]:
        """What it saw, in the order of its page."""
        return [float(value) for value in np.frombuffer(self.decision.observation, "<f4")]


class RebalanceStory(NamedTuple):
    """What is recorded of a rebalance; weights and returns are in the order of `symbols`."""

    run_id: str
    symbols: tuple[str, ...]
    bar_ms: int  # length of a bar: a decision is made at the close of its bar
    baselines: tuple[str, ...]  # of `holdings.baseline_returns`, in order
    serving: Asked
    challengers: tuple[Asked, ...]
    value_usd: float  # of the book at the close of the decision

    def weights(self, kind: str) -> FloatArray | None:
        """`advised`, `baseline` or `final`, (n,); None where there was no sound advice."""
        return self.numbers(self.serving.decision, f"{kind}_weights", len(self.symbols))

    def numbers(self, row: Row[Any], column: str, count: int) -> FloatArray | None:
        """Numbers that stand as bytes. Raises IntegrityError where they are not `count`."""
        stored = row._mapping[column]
        if stored is None:
            return None
        if len(stored) != 8 * count:
            raise IntegrityError(
                f"{column} of rebalance {row.rebalance_id} are {len(stored)} bytes for {count}"
                " numbers",
                where=f"run '{self.run_id}'",
                mend="put a backup of the database in its place",
            )
        return as_numbers(stored)


def story_of(database: Database, told: str, run_id: str | None = None) -> Story | RebalanceStory:
    """The story of the candidate or the rebalance whose id begins with `told`.

    Raises ConfigError as `story.candidate` does, and where both begin so.
    """
    prefix = digits(told)
    with database.read() as connection:
        if run_id is not None:
            require_run(connection, database, run_id)
        found = connection.execute(
            begun_with(rebalances, rebalances.c.rebalance_id, prefix, run_id).where(
                rebalances.c.role == Role.SERVING.value
            )
        ).all()
        if not found:
            return candidate(database, told, run_id)
        if connection.execute(beginning(prefix, run_id).limit(1)).first() is not None:
            raise ConfigError(
                f"candidates and rebalances begin with '{prefix}'",
                where=str(database.path),
                mend="write more digits",
            )
        names = [row.rebalance_id for row in found]
        row = only(found, names, prefix, database, "rebalance")
        return _told(connection, require_run(connection, database, row.run_id), row)


def _told(connection: Connection, run: Row[Any], row: Row[Any]) -> RebalanceStory:
    config = json.loads(run.config_json)
    start = float(config["portfolio"]["starting_equity_usd"])
    return RebalanceStory(
        row.run_id,
        tuple(json.loads(run.symbols)),
        Timeframe.parse(config["market"]["timeframe"]).ms,
        BASELINES[row.agent_name],
        Asked(row, _holding(connection, row)),
        tuple(Asked(one, _holding(connection, one)) for one in _challengers(connection, row)),
        start * _grown(connection, row),
    )


def _challengers(connection: Connection, row: Row[Any]) -> list[Row[Any]]:
    c = rebalances.c
    mine = (c.run_id == row.run_id) & (c.rebalance_id == row.rebalance_id)
    query = select(rebalances).where(mine, c.role != Role.SERVING.value).order_by(c.id)
    return list(connection.execute(query).all())


def _holding(connection: Connection, row: Row[Any]) -> Row[Any] | None:
    c = holdings.c
    mine = (c.run_id == row.run_id) & (c.rebalance_id == row.rebalance_id)
    one = (c.agent_name == row.agent_name) & (c.role == row.role)
    return connection.execute(select(holdings).where(mine, one)).one_or_none()


def _grown(connection: Connection, row: Row[Any]) -> float:
    """What the book had become by the close of a decision, from 1 at the first of all."""
    c = holdings.c
    query = select(c.book_return).where(
        c.run_id == row.run_id, c.role == Role.SERVING.value, c.known_time <= row.bar_time
    )
    returns: list[float] = list(connection.execute(query).scalars())
    return math.prod([1.0 + told for told in returns])

"""Experiences of the market agent from the database: rebalances of recorded runs, and outcomes.

What each action would have earned follows from what the asset did over the holding: from the open
at which the trade is made to the close of the next decision, after funding. The move from the
close of the decision to that open belongs to the position before, and is left out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy import Connection, select

from darwin.allocation.experiences import Experiences
from darwin.allocation.market import MARKET_PAGE, WEIGHTS
from darwin.core.agents import Role
from darwin.core.market import Timeframe
from darwin.core.rebalance import MARKET
from darwin.errors import DataError
from darwin.store.book_columns import as_numbers
from darwin.store.db import Database
from darwin.store.queries import require_run
from darwin.store.schema import holdings, id_range, rebalances


def recorded_experiences(database: Database, run_ids: Sequence[str]) -> Experiences:
    """Rebalances of those runs, one run after the other, as far as it is known what came of them.

    Where nothing was seen in between, or columns were not known, a stretch ends. Raises ConfigError
    for an unknown run, and DataError where they hold none of the market agent's page of today.
    """
    parts = []
    with database.read() as connection:
        for run_id in run_ids:
            run = require_run(connection, database, run_id)
            frame = json.loads(run.config_json)["market"]["timeframe"]
            parts += _of_run(connection, run.number, Timeframe.parse(frame).ms)
    if not parts:
        raise DataError(
            f"{', '.join(run_ids)} hold no rebalance of the market agent's page",
            mend="record a run of the market agent with this version: it may only watch",
        )
    observations, moved, time, ends = (
        np.concatenate([part[i] for part in parts]) for i in range(4)
    )
    earned = moved[:, None] * np.array(WEIGHTS)
    return Experiences(MARKET_PAGE.schema, observations, earned + 0.0, ends.astype(np.bool_), time)


def _of_run(connection: Connection, number: int, bar_ms: int) -> list[tuple[Any, ...]]:
    """Observations, returns of the asset, closes and ends of one run; empty: it has none."""
    r, h = rebalances.c, holdings.c
    same = (h.run_id == r.run_id) & (h.agent_name == r.agent_name)
    same &= (h.role == r.role) & (h.rebalance_id == r.rebalance_id)
    rows = connection.execute(
        select(r.bar_time, r.observation, h.known_time, h.asset_returns)
        .join_from(rebalances, holdings, same)
        .where(r.id.between(*id_range(number)), r.agent_name == MARKET)
        .where(r.role == str(Role.SERVING), r.feature_schema == MARKET_PAGE.schema)
        .order_by(r.id)
    ).all()
    seen = [np.frombuffer(row.observation, dtype="<f4") for row in rows]
    known = [at for at, one in enumerate(seen) if np.isfinite(one).all()]
    if not known:
        return []
    time = np.array([rows[at].bar_time for at in known], dtype=np.int64)
    over = np.array([rows[at].known_time for at in known], dtype=np.int64)
    ends = np.append(time[1:] != over[:-1], True)
    moved = np.array([as_numbers(rows[at].asset_returns)[0] for at in known])
    return [(np.stack([seen[at] for at in known]), moved, time + bar_ms, ends)]

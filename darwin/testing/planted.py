"""What the planted world promises of the rows of a training: E[R | what is known], by its law."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from sqlalchemy import select

from darwin.config.load import load_resolved
from darwin.core.market import FloatArray
from darwin.data import sources
from darwin.data.planted import PlantedWorld
from darwin.data.planted_odds import Setups
from darwin.rl.training.rows import Rows
from darwin.store.db import Database
from darwin.store.schema import candidates, runs


def expected_r(
    rows: Rows, database: Database, run_id: str, pairs: int = 64, seed: int = 0
) -> tuple[FloatArray, float]:
    """E[R] net of costs of each of `rows` of a synthetic run, shape (n,), and the attainable AUC.

    Costs are the taker's on both sides, over the stop. Trailing stops are not priced. The AUC is
    the mean over symbols. The simulation has noise: whoever ranks by one `seed` must not take what
    the ranks are worth from the same one.
    """
    with database.read() as connection:
        told = connection.execute(select(runs.c.config_json).where(runs.c.run_id == run_id))
        tree: Any = json.loads(told.scalar_one())
        c = candidates.c
        facts = {
            row.candidate_id.encode(): row
            for row in connection.execute(
                select(
                    c.candidate_id, c.symbol, c.bar_time, c.side, c.stop_distance,
                    c.target_distance, c.time_stop_bars,
                ).where(c.run_id == run_id)
            )
        }  # fmt: skip
    config = load_resolved(tree, run_id).config
    provider = sources.synthetic(config.market)
    expected, aucs = np.full(len(rows), np.nan), []
    for code, symbol in enumerate(rows.symbols):
        mine = np.flatnonzero(rows.symbol == code)
        bars = provider.bars(symbol)
        of = [facts[one] for one in rows.ids[mine]]
        setups = Setups(
            bar=np.searchsorted(bars.time, [row.bar_time for row in of]),
            side=np.array([1 if row.side == "long" else -1 for row in of]),
            stop_distance=np.array([row.stop_distance for row in of]),
            target_distance=np.array([row.target_distance or np.inf for row in of]),
            time_stop_bars=np.array([row.time_stop_bars or np.inf for row in of], dtype=float),
        )
        world = PlantedWorld(provider, symbol)
        expected[mine] = world.odds(setups, pairs, seed).expected_r
        aucs.append(world.attainable_auc(setups, min(pairs, 32)))
    costs = config.costs
    bps = costs.taker_bps + costs.half_spread_bps + costs.slippage_bps
    return expected - 2.0 * bps * 1e-4 / rows.stop, float(np.mean(aucs))

"""Worlds to learn in: runs of the real command over synthetic bars, seen by three agents."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from bench.end_to_end import darwin
from darwin.core.agents import AGENTS
from darwin.core.market import FloatArray
from darwin.rl.agents.pages import PAGES
from darwin.rl.training.dataset import Source, read_rows
from darwin.rl.training.rows import Rows
from darwin.store.db import connect_readonly
from darwin.testing.planted import expected_r

FREE = dict.fromkeys(("maker_bps", "taker_bps", "half_spread_bps", "slippage_bps"), 0)
ROOM: dict[str, Any] = {
    "portfolio": {
        "risk_per_trade": 0.0025, "positions_per_symbol": 20, "max_positions": 60,
        "max_exposure_fraction": None,
    },
    "limits": dict.fromkeys(
        ("max_drawdown_fraction", "max_daily_loss_fraction", "max_orders_per_day",
         "max_position_usd")
    ),
}  # fmt: skip
"""Nothing limits what is taken, so that each candidate finds its symbol free."""
WATCHED: dict[str, Any] = {"enabled": True} | {
    f"{name}_agent": {"name": name, "mode": "observe"} for name in AGENTS
}
PLAIN_EXITS = {"stop_atr": 1.2, "target_atr": 2.4, "time_stop_bars": 32, "trailing": None}


def make(folder: Path, seed: int, edge: float, bars: int, costs: dict[str, Any]) -> Path:
    """Make a run named `world` in `folder`, of three playbooks; gives its database."""
    tree = {
        "run_id": "world",
        "market": {
            "provider": "synthetic", "symbols": ["BTC/USDT", "ETH/USDT", "SOL/USDT"],
            "timeframe": "1h", "bars": bars, "seed": seed, "edge": edge,
        },
        "costs": costs,
        **ROOM,
        "playbooks": [
            {"name": name, "exits": PLAIN_EXITS}
            for name in ("breakout", "mean_reversion", "pullback")
        ],
        "decider": {"provider": "rules", "take_all": True},
        "rl": WATCHED,
    }  # fmt: skip
    return run(folder, tree)


def run(folder: Path, tree: dict[str, Any]) -> Path:
    """Make the run that a config tells of, with its artifacts in `folder`; gives its database."""
    artifacts = folder / "artifacts"
    path = folder / "config.json"
    path.write_text(json.dumps(tree | {"artifacts_dir": str(artifacts)}))
    done = subprocess.run(darwin("run", str(path)), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the run failed:\n{done.stderr[-2000:]}")
    return artifacts / "rl_state" / "agent_state.sqlite"


def rows_in(database: Path, agent: str) -> Rows:
    """What `agent` is trained on there."""
    with connect_readonly(database) as opened:
        return read_rows(PAGES[agent], [Source(opened, ("world",))])


def promised(rows: Rows, database: Path, pairs: int, seed: int) -> tuple[FloatArray, float]:
    """E[R] of each row by the law of the world, shape (n,), and the attainable AUC."""
    with connect_readonly(database) as opened:
        return expected_r(rows, opened, "world", pairs=pairs, seed=seed)

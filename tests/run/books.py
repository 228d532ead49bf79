"""Runs of books as their user makes them, with rules in the place of models."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darwin.core.agents import Model
from darwin.core.rebalance import BookAdvice
from darwin.rl.graduation import acts
from darwin.store.db import connect
from tests.run.command import Desk

HERE = "tests.run.books"
BOOK: dict[str, Any] = {
    "run_id": "book",
    "market": {
        "provider": "synthetic",
        "symbols": ["BTC/USDT", "ETH/USDT", "SOL/USDT"],
        "timeframe": "1h",
        "start": "2024-01-01",
        "bars": 4000,
        "seed": 5,
    },
    "costs": {"taker_bps": 5, "half_spread_bps": 1, "slippage_bps": 1},
    "allocation": {"agent": "allocator", "every": 24, "policy": f"{HERE}:Tilt"},
    "limits": {"max_drawdown_fraction": None},
}


@dataclass(frozen=True)
class Tilt:
    """An allocator that always wants most of the first asset."""

    first: float = 0.6
    wait_s: float = 0.0  # per decision
    fails_from: int = -1  # the decision from which on it fails
    how: str = "raises"

    def strangeness(self, observation: NDArray[np.float32]) -> float:
        return 0.0 if bool(np.isfinite(observation).all()) else math.nan

    def advise(self, observation: NDArray[np.float32]) -> BookAdvice:
        time.sleep(self.wait_s)
        if self.how == "wants too much":
            return BookAdvice((2.0, -1.0, 0.0, 0.0), None)
        if self.how == "raises":
            return BookAdvice((self.first, 0.2, 0.1, 1.0 - self.first - 0.3), None)
        if self.how == "is NaN":
            return BookAdvice((math.nan, 0.0, 0.0, 1.0), None)
        if self.how == "is no advice":
            return (0.5, 0.5)  # type: ignore[return-value]
        raise RuntimeError("no idea")


@dataclass(frozen=True)
class Coin:
    """A market agent that is long, short or flat by the digits of what it sees."""

    def strangeness(self, observation: NDArray[np.float32]) -> float:
        return 0.0 if bool(np.isfinite(observation).all()) else math.nan

    def advise(self, observation: NDArray[np.float32]) -> BookAdvice:
        return BookAdvice((float(int(abs(float(observation[0])) * 1e4) % 3),), 0.5)


def config(desk: Desk, name: str = "book.json", **changes: Any) -> str:
    """Write BOOK with `changes` to its top-level keys, blocks merged."""
    tree = BOOK | {
        key: {**BOOK.get(key, {}), **value} if isinstance(value, dict) else value
        for key, value in changes.items()
    }
    (desk.folder / name).write_text(json.dumps(tree))
    return name


def run(desk: Desk, name: str, *arguments: str, **environment: str) -> str:
    """Make the run; gives what it said on stderr."""
    here = str(Path(__file__).resolve().parents[2])
    done = desk.darwin("allocation", "run", name, *arguments, PYTHONPATH=here, **environment)
    assert done.returncode == 0, done.stderr
    return done.stderr


def promote(desk: Desk, agent: str, model: Model, stage: float) -> None:
    """Put a promotion and a stage on record, as a person would."""
    from datetime import UTC, datetime

    said: dict[str, Any] = {"by": "Ada", "reason": "a test", "override": True}
    with connect(desk.folder / "artifacts" / "rl_state" / "agent_state.sqlite") as database:
        acts.promote(database, agent, model, at=datetime.now(UTC), **said)
        acts.set_stage(database, agent, stage, at=datetime.now(UTC), **said)


def rows(desk: Desk, run_id: str = "book") -> list[dict[str, Any]]:
    """Its rebalances of the serving model, weights as numbers."""
    names = (
        "bar_time, mode, reason, followed, limited_by, advised_weights, baseline_weights,"
        " final_weights, model_version, model_sha256"
    )
    found = desk.ask(
        f"SELECT {names} FROM rebalances WHERE run_id = '{run_id}' AND role = 'serving' ORDER BY id"
    )
    keys = [name.strip() for name in names.split(",")]
    return [
        {
            key: np.frombuffer(value, "<f8") if isinstance(value, bytes) else value
            for key, value in zip(keys, row, strict=True)
        }
        for row in found
    ]

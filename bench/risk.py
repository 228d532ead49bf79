"""What a decision of the risk manager costs, by the number of assets; nothing is asserted."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from bench.tables import met, table
from darwin.allocation import RiskManager

GOAL_MS, ASSETS, CALLS = 0.1, (2, 10, 30), 5_000


def main() -> None:
    told = []
    for assets in ASSETS:
        took = np.array(timed(assets))
        p50, p99 = np.percentile(took, (50, 99)) / 1e6
        told.append((f"{assets} assets", f"{p50:.4f}", f"{p99:.4f}", met(p50 <= GOAL_MS)))
    table(
        f"RiskManager.manage, ms, {CALLS:,} calls (goal: p50 ≤ {GOAL_MS})",
        ("", "p50", "p99", "goal"),
        told,
    )


def timed(assets: int) -> list[int]:
    """How long each call takes, ns; plain mappings with prices and ATR, the slowest form."""
    names = [f"asset{at}" for at in range(assets)]
    market = {
        "volatility": 0.3,
        "trend": 0.05,
        "prices": dict.fromkeys(names, 100.0),
        "atr": dict.fromkeys(names, 1.5),
    }
    held: dict[str, Any] = dict.fromkeys(names, 0.8 / assets)
    held |= {"current_drawdown": 0.08, "equity": 10_000.0}
    manager = RiskManager()
    took = []
    for _ in range(CALLS):
        began = time.perf_counter_ns()
        manager.manage(market, held)
        took.append(time.perf_counter_ns() - began)
    return took


if __name__ == "__main__":
    main()

"""`python -m bench.real FOLDER`: train on BTC, ETH and BNB to the end of 2023, test on the rest.

FOLDER holds `BTCUSDT-1h.parquet` and its sisters. Whatever comes out is printed as it is.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import learning_worlds as worlds
from bench.end_to_end import darwin
from bench.tables import table
from darwin.core.agents import AGENTS

SYMBOLS = ["BTC/USDT", "ETH/USDT", "BNB/USDT"]
TEST_FROM, END = "2024-01-01", "2026-01-01"


def main() -> None:
    """Print the verdict on each page, and the figures beside it."""
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        worlds.run(Path(folder), real_run(Path(sys.argv[1]).resolve()))
        artifacts = Path(folder) / "artifacts"
        told = {agent: _train(agent, artifacts) for agent in AGENTS}
    rows = []
    for agent, one in told.items():
        test, over = one["test"]["learned_gain_r"], one["test"]["over_baseline_r"]
        sure = one["test"]["learned_gain_99_r"]
        rows.append((
            agent, " ".join(f"{one['rows'][part]:,}" for part in ("train", "validation", "test")),
            f"{test['value']:+.4f}", f"{test['low']:+.4f} .. {test['high']:+.4f}",
            f"{sure['low']:+.4f} .. {sure['high']:+.4f}",
            f"{over['value']:+.4f}", f"{over['low']:+.4f} .. {over['high']:+.4f}",
            f"{one['supervised_learner']['learned_gain_r']['value']:+.4f}",
            _share(one["trials"]["deflated"]),
        ))  # fmt: skip
    table(
        f"{', '.join(SYMBOLS)} 1h to 2023, tested from {TEST_FROM} on: R per decision",
        ("agent", "rows", "learned gain", "95 % interval", "99 % interval", "over baseline",
         "95 % interval", "supervised", "deflated Sharpe"),
        rows,
    )  # fmt: skip
    for agent, one in told.items():
        print(f"\n{agent}: {one['verdict']}")


def real_run(market: Path) -> dict[str, Any]:
    """The config of a run on the files of folder `market`, watched by all three agents."""
    return {
        "run_id": "real",
        "market": {
            "provider": "files", "path": str(market), "symbols": SYMBOLS, "timeframe": "1h",
            "end": END,
        },
        **worlds.ROOM,
        "playbooks": [{"name": name} for name in ("breakout", "mean_reversion", "pullback")],
        "decider": {"provider": "rules", "cost_usd_per_call": 0.01},
        "rl": worlds.WATCHED,
    }  # fmt: skip


def _share(known: float | None) -> str:
    return "unknown" if known is None else f"{known:.1%}"


def _train(agent: str, artifacts: Path) -> dict[str, Any]:
    words = darwin(
        "rl", "train", agent, "--run-ids", "real", "--test-from", TEST_FROM, "--json",
        "--artifacts-dir", str(artifacts), "--by", "bench", "--reason", "real markets",
    )  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 10):
        raise SystemExit(f"{agent} could not be trained:\n{done.stderr[-2000:]}")
    told: dict[str, Any] = json.loads(done.stdout)
    return told


if __name__ == "__main__":
    main()

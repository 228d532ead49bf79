"""`python -m bench.allocation_real FOLDER`: the benchmark of books on seven perpetuals.

FOLDER holds `BTCUSDT_PERP-1h.parquet`, its funding and their sisters. Hourly bars, known to the end
of 2023, judged from 2024 on, whatever comes out. With `--model VERSION|DIR` an allocator that was
trained on bars before 2024 is judged as well; `--train` trains one first, a day of embargo before.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench.end_to_end import darwin
from bench.tables import table
from darwin.allocation.minimum_variance import long_only_minimum_variance, minimum_variance, shrunk
from darwin.cli.book_options import panel_from_files
from darwin.core.market import Timeframe
from darwin.report import benchmark_words as said

SYMBOLS = tuple(f"{coin}USDT_PERP" for coin in ("AVAX", "BNB", "BTC", "DOGE", "ETH", "LINK", "SOL"))
TRAIN_TO, TEST_FROM, END = "2023-12-31", "2024-01-01", "2026-01-01"
LOOKBACK = 1_440


def main() -> None:
    """Print the table with its intervals, and least variance beside its closed form."""
    words = sys.argv[1:]
    if not words or words[0].startswith("-"):
        raise SystemExit(__doc__)
    market, more = str(Path(words[0]).resolve()), words[1:]
    with tempfile.TemporaryDirectory() as folder:
        if "--train" in more:
            more = ["--model", _train(market, Path(folder))]
        tree = _told(
            "allocation",
            "benchmark",
            *_bars(market, END),
            "--test-from",
            TEST_FROM,
            *more,
            "--json",
        )
    _show(tree)
    _closed_form(market)


def _bars(market: str, end: str) -> list[str]:
    return ["--data", market, "--symbols", ",".join(SYMBOLS), "--funding", "--end", end]


def _told(*words: str) -> dict[str, Any]:
    done = subprocess.run(darwin(*words), capture_output=True, text=True, check=False)
    if done.returncode not in (0, 10, 11):
        raise SystemExit(f"{' '.join(words[:2])} failed:\n{done.stderr[-2000:]}")
    tree: dict[str, Any] = json.loads(done.stdout)
    return tree


def _train(market: str, folder: Path) -> str:
    """Train an allocator on what came before the test; the folder of its model."""
    _told(
        "allocation", "train", *_bars(market, TRAIN_TO), "--every", "24", "--output-dir",
        str(folder / "trained"), "--artifacts-dir", str(folder / "artifacts"), "--json",
    )  # fmt: skip
    return str(folder / "trained" / "model")


def _show(tree: dict[str, Any]) -> None:
    rows = [
        (said.name(name), *(f"{value} ({between})" for value, between in said.cells(one)),
         said.p_value(one))
        for name, one in tree["strategies"].items()
    ]  # fmt: skip
    table("Seven perpetuals, held out from 2024 on", ("strategy", *said.HEADS), rows)
    if tree["criteria"]:
        table(
            "Bounds of the agent", ("figure", "bound", "is", "interval", ""),
            [said.criterion(one) for one in tree["criteria"]],
        )  # fmt: skip
    print(f"\n{said.verdict(tree)}")
    for sentence in said.basis(tree):
        print(sentence)


def _closed_form(market: str) -> None:
    """Least variance on the last bars before the test: the solver beside S⁻¹1 / 1ᵀS⁻¹1."""
    span = (None, TEST_FROM)
    panel = panel_from_files(Path(market), SYMBOLS, Timeframe.parse("1h"), span, funding=False)
    close = panel.close[-LOOKBACK - 1 :]
    covariance = shrunk(np.cov(close[1:] / close[:-1], rowvar=False), 0.1)
    ones = np.linalg.inv(covariance) @ np.ones(len(SYMBOLS))
    closed, ours = ones / ones.sum(), minimum_variance(covariance)
    long = long_only_minimum_variance(covariance)
    rows = [
        (symbol, f"{a:+.4f}", f"{b:+.4f}", f"{c:+.4f}")
        for symbol, a, b, c in zip(SYMBOLS, closed, ours, long, strict=True)
    ]
    table(
        f"Least variance of the last {LOOKBACK:,} hours before {TEST_FROM}",
        ("symbol", "closed form", "solved", "without shorts"), rows,
    )  # fmt: skip
    print(f"\nlargest difference to the closed form: {np.abs(closed - ours).max():.1e}")


if __name__ == "__main__":
    main()

"""`darwin run` as its user runs it: recorded, reported; start-up, throughput, memory, growth."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.tables import child, table

FEW = {"name": "breakout", "params": {"lookback": 500, "min_adx": 30}}
ALL = [{"name": "breakout"}, {"name": "pullback"}, {"name": "mean_reversion"}]


def config(folder: Path, run_id: str, bars: int, playbooks: list[dict[str, Any]]) -> str:
    """Write a config over `bars` synthetic bars, sized so that no limit stops it."""
    tree = {
        "run_id": run_id,
        "market": {
            "provider": "files",
            "path": str(folder),
            "symbols": ["BTC/USDT:SYNTH"],
            "timeframe": "1m",
        },
        "portfolio": {"risk_per_trade": 0.0001, "min_order_usd": 0},
        "limits": {
            "max_drawdown_fraction": None,
            "max_daily_loss_fraction": None,
            "max_orders_per_day": None,
        },
        "playbooks": playbooks,
        "decider": {"provider": "rules"},
    }
    path = folder / f"{run_id}.json"
    path.write_text(json.dumps(tree))
    return str(path)


def darwin(*words: str) -> list[str]:
    """The command line of `darwin`."""
    return [sys.executable, "-m", "darwin.cli.main", *words]


def run(folder: Path, name: str, path: str) -> tuple[str, ...]:
    """Time one run; its row of the table."""
    artifacts = folder / "artifacts"  # one deployment: its database stands already
    _, peak_mb, wall = child(darwin("run", path, "--set", f"artifacts_dir={artifacts}"))
    metrics = json.loads((artifacts / "runs" / Path(path).stem / "metrics.json").read_text())
    bars, candidates = metrics["bars"], metrics["candidates"]
    per_100 = 100 * candidates / bars
    return (
        name,
        f"{per_100:.1f}",
        f"{wall:.2f}",
        f"{bars / wall / 1e3:.0f}",
        f"{candidates / wall:,.0f}",
        f"{peak_mb:.0f}",
    )


def first_decision(folder: Path) -> None:
    """How long after the start of the process the first candidate of a 10k-bar run is decided."""
    path = folder / "demo.json"
    tree = {
        "run_id": "demo",
        "market": {
            "provider": "synthetic",
            "symbols": ["BTC/USDT"],
            "timeframe": "1h",
            "bars": 10_000,
        },
        "playbooks": ALL,
    }
    path.write_text(json.dumps(tree))
    artifacts = f"artifacts_dir={folder / 'a'}"
    rows = []
    for name, run_id in (("first run, makes the database", "one"), ("later run", "two")):
        command = [sys.executable, "-m", "bench.first_decision", "run", str(path)]
        seconds, peak_mb, _ = child([*command, "--set", artifacts, "--set", f"run_id={run_id}"])
        rows.append((name, f"{seconds:.2f}", f"{peak_mb:.0f}"))
    table("10,000 bars: start of the process to the first decision", ("", "s", "peak MB"), rows)


def main() -> None:
    """Print all tables."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first_decision(folder)
        rows: list[tuple[str, ...]] = []
        child(
            darwin(
                "run", str(folder / "demo.json"), "--set", f"artifacts_dir={folder / 'artifacts'}"
            )
        )
        for bars in (100_000, 500_000, 2_500_000, 5_000_000):
            target = folder / f"bars{bars}"
            child(darwin("data", "synth", "--bars", str(bars), "--seed", "1", "--timeframe", "1m",
                         "--symbols", "BTC/USDT", "-o", str(target)))  # fmt: skip
            few = config(target, f"few{bars}", bars, [FEW])
            rows.append(run(folder, f"{bars:,} bars, few candidates", few))
            if bars <= 2_500_000:
                every = config(target, f"many{bars}", bars, ALL)
                rows.append(run(folder, f"{bars:,} bars, three playbooks", every))
        head = (
            "darwin run, all features recorded",
            "cand./100",
            "s",
            "k bars/s",
            "cand./s",
            "peak MB",
        )
        table("End to end: every fact recorded and chained, report written", head, rows)


if __name__ == "__main__":
    main()

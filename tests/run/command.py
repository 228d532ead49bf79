"""Run `darwin` as its user does: a process of its own, in a folder of its own."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SMALL: dict[str, Any] = {
    "run_id": "small",
    "market": {
        "provider": "synthetic",
        "symbols": ["BTC/USDT", "ETH/USDT"],
        "timeframe": "1h",
        "bars": 3000,
        "seed": 3,
        "edge": 0.2,
    },
    "portfolio": {"risk_per_trade": 0.0025},
    "playbooks": [{"name": "breakout"}, {"name": "mean_reversion"}],
    "decider": {"provider": "rules"},
}


@dataclass(frozen=True)
class Desk:
    """A folder in which commands are run."""

    folder: Path

    def darwin(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run one command and keep what it said."""
        return subprocess.run(
            [sys.executable, "-m", "darwin.cli.main", *arguments],
            cwd=self.folder,
            env=clean_environment(**environment),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def begin(self, config: str) -> subprocess.Popen[str]:
        """Start a run in the background; return once it holds its folder and has begun."""
        process = subprocess.Popen(
            [sys.executable, "-m", "darwin.cli.main", "run", config],
            cwd=self.folder,
            env=clean_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        log = self.run_dir() / "run.log"
        while not (log.exists() and "begins" in log.read_text()):
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.01)
        return process

    def config(self, name: str = "config.json", **changes: Any) -> str:
        """Write SMALL with `changes` to its top-level keys, blocks merged."""
        tree = {
            **SMALL,
            **{
                key: {**SMALL.get(key, {}), **value} if isinstance(value, dict) else value
                for key, value in changes.items()
            },
        }
        (self.folder / name).write_text(json.dumps(tree))
        return name

    def run_dir(self, run_id: str = "small", artifacts: str = "artifacts") -> Path:
        """Where the files of a run are."""
        return self.folder / artifacts / "runs" / run_id

    def metrics(self, run_id: str = "small") -> dict[str, Any]:
        """Its metrics."""
        return json.loads((self.run_dir(run_id) / "metrics.json").read_text())

    def trades(self, run_id: str = "small") -> list[dict[str, str]]:
        """Its trades."""
        with (self.run_dir(run_id) / "trades.csv").open() as file:
            return list(csv.DictReader(file))


def clean_environment(**environment: str) -> dict[str, str]:
    """The environment without any DARWIN variable, plus `environment`."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("DARWIN")}
    return kept | environment

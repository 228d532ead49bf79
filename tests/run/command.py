"""Run `darwin` as its user does: a process of its own, in a folder of its own."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
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

    def killed(self, config: str) -> int:
        """Kill a run outright at its first checkpoint; gives what that acknowledged."""
        process = subprocess.Popen(
            [sys.executable, "-m", "darwin.cli.main", "run", config],
            cwd=self.folder,
            env=clean_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        with process.stderr as said:
            acknowledged = next(int(n) for n in map(checkpoint, said) if n is not None)
            process.kill()
        assert process.wait() == -signal.SIGKILL
        return acknowledged

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

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """What a query finds in the database."""
        path = self.folder / "artifacts" / "rl_state" / "agent_state.sqlite"
        with closing(sqlite3.connect(path)) as database:
            return database.execute(sql).fetchall()

    def export(self, run_id: str = "small") -> str:
        """The facts of a run as lines."""
        done = self.darwin("ledger", "export", run_id)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def metrics(self, run_id: str = "small") -> dict[str, Any]:
        """Its metrics."""
        return json.loads((self.run_dir(run_id) / "metrics.json").read_text())

    def trades(self, run_id: str = "small") -> list[dict[str, str]]:
        """Its trades."""
        with (self.run_dir(run_id) / "trades.csv").open() as file:
            return list(csv.DictReader(file))


def checkpoint(line: str) -> int | None:
    """How many facts a line acknowledges; None if it is about something else."""
    found = re.search(r"checkpoint seq=(\d+)$", line.rstrip("\n"))
    return int(found[1]) if found else None


def clean_environment(**environment: str) -> dict[str, str]:
    """The environment without any DARWIN variable, plus `environment`."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("DARWIN")}
    return kept | environment

"""`python -m bench.real_lives FOLDER`: learn on BTC, ETH and BNB to 2023, be on trial from 2024 on.

FOLDER holds `BTCUSDT-1h.parquet` and its sisters. Networks are handed over whatever their own test
shows, so that there is something to judge; graduation decides. What it says is printed as it is.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from contextlib import chdir
from datetime import UTC, datetime
from pathlib import Path

from bench.end_to_end import darwin
from bench.lives import force
from bench.real import TEST_FROM, real_run
from darwin.cli.lifecycle_asked import Schooling, ask
from darwin.cli.lifecycle_phases import lead
from darwin.config.load import load_config
from darwin.core.agents import AGENTS

SCHOOLING = Schooling(timesteps=100_000, seeds=3, canaries=False)


def main() -> None:
    """Lead the life, then ask for the status of each agent, and how long that takes."""
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    market = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        _live(market)
        for agent in AGENTS:
            began = time.perf_counter()
            done = subprocess.run(
                darwin("rl", "status", agent), capture_output=True, text=True, check=False
            )
            took = time.perf_counter() - began
            print(
                f"\n$ darwin rl status {agent}\n{done.stdout}\nexit {done.returncode}, {took:.2f} s"
            )


def _live(market: Path) -> None:
    config = Path("life.json")
    config.write_text(json.dumps(real_run(market)), "utf-8")
    until = round(datetime.fromisoformat(TEST_FROM).replace(tzinfo=UTC).timestamp() * 1000)
    asked = ask(load_config(config, (), {}), 0.0, until, SCHOOLING, by="bench")
    lead(asked, resume=False, deliver=force)


if __name__ == "__main__":
    main()

"""Runs on paper beside a venue on this machine, as their user makes them."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable

from darwin.core.market import Bars
from darwin.data.convert import bar_frame, write_whole
from darwin.testing.klines_server import KlinesServer
from tests.run.command import Desk
from tests.run.waiting import until

SYMBOLS = ["BTC/USDT", "ETH/USDT", "SOL/USDT"]
BARS, BEGUN, HOUR_MS = 2_000, 450, 3_600_000
NO_LIMITS = {"max_drawdown_fraction": None, "max_daily_loss_fraction": None}
FOREVER = 1e9
EXITS = {"stop_atr": 2.0, "target_atr": 3.0, "time_stop_bars": 6}


Start = Callable[..., "subprocess.Popen[str]"]
"""Starts `darwin run paper.json` with more words, in the background."""


def paper(desk: Desk, server: KlinesServer, staleness_s: float, **live: float) -> str:
    """Write a run on three symbols; more words are keys of its block `live`."""
    return desk.config(
        "paper.json",
        run_id="paper",
        mode="paper",
        market={
            "provider": "klines", "base_url": server.url, "symbols": SYMBOLS, "bars": 10_000,
            "seed": 0, "edge": 0.0, "start": "2024-01-01",
        },
        playbooks=[{"name": name, "exits": EXITS} for name in ("breakout", "mean_reversion")],
        limits=NO_LIMITS,
        live={"poll_seconds": 0.02, "grace_seconds": 0, "max_staleness_seconds": staleness_s}
        | live,
    )  # fmt: skip


def fed(desk: Desk) -> int:
    """The last bar on record, by its open time."""
    return int(desk.ask("SELECT coalesce(max(time), 0) FROM bars")[0][0])


def wait_for(desk: Desk, process: subprocess.Popen[str], time_ms: int) -> None:
    log = desk.run_dir("paper") / "run.log"

    def there() -> bool:
        return log.exists() and "begins" in log.read_text() and fed(desk) >= time_ms

    until(there, process, f"the bar of {time_ms}")


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def replayed(desk: Desk, markets: list[Bars], bars: int, run_id: str = "plain") -> str:
    """The export of a plain replay of the first so many bars."""
    for one in markets:
        name = one.symbol.replace("/", "")
        write_whole(bar_frame(one.slice(0, bars)), desk.folder / f"{name}-1h.parquet")
    tree = json.loads((desk.folder / "paper.json").read_text())
    tree |= {"run_id": run_id, "mode": "replay"}
    tree["market"] |= {"provider": "files", "path": "."}
    (desk.folder / "plain.json").write_text(json.dumps(tree))
    done = desk.darwin("run", "plain.json")
    assert done.returncode == 0, done.stderr
    return desk.export(run_id)


def stepped(
    desk: Desk, server: KlinesServer, process: subprocess.Popen[str], markets: list[Bars], *to: int
) -> None:
    """Let bars close one by one, each once the one before was fed."""
    for place in range(*to):
        server.now_ms = int(markets[0].time[place]) + HOUR_MS + 1_000
        wait_for(desk, process, int(markets[0].time[place]))

"""Fifty readers ask `darwin serve` while a run writes: what reads take, what the writer waits for.

    $ python -m bench.service_readers --seconds 60 --readers 50 --pause 0

The writer is a process of its own that feeds bars to a run with three agents, each decision a
transaction. It times what SQLite takes for `BEGIN IMMEDIATE`, which is where it waits for a lock.
"""

from __future__ import annotations

import argparse
import http.client
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from bench.tables import child, met, table

SECONDS, READERS, BARS_A_SECOND = 60.0, 50, 200.0
GOAL_MS = 20.0  # the writer's wait for the lock, 99 times of 100
_BUSY = (b"database is locked", b"is busy", b"SQLITE_BUSY")
RUN = "busy"
ROUTES = (
    "/api/rl-agent/status", "/api/v1/rl/v3/status?agent=gate", "/api/v1/runs",
    f"/api/v1/runs/{RUN}", "/api/v1/agents", "/api/v1/agents/gate",
    "/api/v1/agents/gate/decisions", "/api/v1/rl/v3/experiences?agent=gate&limit=50",
    "/api/v1/alerts", "/api/v1/jobs", "/api/v1/kill", "/health", "/metrics", "/",
)  # fmt: skip


def main() -> None:
    """As `python -m bench service` runs it."""
    measure(SECONDS, READERS, 0.0)


def measure(seconds: float, readers: int, pause_s: float) -> None:
    """Print both tables."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        child(_darwin("run", str(_config(folder, "before", 6000)),
                      "--set", f"artifacts_dir={folder / 'artifacts'}"))  # fmt: skip
        quiet = _writer(folder, "quiet", min(seconds, 10.0))
        alone = json.loads(quiet.communicate()[0])
        with _served(folder) as port:
            writer = _writer(folder, RUN, seconds)
            _wait_for_run(port)
            seen = _read(port, readers, seconds - 1, pause_s)
            said, fault = writer.communicate()
        if writer.returncode:
            raise SystemExit(f"the run failed:\n{fault[-2000:]}")
        log = b"".join(one.read_bytes() for one in folder.glob("*.err"))
        log += (folder / "logs" / "darwin.log").read_bytes()
    _tell(seen, alone, json.loads(said), log, readers, seconds)


def _darwin(*words: str) -> list[str]:
    return [sys.executable, "-m", "darwin.cli.main", *words]


def _config(folder: Path, run_id: str, bars: int) -> Path:
    """A run on a generated market with three rules that observe."""
    rules = {"gate": "cautious-gate", "meta_learner": "second-opinion",
             "portfolio": "size-by-strength"}  # fmt: skip
    tree = {
        "run_id": run_id,
        "market": {"provider": "synthetic", "symbols": ["BTC/USDT"], "timeframe": "1h",
                   "bars": bars, "edge": 0.2},
        "limits": {"max_drawdown_fraction": None, "max_daily_loss_fraction": None,
                   "max_orders_per_day": None},
        "playbooks": [{"name": "breakout"}, {"name": "pullback"}, {"name": "mean_reversion"}],
        "decider": {"provider": "rules"},
        "rl": {"enabled": True} | {
            f"{name}_agent": {"name": name, "mode": "observe", "policy": rule}
            for name, rule in rules.items()
        },
    }  # fmt: skip
    path = folder / f"{run_id}.json"
    path.write_text(json.dumps(tree))
    return path


def _writer(folder: Path, run_id: str, seconds: float) -> subprocess.Popen[str]:
    path = _config(folder, run_id, int(seconds * BARS_A_SECOND) + 2000)
    words = [sys.executable, "-m", "bench.service_readers", "--write", str(path)]
    return subprocess.Popen(
        [*words, "--db", str(_database(folder)), "--seconds", str(seconds)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def _database(folder: Path) -> Path:
    return folder / "artifacts" / "rl_state" / "agent_state.sqlite"


def write(config: Path, db: Path, seconds: float) -> None:
    """Be the writer: feed bars until the time is over, and print what it took as JSON."""
    from darwin import bootstrap
    from darwin.bootstrap import wire
    from darwin.cli.making import identify
    from darwin.config.load import load_config
    from darwin.engine.arrivals import arrivals
    from darwin.store.db import connect
    from darwin.store.journal import Journal
    from darwin.store.runs import begin_run

    loaded = load_config(config, ())
    wired = wire(loaded)
    fed: list[float] = []
    with connect(db) as database:
        waits = _timed(database)
        run = begin_run(database, identify(loaded, wired, "feed"), at=datetime.now(UTC))
        kept = Journal(database, run, wired.playbooks)
        timeline = bootstrap.live(wired, kept)
        end = time.perf_counter() + seconds
        for number, chunk in enumerate(arrivals(wired.session.markets)):
            if number >= 500:  # the warm-up comes at once
                time.sleep(1 / BARS_A_SECOND)
            before, began = kept.place.facts, time.perf_counter()
            timeline.feed(chunk)
            if kept.place.facts > before:
                fed.append(time.perf_counter() - began)
            if began > end:
                break
        facts = kept.place.facts
    told = {name: [1e3 * one for one in took] for name, took in (("wait", waits), ("bar", fed))}
    print(json.dumps(told | {"facts": facts}))


def _timed(database: Any) -> list[float]:
    """Time every BEGIN IMMEDIATE of a database; the list grows."""
    from sqlalchemy import event

    took: list[float] = []

    @event.listens_for(database._engine, "before_cursor_execute")
    def before(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if statement == "BEGIN IMMEDIATE":
            connection.info["began"] = time.perf_counter()

    @event.listens_for(database._engine, "after_cursor_execute")
    def after(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if statement == "BEGIN IMMEDIATE":
            took.append(time.perf_counter() - connection.info["began"])

    return took


@contextmanager
def _served(folder: Path) -> Iterator[int]:
    """The service, as its user starts it; gives the port."""
    with (folder / "serve.err").open("w") as fault:
        served = subprocess.Popen(
            _darwin("serve", "--port", "0", "--artifacts-dir", "artifacts", "--json"),
            cwd=folder, stdout=subprocess.PIPE, stderr=fault, text=True,
        )  # fmt: skip
        assert served.stdout is not None
        line = served.stdout.readline()
        if not line:
            raise SystemExit((folder / "serve.err").read_text() or "darwin serve did not start")
        try:
            yield int(json.loads(line)["url"].rpartition(":")[2])
        finally:
            served.terminate()
            served.wait(30)


def _wait_for_run(port: int) -> None:
    for _ in range(600):
        if (
            _ask(http.client.HTTPConnection("127.0.0.1", port, timeout=30), f"/api/v1/runs/{RUN}")[
                0
            ]
            == 200
        ):
            return
        time.sleep(0.05)
    raise SystemExit("the run did not begin")


@dataclass
class Seen:
    """What all readers have seen."""

    took: dict[str, list[float]] = field(default_factory=lambda: {one: [] for one in ROUTES})
    faults: Counter[str] = field(default_factory=Counter)
    busy: int = 0


def _read(port: int, readers: int, seconds: float, pause_s: float) -> Seen:
    seen, end, lock = Seen(), time.perf_counter() + seconds, threading.Lock()

    def reader(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        turn = number
        while time.perf_counter() < end:
            route = ROUTES[turn % len(ROUTES)]
            turn += 1
            began = time.perf_counter()
            status, body = _ask(connection, route)
            took = time.perf_counter() - began
            with lock:
                seen.took[route].append(took)
                if status != 200:
                    seen.faults[f"{status} {route}"] += 1
                seen.busy += any(word in body for word in _BUSY)
            if pause_s:
                time.sleep(pause_s)
        connection.close()

    threads = [threading.Thread(target=reader, args=(number,)) for number in range(readers)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return seen


def _ask(connection: http.client.HTTPConnection, route: str) -> tuple[int, bytes]:
    """Status and body; 0 where there was no answer."""
    try:
        connection.request("GET", route)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as fault:
        connection.close()
        return 0, str(fault).encode()


def _tell(seen: Seen, alone: Any, told: Any, log: bytes, readers: int, seconds: float) -> None:
    every = np.array([one for took in seen.took.values() for one in took])
    head = ("route", "requests", "p50 ms", "p99 ms", "max ms")
    rows = [_row(route, np.array(took)) for route, took in seen.took.items() if took]
    table(f"{readers} readers for {seconds:.0f} s beside a run that writes", head,
          [*rows, _row("all", every)])  # fmt: skip
    print(f"  {len(every) / seconds:,.0f} requests a second")
    for fault, count in seen.faults.most_common(5):
        print(f"  {count:,} times {fault}")
    busy = seen.busy + sum(log.count(word) for word in _BUSY)
    waits, bars = np.array(told["wait"]), np.array(told["bar"])
    head = ("writer", "transactions", "p50 ms", "p99 ms", "max ms")
    table("The run that writes", head, [
        _row("wait for the lock, alone", np.array(alone["wait"]) / 1e3),
        _row("wait for the lock, read", waits / 1e3),
        _row("a bar until it is kept, alone", np.array(alone["bar"]) / 1e3),
        _row("a bar until it is kept, read", bars / 1e3),
    ])  # fmt: skip
    print(f"  {told['facts']:,} facts kept meanwhile")
    p99 = float(np.percentile(waits, 99))
    print(f"  errors {sum(seen.faults.values()):,}: {met(not seen.faults)}")
    print(f"  SQLITE_BUSY surfaced {busy:,}, goal 0: {met(busy == 0)}")
    print(f"  wait for the lock p99 {p99:.2f} ms, goal {GOAL_MS:g}: {met(p99 <= GOAL_MS)}")


def _row(name: str, took: Any) -> tuple[str, ...]:
    cuts = (f"{1e3 * np.percentile(took, q):.2f}" for q in (50, 99, 100))
    return name, f"{len(took):,}", *cuts


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--readers", type=int, default=READERS)
    parser.add_argument(
        "--pause", type=float, default=0.0, help="Of a reader between two requests."
    )
    parser.add_argument("--write", type=Path)
    parser.add_argument("--db", type=Path)
    asked = parser.parse_args()
    if asked.write:
        write(asked.write, asked.db, asked.seconds)
    else:
        measure(asked.seconds, asked.readers, asked.pause)

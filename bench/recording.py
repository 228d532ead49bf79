"""What recording costs: the journal per fact, live commits, verification, growth of memory."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from bench.end_to_end import ALL, config, darwin
from bench.tables import child, table
from darwin import bootstrap
from darwin.bootstrap import wire
from darwin.cli.making import identify
from darwin.config.load import load_config
from darwin.core.facts import Facts
from darwin.engine.arrivals import arrivals
from darwin.store.db import connect
from darwin.store.journal import Journal
from darwin.store.runs import begin_run

DECISIONS = 100_000


class _Timed(Journal):
    """A journal that notes how long each hand-over took."""

    def append(self, facts: Facts) -> None:
        began = time.perf_counter()
        super().append(facts)
        self.seconds.append(time.perf_counter() - began)

    seconds: list[float]


def journal(folder: Path, bars: int) -> tuple[str, ...]:
    """Replay in memory, and again with a journal; a row of the table."""
    target = folder / f"bars{bars}"
    child(darwin("data", "synth", "--bars", str(bars), "--seed", "1", "--timeframe", "1m",
                 "--symbols", "BTC/USDT", "-o", str(target)))  # fmt: skip
    loaded = load_config(Path(config(target, "many", bars, ALL)), ())
    wired = wire(loaded)
    began = time.perf_counter()
    wired.session.run()
    bare = time.perf_counter() - began
    path = target / "state.sqlite"
    with connect(path) as database:
        run = begin_run(database, identify(loaded, wired, "replay"), at=datetime.now(UTC))
        kept = _Timed(database, run, wired.playbooks)
        kept.seconds = []
        wired.session.run(journal=kept)
        kept.finish()
        facts, seconds = kept.place.facts, sum(kept.seconds)
        candidates = len(database_candidates(path))
    size_mb = path.stat().st_size / 2**20
    return (
        f"{bars:,}",
        f"{candidates:,}",
        f"{facts:,}",
        f"{bare:.2f}",
        f"{seconds:.2f}",
        f"{facts / seconds / 1e3:.0f}",
        f"{seconds / candidates * 1e6:.0f}",
        f"{max(kept.seconds):.2f}",
        f"{size_mb:.0f}",
    )


def database_candidates(path: Path) -> range:
    """As many as the file holds."""
    import sqlite3

    with sqlite3.connect(path) as raw:
        return range(raw.execute("SELECT count(*) FROM candidates").fetchone()[0])


def live(folder: Path, bars: int) -> None:
    """From a bar's arrival to the last of its decisions recorded, each committed by itself."""
    target = folder / "live"
    child(darwin("data", "synth", "--bars", str(bars), "--seed", "2", "--timeframe", "1m",
                 "--symbols", "BTC/USDT", "-o", str(target)))  # fmt: skip
    loaded = load_config(Path(config(target, "live", bars, ALL)), ())
    wired = wire(loaded)
    took = []
    with connect(target / "state.sqlite") as database:
        run = begin_run(database, identify(loaded, wired, "feed"), at=datetime.now(UTC))
        kept = Journal(database, run, wired.playbooks)
        timeline = bootstrap.live(wired, kept)
        for chunk in arrivals(wired.session.markets):
            before = kept.place.facts
            began = time.perf_counter()
            timeline.feed(chunk)
            if kept.place.facts > before:
                took.append(time.perf_counter() - began)
        timeline.finish()
    ms = np.array(took) * 1e3
    rows = [(f"{len(ms):,}", *(f"{np.percentile(ms, q):.2f}" for q in (50, 90, 99, 100)))]
    head = ("bars with facts", "p50 ms", "p90", "p99", "max")
    table("Live: from a bar to its decisions recorded, synchronous=FULL", head, rows)


def verify(folder: Path) -> None:
    """`darwin verify` of a run with at least 100,000 candidates."""
    bars = 650_000
    target = folder / "verify"
    child(darwin("data", "synth", "--bars", str(bars), "--seed", "3", "--timeframe", "1m",
                 "--symbols", "BTC/USDT", "-o", str(target)))  # fmt: skip
    path = config(target, "verified", bars, ALL)
    artifacts = str(target / "artifacts")
    child(darwin("run", path, "--set", f"artifacts_dir={artifacts}"))
    metrics = json.loads((target / "artifacts" / "runs" / "verified" / "metrics.json").read_text())
    _, peak_mb, wall = child(darwin("verify", "verified", "--artifacts-dir", artifacts))
    row = (f"{metrics['candidates']:,}", f"{metrics['run']['facts']:,}", f"{wall:.1f}",
           f"{wall / metrics['candidates'] * 1e5:.1f}", f"{peak_mb:.0f}")  # fmt: skip
    head = ("decisions", "facts", "s", "s per 100,000", "peak MB")
    table("darwin verify", head, [row])


DENSE = [
    {
        "name": "breakout",
        "params": {"lookback": n, "buffer_atr": 0, "min_adx": 0, "trend_ema": None,
                   "min_volume_ratio": 0},
    }
    for n in (1, 2, 3, 5, 8)
]  # fmt: skip
"""More than a candidate a bar, so that a hundred thousand decisions need not take an hour."""

SOAK = """
import sys
from bench.recording import soak_child
soak_child(sys.argv[1], int(sys.argv[2]))
"""


def soak(decisions: int = DECISIONS) -> None:
    """Memory of a live run, after a warm-up of a tenth and at the end."""
    with tempfile.TemporaryDirectory() as name:
        target = Path(name)
        child(darwin("data", "synth", "--bars", str(decisions), "--seed", "4", "--timeframe", "1m",
                     "--symbols", "BTC/USDT", "-o", str(target)))  # fmt: skip
        config(target, "soak", decisions, DENSE)
        growth_mb, _, wall = child([sys.executable, "-c", SOAK, name, str(decisions)])
    row = (f"{decisions:,}", f"{growth_mb:.1f}", f"{wall:.0f}")
    head = ("decisions after the warm-up", "memory grew by MB", "s")
    table("Soak of the live timeline, every decision committed", head, [row])


class _Counting(Journal):
    """A journal that counts decisions."""

    decisions = 0

    def append(self, facts: Facts) -> None:
        super().append(facts)
        self.decisions += len(facts.candidates)


def soak_child(folder: str, decisions: int) -> None:
    """Feed bar by bar until so many decisions are recorded after the warm-up; print the growth."""
    target = Path(folder)
    loaded = load_config(target / "soak.json", ())
    wired = wire(loaded)
    with connect(target / "state.sqlite") as database:
        run = begin_run(database, identify(loaded, wired, "feed"), at=datetime.now(UTC))
        kept = _Counting(database, run, wired.playbooks)
        timeline = bootstrap.live(wired, kept)
        start = None
        for chunk in arrivals(wired.session.markets):
            timeline.feed(chunk)
            if start is None and kept.decisions >= decisions // 10:
                start = resident_mb()
            if kept.decisions >= decisions + decisions // 10:
                break
        else:
            raise SystemExit(f"only {kept.decisions} decisions in these bars")
    print(resident_mb() - (start or 0.0))


def resident_mb() -> float:
    """How much memory this process holds."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def main() -> None:
    """Print all tables."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        head = ("bars", "candidates", "facts", "walk alone s", "recording s", "k facts/s",
                "us/candidate", "longest s", "MB on disk")  # fmt: skip
        rows = [journal(folder, bars) for bars in (100_000, 500_000, 2_500_000)]
        table("The journal of a replay: chained, in batches, synchronous=FULL", head, rows)
        live(folder, 20_000)
        verify(folder)


if __name__ == "__main__":
    main()

"""A desk where things go wrong: runs under strace, and what must hold of them afterwards."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from darwin.core.agents import AGENTS
from darwin.errors import ConfigError
from darwin.rl.serving.audit import Audit
from darwin.store.db import connect, connect_readonly
from darwin.store.export import export_lines
from darwin.store.runs import RunIdentity, find_begun
from darwin.store.verify import verify
from darwin.trading.bookkeeping import Bookkeeping
from tests.faults.patient import GO, WAITING
from tests.run.agents import promote, rules
from tests.run.command import Desk, clean_environment

SMALL_BATCHES = str(Path(__file__).with_name("small_batches.py"))
RUN = ("run", "config.json")
RESUME = (*RUN, "--resume")
FED_BARS = 600  # fewer, for each bar that brings something is a transaction
REPORTS = ("config.json", "trades.csv", "equity.csv", "manifest.json")  # the same after any faults
CALLS = (
    "chmod", "fdatasync", "fsync", "ftruncate", "mkdir", "openat", "pwrite64", "rename", "unlink",
    "write",
)  # fmt: skip


class FaultyDesk(Desk):
    """A desk whose runs are short, but are kept in many small transactions."""

    @property
    def state(self) -> Path:
        """The folder of the database."""
        return self.folder / "artifacts" / "rl_state"

    @property
    def database(self) -> Path:
        """The database."""
        return self.state / "agent_state.sqlite"

    def lay(self, bars: int = 1500) -> None:
        """Write the config of most of these runs: an expert that does not wait, watching agents."""
        self._write(bars, rules("observe"))

    def lay_acting(self) -> None:
        """The config of the runs that are fed: promoted agents with all of the capital."""
        self._write(FED_BARS, rules("active"))
        promote(self, *AGENTS, stage=1.0)

    def _write(self, bars: int, rl: dict[str, Any]) -> None:
        self.config(market={"bars": bars}, decider={"provider": "patient:Patient"}, rl=rl)
        self.go()

    def go(self) -> None:
        """Let the expert go on."""
        (self.folder / GO).touch()

    def darwin(
        self, *arguments: str, under: tuple[str, ...] = (), **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one command to its end, `under` another, and keep what it said."""
        return subprocess.run(
            [*under, sys.executable, SMALL_BATCHES, *arguments],
            cwd=self.folder,
            env=clean_environment(**environment),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command in the background."""
        return subprocess.Popen(
            [sys.executable, SMALL_BATCHES, *arguments],
            cwd=self.folder,
            env=clean_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def start_until_it_waits(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a run in the background; return once its expert waits for `go`."""
        (self.folder / GO).unlink()
        process = self.start(*arguments)
        while not (self.folder / WAITING).exists():
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.01)
        return process

    def export(self) -> list[bytes]:
        """The facts of its run, as lines."""
        with connect_readonly(self.database) as database:
            return list(export_lines(database, find_begun(database, "small")))

    def ask(self, query: str) -> list[Any]:
        """Rows of the database as it is."""
        with closing(sqlite3.connect(self.database)) as database:
            return database.execute(query).fetchall()


@dataclass(frozen=True)
class Undisturbed:
    """What a run that nothing happened to has left, and which calls it made."""

    lines: list[bytes]
    marks: list[Any]
    files: dict[str, bytes]
    metrics: dict[str, Any]
    trace: list[str]  # empty where nothing can be traced

    def nth(self, call: str, share: float, place: str = "") -> int:
        """Which `call` of a run's is the one after `share` of those that name `place`."""
        ours = [
            number
            for number, line in enumerate(filter_calls(self.trace, call), start=1)
            if re.search(place, line)
        ]
        if not self.trace:
            pytest.skip("strace is missing or may trace nothing here")
        assert ours, f"a run makes no {call} that names '{place}'"
        return ours[int(share * len(ours))]


def filter_calls(trace: list[str], call: str) -> list[str]:
    """The lines of one call."""
    return [line for line in trace if line.startswith(call + "(")]


def traced(trace: Path, fault: str = "") -> tuple[str, ...]:
    """The words before a command that write its calls to `trace`, with this fault if any."""
    calls = fault.partition(":")[0] or ",".join(CALLS)
    words = ["strace", "-qq", "-y", "-s", "16", "-o", str(trace), "-e", f"trace={calls}"]
    if ":error=" in fault:  # the filter spares time, but lets no signal through
        words += ["-f", "--seccomp-bpf"]
    return (*words, "-e", f"inject={fault}") if fault else tuple(words)


def may_trace() -> bool:
    """Whether strace is here and allowed to do its work."""
    trial = [*traced(Path(os.devnull)), "true"]
    return shutil.which("strace") is not None and not subprocess.run(trial, check=False).returncode


def undisturbed(desk: FaultyDesk, *how: str) -> Undisturbed:
    """Make the run, in peace but watched."""
    warm = FaultyDesk(desk.folder / "warm")
    warm.folder.mkdir()
    warm.lay(FED_BARS)
    assert warm.darwin(*RUN, *how).returncode == 0  # nothing is left to be compiled
    trace = desk.folder / "trace"
    watched = desk.darwin(*RUN, *how, under=traced(trace) if may_trace() else ())
    assert watched.returncode == 0, watched.stderr
    return Undisturbed(
        lines=desk.export(),
        marks=desk.ask("SELECT * FROM equity_marks"),
        files={name: (desk.run_dir() / name).read_bytes() for name in REPORTS},
        metrics=desk.metrics(),
        trace=trace.read_text().splitlines() if trace.exists() else [],
    )


def books(run: RunIdentity) -> list[Bookkeeping | Audit]:
    """What its facts must add up to."""
    return [Bookkeeping(run.symbols), Audit(None)]


def announced(said: str) -> int:
    """How many facts a run has said are safe."""
    return max((int(n) for n in re.findall(r"^checkpoint seq=(\d+)\n", said, re.M)), default=0)


def assert_safe(desk: FaultyDesk, said: str, run: Undisturbed, scratch: Path) -> None:
    """All that was announced is in the files as they are now, and nothing that is not the run's."""
    shutil.rmtree(scratch, ignore_errors=True)
    if not desk.state.exists():
        assert announced(said) == 0
        return
    shutil.copytree(desk.state, scratch)  # looking would mend them
    with connect(scratch / desk.database.name) as database:
        try:
            begun = find_begun(database, "small")
        except ConfigError:  # it was never begun
            assert announced(said) == 0
            return
        kept = list(export_lines(database, begun))
        assert verify(database, "small", books).facts == len(kept)
    assert len(kept) == begun.place.facts >= announced(said)
    assert kept == run.lines[: len(kept)]


def assert_whole(desk: FaultyDesk, run: Undisturbed) -> None:
    """The run has ended as if nothing had happened to it."""
    assert desk.export() == run.lines
    with connect_readonly(desk.database) as database:
        manifest = (desk.run_dir() / "manifest.json").read_bytes()
        checked = verify(database, "small", books, manifest)
    assert (checked.finished, checked.facts) == (True, len(run.lines))
    assert desk.ask("SELECT * FROM equity_marks") == run.marks
    for name, content in run.files.items():
        assert (desk.run_dir() / name).read_bytes() == content, name
    assert (desk.run_dir() / "report.html").stat().st_size > 100_000
    assert _but_for_faults(desk.metrics()) == _but_for_faults(run.metrics)


def assert_resumes(desk: FaultyDesk, run: Undisturbed, *how: str) -> None:
    """Taken up once more, the run ends as if nothing had happened to it."""
    done = desk.darwin(*RESUME, *how)
    assert done.returncode == 0, done.stderr
    assert_whole(desk, run)


def assert_refused(done: subprocess.CompletedProcess[str], code: int = 4) -> None:
    """The command ended with `code` and told why in three lines: what, where, mend."""
    told = [
        line
        for line in done.stderr.splitlines()
        if not line.startswith(("checkpoint seq=", "warning: "))
    ]
    assert done.returncode == code, done.stderr
    assert 0 < len(told) <= 3, done.stderr
    assert told[0].startswith("error: "), done.stderr
    assert "internal error" not in done.stderr
    assert "  mend: " in done.stderr


def was_killed(code: int) -> bool:
    """Whether that is how a process ends that was killed, watched or not."""
    return code in {-signal.SIGKILL, 128 + signal.SIGKILL}


def _but_for_faults(metrics: dict[str, Any]) -> dict[str, Any]:
    """Metrics without what tells of interruptions."""
    told = json.loads(json.dumps(metrics))
    del told["run"]["resumes"], told["run"]["storage_events"]
    return told

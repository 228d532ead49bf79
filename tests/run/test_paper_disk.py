"""A run on paper whose disk is full says what, where and how to mend it, and can go on."""

from __future__ import annotations

import subprocess
import sys

import pytest

from darwin.core.market import Bars
from darwin.engine.report_words import iso
from darwin.testing.klines_server import KlinesServer
from tests.run.command import Desk, clean_environment
from tests.run.papers import FOREVER, paper

pytestmark = pytest.mark.slow

_OTHER = ("checkpoint seq=", "warning: ")


def limited(desk: Desk, kib: int, *words: str) -> subprocess.CompletedProcess[str]:
    """`darwin run paper.json`, which may write no file longer than so many KiB."""
    line = f'ulimit -f {kib}; exec "$@"'
    command = [sys.executable, "-m", "darwin.cli.main", "run", "paper.json", *words]
    return subprocess.run(
        ["bash", "-c", line, "bash", *command], cwd=desk.folder, env=clean_environment(),
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.sweep
def test_a_disk_that_refuses_stops_it_in_three_lines_with_a_mend(
    desk: Desk, markets: list[Bars]
) -> None:
    until = ("--until", iso(markets[0].time[500]))
    with KlinesServer(markets) as server:
        paper(desk, server, FOREVER)
        resume: tuple[str, ...] = ()
        places = set()
        for kib in (4, 64, 200, 600):
            done = limited(desk, kib, *resume, *until)
            said = [line for line in done.stderr.splitlines() if not line.startswith(_OTHER)]
            if done.returncode == 0:
                break
            resume = ("--resume",)
            assert done.returncode == 4, (kib, done.stderr)
            assert len(said) <= 3, (kib, said)
            assert said[0].startswith("error: "), (kib, said)
            assert any(line.startswith("  at: ") for line in said), (kib, said)
            assert any(line.startswith("  mend: ") for line in said), (kib, said)
            places.add(said[0])
        done = desk.darwin("run", "paper.json", "--resume", *until)
        assert done.returncode == 0, done.stderr
    assert len(places) >= 1
    assert desk.darwin("replay", "paper").returncode == 0

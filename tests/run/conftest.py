from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from darwin.core.market import Bars
from darwin.testing.builders import make_bars
from tests.run.command import Desk, clean_environment
from tests.run.papers import BARS, SYMBOLS, Start, kill


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished small run that tests only read."""
    desk = Desk(tmp_path_factory.mktemp("finished"))
    done = desk.darwin("run", desk.config())
    assert done.returncode == 0, done.stderr
    return desk


@pytest.fixture(scope="module")
def markets() -> list[Bars]:
    return [
        replace(make_bars(BARS + 20, seed=seed, volatility=0.005), symbol=symbol)
        for seed, symbol in enumerate(SYMBOLS)
    ]


@pytest.fixture
def start(desk: Desk) -> Iterator[Start]:
    """Starts the run in the background; what is left of it at the end is killed."""
    begun = []

    def start(*words: str) -> subprocess.Popen[str]:
        begun.append(
            subprocess.Popen(
                [sys.executable, "-m", "darwin.cli.main", "run", "paper.json", *words],
                cwd=desk.folder, env=clean_environment(), stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE, text=True,
            )
        )  # fmt: skip
        return begun[-1]

    yield start
    for process in begun:
        if process.returncode is None:
            kill(process)

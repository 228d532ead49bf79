"""`darwin backup`: made while a run writes, restored elsewhere, resumed as if nothing had been."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.run.agents import deploy, models
from tests.run.command import Desk, checkpoint, clean_environment

pytestmark = pytest.mark.slow

BARS = {"bars": 700}
FASTER = "1000000"  # times real time: a run of some seconds


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A deployment with models and a finished run, with a backup of it; only read."""
    desk = Desk(tmp_path_factory.mktemp("kept"))
    assert done(desk, "run", desk.config(market=BARS, rl=models())).returncode == 0
    deploy(desk, "gate")
    assert done(desk, "backup", "create", "-o", "one.tar").returncode == 0
    return desk


def done(desk: Desk, *words: str) -> subprocess.CompletedProcess[str]:
    ended = desk.darwin(*words)
    assert ended.returncode == 0, ended.stderr
    return ended


def told(desk: Desk, *words: str) -> dict[str, Any]:
    tree: dict[str, Any] = json.loads(done(desk, *words, "--json").stdout)
    return tree


def refused(desk: Desk, *words: str, code: int = 4) -> str:
    """What a command says that is refused, on at most three lines."""
    ended = desk.darwin(*words)
    lines = [line for line in ended.stderr.splitlines() if line.startswith(("error", "  "))]
    assert (ended.returncode, lines[0][:7], len(lines) <= 3) == (code, "error: ", True), (
        ended.stderr
    )
    return ended.stderr


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


class TestWhileARunWrites:
    @pytest.fixture
    def fed(self, desk: Desk) -> Iterator[subprocess.Popen[str]]:
        """A run that is fed its bars and has acknowledged some facts."""
        config = desk.config(market={"bars": 1500}, rl=models())
        process = subprocess.Popen(
            [sys.executable, "-m", "darwin.cli.main", "run", config, "--feed", "--speed", FASTER],
            cwd=desk.folder, env=clean_environment(), stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stderr is not None
        next(n for n in map(checkpoint, process.stderr) if n is not None)
        yield process
        process.kill()
        process.communicate()

    def test_the_restored_run_goes_on_and_ends_byte_identical(
        self, desk: Desk, fed: subprocess.Popen[str], tmp_path: Path
    ) -> None:
        made = told(desk, "backup", "create", "-o", "live.tar")
        assert fed.poll() is None, "the run has ended before its backup was made"
        [run] = made["runs"]
        assert run["facts"] > 0
        assert run["finished"] is False
        fed.send_signal(signal.SIGKILL)
        fed.wait()
        elsewhere = Desk(tmp_path / "elsewhere")
        elsewhere.folder.mkdir()
        shutil.move(desk.folder / "live.tar", elsewhere.folder)
        assert told(elsewhere, "backup", "verify", "live.tar")["sound"] is True
        back = told(elsewhere, "backup", "restore", "live.tar", "--artifacts-dir", "artifacts")
        assert told(elsewhere, "verify", "small")["facts"] == run["facts"]
        done(elsewhere, *shlex.split(back["resume"]["small"])[1:])
        undisturbed = Desk(tmp_path / "undisturbed")
        undisturbed.folder.mkdir()
        done(undisturbed, "run", undisturbed.config(market={"bars": 1500}, rl=models()))
        assert elsewhere.export() == undisturbed.export()
        assert told(elsewhere, "verify", "small")["finished"] is True

"""The bench that proves that readers keep no run waiting works, and says what it must."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from darwin.cli.main import COMMANDS
from tests.conftest import ROOT
from tests.run.command import clean_environment


@pytest.mark.sweep
@pytest.mark.slow
@pytest.mark.skipif("serve" not in COMMANDS, reason="there is no `darwin serve` in this version")
def test_readers_surface_no_lock_and_the_writer_is_timed() -> None:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    words = ["-m", "bench.service_readers", "--seconds", "6", "--readers", "20"]
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=clean_environment(PYTHONPATH=path),
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "SQLITE_BUSY surfaced 0, goal 0: met" in done.stdout
    assert re.search(r"^  errors 0: met$", done.stdout, re.M)
    assert re.search(
        r"^  wait for the lock p99 [\d.]+ ms, goal 20: (met|MISSED)$", done.stdout, re.M
    )
    assert int(re.search(r"^  all +([\d,]+) ", done.stdout, re.M)[1].replace(",", "")) > 20  # type: ignore[index]

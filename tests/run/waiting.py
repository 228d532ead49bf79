"""Wait for what a run in the background does, and never for ever."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

LONGEST_S = 180.0
"""A run that takes so long over one step hangs, on however busy a machine."""


def until(
    there: Callable[[], bool], process: subprocess.Popen[str] | None = None, what: str = "it"
) -> None:
    """Return once it is so; fail where `process` ends first, or after three minutes."""
    end = time.monotonic() + LONGEST_S
    while not there():
        assert process is None or process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end, f"{what} never came"
        time.sleep(0.01)

"""Tables on the terminal, and children whose time and memory the system accounts."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under a head, columns as wide as they need."""
    widths = [max(len(str(row[i])) for row in [head, *rows]) for i in range(len(head))]
    print(f"\n{title}")
    for row in [head, *rows]:
        cells = [str(row[0]).ljust(widths[0])]
        cells += [str(cell).rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        print("  " + "  ".join(cells))


def met(holds: bool) -> str:
    """Whether a goal is."""
    return "met" if holds else "MISSED"


_MEASURED = """
import os, sys
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(pid, 0)
sys.stderr.write(f"\\n{usage.ru_maxrss}")
sys.exit(os.waitstatus_to_exitcode(status))
"""


def child(command: Sequence[str]) -> tuple[float, float, float]:
    """Run a command: (the seconds it printed last, else its wall time; peak MB; wall seconds).

    A small process starts it, so that the peak is the command's own and not that of this one.
    """
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _MEASURED, *command], capture_output=True, check=False
    )
    wall = time.perf_counter() - began
    said, _, peak_kb = done.stderr.decode().rpartition("\n")
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{said[-2000:]}")
    words = done.stdout.decode().split()
    try:
        seconds = float(words[-1])
    except (ValueError, IndexError):
        seconds = wall
    return seconds, int(peak_kb) / 1024, wall

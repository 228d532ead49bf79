"""Run `darwin …` and print the seconds from the start of the process to the first decision."""

from __future__ import annotations

import contextlib
import io
import sys
import time
from pathlib import Path


def seconds_alive() -> float:
    """How long this process has existed, interpreter start-up included."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    ticks_since_boot = float(fields[19])
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    import os

    return uptime - ticks_since_boot / os.sysconf("SC_CLK_TCK")


def main() -> None:
    from darwin.cli.main import darwin
    from darwin.rl.cli import door

    first: list[float] = []
    began, alive = time.perf_counter(), seconds_alive()

    import darwin.deciders.rules as rules

    decide = rules.RulesDecider.decide

    def timed(self, candidate, features, account):
        if not first:
            first.append(alive + time.perf_counter() - began)
        return decide(self, candidate, features, account)

    rules.RulesDecider.decide = timed  # type: ignore[method-assign]
    sys.argv[0] = "darwin"
    with contextlib.redirect_stdout(io.StringIO()):
        code = door._run(darwin)
    if code:
        raise SystemExit(code)
    print(first[0])


if __name__ == "__main__":
    main()

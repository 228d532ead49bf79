"""`darwin` as its user starts it: child processes, which all end with the drill."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from darwin.errors import DarwinError

MAIN = ("-m", "darwin.cli.main")
"""What the interpreter is told to run."""
PATIENCE_S = 90.0
"""How long a child may take; whichever takes longer hangs."""
HANGS = 124
SIGNALLED = 128
"""An exit code from here on tells of a signal."""


class Ended(NamedTuple):
    """How a child has ended."""

    code: int
    out: bytes
    err: str

    @property
    def told(self) -> list[str]:
        """The lines of stderr that are no news of progress."""
        return [line for line in self.err.splitlines() if not line.startswith("checkpoint seq=")]

    def ends(self, code: int = 0) -> str:
        """What is wrong where it should have ended with `code`; empty: nothing.

        A refusal must say on at most three lines what, where and how to mend it.
        """
        error = next((line for line in self.told if line.startswith("error: ")), "")
        if self.code != code:
            return f"exit {self.code} in place of {code}{f' ({error})' if error else ''}"
        refused = [*self.told[self.told.index(error) :]] if error else []
        by_its_own_will = 0 < code < SIGNALLED
        if by_its_own_will and not (
            refused[-1:] and refused[-1].startswith("  mend:") and len(refused) <= 3
        ):
            return f"exit {code}, but no three lines that say what, where and how to mend it"
        return ""


class Child:
    """One process; what it says goes into two files."""

    def __init__(self, process: subprocess.Popen[bytes], out: Path, err: Path) -> None:
        """Watch `process`, which writes to `out` and `err`."""
        self._process, self._out, self._err = process, out, err

    @property
    def runs(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def ended(self) -> Ended:
        """Wait for its end; one that hangs is killed, which gives the code `HANGS`."""
        try:
            code = self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            code = HANGS
        return Ended(code, self._out.read_bytes(), self._err.read_text("utf-8", "replace"))


class StoppedError(DarwinError):
    """The drill is to end; no child is started any more."""


class Children:
    """All children of a drill."""

    def __init__(self) -> None:
        """None yet."""
        self._started: list[subprocess.Popen[bytes]] = []
        self._over = False
        self._lock = threading.Lock()

    def start(
        self,
        words: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        program: Sequence[str] = MAIN,
    ) -> Child:
        """Start the interpreter of this process on `program`, in `folder`."""
        with self._lock:
            if self._over:
                raise StoppedError("the drill was stopped")
            number = len(self._started)
            out, err = folder / f"said-{number:03d}.out", folder / f"said-{number:03d}.err"
            with out.open("wb") as to_out, err.open("wb") as to_err:
                process = subprocess.Popen(  # noqa: S603  our own interpreter, our own words
                    [sys.executable, *program, *words],
                    cwd=folder,
                    env=_clean(environment),
                    stdin=subprocess.DEVNULL,
                    stdout=to_out,
                    stderr=to_err,
                )
            self._started.append(process)
        return Child(process, out, err)

    def end(self) -> None:
        """Kill those that still run, and let none be started any more."""
        with self._lock:
            self._over = True
            for process in self._started:
                process.kill()
        for process in self._started:
            process.wait()


def _clean(environment: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without what speaks of Darwin, and with the same modules."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DARWIN")}
    kept["PYTHONPATH"] = os.pathsep.join(str(Path(place).absolute()) for place in sys.path)
    return {**kept, **environment}

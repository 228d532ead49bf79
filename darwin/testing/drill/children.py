"""`darwin` as child processes, each with a folder and an environment of its own.

They are forked off a server that has imported Darwin already, for importing takes longer than most
of what they do. What is true of a process is true of them: they can be killed, stopped, limited.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import resource
import sys
import threading
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import NamedTuple

from darwin.errors import DarwinError

PATIENCE_S = 120.0
"""How long a child may take; whichever takes longer hangs."""
HANGS = 124
SIGNALLED = 128
"""An exit code from here on tells of a signal."""
DARWIN = "darwin.cli.main:main"
"""What a child calls; whatever else it may be is a function without arguments."""
_IMPORTED = (  # not main itself: it may be what runs this very process, which a child imports anew
    "darwin.cli.run", "darwin.cli.verify", "darwin.cli.ledger", "darwin.cli.report_page",
    "darwin.testing.drill.market",
)  # fmt: skip


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
        refused = self.told[self.told.index(error) :] if error else []
        is_refusal = refused[-1:] and refused[-1].startswith("  mend:") and len(refused) <= 3
        if 0 < code < SIGNALLED and not is_refusal:
            return f"exit {code}, but no three lines that say what, where and how to mend it"
        return ""


class Child:
    """One process; what it says goes into two files."""

    def __init__(self, process: ForkServerProcess, out: Path, err: Path) -> None:
        """Watch `process`, which writes to `out` and `err`."""
        self._process, self._out, self._err = process, out, err

    @property
    def runs(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.is_alive()

    def signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        if self.runs and self._process.pid is not None:
            os.kill(self._process.pid, number)

    def ended(self) -> Ended:
        """Wait for its end; one that hangs is killed, which gives the code `HANGS`."""
        self._process.join(PATIENCE_S)
        code = self._process.exitcode
        if code is None:
            self._process.kill()
            self._process.join()
            code = HANGS
        return Ended(code, self._out.read_bytes(), self._err.read_text("utf-8", "replace"))


class StoppedError(DarwinError):
    """The drill is to end; no child is started any more."""


class Children:
    """All children of a drill."""

    def __init__(self) -> None:
        """None yet."""
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([*_IMPORTED])
        self._started: list[ForkServerProcess] = []
        self._over = False
        self._lock = threading.Lock()

    def start(
        self,
        words: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        *,
        calls: str = DARWIN,
        most_bytes: int | None = None,
    ) -> Child:
        """Start `darwin` on `words`, in `folder`; no file of it may grow beyond `most_bytes`."""
        with self._lock:
            if self._over:
                raise StoppedError("the drill was stopped")
            number = len(self._started)
            said = folder / f"said-{number:03d}.out", folder / f"said-{number:03d}.err"
            known = (calls, tuple(words), folder, _clean(environment), said, most_bytes)
            process = self._context.Process(target=_act, args=known, daemon=True)
            process.start()
            self._started.append(process)
        return Child(process, *said)

    def end(self) -> None:
        """Kill those that still run, and let none be started any more."""
        with self._lock:
            self._over = True
        for process in self._started:
            process.kill()
        for process in self._started:
            process.join()


def _act(
    calls: str,
    words: tuple[str, ...],
    folder: Path,
    environment: dict[str, str],
    said: tuple[Path, Path],
    most_bytes: int | None,
) -> None:
    """Be a process that does nothing but to call that on these words, and ends as it does."""
    for number, file in enumerate(said, start=1):
        file.touch()
        os.dup2(os.open(file, os.O_WRONLY), number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["darwin", *words]
    if most_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    module, _, name = calls.partition(":")
    getattr(importlib.import_module(module), name)()


def _clean(environment: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without what speaks of Darwin, and with `environment`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DARWIN")}
    return {**kept, **environment}

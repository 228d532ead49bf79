"""A file that says how far a training is, for whoever waits for it: `--progress FILE`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from darwin.core.progress import Progress

if TYPE_CHECKING:
    from darwin.rl.training.pulse import Pulse

Command = TypeVar("Command", bound=Callable[..., Any])
_EVERY_S = 0.5


def progress_option(command: Command) -> Command:
    """Add `--progress FILE`, as `progress`."""
    return click.option(
        "--progress", metavar="FILE", type=click.Path(path_type=Path),
        help="Keep how far it is in this file, as JSON.",
    )(command)  # fmt: skip


class ProgressFile:
    """Replaces a file, whole, at most twice a second; a disk that refuses stops nothing."""

    def __init__(self, path: Path | None) -> None:
        """Write to `path`; None: nowhere."""
        self._path, self._told_at = path, float("-inf")
        self._last = Progress()

    def say(self, message: str, percent: float = 0.0) -> None:
        """Write in any case that something begins, or is over; the last figures stay."""
        self._write(self._last._replace(percent=percent, message=message))

    def felt(self, unit: str, per_seed: int, seeds: int, seed: int, pulse: Pulse) -> None:
        """Write how far `pulse` of the `seed`th network, from 0, is, unless one was told just now.

        `unit` is what it counts in words, `per_seed` how many steps a network makes.
        """
        done = min(pulse.steps, per_seed)
        percent = 100.0 * (seed * per_seed + done) / (per_seed * seeds)
        place = f"seed {seed + 1} of {seeds}, " if seeds > 1 else ""
        message = f"{place}{done:,} of {per_seed:,} {unit}"
        if time.monotonic() - self._told_at >= _EVERY_S:
            self._write(Progress(percent, message, *pulse[1:]))

    def _write(self, progress: Progress) -> None:
        if self._path is None:
            return
        self._told_at, self._last = time.monotonic(), progress
        beside = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        with suppress(OSError):  # a training is worth more than what is told of it
            self._path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_text(progress.text())
            beside.replace(self._path)

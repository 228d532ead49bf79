"""How far a run has come: a bar with the time left on a terminal, plain lines otherwise."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import click

from darwin.core.ports import Progress

_LINE_EVERY_S = 5.0


@contextmanager
def shown(title: str) -> Iterator[Progress]:
    """Show the progress of what is called within, on stderr."""
    if on_a_terminal():
        with _bar(title) as progress:
            yield progress
    else:
        yield _Lines(title)


@contextmanager
def _bar(title: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[trades]:,} trades"),
        TimeRemainingColumn(),
    )
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(title, total=None, trades=0)

        def tell(instant: int, total: int, trades: int) -> None:
            bars.update(task, completed=instant, total=total, trades=trades)

        yield tell


class _Lines:
    """One line at most every few seconds."""

    def __init__(self, title: str) -> None:
        self._title, self._begun = title, time.monotonic()
        self._next = self._begun + _LINE_EVERY_S

    def __call__(self, instant: int, total: int, trades: int) -> None:
        now = time.monotonic()
        if now < self._next or not instant:
            return
        self._next = now + _LINE_EVERY_S
        left = (now - self._begun) * (total - instant) / instant
        share = instant / total
        say(f"{self._title}: {share:.0%}, {trades} trades, about {left:.0f} s left")


def on_a_terminal() -> bool:
    """Whether whoever watches stderr sits before a terminal, which has its progress bar."""
    return sys.stderr is not None and sys.stderr.isatty()  # None: it was closed from the start


def say(line: str) -> None:
    """Tell whoever watches stderr; that it is full, closed or gone must not stop a run."""
    with suppress(OSError):
        click.echo(line, err=True)

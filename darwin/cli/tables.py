"""Tables, numbers and times as commands print them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from darwin.core.written import count, number, signed, when

__all__ = ("count", "number", "print_json", "print_table", "signed", "terminal", "when")

_PIPE_WIDTH = 200  # where no terminal says how wide it is


def terminal() -> Console:
    """Standard output for people; where it is no terminal, lines are not folded to 80 columns."""
    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    return console


def print_table(
    console: Console,
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    numbers: Sequence[int] = (),
) -> None:
    """Print `rows` under `heads`; the columns at places `numbers` are set to the right."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, head in enumerate(heads):
        table.add_column(head, justify="right" if place in numbers else "left")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def print_json(tree: Any, *, indent: int | None = 2) -> None:
    """Print JSON on standard output; without `indent` on one line, which is faster made."""
    click.echo(json.dumps(tree, indent=indent, allow_nan=False))

"""Tables, numbers and times as commands print them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console
from rich.table import Table

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


def when(time_ms: int) -> str:
    """Write ms UTC to the minute."""
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"


def count(value: int | None) -> str:
    """Write 70,356; nothing for None."""
    return "" if value is None else f"{value:,}"


def number(value: float | None) -> str:
    """Write eight significant digits, thousands apart; nothing for None."""
    return "" if value is None else f"{value:,.8g}"


def signed(value: float | None) -> str:
    """Write four decimals with the sign; nothing for None."""
    return "" if value is None else f"{value:+,.4f}"

"""Tables and figures as the commands on graduation print them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click

from darwin.core.written import percent

__all__ = ("percent", "print_columns", "print_json")

_BETWEEN = "  "


def print_columns(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print `rows` under `heads`, as wide as they need to be."""
    table = [tuple(heads), *map(tuple, rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo(_BETWEEN.join(cells).rstrip())


def print_json(tree: Any) -> None:
    """Print JSON on standard output."""
    click.echo(json.dumps(tree, indent=2, allow_nan=False))

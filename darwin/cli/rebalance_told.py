"""The story of one rebalance on a terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from darwin.cli.tables import print_table
from darwin.store.rebalance_words import (
    WEIGHT_HEADS,
    about,
    challenger_lines,
    stage_rows,
    weight_rows,
)


def tell_rebalance(console: Console, tree: dict[str, Any]) -> None:
    """Print what was seen, advised and held, asset by asset, and what came of it."""
    for line in about(tree):
        console.print(line)
    console.print()
    print_table(console, ("stage", ""), stage_rows(tree))
    console.print()
    print_table(console, WEIGHT_HEADS, weight_rows(tree), numbers=range(1, 5))
    for line in challenger_lines(tree):
        console.print()
        console.print(line)

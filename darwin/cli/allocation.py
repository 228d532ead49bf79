"""`darwin allocation`: books of several assets; a command is imported only when it is called."""

from __future__ import annotations

import click

from darwin.cli.lazy import LazyGroup

COMMANDS = {
    "benchmark": "darwin.cli.benchmark_books:benchmark",
}


@click.group(cls=LazyGroup, places=COMMANDS)
def allocation() -> None:
    """Judge, train and run agents that allocate a book over several assets.

    \b
    Example:
      darwin allocation benchmark --data data --symbols BTC/USDT,ETH/USDT
    """

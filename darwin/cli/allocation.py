"""`darwin allocation`: a learned allocator over several assets."""

from __future__ import annotations

import click

from darwin.cli.lazy import LazyGroup

COMMANDS = {
    "benchmark": "darwin.cli.benchmark_books:benchmark_allocation",
    "evaluate": "darwin.cli.book_evaluate:evaluate_allocation",
    "run": "darwin.cli.book_run:run",
    "train": "darwin.cli.book_train:train_allocation",
}


@click.group(cls=LazyGroup, places=COMMANDS)
def allocation() -> None:
    """Train an allocator of weights over several assets, see how it does, let a run ask it.

    \b
    Examples:
      darwin allocation train --episodes 1000 --assets 10
      darwin allocation evaluate --model artifacts/rl_models/allocator/current
      darwin allocation benchmark --data data --symbols BTC/USDT,ETH/USDT
      darwin allocation run configs/books/allocation.json
    """

"""`darwin market`: a learned position, flat, long or short, on one symbol."""

from __future__ import annotations

import click

from darwin.cli.lazy import LazyGroup

COMMANDS = {
    "benchmark": "darwin.cli.benchmark_books:benchmark_market",
    "evaluate": "darwin.cli.book_evaluate:evaluate_market",
    "experiences": "darwin.cli.book_experiences:experiences",
    "train": "darwin.cli.book_train:train_market",
}


@click.group(cls=LazyGroup, places=COMMANDS)
def market() -> None:
    """Train an agent that is flat, long or short on one symbol, and see how it does.

    \b
    Examples:
      darwin market train --episodes 500
      darwin market evaluate --model artifacts/rl_models/market/current
      darwin market benchmark --data data --symbols BTC/USDT
    """

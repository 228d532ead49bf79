"""What a benchmark of books is run under, and whom it judges."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from darwin.allocation.strategies import FAST_BARS, SLOW_BARS, Strategy
from darwin.core.panel import Panel
from darwin.errors import ConfigError

TEST_SHARE = 0.4
"""Of all bars, where nobody says from when on is tested."""


@dataclass(frozen=True, slots=True)
class BenchmarkSettings:
    """Under what all books are walked; everything drawn comes from `seed` alone."""

    cost_bps: float = 5.0  # of what is traded
    every: int = 24  # bars from one possible decision to the next
    windows: int = 4  # tests that follow each other, each with a training before it
    test_from: int | None = None  # ms UTC; None: the last TEST_SHARE of the bars
    embargo: int = 24  # bars between a training and its test
    train_bars: int | None = None  # None: all there are before
    seeds: int = 20  # books of each strategy that goes by chance
    draws: int = 2_000  # of days, for intervals and for the test of a winner
    seed: int = 0
    level: float = 0.95
    significance: float = 0.05  # of a winner
    fast: int = FAST_BARS
    slow: int = SLOW_BARS
    lookback: int = 1_440  # returns of which a covariance is estimated
    shrinkage: float = 0.1
    calendar: str = "continuous"

    def __post_init__(self) -> None:
        """Raise ConfigError for what cannot be meant."""
        bounds = (
            ("cost_bps from 0 to below 10,000", 0.0 <= self.cost_bps < 10_000.0),
            ("every 1 or more", self.every >= 1),
            ("seeds 1 or more", self.seeds >= 1),
            ("draws 100 or more", self.draws >= 100),
            ("level from 0.5 to below 1", 0.5 <= self.level < 1.0),
            ("significance above 0, to 0.5", 0.0 < self.significance <= 0.5),
            ("fast 1 or more and below slow", 1 <= self.fast < self.slow),
            ("lookback 2 or more", self.lookback >= 2),
        )
        wanted = [bound for bound, holds in bounds if not holds]
        if wanted:
            raise ConfigError(
                "a benchmark cannot be run with that",
                where="BenchmarkSettings",
                mend=f"write {'; '.join(wanted)}",
            )


@dataclass(frozen=True, slots=True)
class Judged:
    """An agent that is set beside the benchmarks.

    `policy_for` makes it for a window: it is handed the bars that may be learned from and the
    number of a seed. A model that was trained before says until when: `trained_until`, the close
    of the last bar that it or the choice of it has seen, ms UTC.
    """

    name: str
    policy_for: Callable[[Panel, int], Strategy]
    seeds: int = 1
    trained_until: int | None = None

    @classmethod
    def fixed(cls, name: str, strategy: Strategy, trained_until: int | None = None) -> Judged:
        """One that is the same in all windows."""
        return cls(name, lambda _panel, _seed: strategy, 1, trained_until)

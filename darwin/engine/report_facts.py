"""What the parts of a report share: how a run is sampled in time, and what a benchmark is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from darwin.core.market import BoolArray, FloatArray, IntArray
from darwin.engine.result import RunResult
from darwin.stats.performance import Days, utc_days


@dataclass(frozen=True, slots=True)
class Sampling:
    """The run's clock in close times (ms UTC, shape (g,)), cut into UTC days."""

    time: IntArray
    days: Days
    calendar: str  # "continuous" or "sessions"

    @classmethod
    def of(cls, result: RunResult, calendar: str) -> Sampling:
        """Read the clock of `result`. An unknown calendar raises ConfigError."""
        closed = result.equity.time + result.markets[0].timeframe.ms
        return cls(closed, utc_days(closed, calendar), calendar)

    @property
    def sentence(self) -> str:
        """How Sharpe, Sortino and volatility are sampled and annualised."""
        what = "every UTC day" if self.calendar == "continuous" else "UTC days with a bar"
        return (
            f"simple returns between the last closes of {what}, annualised with "
            f"{self.days.per_year:.6g} days a year, risk-free rate 0"
        )


class Activity(NamedTuple):
    """What books did beside what they were worth."""

    traded_usd: FloatArray  # at mid prices, of each of s books on each UTC day, (s, d)
    held: BoolArray  # whether anything was: at closes or on days, as their equity is marked, (s, k)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """How another way to trade the same market did; the random ones give their median."""

    name: str
    note: str
    trades: int
    total_return: float
    sharpe_ratio: float
    max_drawdown: float  # negative fraction
    time: IntArray  # close times in ms UTC, shape (k,)
    equity: FloatArray  # USD, shape (k,)
    activity: Activity
    band: FloatArray | None = None  # 5 % and 95 % over the draws, shape (2, k)
    draws: FloatArray | None = None  # total return of each draw
    drawn_equity: FloatArray | None = None  # USD of each draw by UTC day, (draws, d)

    def beaten_share(self, total_return: float) -> float:
        """Share of the draws that earned less than `total_return`; NaN without draws."""
        if self.draws is None or len(self.draws) == 0:
            return float("nan")
        return float(np.mean(self.draws < total_return))


def by_day(amount: FloatArray, mark: IntArray, days: Days) -> FloatArray:
    """Add up amounts by the UTC day that the mark of each belongs to; both (m,). Returns (d,)."""
    day = np.searchsorted(days.last, mark)
    return np.asarray(np.bincount(day, amount, len(days.last)), dtype=np.float64)

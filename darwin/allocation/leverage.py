"""Dynamic leverage: less of everything when markets move more, so that the whole moves alike."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from darwin.allocation.terms import require
from darwin.core.market import DAY_MS, FloatArray, IntArray

YEAR_MS = 365 * DAY_MS


@dataclass(frozen=True, slots=True)
class VolatilityTarget:
    """Leverage is target over volatility, both of a year, within floor and cap."""

    target: float = 0.2
    floor: float = 0.0
    cap: float = 1.0  # above 1 only on margin

    def __post_init__(self) -> None:
        require("target", self.target, 0.0, 100.0, above=True)
        require("cap", self.cap, 0.0, 100.0, above=True)
        require("floor", self.floor, 0.0, self.cap)

    def leverage(self, volatility: float) -> float:
        """From `floor` to `cap`; `cap` where nothing moves, 0 where the volatility is not known."""
        if not 0.0 <= volatility < math.inf:
            return 0.0
        if not volatility * self.cap > self.target:
            return self.cap
        return max(self.target / volatility, self.floor)


def realised_volatility(time: IntArray, close: FloatArray) -> float:
    """The volatility of a year that `close` (n,) had between the bars of `time` (n,), ms UTC.

    The root of the sum of squared simple returns over the years that passed: no mean is taken out,
    and closures of a market count as the time they are. NaN with fewer than two closes, or where
    one is not known.
    """
    if len(close) < 2:
        return math.nan
    moved = close[1:] / close[:-1] - 1.0
    years = int(time[-1] - time[0]) / YEAR_MS
    return math.sqrt(float(np.square(moved).sum()) / years)

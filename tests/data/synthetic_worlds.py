"""Synthetic markets for tests, and brackets resolved without the help of Darwin's own rule."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from darwin.core.market import Bars, Timeframe
from darwin.data.planted_odds import Setups
from darwin.data.synthetic import SyntheticProvider

HOUR = Timeframe.parse("1h")
START_MS = 1_577_836_800_000
BTC = "BTC/USDT"


def market(**changes) -> SyntheticProvider:
    usual = {
        "bars": 5_000,
        "seed": 1,
        "edge": 0.0,
        "start_ms": START_MS,
        "timeframe": HOUR,
        "symbols": (BTC,),
    }
    return SyntheticProvider(**{**usual, **changes})


class Resolved(NamedTuple):
    r: np.ndarray
    ambiguous: np.ndarray  # the exit bar touched stop and target


def resolve(bars: Bars, setups: Setups) -> Resolved:
    """Entry at the next open; the stop wins a bar that touches both; time stop at an open."""
    r, ambiguous = np.empty(len(setups.bar)), np.zeros(len(setups.bar), dtype=bool)
    for i, (bar, side, stop, target, held) in enumerate(zip(*setups, strict=True)):
        window = slice(bar + 1, bar + 1 + int(held))
        against, toward = (bars.low, bars.high) if side > 0 else (-bars.high, -bars.low)
        close = side * bars.close[bar]
        stopped = np.flatnonzero(against[window] <= close - stop)
        hit = np.flatnonzero(toward[window] >= close + target)
        first_stop = stopped[0] if len(stopped) else np.inf
        first_hit = hit[0] if len(hit) else np.inf
        ambiguous[i] = np.isfinite(first_stop) and first_stop == first_hit
        if first_stop <= first_hit and np.isfinite(first_stop):
            leave = close - stop
        elif np.isfinite(first_hit):
            leave = close + target
        else:
            leave = side * bars.open[bar + 1 + int(held)]
        r[i] = (leave - side * bars.open[bar + 1]) / stop
    return Resolved(r, ambiguous)


def block_error(values: np.ndarray, bar: np.ndarray, block_bars: int = 500) -> float:
    """Standard error of the mean of `values`, whose sums over blocks of bars are independent."""
    block = bar // block_bars
    sums = np.bincount(block, values - values.mean())
    return float(np.sqrt(np.sum(sums**2)) / len(values))


def mean_range(bars: Bars, window: int = 14) -> np.ndarray:
    """Mean of high - low over the last `window` bars, NaN before."""
    ranges = np.lib.stride_tricks.sliding_window_view(bars.high - bars.low, window).mean(axis=1)
    return np.concatenate([np.full(window - 1, np.nan), ranges])

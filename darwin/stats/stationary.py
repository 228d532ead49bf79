"""Intervals for what a series of days adds up to: whole stretches of days are drawn again."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from darwin.core.market import FloatArray, IntArray
from darwin.stats.bootstrap import DRAWS
from darwin.stats.intervals import Interval

_MOST_AT_ONCE = 1_000_000  # days that are drawn at a time


def mean_stretch(series: FloatArray) -> float:
    """How many days a drawn stretch should last in the mean, for the mean of `series`, shape (n,).

    The choice of Politis and White (2004) for the stationary bootstrap, as corrected by Patton,
    Politis and White (2009): (2 g² / 2 v²)^(1/3) n^(1/3), with v the long-run variance and g the
    sum of |k| times the autocovariance at lag k, both through a flat-top window as wide as twice
    the lag from which on nothing is told from zero. Between 1 and the lesser of 3 √n and n / 3; 1
    where nothing varies.
    """
    n = len(series)
    deviation = series - series.mean() if n else series
    variance = float(deviation @ deviation) / n if n else 0.0
    if n < 4 or not variance > 0.0:
        return 1.0
    quiet = max(5, math.ceil(math.sqrt(math.log10(n))))  # lags in a row without a sign of memory
    furthest = min(math.ceil(math.sqrt(n)) + quiet, n - 1)
    lags = range(furthest + 1)
    covariance = np.array([float(deviation[k:] @ deviation[: n - k]) / n for k in lags])
    told = np.abs(covariance[1:]) / variance >= 2.0 * math.sqrt(math.log10(n) / n)
    window = min(2 * _first_of_quiet(told, quiet), furthest)
    lag = np.arange(1, window + 1)
    weight = np.minimum(1.0, 2.0 * (1.0 - lag / window))
    weighted = weight * covariance[1 : window + 1]
    long_run = float(covariance[0] + 2.0 * weighted.sum())
    slope = float(2.0 * (lag * weighted).sum())
    if not long_run > 0.0:
        return 1.0
    stretch = (abs(slope) / long_run) ** (2.0 / 3.0) * n ** (1.0 / 3.0)
    return float(min(max(stretch, 1.0), math.ceil(min(3.0 * math.sqrt(n), n / 3.0))))


def resampled_sums(
    rows: FloatArray, stretch: float, rng: np.random.Generator, draws: int = DRAWS
) -> FloatArray:
    """Sums over days drawn again from `rows`, shape (n, k), in their order; shape (draws, k).

    The stationary bootstrap (Politis and Romano 1994): stretches begin at any day and go on past
    the last one to the first; how long one lasts is geometric, `stretch` days in the mean. The
    columns of a day stay together, so that differences between columns are paired. Wants a day.
    """
    n = len(rows)
    at_once = max(_MOST_AT_ONCE // n, 1)
    pieces = [
        _counts(n, stretch, rng, min(at_once, draws - done)) @ rows
        for done in range(0, draws, at_once)
    ]
    return np.concatenate(pieces)


def drawn_days(n: int, stretch: float, rng: np.random.Generator, draws: int = DRAWS) -> IntArray:
    """Days drawn again as `resampled_sums` does, one by one in the order drawn; (draws, n).

    For figures that hang on the order of days, as a drawdown does. Wants a day.
    """
    begins = rng.random((draws, n)) * stretch < 1.0
    begins[:, 0] = True
    at = np.flatnonzero(begins)
    lasts = np.diff(at, append=draws * n)
    shifted = np.repeat(rng.integers(0, n, len(at)) - at, lasts) + np.arange(draws * n)
    days: IntArray = shifted.reshape(draws, n) % n
    return days


def _first_of_quiet(told: NDArray[np.bool_], quiet: int) -> int:
    """The first of `quiet` lags in a row that are not told from zero; the last of all without."""
    if len(told) < quiet:
        return len(told)
    silent = np.convolve(~told, np.ones(quiet, dtype=np.int64), mode="valid")
    found = np.flatnonzero(silent == quiet)
    return int(found[0]) + 1 if len(found) else len(told)


def _counts(n: int, stretch: float, rng: np.random.Generator, draws: int) -> FloatArray:
    """How often each day is in each draw, shape (draws, n)."""
    begins = rng.random(draws * n, dtype=np.float32) * np.float32(stretch) < 1.0
    begins[::n] = True
    at = np.flatnonzero(begins)
    first = rng.integers(0, n, len(at))
    after = first + np.diff(at, append=draws * n)
    twice = 2 * n + 1  # a stretch that goes on past the last day is laid over a second round
    line, size = at // n * twice, draws * twice
    steps = np.bincount(line + first, minlength=size) - np.bincount(line + after, minlength=size)
    laid = np.cumsum(steps.reshape(draws, twice), axis=1)
    return (laid[:, :n] + laid[:, n : 2 * n]).astype(np.float64)


def middle(value: float, drawn: FloatArray, level: float = 0.95) -> Interval:
    """`value` with the middle `level` of what was `drawn`, shape (draws,).

    Without an interval where `value` or more than one draw in ten is NaN.
    """
    if math.isnan(value) or np.isnan(drawn).mean() > 0.1:
        return Interval(value, float("nan"), float("nan"))
    low, high = np.nanquantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))

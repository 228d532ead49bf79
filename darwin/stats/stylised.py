"""Stylised facts of returns, and the AUC of a score: what a market looks like in a few numbers."""

from __future__ import annotations

import numpy as np

from darwin.core.market import Bars, BoolArray, FloatArray, IntArray

HOURLY_CRYPTO = {
    "excess_kurtosis": (24.0, 105.0),
    "kurtosis_without_ten_largest": (9.0, 33.0),
    "acf_abs_return_1h": (0.28, 0.42),
    "acf_abs_return_4w": (0.08, 0.12),
    "dfa_exponent": (0.49, 0.54),
    "median_range_over_move": (2.0, 2.2),
}
"""Ranges of hourly crypto series of 2017-2025; the last holds the 2.15 of a Brownian path."""

FOUR_WEEKS_H = 672
LONGEST_WINDOW = 5_000  # of the detrended fluctuation analysis, also of longer series


def hourly_facts(bars: Bars) -> dict[str, float]:
    """The facts of `HOURLY_CRYPTO`, in that order, of hourly bars."""
    returns = np.diff(np.log(bars.close))
    hour, four_weeks = autocorrelation(np.abs(returns), (1, FOUR_WEEKS_H))
    moves = np.log(bars.close / bars.open)
    facts = (
        excess_kurtosis(returns),
        excess_kurtosis(returns, leave_out_largest=10),
        float(hour),
        float(four_weeks),
        dfa_exponent(returns),
        median_range_over_move(bars.high, bars.low, moves),
    )
    return dict(zip(HOURLY_CRYPTO, facts, strict=True))


def excess_kurtosis(returns: FloatArray, leave_out_largest: int = 0) -> float:
    """Fourth standardised moment minus 3, without the largest |returns| if asked so."""
    order = np.argsort(np.abs(returns), kind="stable")
    x = returns[order[: len(returns) - leave_out_largest]]
    x = x - x.mean()
    return float(np.mean(x**4) / np.mean(x**2) ** 2 - 3.0)


def autocorrelation(values: FloatArray, lags: tuple[int, ...]) -> FloatArray:
    """Sample autocorrelation at `lags` (bars), over the variance of the whole series."""
    x = values - values.mean()
    variance = np.dot(x, x)
    return np.array([np.dot(x[lag:], x[: len(x) - lag]) / variance for lag in lags])


def dfa_exponent(values: FloatArray, shortest: int = 4) -> float:
    """Detrended fluctuation analysis of first order (Peng et al. 1994): 0.5 without memory.

    Slope of log F(s) over log s for 20 window lengths s from `shortest` to a tenth of the series,
    at most `LONGEST_WINDOW`.
    """
    profile = np.cumsum(values - values.mean())
    longest = min(len(values) // 10, LONGEST_WINDOW)
    lengths = np.unique(np.geomspace(shortest, longest, 20).astype(np.int64))
    spread = [_spread_around_trend(profile, int(length)) for length in lengths]
    return float(np.polyfit(np.log(lengths), np.log(spread), 1)[0])


def _spread_around_trend(profile: FloatArray, length: int) -> float:
    count = len(profile) // length
    windows = profile[: count * length].reshape(count, length)
    clock = np.arange(length) - 0.5 * (length - 1)
    level = windows.mean(axis=1, keepdims=True)
    slope = (windows @ clock) / (clock @ clock)
    return float(np.sqrt(np.mean((windows - level - slope[:, None] * clock) ** 2)))


def median_range_over_move(high: FloatArray, low: FloatArray, returns: FloatArray) -> float:
    """Median of log(high / low) over |log-return| of the same bar; bars without a move left out."""
    moved = returns != 0.0
    return float(np.median(np.log(high[moved] / low[moved]) / np.abs(returns[moved])))


def auc(score: FloatArray, label: BoolArray) -> float:
    """Probability that a positive's score exceeds a negative's, ties counted half (Mann-Whitney).

    NaN where one of the classes is empty.
    """
    label = np.asarray(label, dtype=bool)
    positives, negatives = int(label.sum()), int((~label).sum())
    if positives == 0 or negatives == 0:
        return float("nan")
    ordered = np.sort(score)
    rank: IntArray = np.searchsorted(ordered, score) + np.searchsorted(ordered, score, "right") + 1
    total = 0.5 * float(rank[label].sum()) - 0.5 * positives * (positives + 1)
    return total / (positives * negatives)

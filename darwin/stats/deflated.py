"""Sharpe ratios that have paid for being looked for: probabilistic, and deflated by the trials.

The series is one sum per UTC day, so that many decisions of one day, whose brackets overlap, count
as one observation. Where brackets live longer than that, days hang together as well, and as fewer
of them count as their autocorrelation says (`effective_days`).

Bailey and López de Prado: "The Sharpe Ratio Efficient Frontier" (2012) and "The Deflated Sharpe
Ratio" (2014). What cannot be said is NaN.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from darwin.core.market import FloatArray, IntArray
from darwin.stats.intervals import FEWEST_GROUPS
from darwin.stats.performance import CONTINUOUS_DAYS_PER_YEAR, day_of, sharpe_ratio

FEWEST_DAYS = FEWEST_GROUPS  # below that skew and kurtosis say nothing
_NORMAL = NormalDist()


class DailySharpe(NamedTuple):
    """What the sums of days say of their Sharpe ratio; all but `days` NaN below ten of them."""

    per_day: float  # NaN also where nothing varies
    days: int
    effective_days: float  # as many independent ones would tell as much
    skew: float
    kurtosis: float  # 3 for a normal distribution

    @property
    def annualised(self) -> float:
        """The same for a year of 365 days."""
        return self.per_day * math.sqrt(CONTINUOUS_DAYS_PER_YEAR)


def daily_sums(values: FloatArray, time: IntArray) -> FloatArray:
    """Sum `values`, shape (n,), by the UTC day that their `time` (ms, shape (n,)) ends in.

    Returns (d,), every day from the first to the last; one without values sums to 0.
    """
    day = day_of(time)
    first = int(day.min()) if len(day) else 0
    return np.bincount(day - first, weights=values).astype(np.float64)


def daily_sharpe(sums: FloatArray, lags: int = 0) -> DailySharpe:
    """Measure the Sharpe ratio of days, shape (d,), which may hang together over `lags` of them.

    The ratio has d - 1 under its variance, skew and kurtosis are those of the sample.
    """
    nan, days = float("nan"), len(sums)
    if days < FEWEST_DAYS:
        return DailySharpe(nan, days, nan, nan, nan)
    ratio = float(sharpe_ratio(sums, 1.0))
    if math.isnan(ratio):
        return DailySharpe(nan, days, nan, nan, nan)
    z = (sums - sums.mean()) / sums.std()
    return DailySharpe(
        ratio, days, effective_days(sums, lags), float(np.mean(z**3)), float(np.mean(z**4))
    )


def effective_days(sums: FloatArray, lags: int) -> float:
    """How many independent days tell as much of the mean as these, shape (d,); never more than d.

    d / (1 + 2 Σ (1 - k / (lags + 1)) ρ(k)) over k = 1 … `lags`, with the weights of Newey and
    West (1987). NaN where nothing varies.
    """
    away = sums - sums.mean()
    variance = float(away @ away)
    if not variance > 0:
        return float("nan")
    lags = min(lags, len(sums) - 1)
    grown = 1.0 + 2.0 * sum(
        (1.0 - k / (lags + 1)) * float(away[k:] @ away[:-k]) / variance for k in range(1, lags + 1)
    )
    return len(sums) / max(grown, 1.0)


def expected_maximum(trials: int, variance: float) -> float:
    """The highest Sharpe ratio that so many trials without any skill are expected to show.

    `variance` is that of the ratios between trials, normal ones; of two the formula gives a tenth
    too little, of more it is nearer. Of one trial it is 0: nothing was chosen. Of several whose
    variance is NaN it is NaN.
    Raises ValueError without a trial.
    """
    if trials < 1:
        raise ValueError("a Sharpe ratio that is looked at is one trial at least")
    if trials == 1 or variance <= 0:
        return 0.0
    euler = float(np.euler_gamma)
    highest = (1 - euler) * _NORMAL.inv_cdf(1 - 1 / trials)
    highest += euler * _NORMAL.inv_cdf(1 - 1 / (trials * math.e))
    return math.sqrt(variance) * highest


def probabilistic(found: DailySharpe, benchmark_per_day: float = 0.0) -> float:
    """How sure it is that the true Sharpe ratio lies above the benchmark, 0..1.

    Φ((SR - SR*) √(n - 1) / √(1 - γ₃ SR + (γ₄ - 1) / 4 SR²)), n being the effective days.
    """
    ratio = found.per_day
    spread = 1 - found.skew * ratio + (found.kurtosis - 1) / 4 * ratio**2
    if not (spread > 1e-12 and found.effective_days > 1):
        return float("nan")
    z = (ratio - benchmark_per_day) * math.sqrt((found.effective_days - 1) / spread)
    return _NORMAL.cdf(z)


def deflated(found: DailySharpe, trials: int, variance: float) -> float:
    """The same above what the best of so many trials without skill would show, if that is known."""
    return probabilistic(found, expected_maximum(trials, variance))

"""Intervals for a mean whose observations hang together: grouped, with Student's t."""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from darwin.core.market import FloatArray, IntArray

FEWEST_GROUPS = 10  # below that an interval promises more than it can hold


class MeanInterval(NamedTuple):
    """A mean with its two-sided interval; `low` and `high` are NaN below ten groups."""

    mean: float
    low: float
    high: float
    groups: int


def grouped_mean(values: FloatArray, group: IntArray, level: float = 0.95) -> MeanInterval:
    """Interval for the mean of `values`, shape (n,), that are alike within a `group`, shape (n,).

    Cluster-robust variance of a mean (Liang and Zeger 1986): G / (G - 1) × Σ over groups of
    (Σ of deviations within)² / n², with G - 1 degrees of freedom. NaN without values.
    """
    if len(values) == 0:
        return MeanInterval(float("nan"), float("nan"), float("nan"), 0)
    mean = float(values.mean())
    _, member = np.unique(group, return_inverse=True)
    within = np.bincount(member, weights=values - mean)
    groups = len(within)
    if groups < FEWEST_GROUPS:
        return MeanInterval(mean, float("nan"), float("nan"), groups)
    error = float(np.sqrt(groups / (groups - 1) * np.sum(within * within))) / len(values)
    half = student_quantile((1 + level) / 2, groups - 1) * error
    return MeanInterval(mean, mean - half, mean + half, groups)


def student_quantile(p: float, freedom: int) -> float:
    """Quantile of Student's t, for at least nine degrees of freedom right to 1e-4.

    Expansion around the normal quantile, Abramowitz and Stegun 26.7.5.
    """
    x = NormalDist().inv_cdf(p)
    terms = (
        x,
        (x**3 + x) / 4,
        (5 * x**5 + 16 * x**3 + 3 * x) / 96,
        (3 * x**7 + 19 * x**5 + 17 * x**3 - 15 * x) / 384,
        (79 * x**9 + 776 * x**7 + 1482 * x**5 - 1920 * x**3 - 945 * x) / 92160,
    )
    return float(sum(term / freedom**power for power, term in enumerate(terms)))

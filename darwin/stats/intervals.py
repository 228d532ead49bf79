"""Intervals: for a share, and for a mean whose observations hang together in groups."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from darwin.core.market import FloatArray, IntArray

FEWEST_GROUPS = 10  # below that an interval promises more than it can hold


class Interval(NamedTuple):
    """A figure with its two-sided interval; what cannot be said is NaN."""

    value: float
    low: float
    high: float


class MeanInterval(NamedTuple):
    """A mean with its two-sided interval; `low` and `high` are NaN below ten groups."""

    mean: float
    low: float
    high: float
    groups: int


def grouped_mean(values: FloatArray, group: IntArray, level: float = 0.95) -> MeanInterval:
    """Interval for the mean of `values`, shape (n,), that are alike within a `group`, shape (n,).

    Student's t with one degree of freedom less than there are groups. NaN without values.
    """
    if len(values) == 0:
        return MeanInterval(float("nan"), float("nan"), float("nan"), 0)
    mean = float(values.mean())
    error, groups = grouped_error(values, group)
    if groups < FEWEST_GROUPS:
        return MeanInterval(mean, float("nan"), float("nan"), groups)
    half = student_quantile((1 + level) / 2, groups - 1) * error
    return MeanInterval(mean, mean - half, mean + half, groups)


def grouped_error(values: FloatArray, group: IntArray) -> tuple[float, int]:
    """Standard error of the mean of `values`, shape (n,), alike within a `group`; and how many.

    Cluster-robust variance of a mean (Liang and Zeger 1986): G / (G - 1) × Σ over groups of
    (Σ of deviations within)² / n². NaN below two groups.
    """
    _, member = np.unique(group, return_inverse=True)
    groups = int(member.max(initial=-1)) + 1
    if groups < 2:
        return float("nan"), groups
    within = np.bincount(member, weights=values - values.mean())
    return float(np.sqrt(groups / (groups - 1) * np.sum(within * within))) / len(values), groups


def wilson(share: float, cases: float, level: float = 0.95) -> Interval:
    """Interval for a share of independent cases; all NaN without cases.

    Score interval of Wilson (1927), without continuity correction. Of weighted cases hand in their
    effective number, (Σ w)² / Σ w² (Kish 1965).
    """
    if not cases > 0:
        return Interval(float("nan"), float("nan"), float("nan"))
    z2 = NormalDist().inv_cdf((1 + level) / 2) ** 2
    centre = share + z2 / (2 * cases)
    half = math.sqrt(z2 * (share * (1 - share) / cases + z2 / (4 * cases**2)))
    low, high = (centre - half) / (1 + z2 / cases), (centre + half) / (1 + z2 / cases)
    return Interval(share, max(min(low, share), 0.0), min(max(high, share), 1.0))


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

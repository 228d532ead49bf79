"""Intervals by resampling whole days: for means and Sharpe ratios of what hangs together."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from darwin.core.market import FloatArray, IntArray
from darwin.stats.intervals import Interval

FEWEST_BLOCKS = 5
"""Of fewer days nothing is said; of few more the interval is rather too narrow."""

DRAWS = 2_000
_MOST_AT_ONCE = 4_000_000  # counts of blocks that are held at a time

Statistic: TypeAlias = Callable[[FloatArray], FloatArray]
"""Makes the figure, shape (m,), from sums over all rows, shape (m, k)."""


def block_bootstrap(
    rows: FloatArray,
    block: IntArray,
    statistic: Statistic,
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    draws: int = DRAWS,
) -> Interval:
    """Percentile interval for a figure that is made from the sums of `rows`, shape (n, k).

    Rows of one `block`, shape (n,), stay together: as many blocks as there are, are drawn with
    replacement, `draws` times (Efron 1979; of blocks that are not chosen by chance, Künsch 1989).
    Below FEWEST_BLOCKS, and where more than one draw in ten has no figure, there is no interval.
    """
    sums = _sums_by(block, rows)
    value = float(statistic(sums.sum(axis=0, keepdims=True))[0]) if len(sums) else float("nan")
    if len(sums) < FEWEST_BLOCKS or np.isnan(value):
        return Interval(value, float("nan"), float("nan"))
    drawn = statistic(_resampled(sums, rng, draws))
    if np.isnan(drawn).mean() > 0.1:
        return Interval(value, float("nan"), float("nan"))
    low, high = np.nanquantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def mean_by(
    values: FloatArray,
    block: IntArray,
    rng: np.random.Generator,
    weight: FloatArray | None = None,
    *,
    level: float = 0.95,
    draws: int = DRAWS,
) -> Interval:
    """The same for the mean of `values`, shape (n,), as they weigh."""
    w = np.ones_like(values) if weight is None else weight
    rows = np.column_stack([w * values, w])
    return block_bootstrap(rows, block, ratio, rng, level=level, draws=draws)


def ratio(sums: FloatArray) -> FloatArray:
    """The first sum over the second; NaN where that is 0."""
    there = sums[:, 1] != 0
    return np.where(there, sums[:, 0] / np.where(there, sums[:, 1], 1.0), np.nan)


def moments(values: FloatArray) -> FloatArray:
    """Rows from whose sums `sharpe` is made: 1, value, its square; shape (n, 3)."""
    return np.column_stack([np.ones_like(values), values, values * values])


def sharpe(sums: FloatArray, per_year: float) -> FloatArray:
    """Sharpe ratios, as in `performance.sharpe_ratio`, from the sums of `moments`, shape (m, 3)."""
    n, total, squares = sums.T
    enough = n > 1
    m = np.where(enough, n, 2.0)
    variance = (squares - total * total / m) / (m - 1)
    varies = enough & (variance > 1e-12 * np.maximum(squares / m, 1e-300))
    sd = np.sqrt(np.where(varies, variance, 1.0))
    return np.where(varies, total / m / sd * np.sqrt(per_year), np.nan)


def _sums_by(block: IntArray, rows: FloatArray) -> FloatArray:
    """Sums of the rows of each block, shape (g, k)."""
    _, member = np.unique(block, return_inverse=True)
    blocks = int(member.max(initial=-1)) + 1
    columns = [np.bincount(member, weights=column, minlength=blocks) for column in rows.T]
    return np.column_stack(columns)


def _resampled(sums: FloatArray, rng: np.random.Generator, draws: int) -> FloatArray:
    """Sums over blocks drawn with replacement, shape (draws, k)."""
    g = len(sums)
    even = np.full(g, 1.0 / g)
    at_once = max(_MOST_AT_ONCE // g, 1)
    pieces = [
        rng.multinomial(g, even, min(at_once, draws - done)).astype(np.float64) @ sums
        for done in range(0, draws, at_once)
    ]
    return np.concatenate(pieces)

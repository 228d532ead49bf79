"""Minimum variance: the weights, together 1, under which a book moves least.

With covariance S and a vector of ones 1 they are S⁻¹1 / 1ᵀS⁻¹1 (Markowitz 1952, Merton 1972).
"""

from __future__ import annotations

import numpy as np

from darwin.core.market import BoolArray, FloatArray, IntArray
from darwin.errors import ConfigError

_NOTHING = 1e-12


def minimum_variance(covariance: FloatArray) -> FloatArray:
    """The closed form for a positive definite `covariance`, shape (n, n); shorts are allowed.

    Raises ConfigError for one that is not.
    """
    raw = _solved(covariance, np.arange(len(covariance)))
    return _together_one(raw)


def long_only_minimum_variance(covariance: FloatArray) -> FloatArray:
    """The same with no weight below 0, shape (n,).

    Least ½ xᵀSx − 1ᵀx over x ≥ 0, then made 1 together: the conditions of both problems are the
    same. Solved by the active set of Lawson and Hanson (1974), which ends after finitely many sets.
    """
    size = float(np.trace(covariance)) / len(covariance)
    if not size > 0.0:
        raise _not_definite()
    scaled = covariance / size
    x = np.zeros(len(scaled))
    free = np.zeros(len(scaled), dtype=bool)
    for _ in range(10 * len(scaled) + 10):
        pull = np.where(free, -np.inf, 1.0 - scaled @ x)
        if not pull.max() > _NOTHING:
            break
        free[int(pull.argmax())] = True
        x = _inside(scaled, x, free)
    return _together_one(x)


def shrunk(covariance: FloatArray, share: float) -> FloatArray:
    """Move `covariance` by `share`, 0 to 1, towards equal variances without correlation.

    The target is that of Ledoit and Wolf (2004): the mean variance on the diagonal, else zero.
    """
    if not (0.0 <= share <= 1.0):
        raise ConfigError(f"a shrinkage of {share}", mend="give a share from 0 to 1")
    n = len(covariance)
    moved: FloatArray = (1.0 - share) * covariance
    return moved + np.eye(n) * (share * float(np.trace(covariance)) / n)


def _inside(scaled: FloatArray, x: FloatArray, free: BoolArray) -> FloatArray:
    """Solve over the `free` weights; those that would fall below 0 are bound again, in place."""
    while True:
        aim = np.zeros(len(x))
        aim[free] = _solved(scaled, np.flatnonzero(free))
        below = free & (aim <= 0.0)
        if not below.any():
            return aim
        way = float((x[below] / (x[below] - aim[below])).min())
        x = x + way * (aim - x)
        free &= x > _NOTHING
        x = np.where(free, x, 0.0)


def _solved(covariance: FloatArray, at: IntArray) -> FloatArray:
    try:
        lower = np.linalg.cholesky(covariance[np.ix_(at, at)])
    except np.linalg.LinAlgError:
        raise _not_definite() from None
    half = np.linalg.solve(lower, np.ones(len(at)))
    whole: FloatArray = np.linalg.solve(lower.T, half)
    return whole


def _not_definite() -> ConfigError:
    return ConfigError(
        "a covariance that is not positive definite has no least variance",
        mend="take more bars than assets, assets that move, or some shrinkage",
    )


def _together_one(raw: FloatArray) -> FloatArray:
    weights: FloatArray = raw / raw.sum()
    return weights

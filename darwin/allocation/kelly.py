"""The Kelly criterion: which share of wealth an edge is worth.

Log wealth grows fastest at mean / variance of an asset, and at Σ⁻¹μ of several (Kelly 1956, Merton
1969). Means are estimated badly and too large a share ruins, so that a fraction of it is taken and
a cap holds. An edge that is not known to be positive is worth nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from darwin.allocation.terms import require
from darwin.core.market import BoolArray, FloatArray
from darwin.errors import DataError


@dataclass(frozen=True, slots=True)
class Kelly:
    """How much of the full criterion is taken, and what it may never exceed."""

    fraction: float = 0.5  # of the full criterion
    cap: float = 1.0  # of wealth in one asset
    gross: float = 1.0  # of wealth in all
    shrinkage: float = 0.1  # of the correlations, towards none

    def __post_init__(self) -> None:
        require("fraction", self.fraction, 0.0, 1.0, above=True)
        require("cap", self.cap, 0.0, 100.0, above=True)
        require("gross", self.gross, 0.0, 100.0, above=True)
        require("shrinkage", self.shrinkage, 0.0, 1.0)

    def share(self, mean: float, variance: float) -> float:
        """The share of wealth for one asset, 0 to `cap`.

        `mean` and `variance` are of its return over the same time. 0 where the mean is not
        positive, the variance is not, or one of them is not finite.
        """
        if not (0.0 < mean < math.inf and 0.0 < variance < math.inf):
            return 0.0
        return min(self.fraction * (mean / variance), self.cap, self.gross)

    def shares(self, mean: FloatArray, covariance: FloatArray) -> FloatArray:
        """The shares for n assets of `mean` (n,) and `covariance` (n, n), none below 0.

        Assets whose own mean is not known to be positive get nothing; so do those that the others
        would have sold short, one after the other, the most unwanted first. What is left is cut to
        `cap` each and then scaled down to `gross` together. Raises DataError for shapes that do not
        fit.
        """
        n = len(mean)
        if mean.shape != (n,) or covariance.shape != (n, n):
            raise DataError(
                f"means of shape {mean.shape} and a covariance of {covariance.shape}",
                mend="give n means and an n by n covariance",
            )
        own = np.diagonal(covariance)
        kept = (mean > 0.0) & np.isfinite(mean) & (own > 0.0) & np.isfinite(covariance).all(axis=1)
        shares = np.minimum(self.fraction * self._solved(mean, covariance, kept), self.cap)
        whole = float(shares.sum())
        return shares * (self.gross / whole) if whole > self.gross else shares

    def _solved(self, mean: FloatArray, covariance: FloatArray, kept: BoolArray) -> FloatArray:
        """Σ⁻¹μ over the assets `kept`, and then over fewer until none is below 0."""
        shares = np.zeros(len(mean))
        while kept.any():
            at = np.flatnonzero(kept)
            part = self._shrunk(covariance[np.ix_(at, at)])
            try:
                found = np.linalg.solve(part, mean[at])
            except np.linalg.LinAlgError:
                found = np.full(len(at), np.nan)
            if not np.isfinite(found).all():
                raise DataError(
                    "a covariance that has no inverse", mend="raise `shrinkage` or drop a twin"
                )
            if (found >= 0.0).all():
                shares[at] = found
                break
            kept[at[int(found.argmin())]] = False
        return shares

    def _shrunk(self, covariance: FloatArray) -> FloatArray:
        shrunk: FloatArray = covariance * (1.0 - self.shrinkage)
        np.fill_diagonal(shrunk, np.diagonal(covariance))
        return shrunk


def moments(returns: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean (n,) and covariance (n, n) of `returns` (t, n), as a sample's; t is at least 2."""
    if returns.ndim != 2 or len(returns) < 2:
        raise DataError(
            f"returns of shape {returns.shape} tell no variance",
            mend="give at least two rows, one column for each asset",
        )
    mean = returns.mean(axis=0)
    away = returns - mean
    return mean, away.T @ away / (len(returns) - 1)

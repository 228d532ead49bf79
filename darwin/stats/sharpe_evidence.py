"""Evidence that sized trades have the higher Sharpe ratio than the same trades at equal size.

A and B are what a trade brings either way. To first order the difference of the two Sharpe ratios
is a mean of ψ = IF_A - IF_B with IF = z - SR·(z² - 1)/2, z the standardised outcome (Ledoit and
Wolf 2008). ψ depends on means and deviations, which every block changes, so that ψ of all past
blocks is reckoned anew at each block's end. By construction those ψ sum to 0: they give the
variance alone, and what is tested is s = n·(SR_A - SR_B), by the half-normal mixture.

A block's sum of ψ is linear in its five numbers (how many trades, Σ A, Σ A², Σ B, Σ B²), so the sum
of its squares over all blocks is a quadratic form in sums of products: nothing else is kept.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from darwin.core.market import FloatArray
from darwin.stats.evidence import Horizon, half_normal
from darwin.stats.evidence_arrays import half_normal_over_blocks, refuse_unless_finite

_NUMBERS = 5
_LEAST_SPREAD = 1e-12
"""Of the mean square. What spreads less does so by rounding: equal sizes are no evidence."""


class SharpeProcess:
    """log E of SR_A > SR_B, block by block."""

    __slots__ = ("_horizon", "_products", "_sums", "blocks", "log_e", "log_max")

    def __init__(self, horizon: Horizon) -> None:
        """Begin with E = 0: nothing is said of fewer than 20 blocks."""
        self._horizon = horizon
        self._sums = np.zeros(_NUMBERS)
        self._products = np.zeros((_NUMBERS, _NUMBERS))
        self.blocks = 0
        self.log_e = self.log_max = -np.inf

    def add(self, pairs: FloatArray | Sequence[tuple[float, float]]) -> float:
        """Learn of the trades of a block, A and B of each, shape (trades, 2); gives log E.

        E is 0, log E -inf, while nothing can be said: below 20 blocks, or where A or B does not
        vary. Raises ValueError, and learns nothing, for an outcome that is not finite.
        """
        trades = np.asarray(pairs, dtype=np.float64).reshape(-1, 2)
        block = numbers_of(trades[:, 0], trades[:, 1])
        self._sums += block
        self._products += np.outer(block, block)
        self.blocks += 1
        total, weights = _difference(self._sums)
        variance = _variance(weights, self._products)
        self.log_e = half_normal(float(total), float(variance), self.blocks, self._horizon)
        self.log_max = max(self.log_max, self.log_e)
        return self.log_e


def numbers_of(a: FloatArray, b: FloatArray) -> FloatArray:
    """The five numbers of a block from its trades, each (..., trades). Returns (..., 5)."""
    refuse_unless_finite("A", a)
    refuse_unless_finite("B", b)
    count = np.full(a.shape[:-1], float(a.shape[-1]))
    sums = [count, a.sum(-1), (a * a).sum(-1), b.sum(-1), (b * b).sum(-1)]
    return np.stack(sums, axis=-1)


def log_e_of_sharpe(numbers: FloatArray, horizon: Horizon) -> FloatArray:
    """log E after every block, as `SharpeProcess` gives it, (streams, blocks).

    `numbers` are the five of each block, (streams, blocks, 5). Raises ValueError for one that is
    not finite.
    """
    refuse_unless_finite("numbers", numbers)
    sums = np.cumsum(numbers, axis=-2)
    total, weights = _difference(sums)
    variance = np.empty(numbers.shape[:-1])
    products = np.zeros((*numbers.shape[:-2], _NUMBERS, _NUMBERS))
    for k in range(numbers.shape[-2]):
        block, weight = numbers[..., k, :], weights[..., k, :]
        products += block[..., :, None] * block[..., None, :]
        variance[..., k] = _variance(weight, products)
    return half_normal_over_blocks(total, variance, horizon)


def _difference(sums: FloatArray) -> tuple[FloatArray, FloatArray]:
    """n·(SR_A - SR_B), (...), and ψ as weights of the five numbers of a block, (..., 5).

    From the five numbers of all trades, (..., 5). Weights are 0 where there is no Sharpe ratio,
    so that no variance is left and nothing is said.
    """
    n = sums[..., 0]
    ratio_a, weights_a, varies_a = _influence(n, sums[..., 1], sums[..., 2])
    ratio_b, weights_b, varies_b = _influence(n, sums[..., 3], sums[..., 4])
    weights = np.stack(
        [weights_a[0] - weights_b[0], weights_a[1], weights_a[2], -weights_b[1], -weights_b[2]],
        axis=-1,
    )
    varies = varies_a & varies_b
    return n * (ratio_a - ratio_b), np.where(varies[..., None], weights, 0.0)


def _variance(weights: FloatArray, products: FloatArray) -> FloatArray:
    """Σ over blocks of (Σ ψ)², (...): weights, (..., 5), on both sides of products, (..., 5, 5).

    0 where it is what rounding leaves of larger terms.
    """
    found: FloatArray = np.einsum("...i,...ij,...j->...", weights, products, weights)
    terms = np.einsum("...i,...ii,...i->...", weights, products, weights)
    return np.where(found > _LEAST_SPREAD * terms, found, 0.0)


def _influence(
    n: FloatArray, total: FloatArray, squares: FloatArray
) -> tuple[FloatArray, tuple[FloatArray, FloatArray, FloatArray], np.ndarray]:
    """The Sharpe ratio per trade; IF as weights of 1, x and x²; and whether anything varies.

    IF = (x - mean)/sd - SR/2·((x - mean)²/sd² - 1).
    """
    some = np.maximum(n, 1.0)
    mean, square = total / some, squares / some
    variance = square - mean * mean
    varies = (n >= 2.0) & (variance > _LEAST_SPREAD * square)
    variance = np.where(varies, variance, 1.0)
    sd = np.sqrt(variance)
    ratio = mean / sd
    half = 0.5 * ratio / variance
    one = half * (variance - mean * mean) - ratio
    return ratio, (one, 1.0 / sd + 2.0 * half * mean, -half), varies

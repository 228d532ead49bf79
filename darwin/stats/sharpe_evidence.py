"""Evidence that one strategy has the higher Sharpe ratio than another on the same trades.

The difference of two Sharpe ratios is close to a mean of influence functions
IF = z - SR·(z² - 1)/2 (Ledoit and Wolf 2008), z the standardised outcome. At the end of each block
they are reckoned anew from the means and deviations of all trades so far, and their sums by block
give the variance. These sums add up to nothing by construction, so the sum that is tested is
n·(SR_A - SR_B) itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from darwin.core.market import FloatArray
from darwin.stats.evidence import Horizon, half_normal, half_normal_over_blocks

_TERMS = 5
"""A block is: how many trades, and the sums of A, A², B, B²."""


class SharpeProcess:
    """log E of SR_A > SR_B over blocks of pairs, streaming: the half-normal mixture alone.

    A block's sum of influence functions is linear in its five numbers, so that the sum of their
    squares needs the sums of products of these numbers alone.
    """

    def __init__(self, horizon: Horizon) -> None:
        """Begin with E = 0: nothing is said of fewer than 20 blocks."""
        self._horizon, self._blocks = horizon, 0
        self._sums = np.zeros(_TERMS)
        self._products = np.zeros((_TERMS, _TERMS))

    def add(self, pairs: Sequence[tuple[float, float]]) -> float:
        """Learn of the trades of a block, (A, B) each; gives log E, -inf for 0."""
        block = np.zeros(_TERMS)
        for a, b in pairs:
            block += (1.0, a, a * a, b, b * b)
        self._blocks += 1
        self._sums += block
        self._products += np.outer(block, block)
        n = float(self._sums[0])
        ratio_a, linear_a = _influence(n, *self._sums[1:3].tolist())
        ratio_b, linear_b = _influence(n, *self._sums[3:5].tolist())
        weights = np.concatenate(
            ([linear_a[0] - linear_b[0]], linear_a[1:], -np.asarray(linear_b[1:]))
        )
        variance = float(weights @ self._products @ weights)
        if not math.isfinite(variance):
            return -math.inf
        return half_normal(n * (ratio_a - ratio_b), variance, self._blocks, self._horizon)


def _influence(n: float, total: float, squares: float) -> tuple[float, tuple[float, float, float]]:
    """The Sharpe ratio per trade, and the influence function as weights of 1, x and x²."""
    if n < 2.0:
        return math.nan, (math.nan, math.nan, math.nan)
    mean = total / n
    spread = squares / n - mean * mean
    if not spread > 1e-12 * max(squares / n, 1e-300):
        return math.nan, (math.nan, math.nan, math.nan)
    sd = math.sqrt(spread)
    ratio = mean / sd
    half = ratio / 2.0
    one = -mean / sd - half * (mean * mean / spread - 1.0)
    first = 1.0 / sd + half * 2.0 * mean / spread
    return ratio, (one, first, -half / spread)


def log_e_of_sharpe(blocks: FloatArray, horizon: Horizon) -> FloatArray:
    """log E after every block, (streams, blocks), as `SharpeProcess` gives it.

    `blocks` is (streams, blocks, 5): how many trades, and the sums of A, A², B and B².
    """
    sums = np.cumsum(blocks, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        n = sums[..., 0]
        ratios, weights = [], [np.zeros_like(n)]
        for sign, at in ((1.0, 1), (-1.0, 3)):
            mean, square = sums[..., at] / n, sums[..., at + 1] / n
            spread = square - mean * mean
            spread = np.where((n >= 2.0) & (spread > 1e-12 * square), spread, np.nan)
            sd = np.sqrt(spread)
            ratio = mean / sd
            one = -mean / sd - ratio / 2.0 * (mean * mean / spread - 1.0)
            weights[0] = weights[0] + sign * one
            weights += [sign * (1.0 / sd + ratio * mean / spread), sign * (-ratio / 2.0 / spread)]
            ratios.append(ratio)
        linear = np.stack(weights, axis=-1)
        variance = np.zeros_like(n)
        products = np.zeros((blocks.shape[0], _TERMS, _TERMS))
        for k in range(blocks.shape[1]):
            products += blocks[:, k, :, None] * blocks[:, k, None, :]
            variance[:, k] = np.einsum("si,sij,sj->s", linear[:, k], products, linear[:, k])
        total = n * (ratios[0] - ratios[1])
    sound = np.isfinite(variance) & np.isfinite(total)
    found = half_normal_over_blocks(
        np.where(sound, total, 0.0), np.where(sound, variance, 0.0), horizon
    )
    return np.where(sound, found, -np.inf)

"""Evidence that may be looked at as often as one likes: e-processes on sums of blocks.

A one-sided test of "the sums have no positive mean". Its E begins at 1 and, where that is so, ever
reaches 1/level with a chance of at most `level` (Ville 1939), whoever looks and however often.
Two bets make it: a mixture of four stakes (Waudby-Smith and Ramdas, *Estimating means of bounded
random variables by betting*), good early, and a half-normal mixture on the self-normalised sum
(Robbins 1970; Ramdas and Wang, *Hypothesis testing with e-values*), good late. Everything is kept
as logarithms. The streaming form holds a few numbers; the form over arrays gives the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from darwin.core.market import FloatArray

STAKES = 4
"""Bets of the mixture, each half as large as the one before."""
LARGEST_STAKE = 0.95 / 3.0
"""Of the first, per root of the relevant decisions of a block: a loss counts 3 R at most."""
CAP = 0.6
"""A stake times the largest sum seen so far stays below that."""
FLOOR = 0.02
"""What a bet leaves at worst."""
USUAL_SD = 1.4
"""Of R; stakes are scaled by it."""
LEAST_BLOCKS = 20
"""Before that the half-normal mixture says nothing."""
BEST_DAYS, BEST_BLOCKS = 150.0, 20.0
"""Where the half-normal mixture is sharpest."""
BEST_OVER_PRIOR = 8.8
"""Its prior variance stands in that ratio to the variance that it is sharpest at."""


@dataclass(frozen=True, slots=True)
class Horizon:
    """How long a block is, and so after how many of them evidence should be sharpest."""

    block_days: float

    @property
    def blocks(self) -> float:
        """t_opt = max(150 days / B, 20)."""
        return max(BEST_DAYS / self.block_days, BEST_BLOCKS)


class BettingMixture:
    """log of mean_j Π max(1 + min(λ_j, cap·2^-j)·S, 0.02), streaming.

    λ_j = λ_0·2^-j; `largest` is λ_0 for one relevant decision in a block.
    """

    __slots__ = ("_largest", "_logs", "_most")

    def __init__(self, largest: float = LARGEST_STAKE) -> None:
        """Begin with E = 1."""
        self._largest, self._most = largest, 0.0
        self._logs = [0.0] * STAKES

    def add(self, total: float, root: float, sd: float = USUAL_SD) -> float:
        """Learn the sum of a block; gives log E.

        `root` scales the stake, the root of its relevant decisions as expected before the block.
        Raises ValueError for what is no finite number, or no scale.
        """
        _refuse(total, root, sd)
        stake = self._largest / root * (USUAL_SD / sd)
        cap = CAP / self._most if self._most > 0.0 else math.inf
        bet = min(stake, cap)
        for j in range(STAKES):
            self._logs[j] += math.log(max(1.0 + math.ldexp(bet, -j) * total, FLOOR))
        self._most = max(self._most, abs(total))
        return self.log_e

    @property
    def log_e(self) -> float:
        """As of the last block."""
        top = max(self._logs)
        return top + math.log(sum(math.exp(one - top) for one in self._logs) / STAKES)


class HalfNormalMixture:
    """2·√(V0/(V+V0))·exp(s²/(2(V+V0)))·Φ(s/√(V+V0)) with V = Σ S², streaming."""

    __slots__ = ("_blocks", "_horizon", "_squares", "_sum")

    def __init__(self, horizon: Horizon) -> None:
        """Begin with E = 0: nothing is said of fewer than 20 blocks."""
        self._horizon = horizon
        self._sum = self._squares = 0.0
        self._blocks = 0

    def add(self, total: float) -> float:
        """Learn the sum of a block; gives log E, -inf for 0."""
        self._sum += total
        self._squares += total * total
        self._blocks += 1
        return half_normal(self._sum, self._squares, self._blocks, self._horizon)


def half_normal(total: float, variance: float, blocks: int, horizon: Horizon) -> float:
    """log E of a sum with that variance over so many blocks; -inf where nothing is said."""
    if blocks < LEAST_BLOCKS or not variance > 0.0:
        return -math.inf
    prior = variance / blocks * horizon.blocks / BEST_OVER_PRIOR
    both = variance + prior
    z = total / math.sqrt(both)
    return math.log(2.0) + 0.5 * math.log(prior / both) + 0.5 * z * z + log_normal_cdf(z)


def log_normal_cdf(z: float) -> float:
    """log Φ(z), also far below 0, where Φ itself would be 0 (Abramowitz and Stegun 26.2.12)."""
    if z > -8.0:
        return math.log(0.5 * math.erfc(-z / math.sqrt(2.0)))
    inverse = 1.0 / (z * z)
    series = 1.0 - inverse * (1.0 - 3.0 * inverse * (1.0 - 5.0 * inverse))
    return -0.5 * z * z - math.log(-z) - 0.5 * math.log(2.0 * math.pi) + math.log(series)


class EProcess:
    """(Emix + Ehn) / 2 on the sums of blocks, streaming."""

    __slots__ = ("_half_normal", "_mixture", "log_e")

    def __init__(self, horizon: Horizon) -> None:
        """Begin with E = 1/2: half the stake waits for 20 blocks."""
        self._mixture, self._half_normal = BettingMixture(), HalfNormalMixture(horizon)
        self.log_e = -math.log(2.0)

    def add(self, total: float, relevant: float, sd: float = USUAL_SD) -> float:
        """Learn the sum of a block; gives log E.

        `relevant` are the decisions that were expected in it, `sd` that of R, both as known before
        the block. Raises ValueError for what is no finite number, or not above 0 where it must be.
        """
        mixture = self._mixture.add(total, math.sqrt(relevant), sd)
        self.log_e = log_mean(mixture, self._half_normal.add(total))
        return self.log_e


def log_mean(a: float, b: float) -> float:
    """log((exp a + exp b) / 2)."""
    top = max(a, b)
    return top + math.log((math.exp(a - top) + math.exp(b - top)) / 2.0)


class MissTest:
    """Whether fewer winners than `bound` are missed: a betting mixture over winners, streaming."""

    __slots__ = ("_bound", "_mixture", "_sign")

    def __init__(self, bound: float, sign: float = 1.0) -> None:
        """Begin with E = 1. With a `sign` of -1 it is whether more are missed."""
        self._bound, self._sign = bound, sign
        self._mixture = BettingMixture(0.95 / (1.0 - bound if sign > 0.0 else bound))

    def add(self, missed: float, winners: int, expected: float) -> float:
        """Learn of a block with so many winners, of which `missed`; gives log E.

        `expected` winners were expected in it, at least one.
        """
        total = self._sign * (self._bound * winners - missed)
        return self._mixture.add(total, max(expected, 1.0))


class Detector:
    """Shiryaev-Roberts e-detector of a mean below `floor`, streaming.

    M_j <- (M_j + 1)·max(1 + λ_j·(μ0 - S), 0.02). While the mean is `floor` or more, the mean of
    the M_j reaches A after A blocks at the earliest on average (Shin, Ramdas and Rinaldo,
    *E-detectors*).
    """

    __slots__ = ("_floor", "_logs", "_most")

    def __init__(self, floor: float) -> None:
        """Begin calm."""
        self._floor, self._most = floor, 0.0
        self._logs = [-math.inf] * STAKES

    def add(self, total: float, relevant: float, sd: float = USUAL_SD) -> float:
        """Learn the sum of a block; gives log mean M."""
        _refuse(total, relevant, sd)
        stake = LARGEST_STAKE / math.sqrt(relevant) * (USUAL_SD / sd)
        below = self._floor - total
        cap = CAP / self._most if self._most > 0.0 else math.inf
        bet = min(stake, cap)
        for j in range(STAKES):
            grown = math.log(max(1.0 + math.ldexp(bet, -j) * below, FLOOR))
            self._logs[j] = _log_plus_one(self._logs[j]) + grown
        self._most = max(self._most, abs(below))
        return self.log_m

    @property
    def log_m(self) -> float:
        """As of the last block; -inf before the first."""
        top = max(self._logs)
        if top == -math.inf:
            return top
        return top + math.log(sum(math.exp(one - top) for one in self._logs) / STAKES)


def _log_plus_one(log_m: float) -> float:
    if log_m > 40.0:
        return log_m
    return math.log1p(math.exp(log_m))


def _refuse(total: float, root: float, sd: float) -> None:
    if not math.isfinite(total):
        raise ValueError(f"the sum of a block is {total}, no finite number")
    if not (0.0 < root < math.inf and 0.0 < sd < math.inf):
        raise ValueError(f"a scale of {root} decisions and sd {sd} is none: both are above 0")


def log_e_over_blocks(
    totals: FloatArray, relevant: Any, horizon: Horizon, sd: Any = USUAL_SD
) -> FloatArray:
    """log E after every block, (streams, blocks), as `EProcess` gives it.

    `totals` are the sums, (streams, blocks); `relevant` and `sd` are broadcast against them.
    Raises ValueError for what is no finite number.
    """
    mixture = betting_over_blocks(totals, np.sqrt(relevant), sd)
    late = half_normal_over_blocks(
        np.cumsum(totals, axis=-1), np.cumsum(totals**2, axis=-1), horizon
    )
    return np.logaddexp(mixture, late) - math.log(2.0)


def betting_over_blocks(
    totals: FloatArray, root: Any, sd: Any = USUAL_SD, largest: float = LARGEST_STAKE
) -> FloatArray:
    """log E of `BettingMixture` after every block, (streams, blocks)."""
    if not np.isfinite(totals).all():
        raise ValueError("the sum of a block is no finite number")
    seen = np.maximum.accumulate(np.abs(totals), axis=-1)
    with np.errstate(divide="ignore"):
        cap = CAP / np.concatenate([np.zeros_like(seen[..., :1]), seen[..., :-1]], axis=-1)
    bet = np.minimum(largest / np.asarray(root) * (USUAL_SD / np.asarray(sd)), cap)
    logs = [
        np.cumsum(np.log(np.maximum(1.0 + bet * 2.0**-j * totals, FLOOR)), axis=-1)
        for j in range(STAKES)
    ]
    found: FloatArray = np.logaddexp.reduce(logs) - math.log(STAKES)
    return found


def half_normal_over_blocks(
    total: FloatArray, variance: FloatArray, horizon: Horizon
) -> FloatArray:
    """log E of the half-normal mixture after every block; running sums, (streams, blocks)."""
    k = np.arange(1, total.shape[-1] + 1, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        prior = variance / k * (horizon.blocks / BEST_OVER_PRIOR)
        both = variance + prior
        z = total / np.sqrt(both)
        found = math.log(2.0) + 0.5 * np.log(prior / both) + 0.5 * z * z + _log_cdf(z)
    found[..., : LEAST_BLOCKS - 1] = -np.inf
    return np.where(variance > 0.0, found, -np.inf)


def _log_cdf(z: FloatArray) -> FloatArray:
    """`log_normal_cdf` over an array."""
    near = np.maximum(z, -8.0)
    found: FloatArray = np.log(0.5 * np.asarray(_ERFC(-near / math.sqrt(2.0)), dtype=np.float64))
    far = z < -8.0
    if far.any():
        inverse = 1.0 / (z[far] * z[far])
        series = 1.0 - inverse * (1.0 - 3.0 * inverse * (1.0 - 5.0 * inverse))
        tail = -0.5 * z[far] ** 2 - np.log(-z[far]) - 0.5 * math.log(2.0 * math.pi)
        found[far] = tail + np.log(series)
    return found


_ERFC = np.frompyfunc(math.erfc, 1, 1)


def lower_bound(
    totals: FloatArray, relevant: FloatArray, sd: FloatArray, horizon: Horizon, level: float
) -> float:
    """The largest mean per block that E on `totals - mean` still refutes at `level`.

    All of shape (blocks,). A confidence bound from below that holds at all times at once; -inf
    where not even a large negative mean is refuted. Found to 1e-6 of the spread of the sums.
    """
    if len(totals) == 0:
        return -math.inf
    needed = -math.log(level)

    def crosses(mean: float) -> bool:
        log_e = log_e_over_blocks((totals - mean)[None, :], relevant[None, :], horizon, sd[None, :])
        return bool(log_e.max() >= needed)

    spread = float(np.std(totals)) + abs(float(np.mean(totals))) + 1e-12
    low, high = -64.0 * spread, float(np.max(totals))
    if not crosses(low):
        return -math.inf
    while high - low > 1e-6 * spread:
        middle = (low + high) / 2.0
        low, high = (middle, high) if crosses(middle) else (low, middle)
    return low

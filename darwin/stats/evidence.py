"""Evidence that may be looked at as often as one likes: e-processes on the sums of blocks.

The null is that a block's sum has no positive mean, whatever happened before it. Under the null E
ever reaches 1/level with a chance of `level` at most (Ville 1939), so looking after every block
costs nothing. E is the mean of two bets. *Betting mixture*: four stakes, each half as large as the
one before (Waudby-Smith and Ramdas, *Estimating means of bounded random variables by betting*); it
is quick where the edge is large. *Half-normal mixture* on the self-normalised sum (Robbins 1970;
Ramdas and Wang, *Hypothesis testing with e-values*); it holds as the blocks become many, and is
sharp where the edge is small.

Here are the forms that go on block by block, with a few numbers as their memory;
`evidence_arrays` has the same over whole arrays. Everything is a natural logarithm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from darwin.core.market import FloatArray

STAKES = 4
LARGEST_STAKE = 0.95 / 3.0
"""λ_0 times the root of M, the relevant decisions of a block: one of them costs 3 R at most."""
CAP = 0.6
"""What the largest sum so far may move the first bet by."""
FLOOR = 0.02
"""What a bet leaves at the least."""
USUAL_SD = 1.4
"""Of R. Where R spreads twice as far, stakes are half as large."""
LEAST_BLOCKS = 20
"""The half-normal mixture says nothing of fewer."""
_BEST_DAYS, _LEAST_BEST_BLOCKS, _BEST_TO_PRIOR = 150.0, 20.0, 8.8
MISS_BOUND = 0.10
"""Share of the winners which the expert would take, that a gate may miss."""


@dataclass(frozen=True, slots=True)
class Horizon:
    """How long a block is, and with it after how many the half-normal mixture is sharpest."""

    block_days: float

    def __post_init__(self) -> None:
        """Raise ValueError for a length that is none."""
        refuse_unless_positive("block_days", self.block_days)

    @property
    def blocks(self) -> float:
        """t_opt = max(150 days / B, 20)."""
        return max(_BEST_DAYS / self.block_days, _LEAST_BEST_BLOCKS)

    @property
    def prior_blocks(self) -> float:
        """V0 in variances of a block: t_opt / 8.8."""
        return self.blocks / _BEST_TO_PRIOR


class BettingMixture:
    """log of mean_j Π max(1 + 2^-j·min(λ_0, cap)·S, 0.02), cap = 0.6 / largest |S| so far."""

    __slots__ = ("_largest_sum", "_logs", "log_e")

    def __init__(self) -> None:
        """Begin with E = 1."""
        self._logs = [0.0] * STAKES
        self._largest_sum = 0.0
        self.log_e = 0.0

    def add(self, block_sum: float, stake: float) -> float:
        """Learn the sum of a block on which `stake`, λ_0, was set before it; gives log E."""
        bet = stake if self._largest_sum == 0.0 else min(stake, CAP / self._largest_sum)
        for j in range(STAKES):
            self._logs[j] += math.log(max(1.0 + bet * 0.5**j * block_sum, FLOOR))
        self._largest_sum = max(self._largest_sum, abs(block_sum))
        self.log_e = log_mean_exp(self._logs)
        return self.log_e


class EProcess:
    """E = (Emix + Ehn) / 2 on the sums of blocks."""

    __slots__ = ("_horizon", "_mixture", "_squares", "_total", "blocks", "log_e", "log_max")

    def __init__(self, horizon: Horizon) -> None:
        """Begin with E = 1/2: the half-normal mixture has nothing before 20 blocks."""
        self._horizon, self._mixture = horizon, BettingMixture()
        self._total = self._squares = 0.0
        self.blocks = 0
        self.log_e = self.log_max = -math.log(2.0)

    @property
    def log_mix(self) -> float:
        """log Emix, of the betting mixture alone."""
        return self._mixture.log_e

    def add(self, block_sum: float, relevant_per_block: float, sd: float = USUAL_SD) -> float:
        """Learn the sum of a block; gives log E.

        `relevant_per_block` decisions were expected in it and R was expected to spread by `sd`,
        both from what was known before the block. Raises ValueError, and learns nothing, where the
        sum is not finite or one of them is not above 0.
        """
        refuse_unless_finite("block_sum", block_sum)
        self._mixture.add(block_sum, stake_of(relevant_per_block, sd))
        self._total += block_sum
        self._squares += block_sum * block_sum
        self.blocks += 1
        late = half_normal(self._total, self._squares, self.blocks, self._horizon)
        self.log_e = log_mean_exp([self._mixture.log_e, late])
        self.log_max = max(self.log_max, self.log_e)
        return self.log_e


class MissTest:
    """Whether a gate misses less than `bound` of the winners that the expert would take.

    A winner counts `bound` - 1 where the gate skips it, else `bound`; betting mixture alone. With
    `sign` -1 the question is whether more than `bound` are missed.
    """

    __slots__ = ("_bound", "_mixture", "_sign", "blocks", "log_max")

    def __init__(self, bound: float = MISS_BOUND, sign: float = 1.0) -> None:
        """Begin with E = 1. Raises ValueError for a bound that is no share between 0 and 1."""
        if not 0.0 < bound < 1.0:
            raise ValueError(f"bound is {bound}; a share of winners lies between 0 and 1")
        self._bound, self._sign, self._mixture = bound, sign, BettingMixture()
        self.blocks, self.log_max = 0, 0.0

    @property
    def log_e(self) -> float:
        """As of the last block."""
        return self._mixture.log_e

    def add(self, missed: float, winners: float, winners_per_block: float) -> float:
        """Learn of a block's `winners` and how many of them were `missed`; gives log E.

        `winners_per_block` were expected, from what was known before the block. Raises ValueError,
        and learns nothing, where more were missed than there were.
        """
        refuse_unless_finite("winners", winners)
        if not 0.0 <= missed <= winners:
            raise ValueError(f"missed is {missed} of {winners} winners")
        total = self._sign * (self._bound * winners - missed)
        most = 1.0 - self._bound if self._sign > 0 else self._bound
        self._mixture.add(total, miss_stake_of(winners_per_block, most))
        self.blocks += 1
        self.log_max = max(self.log_max, self._mixture.log_e)
        return self._mixture.log_e


def stake_of(relevant_per_block: float, sd: float = USUAL_SD) -> float:
    """λ_0 = 0.95 / (3·√M) · 1.4 / sd. Raises ValueError for what is not above 0."""
    refuse_unless_positive("relevant_per_block", relevant_per_block)
    refuse_unless_positive("sd", sd)
    return LARGEST_STAKE / math.sqrt(relevant_per_block) * (USUAL_SD / sd)


def miss_stake_of(winners_per_block: float, most: float = 1.0 - MISS_BOUND) -> float:
    """λ_0 = 0.95 / (most that one winner can cost) / winners. Raises ValueError below 0."""
    refuse_unless_positive("winners_per_block", winners_per_block)
    return 0.95 / most / winners_per_block


def half_normal(total: float, variance: float, blocks: int, horizon: Horizon) -> float:
    """log of 2·√(V0/(V+V0))·exp(s²/(2(V+V0)))·Φ(s/√(V+V0)), V0 = V/k·t_opt/8.8.

    `total` is s, `variance` V after k `blocks`. -inf (E = 0) below 20 blocks, and where nothing
    varies.
    """
    if blocks < LEAST_BLOCKS or not variance > 0.0:
        return -math.inf
    prior = horizon.prior_blocks / blocks  # V0 / V
    z = total / math.sqrt(variance * (1.0 + prior))
    share = 0.5 * math.log(prior / (1.0 + prior))
    return math.log(2.0) + share + 0.5 * z * z + log_normal_cdf(z)


def log_normal_cdf(z: float) -> float:
    """log Φ(z), also where Φ is too small for a float (Abramowitz and Stegun 7.1.23)."""
    if z > -37.0:
        return math.log(0.5 * math.erfc(-z / math.sqrt(2.0)))
    return log_normal_tail(z)


def log_normal_tail(z: float) -> float:
    """log Φ(z) for z ≤ -37, to 1e-15."""
    y = 1.0 / (z * z)
    series = -y * (1.0 - y * (3.0 - y * (15.0 - y * (105.0 - y * 945.0))))
    return -0.5 * z * z - math.log(-z) - 0.5 * math.log(2.0 * math.pi) + math.log1p(series)


def log_mean_exp(logs: list[float]) -> float:
    """log of the mean of exp(logs), -inf standing for 0."""
    top = max(logs)
    if top == -math.inf:
        return top
    return top + math.log(sum(math.exp(one - top) for one in logs) / len(logs))


def first_crossing(log_e: FloatArray, level: float) -> np.ndarray:
    """Where E, (..., blocks), first reaches 1/level: index of the block, (...); -1 for never.

    A crossing holds for good. Raises ValueError for a level that is none.
    """
    if not 0.0 < level <= 1.0:
        raise ValueError(f"level is {level}; a chance lies above 0 and at most at 1")
    crossed = log_e >= -math.log(level)
    if log_e.shape[-1] == 0:
        return np.full(log_e.shape[:-1], -1)
    return np.where(crossed.any(axis=-1), crossed.argmax(axis=-1), -1)


def refuse_unless_finite(name: str, value: float) -> None:
    """Raise ValueError where a number is none, or has no end."""
    if not math.isfinite(value):
        raise ValueError(f"{name} is {value}, which is no finite number")


def refuse_unless_positive(name: str, value: float) -> None:
    """Raise ValueError where a number is not above 0, or has no end."""
    if not 0.0 < value < math.inf:
        raise ValueError(f"{name} is {value}; it must be a number above 0")

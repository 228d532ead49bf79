"""The e-processes of `evidence` over whole arrays: many streams, all blocks at once.

`block_sums` are (..., blocks), oldest first; what is known of a block beforehand (`relevant`,
`sd`, `winners_per_block`) is broadcast against them. What comes out has the shape of the sums, and
an entry hangs on its own block and the ones before alone. Raises ValueError for a sum that is not
finite and for a scale that is not above 0, naming it and the first place.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from darwin.core.market import FloatArray
from darwin.stats.evidence import (
    CAP,
    FLOOR,
    LARGEST_STAKE,
    LEAST_BLOCKS,
    MISS_BOUND,
    STAKES,
    USUAL_SD,
    Horizon,
    first_crossing,
    log_normal_tail,
)

_POINTS = 33
_FINE = 1e-9


def log_e_over_blocks(
    block_sums: FloatArray, relevant: ArrayLike, horizon: Horizon, sd: ArrayLike = USUAL_SD
) -> FloatArray:
    """log E after every block, as `EProcess` gives it."""
    refuse_unless_finite("block_sums", block_sums)
    mixture = log_mixture_over_blocks(block_sums, stakes_of(relevant, sd))
    late = half_normal_over_blocks(
        np.cumsum(block_sums, axis=-1), np.cumsum(block_sums * block_sums, axis=-1), horizon
    )
    return log_mean_exp(np.stack([mixture, late]))


def log_e_of_misses(
    missed: FloatArray,
    winners: FloatArray,
    winners_per_block: ArrayLike,
    bound: float = MISS_BOUND,
) -> FloatArray:
    """log E after every block, as `MissTest` gives it; counts by block, (..., blocks)."""
    refuse_unless_finite("winners", winners)
    if not ((missed >= 0) & (missed <= winners)).all():
        raise ValueError("missed is no count of the winners, in one block at least")
    expected = np.asarray(winners_per_block, dtype=np.float64)
    refuse_unless_positive("winners_per_block", expected)
    stakes = 0.95 / (1.0 - bound) / expected
    return log_mixture_over_blocks(bound * winners - missed, stakes)


def stakes_of(relevant: ArrayLike, sd: ArrayLike = USUAL_SD) -> FloatArray:
    """λ_0 of each block, as `stake_of` gives it."""
    expected, spread = np.asarray(relevant, np.float64), np.asarray(sd, np.float64)
    refuse_unless_positive("relevant_per_block", expected)
    refuse_unless_positive("sd", spread)
    return np.asarray(LARGEST_STAKE / np.sqrt(expected) * (USUAL_SD / spread))


def log_mixture_over_blocks(block_sums: FloatArray, stakes: FloatArray) -> FloatArray:
    """log Emix after every block, as `BettingMixture` gives it; stakes are λ_0 of each block."""
    before = np.zeros_like(block_sums)
    np.maximum.accumulate(np.abs(block_sums[..., :-1]), axis=-1, out=before[..., 1:])
    cap = np.divide(CAP, before, out=np.full_like(before, np.inf), where=before > 0.0)
    bets = np.minimum(stakes, cap)
    logs = [
        np.cumsum(np.log(np.maximum(1.0 + bets * 0.5**j * block_sums, FLOOR)), axis=-1)
        for j in range(STAKES)
    ]
    return log_mean_exp(np.stack(logs))


def half_normal_over_blocks(
    total: FloatArray, variance: FloatArray, horizon: Horizon
) -> FloatArray:
    """`half_normal` after every block, from the sums and variances that have run up by then."""
    k = np.arange(1, total.shape[-1] + 1, dtype=np.float64)
    told = (variance > 0.0) & (k >= LEAST_BLOCKS)
    prior = np.broadcast_to(horizon.prior_blocks / k, total.shape)[told]
    z = total[told] / np.sqrt(variance[told] * (1.0 + prior))
    share = 0.5 * np.log(prior / (1.0 + prior))
    found = np.full(total.shape, -np.inf)
    found[told] = math.log(2.0) + share + 0.5 * z * z + log_normal_cdf(z)
    return found


def log_normal_cdf(z: FloatArray) -> FloatArray:
    """log Φ of each, shape (n,)."""
    found = np.empty_like(z)
    near = z > -37.0
    found[near] = np.log(0.5 * np.asarray(_ERFC(-z[near] / math.sqrt(2.0)), dtype=np.float64))
    found[~near] = [log_normal_tail(one) for one in z[~near].tolist()]
    return found


_ERFC = np.frompyfunc(math.erfc, 1, 1)


def log_mean_exp(logs: FloatArray) -> FloatArray:
    """log of the mean of exp(logs) over the first axis, -inf standing for 0."""
    top = logs.max(axis=0)
    shown = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        found: FloatArray = shown + np.log(np.exp(logs - shown).sum(axis=0) / len(logs))
    return found


def lower_bound(
    block_sums: FloatArray,
    relevant: ArrayLike,
    horizon: Horizon,
    level: float,
    sd: ArrayLike = USUAL_SD,
) -> float:
    """The largest mean of a block's sum that is still refuted at `level`: E of S - mean crosses.

    `block_sums`: (blocks,). The true mean lies above it with a chance of 1 - level, at all times
    at once. -inf without blocks. Found by narrowing between a mean that is refuted and one that
    is not, to 1e-9 of the distance between them.
    """
    if len(block_sums) == 0:
        return -math.inf
    refuse_unless_finite("block_sums", block_sums)
    high = float(block_sums.max())  # no sum is above it, so nothing was ever won against it
    reach = float(np.abs(block_sums).max()) or 1.0
    while not _refuted(block_sums, np.array([high - reach]), relevant, sd, horizon, level)[0]:
        reach *= 2.0
    low, fine = high - reach, _FINE * reach
    while high - low > fine:
        means = np.linspace(low, high, _POINTS)
        refuted = _refuted(block_sums, means[1:-1], relevant, sd, horizon, level)
        last = int(np.flatnonzero(refuted)[-1]) + 1 if refuted.any() else 0
        low, high = float(means[last]), float(means[last + 1])
    return low


def _refuted(
    block_sums: FloatArray,
    means: FloatArray,
    relevant: ArrayLike,
    sd: ArrayLike,
    horizon: Horizon,
    level: float,
) -> np.ndarray:
    log_e = log_e_over_blocks(block_sums - means[:, None], relevant, horizon, sd)
    return first_crossing(log_e, level) >= 0


def refuse_unless_finite(name: str, values: FloatArray) -> None:
    """Raise ValueError for the first number that is none, or has no end."""
    _refuse(name, values, np.isfinite(values), "which is no finite number")


def refuse_unless_positive(name: str, values: FloatArray) -> None:
    """Raise ValueError for the first number that is not above 0, or has no end."""
    _refuse(name, values, (values > 0.0) & (values < np.inf), "it must be a number above 0")


def _refuse(name: str, values: FloatArray, good: np.ndarray, why: str) -> None:
    if not good.all():
        place = [int(at) for at in np.argwhere(~good)[0]]
        raise ValueError(f"{name} at {place} is {values[tuple(place)]}; {why}")

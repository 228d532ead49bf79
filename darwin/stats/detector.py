"""Notice that an edge has gone: an e-detector on the sums of blocks, of Shiryaev and Roberts.

M_j ← (M_j + 1)·max(1 + λ_j·(μ0 - S), 0.02) for four stakes, each half as large as the one before.
While the mean of a block's sum is μ0 or more, the mean of the M_j needs A blocks at the least, on
average, until it reaches A (Shin, Ramdas and Rinaldo, *E-detectors*). It forgets: a long good past
does not delay an alarm. Everything is a natural logarithm.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from darwin.core.market import FloatArray
from darwin.stats import evidence_arrays as arrays
from darwin.stats.evidence import (
    FLOOR,
    STAKES,
    USUAL_SD,
    log_mean_exp,
    refuse_unless_finite,
    stake_of,
)

EDGE_BLOCKS, HARM_BLOCKS = 250.0, 100.0
"""A of the soft alarm, on skill, and of the hard one, on utility."""


class Detector:
    """log of mean_j M_j, block by block; an alarm is where it reaches log A."""

    __slots__ = ("_floor", "_logs", "blocks", "log_m")

    def __init__(self, floor: float) -> None:
        """Begin with M = 0. `floor` is μ0, the mean of a block below which all is not well."""
        refuse_unless_finite("floor", floor)
        self._floor = floor
        self._logs = [-math.inf] * STAKES
        self.blocks = 0
        self.log_m = -math.inf

    def add(self, block_sum: float, relevant_per_block: float, sd: float = USUAL_SD) -> float:
        """Learn the sum of a block; gives log M. The rest as in `EProcess.add`."""
        refuse_unless_finite("block_sum", block_sum)
        lost, stake = self._floor - block_sum, stake_of(relevant_per_block, sd)
        for j in range(STAKES):
            grown = math.log(max(1.0 + stake * 0.5**j * lost, FLOOR))
            self._logs[j] = _log_of_one_more(self._logs[j]) + grown
        self.blocks += 1
        self.log_m = log_mean_exp(self._logs)
        return self.log_m


def _log_of_one_more(log_m: float) -> float:
    """log(M + 1)."""
    return max(log_m, 0.0) + math.log1p(math.exp(-abs(log_m)))


def log_m_over_blocks(
    block_sums: FloatArray, relevant: ArrayLike, floor: ArrayLike, sd: ArrayLike = USUAL_SD
) -> FloatArray:
    """log M after every block, as `Detector` gives it; sums and result are (streams, blocks).

    `floor` is one number, or (streams, 1). Raises ValueError as `evidence_arrays` does.
    """
    floors = np.asarray(floor, dtype=np.float64)
    arrays.refuse_unless_finite("block_sums", block_sums)
    arrays.refuse_unless_finite("floor", floors)
    stakes = np.broadcast_to(arrays.stakes_of(relevant, sd), block_sums.shape)
    bets = stakes[..., None] * 0.5 ** np.arange(STAKES) * (floors - block_sums)[..., None]
    grown = np.log(np.maximum(1.0 + bets, FLOOR))
    logs = np.full((*block_sums.shape[:-1], STAKES), -np.inf)
    found = np.empty_like(block_sums)
    for k in range(block_sums.shape[-1]):
        logs = np.logaddexp(logs, 0.0) + grown[..., k, :]
        found[..., k] = arrays.log_mean_exp(np.moveaxis(logs, -1, 0))
    return found


def first_alarm(log_m: FloatArray, blocks: float) -> np.ndarray:
    """Where M, (..., blocks), first reaches A `blocks`: index, (...); -1 for never."""
    if not blocks >= 1.0:
        raise ValueError(f"blocks is {blocks}; an alarm needs one at the least")
    if log_m.shape[-1] == 0:
        return np.full(log_m.shape[:-1], -1)
    alarmed = log_m >= math.log(blocks)
    return np.where(alarmed.any(axis=-1), alarmed.argmax(axis=-1), -1)

"""How long it takes until a promoted version is found out, should its edge go or turn."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from darwin.rl.graduation.decay import Decay
from darwin.rl.graduation.trial import Trial
from darwin.stats.detector import first_alarm, log_m_over_blocks

PATHS, BLOCKS, SEED = 400, 400, 7
FEWEST = 10
"""Blocks of which there must be so many, to draw others from."""


class Delay(NamedTuple):
    """Market days until the soft detector sounds, in the median; inf: later than was looked."""

    turned: float  # skill becomes as bad as it was good
    gone: float  # skill becomes none


def expected_delay(trial: Trial, decay: Decay) -> Delay | None:
    """Draw blocks anew from those of the trial, with another mean; None: there are too few.

    The spread of their sums stays as it was seen; the draws are the same at every call.
    """
    alarm = decay.soft
    sums = np.array([alarm.sums(block).total for block in trial.blocks])
    counts = np.array([alarm.sums(block).relevant for block in trial.blocks])
    if len(sums) < FEWEST:
        return None
    edge = float(sums.mean())
    at = np.random.default_rng(SEED).integers(0, len(sums), (PATHS, BLOCKS))
    relevant = max(float(counts.mean()), 0.5)
    days = []
    for mean in (-edge, 0.0):
        drawn = sums[at] - edge + mean
        log_m = log_m_over_blocks(drawn, relevant, alarm.floor, trial.blocks[-1].sd)
        first = first_alarm(log_m, alarm.needed)
        blocks = float(np.median(np.where(first < 0, np.inf, first + 1.0)))
        days.append(blocks * decay.block_days)
    return Delay(*days)

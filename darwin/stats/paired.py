"""Two equity curves over the same days, and how surely one did better."""

from __future__ import annotations

import numpy as np

from darwin.core.market import FloatArray
from darwin.stats.bootstrap import mean_by
from darwin.stats.intervals import Interval
from darwin.stats.performance import simple_returns

DAYS_THAT_HANG_TOGETHER = 7
"""Days that are drawn together: a position lives on into the days after."""


def daily_lead(
    ours: FloatArray, theirs: FloatArray, rng: np.random.Generator, level: float = 0.95
) -> Interval:
    """Mean of our simple daily return less theirs, with its interval.

    `ours` and `theirs`: equity at the end of each day, (n + 1,), the first of them the start. Weeks
    are drawn with replacement (`block_bootstrap`). NaN bounds below five weeks.
    """
    lead = simple_returns(ours[1:], ours[0]) - simple_returns(theirs[1:], theirs[0])
    weeks = np.arange(len(lead)) // DAYS_THAT_HANG_TOGETHER
    return mean_by(lead, weeks, rng, level=level)

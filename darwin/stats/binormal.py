"""How well a score tells winners from losers, and what follows for whoever acts on a share of them.

The *binormal model* (Green and Swets, *Signal detection theory*): the score is normal with spread 1
among what should be acted on and among what should not, and the two means lie d apart. AUC, the
chance that of one of either kind the right one scores higher, is Φ(d/√2): 0.5 is a coin, 1 never
errs. Whoever acts on a given share acts on the highest scores.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import NamedTuple

COIN = 0.5
HIGHEST = 0.999
"""An AUC beyond that is not looked for."""
_NORMAL = NormalDist()
_FARTHEST = 12.0
_STEPS = 60


class Hits(NamedTuple):
    """What is acted on, as shares 0..1."""

    wanted: float  # of those that should be
    unwanted: float  # of those that should not be


def separation(auc: float) -> float:
    """d = √2·Φ⁻¹(AUC). Raises ValueError for what is no AUC of a score that tells something."""
    if not COIN <= auc < 1.0:
        raise ValueError(f"auc is {auc}; it lies at 0.5, which tells nothing, or above, below 1")
    return math.sqrt(2.0) * _NORMAL.inv_cdf(auc)


def hits(rate: float, wanted_share: float, auc: float) -> Hits:
    """What is hit by acting on the share `rate`, where `wanted_share` should be acted on.

    Both lie between 0 and 1. Raises ValueError for what does not.
    """
    for name, share in (("rate", rate), ("wanted_share", wanted_share)):
        if not 0.0 < share < 1.0:
            raise ValueError(f"{name} is {share}; it lies between 0 and 1")
    d = separation(auc)
    low, high = -_FARTHEST, _FARTHEST + d
    for _ in range(_STEPS):
        edge = 0.5 * (low + high)
        found = Hits(_NORMAL.cdf(edge), _NORMAL.cdf(edge - d))
        if wanted_share * found.wanted + (1.0 - wanted_share) * found.unwanted < rate:
            low = edge
        else:
            high = edge
    return found


def least_auc(holds: Callable[[float], bool], precision: float = 1e-5) -> float:
    """The least AUC from 0.5 on for which something holds that holds for all above it.

    NaN where it does not hold up to 0.999.
    """
    if holds(COIN):
        return COIN
    if not holds(HIGHEST):
        return math.nan
    low, high = COIN, HIGHEST
    while high - low > precision:
        middle = 0.5 * (low + high)
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def auc_for_misses(rate: float, missed: float, wanted_share: float) -> float:
    """The AUC of whoever acts on the share `rate` and on `missed` of what should not be acted on.

    NaN where no score does that: even if all that should be was acted on, too little would be.
    """
    if rate <= missed:
        return COIN
    wanted = (rate - (1.0 - wanted_share) * missed) / wanted_share
    if not 0.0 < wanted < 1.0:
        return math.nan
    return _NORMAL.cdf((_NORMAL.inv_cdf(wanted) - _NORMAL.inv_cdf(missed)) / math.sqrt(2.0))

"""The world in which graduation is tried out: outcomes that hang together, agents with and without.

A bracket lives as long as several candidates follow each other, so the outcomes of neighbours share
shocks; a regime changes by the day; some losses gap far beyond their stop. An agent's score says
of each candidate how well it will do, as well as its AUC (of winners against the rest) tells.
Everything is (streams, decisions), in the order of time.
"""

from __future__ import annotations

import math
from functools import cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from darwin.core.market import BoolArray, FloatArray
from darwin.stats.evidence_arrays import log_normal_cdf

REGIME_SD, REGIME_LASTS = 0.15, 0.9
STOP_BELOW, TARGET_ABOVE = 0.15, 0.45
FEE_R, GAPS, GAP_TAIL = 0.08, 0.03, 2.5
TAKE_PROFIT_R = 2.0
TAKES, EXPERT_AUC = 0.40, 0.55
SKILLED_LASTS, PERSISTENT_LASTS = 0.7, 0.97
BLOCK_DAYS = 2


class Pace(NamedTuple):
    """How often is decided, and for how many decisions a bracket lives."""

    per_day: int
    overlap: int


CANDIDATES, TRADES = Pace(10, 6), Pace(4, 3)


class Market(NamedTuple):
    """What came of each candidate."""

    latent: FloatArray  # what decides it, as standard normals
    r: FloatArray  # net of fees
    expert: BoolArray  # whether the expert takes it

    @property
    def won(self) -> BoolArray:
        return self.r > 0.0


def market(
    rng: np.random.Generator, streams: int, decisions: int, pace: Pace, shift: float
) -> Market:
    """Draw one. A `shift` above 0 makes it profitable, and the expert know a little."""
    shape = (streams, decisions)
    shocks = np.cumsum(rng.standard_normal((streams, decisions + pace.overlap)), axis=1)
    shared = (shocks[:, pace.overlap :] - shocks[:, : -pace.overlap]) / math.sqrt(pace.overlap)
    z = math.sqrt(0.5) * (shared + rng.standard_normal(shape))
    days = -(-decisions // pace.per_day)
    by_day = lasting(rng, streams, days, REGIME_LASTS) * REGIME_SD
    z += np.repeat(by_day, pace.per_day, axis=1)[:, :decisions]
    latent = z / math.hypot(1.0, REGIME_SD)
    lost_more = np.where(rng.random(shape) < GAPS, rng.pareto(GAP_TAIL, shape), 0.0)
    r = gross(z + shift) - FEE_R
    r = np.where(z + shift < STOP_BELOW, r - lost_more, r)
    expert = tells(rng, latent, EXPERT_AUC if shift > 0 else 0.5, shift, 0.0)
    return Market(latent, r, expert > quantile(1.0 - TAKES))


def gross(z: FloatArray) -> FloatArray:
    """R before fees and gaps: the target, the stop, or what the time stop finds between them."""
    between = (z - 0.3) / 0.15 * 0.8
    return np.where(z > TARGET_ABOVE, TAKE_PROFIT_R, np.where(z < STOP_BELOW, -1.0, between))


def tells(
    rng: np.random.Generator, latent: FloatArray, auc: float, shift: float, lasts: float
) -> FloatArray:
    """A score, standard normal, that tells winners with an AUC; its own part is AR(`lasts`)."""
    known = loading(auc, shift)
    own = lasting(rng, *latent.shape, lasts)
    return known * latent + math.sqrt(1.0 - known * known) * own


@cache
def loading(auc: float, shift: float) -> float:
    """How much of a score must be the latent for an AUC; found on one large sample."""
    if auc == 0.5:
        return 0.0
    rng = np.random.default_rng(20)
    latent, own = rng.standard_normal((2, 1_000_000))
    won = gross(latent * math.hypot(1.0, REGIME_SD) + shift) > FEE_R
    low, high = 0.0, 1.0
    for _ in range(16):
        known = (low + high) / 2.0
        found = auc_of(known * latent + math.sqrt(1.0 - known * known) * own, won)
        low, high = (known, high) if found < auc else (low, known)
    return (low + high) / 2.0


def auc_of(score: FloatArray, won: BoolArray) -> float:
    """How often a winner has the higher score than another (Mann and Whitney 1947), flat."""
    ranks = np.empty(score.size)
    ranks[np.argsort(score.ravel())] = np.arange(1, score.size + 1)
    winners = int(won.sum())
    above = float(ranks[won.ravel()].sum()) - winners * (winners + 1) / 2
    return above / (winners * (score.size - winners))


def lasting(rng: np.random.Generator, streams: int, steps: int, lasts: float) -> FloatArray:
    """AR(1) of standard normals, (streams, steps)."""
    if lasts == 0.0:
        return rng.standard_normal((streams, steps))
    fresh = rng.standard_normal((steps, streams)) * math.sqrt(1.0 - lasts * lasts)
    fresh[0] /= math.sqrt(1.0 - lasts * lasts)
    for step in range(1, steps):
        fresh[step] += lasts * fresh[step - 1]
    return np.ascontiguousarray(fresh.T)


def quantile(share: float) -> float:
    """Of the standard normal distribution."""
    return NormalDist().inv_cdf(share)


def uniform(score: FloatArray) -> FloatArray:
    """Standard normals as 0..1."""
    return np.exp(log_normal_cdf(score))

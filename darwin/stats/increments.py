"""What each decision adds to the evidence for an agent, and the running means it is held against.

*Skill* asks whether an action has to do with the outcome at all: action and outcome are both
centred, so that skipping at random earns nothing where the expert loses money. *Utility* asks
whether the actions pay, against the agent's own baseline. Outcomes are in R, net of costs; take,
skip and override are 0 or 1, sizes 0..1; arrays are of one shape, (..., n), in the order of
decisions. Raises ValueError, naming it, for a number among them that is not finite.

A gap can cost many R, and one of them must not decide: so skill looks at clip(R, -3, TP). Utility
clips the side that speaks for the agent, and never the other:
- *gate*: a skip speaks for it by the loss that it avoids, so that losses count to -3 R and missed
  wins in full;
- *meta-learner*: an override to skip is a skip; one to take speaks for it by what it wins, so that
  wins count up to TP and losses in full;
- *portfolio*: its utility is in two Sharpe ratios of the same trades, which have no such side: a
  gap moves both, and as mean and as spread. Both are of clip(R, -3, TP).
"""

from __future__ import annotations

import heapq
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from darwin.core.market import FloatArray, IntArray
from darwin.stats.evidence_arrays import refuse_unless_finite

PRIOR_WEIGHT = 20.0
"""Values that the prior of a running mean stands for."""
SKIP_PRIOR, OVERRIDE_PRIOR, SIZE_PRIOR, OUTCOME_PRIOR = 0.3, 0.1, 0.5, 0.0
DEEPEST_R = -3.0
GATE_EDGE_R = 0.01
"""δ, what the gate's decisions may cost per candidate."""


def clipped(r: FloatArray, take_profit_r: ArrayLike) -> FloatArray:
    """Rw = clip(R, -3, TP)."""
    refuse_unless_finite("r", r)
    return np.clip(r, DEEPEST_R, np.asarray(take_profit_r, dtype=np.float64))


def gate_skill(
    take: FloatArray, skip: FloatArray, s: FloatArray, m: FloatArray, rw: FloatArray
) -> FloatArray:
    """take·(skip - s)·(m - Rw): s the skip rate and m the mean Rw, both among what is taken."""
    _refuse(take=take, skip=skip, s=s, m=m, rw=rw)
    return take * (skip - s) * (m - rw)


def gate_utility(
    take: FloatArray, skip: FloatArray, r: FloatArray, call_cost_r: float
) -> FloatArray:
    """skip·(c - take·R) + δ, c what a call of the expert costs in R; losses down to -3 R."""
    _refuse(take=take, skip=skip, r=r)
    return skip * (call_cost_r - take * np.maximum(r, DEEPEST_R)) + GATE_EDGE_R


def portfolio_selectivity(
    w: FloatArray, w_mean: FloatArray, m: FloatArray, rw: FloatArray
) -> FloatArray:
    """(w - w̄)·(Rw - m)."""
    _refuse(w=w, w_mean=w_mean, m=m, rw=rw)
    return (w - w_mean) * (rw - m)


def direction(take: FloatArray) -> FloatArray:
    """g: -1 where the expert takes, for overriding it leaves the trade; else +1."""
    return 1.0 - 2.0 * take


def meta_learner_skill(
    override: FloatArray, o: FloatArray, g: FloatArray, m: FloatArray, rw: FloatArray
) -> FloatArray:
    """(ovr - o)·g·(Rw - m), with o and m of decisions where the expert said the same."""
    _refuse(override=override, o=o, m=m, rw=rw)
    return (override - o) * g * (rw - m)


def meta_learner_utility(
    override: FloatArray, g: FloatArray, r: FloatArray, take_profit_r: ArrayLike
) -> FloatArray:
    """ovr·g·R; losses avoided down to -3 R, wins gained up to TP, the rest in full."""
    _refuse(override=override, r=r)
    counted = np.where(g < 0, np.maximum(r, DEEPEST_R), np.minimum(r, take_profit_r))
    return override * g * counted


def sums_by_block(values: FloatArray, block: IntArray) -> FloatArray:
    """Sum values, (..., n), over each block; `block`, (n,), ascends. Returns (..., blocks)."""
    if (np.diff(block) < 0).any():
        raise ValueError("block does not ascend: decisions stand in the order of time")
    if len(block) == 0:
        return np.zeros((*values.shape[:-1], 0))
    first = np.flatnonzero(np.diff(block, prepend=block[0] - 1))
    return np.add.reduceat(values, first, axis=-1)


def running_mean(
    values: FloatArray,
    prior: float,
    known_from: IntArray | None = None,
    counts: Any = True,
    weight: float = PRIOR_WEIGHT,
) -> FloatArray:
    """At each decision the mean of what was known by then, (..., n), begun with a prior.

    `values`: (..., n), one for each decision, known at decisions from index `known_from`, (n,), on:
    never before the next one, which is the default; n or more for what was never known. Where
    `counts`, (..., n), is false a value does not enter, and may be NaN. Raises ValueError for a
    value that enters and is not finite, and for one that is known too early.
    """
    n = values.shape[-1]
    enters = np.broadcast_to(np.asarray(counts, dtype=bool), values.shape)
    refuse_unless_finite("values", np.where(enters, values, 0.0))
    known = np.arange(1, n + 1) if known_from is None else known_from
    if (known <= np.arange(n)).any():
        raise ValueError("known_from has a value that is known at its own decision or before")
    order = np.argsort(known, kind="stable")
    seen = np.searchsorted(known[order], np.arange(n), side="right")
    head = np.zeros((*values.shape[:-1], 1))
    told = np.where(enters, values, 0.0)[..., order]
    totals = np.cumsum(np.concatenate([head + prior * weight, told], axis=-1), axis=-1)
    weights = np.cumsum(np.concatenate([head + weight, enters[..., order]], axis=-1), axis=-1)
    found: FloatArray = totals[..., seen] / weights[..., seen]
    return found


class RunningMean:
    """The same, decision by decision."""

    __slots__ = ("_later", "_total", "_weight")

    def __init__(self, prior: float, weight: float = PRIOR_WEIGHT) -> None:
        """Know the prior alone."""
        self._total, self._weight = prior * weight, weight
        self._later: list[tuple[int, int, float]] = []

    def add(self, value: float, decided: int, known_from: int | None = None) -> None:
        """Learn the value of the decision at index `decided`, known from another index on.

        Raises ValueError where it is not finite, or known at its own decision or before.
        """
        if not math.isfinite(value):
            raise ValueError(f"value of decision {decided} is {value}, which is no finite number")
        known = decided + 1 if known_from is None else known_from
        if known <= decided:
            raise ValueError(f"known_from is {known}: that is no later than decision {decided}")
        heapq.heappush(self._later, (known, decided, value))

    def at(self, decision: int) -> float:
        """The mean as known at a decision; to be asked in their order."""
        while self._later and self._later[0][0] <= decision:
            self._total += heapq.heappop(self._later)[2]
            self._weight += 1.0
        return self._total / self._weight


def _refuse(**columns: FloatArray) -> None:
    for name, values in columns.items():
        refuse_unless_finite(name, values)

"""The shadow ledger: what the baseline alone came to, and what it would with the agent obeyed.

In R, decision by decision, whatever stood in the end: a gate's skip saves the call and what the
expert would have taken, an override turns the verdict, a size cuts the outcome. Decisions of which
nobody knows what became, or what the expert would have said, stand in neither.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from darwin.core.agents import GATE, META_LEARNER, SKIP, TO_SKIP, TO_TAKE
from darwin.core.market import FloatArray, IntArray
from darwin.rl.graduation.evidence import Evidence
from darwin.rl.graduation.scorecard import weights
from darwin.stats.bootstrap import block_bootstrap, ratio
from darwin.stats.intervals import Interval

SEED = 20_240_101
"""Of what is drawn by chance, so that the same record gives the same figures."""


@dataclass(frozen=True, slots=True)
class Shadow:
    """Decisions of which both is known, in the order of bar time; arrays of shape (n,)."""

    bar_time: IntArray  # ms UTC
    known_ms: IntArray  # when it was known what became of it
    baseline: FloatArray  # R of the baseline alone
    obeyed: FloatArray  # R with the agent obeyed
    unknown: int  # decisions that stand in neither

    @property
    def difference(self) -> FloatArray:
        """What obeying adds, R, shape (n,)."""
        return self.obeyed - self.baseline

    def __len__(self) -> int:
        return len(self.bar_time)


def shadow_of(agent: str, evidence: Evidence, call_cost_r: float) -> Shadow:
    """Fold the evidence of an agent; asking the expert costs `call_cost_r`.

    An audited skip of a gate stands for all those that were not asked about, as in its scorecard.
    """
    asked = np.isfinite(evidence.take)
    known = evidence.settled & (asked | (agent not in (GATE, META_LEARNER)))
    told = evidence.select(known)
    r, take, weight = np.where(told.resolved, told.r, 0.0), told.take, np.ones(len(told))
    if agent == GATE:
        baseline = take * r - call_cost_r
        obeyed = np.where(told.action == SKIP, 0.0, baseline)
        weight = weights(told)
    elif agent == META_LEARNER:
        baseline = take * r
        obeyed = np.where(
            told.action == TO_SKIP, 0.0, np.where(told.action == TO_TAKE, r, baseline)
        )
    else:
        baseline, obeyed = r, told.action * r
    later = np.where(told.exit_time >= 0, told.exit_time, told.bar_time)
    unknown = len(evidence) - len(told)
    return Shadow(told.bar_time, later, weight * baseline, weight * obeyed, unknown)


def totals(values: FloatArray, block: IntArray) -> Interval:
    """The sum of `values`, shape (n,), with its interval by a bootstrap of whole blocks."""
    return block_bootstrap(values[:, None], block, _first, np.random.default_rng(SEED))


def means(values: FloatArray, block: IntArray) -> Interval:
    """The same of their mean."""
    rows = np.column_stack([values, np.ones_like(values)])
    return block_bootstrap(rows, block, ratio, np.random.default_rng(SEED))


def _first(sums: FloatArray) -> FloatArray:
    return sums[:, 0]

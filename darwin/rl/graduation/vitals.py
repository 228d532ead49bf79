"""What an agent's decisions came to, each figure with its interval."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from darwin.core.agents import GATE, META_LEARNER, PASS, SKIP
from darwin.core.market import DAY_MS, BoolArray, FloatArray
from darwin.rl.graduation.evidence import Evidence
from darwin.rl.graduation.scorecard import overrides, weights, winners
from darwin.stats.bootstrap import block_bootstrap, mean_by, moments, sharpe
from darwin.stats.intervals import Interval, wilson

SHARE, IN_R, RATIO = "share", "R", "ratio"
SETTLED = "settled_share"
FULL_SIZE = 1.0


class Figure(NamedTuple):
    """One of them; what cannot be said is NaN."""

    name: str
    value: float
    low: float  # of an interval at 95 %
    high: float
    cases: int  # it was made from
    unit: str

    @property
    def has_interval(self) -> bool:
        """Whether there are enough cases, or days, for one."""
        return self.low <= self.high


def vitals(
    agent: str, evidence: Evidence, per_year: float, rng: np.random.Generator
) -> tuple[Figure, ...]:
    """The figures of `agent`. Those of the scorecard are the same numbers as there.

    Shares have Wilson's interval; means and Sharpe ratios that of a bootstrap of whole UTC days.
    `per_year` are the decisions with an outcome in a year, by which Sharpe ratios are annualised.
    """
    settled = _share(SETTLED, evidence.settled)
    if agent == GATE:
        return settled, *_gate(evidence, rng)
    if agent == META_LEARNER:
        return settled, *_meta_learner(evidence, rng)
    return settled, *_portfolio(evidence, per_year, rng)


def _gate(evidence: Evidence, rng: np.random.Generator) -> tuple[Figure, ...]:
    skip, weight = evidence.action == SKIP, weights(evidence)
    asked, won = np.isfinite(evidence.take), winners(evidence)
    agrees = (evidence.action == PASS) == (evidence.take == 1.0)
    # what a skip that nobody was asked about has saved is not known
    known = evidence.settled & (asked | ~skip)
    saved = np.where(skip & (evidence.take == 1.0) & evidence.resolved, -evidence.r, 0.0)
    return (
        _share("agreement_with_baseline", ~skip),
        _share("agreement_with_expert", agrees[asked], weight[asked]),
        _share("saved_calls", skip),
        _share("miss_rate", skip[won], weight[won]),
        _mean("gain_over_baseline", evidence.select(known), saved[known], rng, weight[known]),
    )


def _meta_learner(evidence: Evidence, rng: np.random.Generator) -> tuple[Figure, ...]:
    told, known = overrides(evidence), evidence.settled
    right = told.right(evidence)[told.either & evidence.resolved]
    way = np.where(told.to_skip, -1.0, np.where(told.to_take, 1.0, 0.0))
    gain = np.where(evidence.resolved, way * evidence.r, 0.0)
    return (
        _share("agreement_with_expert", ~told.either),
        _share("override_rate", told.either),
        _share("override_accuracy", right),
        _mean("gain_over_baseline", evidence.select(known), gain[known], rng),
    )


def _portfolio(evidence: Evidence, per_year: float, rng: np.random.Generator) -> tuple[Figure, ...]:
    size, known = evidence.action, evidence.settled
    gain = np.where(evidence.resolved, (size - FULL_SIZE) * evidence.r, 0.0)
    return (
        _share("agreement_with_baseline", size == FULL_SIZE),
        _mean("mean_size", evidence, size, rng, unit=SHARE),
        *_sharpes(evidence.select(evidence.resolved), per_year, rng),
        _mean("gain_over_baseline", evidence.select(known), gain[known], rng),
    )


def _sharpes(evidence: Evidence, per_year: float, rng: np.random.Generator) -> tuple[Figure, ...]:
    """Of w·R, of R, and what the former is ahead; all three on the same kind of days."""
    rows = np.column_stack([moments(evidence.action * evidence.r), moments(evidence.r)])
    day = evidence.bar_time // DAY_MS

    def sized(sums: FloatArray) -> FloatArray:
        return sharpe(sums[:, :3], per_year)

    def equal(sums: FloatArray) -> FloatArray:
        return sharpe(sums[:, 3:], per_year)

    def ahead(sums: FloatArray) -> FloatArray:
        return sized(sums) - equal(sums)

    told = (("sharpe", sized), ("sharpe_equal_weight", equal), ("sharpe_difference", ahead))
    return tuple(
        Figure(name, *block_bootstrap(rows, day, of, rng), len(evidence), RATIO)
        for name, of in told
    )


def _share(name: str, which: BoolArray, weight: FloatArray | None = None) -> Figure:
    if not len(which):
        return Figure(name, *wilson(float("nan"), 0), 0, SHARE)
    w = np.ones(len(which)) if weight is None else weight
    cases = float(w.sum() ** 2 / (w * w).sum())
    return Figure(name, *wilson(float(np.average(which, weights=w)), cases), len(which), SHARE)


def _mean(
    name: str,
    evidence: Evidence,
    values: FloatArray,
    rng: np.random.Generator,
    weight: FloatArray | None = None,
    unit: str = IN_R,
) -> Figure:
    found: Interval = mean_by(values, evidence.bar_time // DAY_MS, rng, weight)
    return Figure(name, *found, len(values), unit)

"""An agent's measured record: what its advice was, and what would have come of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np

from darwin.core.agents import GATE, META_LEARNER, SKIP, TO_SKIP, TO_TAKE
from darwin.core.market import DAY_MS, BoolArray, FloatArray
from darwin.core.rebalance import BOOK_AGENTS
from darwin.rl.graduation.evidence import Evidence
from darwin.rl.graduation.latest import Latest
from darwin.safety.stages import AUDITED_ONE_IN
from darwin.stats.performance import YEAR_DAYS, max_drawdown, sharpe_ratio


class GateFigures(NamedTuple):
    """What the gate would save, and what it would miss."""

    saved_share: float  # of calls: skips among its decisions
    miss_rate: float  # skips among winners that the expert takes
    winners: int  # how many of these are known


class PortfolioFigures(NamedTuple):
    """What sizing would earn, beside the same trades at full size."""

    sharpe: float  # of w·R per decision, times the root of `per_year`
    sharpe_equal_weight: float  # of R, in the same way
    per_year: float  # decisions with an outcome in a year of market time
    trades: int  # those behind these figures
    drawdown_r: float  # the deepest fall of the sum of w·R in the order of exits, 0 or more
    drawdown: float  # of equity 0..1, each trade risking what the latest run risks; NaN: not known


class MetaLearnerFigures(NamedTuple):
    """How often it sets the expert aside, and how often that is right."""

    agreement: float  # decisions that leave the verdict as it is
    overrides: int
    overrides_known: int  # with an R
    override_accuracy: float  # to skip is right where R is 0 or less, to take where it is above


class BookFigures(NamedTuple):
    """What a book would have come to that always did as advised, all costs paid."""

    total_return: float
    sharpe: float  # of the return of each holding, times the root of `per_year`
    per_year: float  # holdings in a year of market time
    holdings: int  # those behind these figures
    drawdown: float  # the deepest fall of its value, 0..1


Figures: TypeAlias = GateFigures | PortfolioFigures | MetaLearnerFigures | BookFigures


@dataclass(frozen=True, slots=True)
class Scorecard:
    """The record of one model of an agent. A share of nothing is NaN."""

    agent: str
    decisions: int  # with sound advice, each candidate once
    fed: int  # of these, made in runs on paper; the others in replays and feeds
    resolved: int  # of these, with an R
    settled_share: float  # of these, of whose bracket it is known what became
    silent_share: float  # of all on record: no sound advice, so no evidence
    days: float  # of market time, from the first decision to the last
    figures: Figures
    latest: Latest


def score(agent: str, evidence: Evidence, latest: Latest) -> Scorecard:
    """Fold the evidence of a model of `agent`; `latest` is what its agent's latest run tells."""
    n = len(evidence)
    days = int(evidence.bar_time[-1] - evidence.bar_time[0]) / DAY_MS if n else 0.0
    return Scorecard(
        agent=agent,
        decisions=n,
        fed=int(evidence.fed.sum()),
        resolved=int(evidence.resolved.sum()),
        settled_share=_share(evidence.settled),
        silent_share=evidence.silent_share,
        days=days,
        figures=_figures(agent, evidence, days, latest.risk_per_trade),
        latest=latest,
    )


def _figures(agent: str, evidence: Evidence, days: float, risk: float | None) -> Figures:
    if agent == GATE:
        return _gate(evidence)
    if agent == META_LEARNER:
        return _meta_learner(evidence)
    if agent in BOOK_AGENTS:
        return _book(evidence, days)
    return _portfolio(evidence, days, risk)


def winners(evidence: Evidence) -> BoolArray:
    """Where the expert takes what then wins, shape (n,)."""
    which: BoolArray = evidence.resolved & (evidence.r > 0.0) & (evidence.take == 1.0)
    return which


def weights(evidence: Evidence) -> FloatArray:
    """How many decisions of a gate each stands for, shape (n,).

    At full capital the expert is asked about a skip only where it is audited: each of these stands
    for all that were not asked about.
    """
    audited = (evidence.action == SKIP) & evidence.audited
    return np.where(audited, float(AUDITED_ONE_IN), 1.0)


class Overrides(NamedTuple):
    """Where a meta-learner sets the expert aside; arrays of shape (n,)."""

    to_skip: BoolArray
    to_take: BoolArray

    def right(self, evidence: Evidence) -> BoolArray:
        """Whether each that has an R was right: to skip what did not win, to take what did."""
        return np.where(self.to_skip, evidence.r <= 0.0, evidence.r > 0.0)

    @property
    def either(self) -> BoolArray:
        """Of both kinds."""
        return self.to_skip | self.to_take


def overrides(evidence: Evidence) -> Overrides:
    """The overrides among the decisions of a meta-learner; to what the expert said is none."""
    return Overrides(
        (evidence.action == TO_SKIP) & (evidence.take == 1.0),
        (evidence.action == TO_TAKE) & (evidence.take == 0.0),
    )


def _gate(evidence: Evidence) -> GateFigures:
    skip, winner, weight = evidence.action == SKIP, winners(evidence), weights(evidence)
    return GateFigures(_share(skip), _share(skip[winner], weight[winner]), int(winner.sum()))


def _meta_learner(evidence: Evidence) -> MetaLearnerFigures:
    told = overrides(evidence)
    known = told.either & evidence.resolved
    return MetaLearnerFigures(
        _share(~told.either),
        int(told.either.sum()),
        int(known.sum()),
        _share(told.right(evidence)[known]),
    )


def _portfolio(evidence: Evidence, days: float, risk: float | None) -> PortfolioFigures:
    known = np.flatnonzero(evidence.resolved)
    known = known[np.argsort(evidence.exit_time[known], kind="stable")]
    r, earned = evidence.r[known], evidence.action[known] * evidence.r[known]
    per_year = len(known) / days * YEAR_DAYS if days > 0.0 else float("nan")
    total = np.cumsum(earned)
    peak = np.maximum(np.maximum.accumulate(total), 0.0) if len(total) else total
    return PortfolioFigures(
        sharpe=float(sharpe_ratio(earned, per_year)),
        sharpe_equal_weight=float(sharpe_ratio(r, per_year)),
        per_year=per_year,
        trades=len(known),
        drawdown_r=float(np.max(peak - total, initial=0.0)),
        drawdown=_drawdown(earned, risk),
    )


def _book(evidence: Evidence, days: float) -> BookFigures:
    r = evidence.r[evidence.resolved]
    per_year = len(r) / days * YEAR_DAYS if days > 0.0 else float("nan")
    if not len(r):
        return BookFigures(float("nan"), float("nan"), per_year, 0, float("nan"))
    value: FloatArray = np.multiply.accumulate(np.maximum(1.0 + r, 0.0))
    return BookFigures(
        total_return=float(value[-1]) - 1.0,
        sharpe=float(sharpe_ratio(r, per_year)),
        per_year=per_year,
        holdings=len(r),
        drawdown=-max_drawdown(value, 1.0).depth,
    )


def _drawdown(earned: FloatArray, risk: float | None) -> float:
    """The deepest fall of an account that risks `risk` of its equity for each R; ruin is 1."""
    if risk is None or not len(earned):
        return float("nan")
    equity: FloatArray = np.multiply.accumulate(np.maximum(1.0 + risk * earned, 0.0))
    return -max_drawdown(equity, 1.0).depth


def _share(which: BoolArray, weight: FloatArray | None = None) -> float:
    if not len(which):
        return float("nan")
    return float(np.average(which, weights=weight))

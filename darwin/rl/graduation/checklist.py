"""The necessary conditions of graduation, agent by agent: what is measured, its bound, what lacks.

They are necessary and never enough: looked at every day they are passed by agents without any
skill. What would be enough, evidence that holds however often one looks, is the condition
`evidence`, and what is missing is never a pass.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

from darwin.core.agents import GATE, META_LEARNER, PORTFOLIO
from darwin.rl.graduation.scorecard import (
    GateFigures,
    MetaLearnerFigures,
    PortfolioFigures,
    Scorecard,
)
from darwin.safety.circuit import Phase

LEAST_DECISIONS = {GATE: 100, PORTFOLIO: 50, META_LEARNER: 200}
LEAST_DAYS = {GATE: 7, PORTFOLIO: 7, META_LEARNER: 14}
LEAST_SETTLED = 0.95
SAVED, AGREEMENT = (0.20, 0.40), (0.80, 0.95)
FEWEST = 20
"""A share of fewer cases than that is not judged."""

_D = "decisions"


class State(StrEnum):
    """What may be said of a condition."""

    PASSED = "passed"
    REFUTED = "refuted"
    INCONCLUSIVE = "inconclusive"  # too little is known yet
    MISSING = "missing"  # nothing is


class Condition(NamedTuple):
    """One of them, judged."""

    name: str
    state: State
    value: float | None  # None: there is none
    bound: str  # in words
    lacks: str = ""  # what is missing, or speaks against it; empty: nothing


class Validation(NamedTuple):
    """What came of validating the model that serves."""

    state: State
    said: str = ""


def conditions(card: Scorecard, validation: Validation) -> tuple[Condition, ...]:
    """Judge all of them, in the order in which they should be looked at."""
    enough = card.decisions >= LEAST_DECISIONS[card.agent] and card.days >= LEAST_DAYS[card.agent]
    return (
        _at_least("decisions", card, card.decisions, LEAST_DECISIONS[card.agent]),
        _at_least("days of market time", card, card.days, LEAST_DAYS[card.agent]),
        _settled(card),
        *_of_figures(card, enough=enough),
        _breaker(card),
        Condition("model validated", validation.state, None, "as if deployed now", validation.said),
        _EVIDENCE,
    )


def overall(judged: Iterable[Condition]) -> State:
    """What all of them come to: refuted by one, passed by all alone; of none nothing is known."""
    states = {one.state for one in judged}
    if not states:
        return State.MISSING
    if State.REFUTED in states:
        return State.REFUTED
    return State.PASSED if states == {State.PASSED} else State.INCONCLUSIVE


def all_pass(judged: Sequence[Condition]) -> bool:
    """Whether nothing is lacking, `evidence` being among what was judged."""
    return overall(judged) is State.PASSED and any(one.name == _EVIDENCE.name for one in judged)


_EVIDENCE = Condition(
    "evidence",
    State.MISSING,
    None,
    "holds however often one looks",
    "this version reckons none, and thresholds alone promote agents without skill:"
    " so only a named person can",
)


def _at_least(name: str, card: Scorecard, value: float, least: int) -> Condition:
    bound = f"{least} or more"
    if value >= least:
        return Condition(name, State.PASSED, value, bound)
    if not card.decisions:
        return Condition(name, State.MISSING, value, bound, "no decision of this model is recorded")
    lacks = f"{least - value:.3g} more"
    if name == "decisions" and card.days > 0.0:
        days = math.ceil((least - value) / (card.decisions / card.days))
        lacks += f", about {days} days at its rate so far"
    return Condition(name, State.INCONCLUSIVE, value, bound, lacks)


def _settled(card: Scorecard) -> Condition:
    """Open brackets end in time, so too few settled ones refute nothing."""
    name, bound = "outcomes settled", f"{LEAST_SETTLED:.0%} or more"
    if not card.decisions:
        return Condition(name, State.MISSING, None, bound, "no decision of this model is recorded")
    if card.settled_share >= LEAST_SETTLED:
        return Condition(name, State.PASSED, card.settled_share, bound)
    lacks = "brackets that are still open, or that their runs left open"
    return Condition(name, State.INCONCLUSIVE, card.settled_share, bound, lacks)


def _breaker(card: Scorecard) -> Condition:
    name, bound, phase = "breaker", "closed", card.latest.breaker
    if card.latest.run_id is None:
        return Condition(name, State.MISSING, None, bound, "no run has asked this agent")
    if phase is Phase.CLOSED:
        return Condition(name, State.PASSED, None, bound)
    state = State.REFUTED if phase is Phase.OPEN else State.INCONCLUSIVE
    return Condition(name, state, None, bound, f"it is {phase} in run '{card.latest.run_id}'")


def _of_figures(card: Scorecard, *, enough: bool) -> tuple[Condition, ...]:
    match card.figures:
        case GateFigures() as gate:
            return _of_gate(gate, card.decisions, enough)
        case PortfolioFigures() as portfolio:
            return _of_portfolio(portfolio, enough)
        case MetaLearnerFigures() as meta_learner:
            return _of_meta_learner(meta_learner, card.decisions, enough)


def _of_gate(told: GateFigures, decisions: int, enough: bool) -> tuple[Condition, ...]:
    saved, missed = told.saved_share, told.miss_rate
    winners = (told.winners, "winners that the expert takes")
    return (
        _judged("saved calls", saved, _within(saved, SAVED), _band(SAVED), (decisions, _D), enough),
        _judged("miss rate", missed, missed < 0.10, "below 10%", winners, enough),
    )


def _of_meta_learner(
    told: MetaLearnerFigures, decisions: int, enough: bool
) -> tuple[Condition, ...]:
    agreement, right = told.agreement, told.override_accuracy
    agrees, cases = _within(agreement, AGREEMENT), (decisions, _D)
    overrides = (told.overrides_known, "overrides with an outcome")
    return (
        _judged("agreement", agreement, agrees, _band(AGREEMENT), cases, enough),
        _judged("override accuracy", right, right > 0.60, "above 60%", overrides, enough),
    )


def _of_portfolio(told: PortfolioFigures, enough: bool) -> tuple[Condition, ...]:
    cases = (told.trades, "trades with an outcome")
    sharpe, fall = told.sharpe, told.drawdown
    drawdown = _judged("shadow drawdown", fall, fall <= 0.20, "20% or less", cases, enough)
    if math.isnan(fall) and told.trades:
        lacks = f"it fell by {told.drawdown_r:.2f} R, of which sizing 'risk' alone makes a share"
        drawdown = drawdown._replace(lacks=lacks)
    return (_judged("Sharpe ratio", sharpe, sharpe > 1.5, "above 1.5", cases, enough), drawdown)


def _within(value: float, band: tuple[float, float]) -> bool:
    return band[0] <= value <= band[1]


def _band(band: tuple[float, float]) -> str:
    return f"{band[0]:.0%} to {band[1]:.0%}"


def _judged(
    name: str, value: float, holds: bool, bound: str, cases: tuple[int, str], enough: bool
) -> Condition:
    """Judge a figure once there is enough of what it was made from; a NaN never holds."""
    count, what = cases
    if math.isnan(value):
        lacks = f"{count} {what} say nothing of it" if count else f"no {what} yet"
        return Condition(name, State.MISSING, None, bound, lacks)
    if count < FEWEST:
        lacks = f"{count} {what}, of fewer than {FEWEST} nothing is said"
        return Condition(name, State.INCONCLUSIVE, value, bound, lacks)
    if not enough:
        return Condition(name, State.INCONCLUSIVE, value, bound, "too few decisions or days yet")
    if holds:
        return Condition(name, State.PASSED, value, bound)
    return Condition(name, State.REFUTED, value, bound, "outside its bound")

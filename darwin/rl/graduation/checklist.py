"""The conditions of graduation, agent by agent: what is measured, its bound, what lacks.

Figures are necessary and never enough: looked at every day they are passed by agents without any
skill. What is enough beside them is evidence that holds however often one looks (`proof.py`). What
is missing is never a pass.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

from darwin.core.agents import GATE, META_LEARNER, PORTFOLIO
from darwin.core.rebalance import ALLOCATOR, MARKET
from darwin.rl.graduation.scorecard import (
    BookFigures,
    GateFigures,
    MetaLearnerFigures,
    PortfolioFigures,
    Scorecard,
)
from darwin.safety.circuit import Phase
from darwin.stats.intervals import wilson

LEAST_DECISIONS = {GATE: 100, PORTFOLIO: 50, META_LEARNER: 200, ALLOCATOR: 100, MARKET: 100}
LEAST_DAYS = {GATE: 7, PORTFOLIO: 7, META_LEARNER: 14, ALLOCATOR: 60, MARKET: 60}
LEAST_SETTLED = 0.95
SAVED, AGREEMENT = (0.20, 0.40), (0.80, 0.95)
MISSED, ACCURATE = 0.10, 0.60
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
    rule: str = ""  # of several ways to graduate that which wants it; empty: all do
    reported: bool = False  # it stands in the way only where it is refuted


class Validation(NamedTuple):
    """What came of validating the model that serves."""

    state: State
    said: str = ""


VALUE, COST = "value", "cost"
"""Ways for a gate to graduate: by what its skips are worth, or by missing hardly any winner."""


def conditions(
    card: Scorecard, validation: Validation, proof: Sequence[Condition]
) -> tuple[Condition, ...]:
    """Judge all of them, in the order in which they should be looked at.

    `proof` are those of the evidence (`proof.py`).
    """
    enough = card.decisions >= LEAST_DECISIONS[card.agent] and card.days >= LEAST_DAYS[card.agent]
    return (
        _at_least("decisions", card, card.decisions, LEAST_DECISIONS[card.agent]),
        _at_least("days of market time", card, card.days, LEAST_DAYS[card.agent]),
        _settled(card),
        *_of_figures(card, enough=enough),
        _breaker(card),
        Condition("model validated", validation.state, None, "as if deployed now", validation.said),
        *proof,
    )


_BETTER = (State.REFUTED, State.MISSING, State.INCONCLUSIVE, State.PASSED)


def overall(judged: Iterable[Condition]) -> State:
    """What all of them come to; of none nothing is known.

    Refuted by one, passed by all that are more than reported. Where there are several ways to
    graduate, the best of them counts.
    """
    every = list(judged)
    if not every:
        return State.MISSING
    ways = by_rule(every).values() or (_together(every),)
    return max(ways, key=_BETTER.index)


def by_rule(judged: Iterable[Condition]) -> dict[str, State]:
    """What each way to graduate comes to, of those that are its own and those that all want.

    Empty where there is one way alone.
    """
    every = list(judged)
    rules = dict.fromkeys(one.rule for one in every if one.rule)
    return {rule: _together(one for one in every if one.rule in ("", rule)) for rule in rules}


def _together(judged: Iterable[Condition]) -> State:
    every = list(judged)
    if any(one.state is State.REFUTED for one in every):
        return State.REFUTED
    wanted = {one.state for one in every if not one.reported}
    return State.PASSED if wanted == {State.PASSED} else State.INCONCLUSIVE


def all_pass(judged: Sequence[Condition]) -> bool:
    """Whether nothing is lacking, evidence being among what was judged."""
    proven = any(one.name.startswith(EVIDENCE) for one in judged)
    return overall(judged) is State.PASSED and proven


def lacking(judged: Sequence[Condition]) -> tuple[Condition, ...]:
    """Those that stand in the way: where there are several ways, of the one that lacks least."""
    every = [one for one in judged if _stands_in_the_way(one)]
    rules = dict.fromkeys(one.rule for one in judged if one.rule)
    if not rules:
        return tuple(every)

    def away(rule: str) -> tuple[int, int]:
        mine = [one for one in every if one.rule == rule]
        return sum(one.state is State.REFUTED for one in mine), len(mine)

    nearest = min(rules, key=away)
    return tuple(one for one in every if one.rule in ("", nearest))


def _stands_in_the_way(one: Condition) -> bool:
    if one.reported:
        return one.state is State.REFUTED
    return one.state is not State.PASSED


EVIDENCE = "evidence"
"""What the names of conditions begin with that no looking can fool."""


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
        case BookFigures() as book:
            return _of_book(book, enough)


def _of_gate(told: GateFigures, decisions: int, enough: bool) -> tuple[Condition, ...]:
    saved, missed = told.saved_share, told.miss_rate
    winners = (told.winners, "winners that the expert takes")
    band = _share("saved calls", saved, SAVED, _band(SAVED), (decisions, _D), enough)
    least = (SAVED[0], 1.0)
    above = _share("saved calls", saved, least, f"{SAVED[0]:.0%} or more", (decisions, _D), enough)
    misses = _share("miss rate", missed, (0.0, MISSED), f"below {MISSED:.0%}", winners, enough)
    return (
        band._replace(rule=VALUE),
        above._replace(rule=COST, name="saved calls at least"),
        misses._replace(rule=COST, reported=True),
    )


def _of_meta_learner(
    told: MetaLearnerFigures, decisions: int, enough: bool
) -> tuple[Condition, ...]:
    agreement, right = told.agreement, told.override_accuracy
    cases, overrides = (decisions, _D), (told.overrides_known, "overrides with an outcome")
    accuracy = _share(
        "override accuracy", right, (ACCURATE, 1.0), f"above {ACCURATE:.0%}", overrides, enough
    )
    return (
        _share("agreement", agreement, AGREEMENT, _band(AGREEMENT), cases, enough),
        accuracy._replace(reported=True),
    )


def _of_portfolio(told: PortfolioFigures, enough: bool) -> tuple[Condition, ...]:
    cases = (told.trades, "trades with an outcome")
    fall = told.drawdown
    deep = (fall, fall)
    drawdown = _judged("shadow drawdown", fall, deep, (0.0, 0.20), "20% or less", cases, enough)
    if math.isnan(fall) and told.trades:
        lacks = f"it fell by {told.drawdown_r:.2f} R, of which sizing 'risk' alone makes a share"
        drawdown = drawdown._replace(lacks=lacks)
    sharpe = _judged(
        "Sharpe ratio", told.sharpe, _around_sharpe(told), (1.5, math.inf), "above 1.5", cases,
        enough,
    )  # fmt: skip
    return (drawdown, sharpe._replace(reported=True), _over_equal_weight(told, enough))


def _of_book(told: BookFigures, enough: bool) -> tuple[Condition, ...]:
    """What has been lost is lost: a fall of the past is no estimate, and has no interval."""
    cases = (told.holdings, "holdings that are over")
    fall = (told.drawdown, told.drawdown)
    around = _around(told.sharpe, told.per_year, told.holdings)
    sharpe = _judged(
        "Sharpe ratio", told.sharpe, around, (1.5, math.inf), "above 1.5", cases, enough
    )
    return (
        _judged("shadow drawdown", told.drawdown, fall, (0.0, 0.20), "20% or less", cases, enough),
        sharpe._replace(reported=True),
    )


def _around_sharpe(told: PortfolioFigures) -> tuple[float, float]:
    return _around(told.sharpe, told.per_year, told.trades)


def _around(sharpe: float, per_year: float, count: int) -> tuple[float, float]:
    """95 % interval of an annualised Sharpe ratio (Lo 2002), outcomes taken as independent."""
    if not count or not per_year > 0.0 or math.isnan(sharpe):
        return math.nan, math.nan
    each = sharpe / math.sqrt(per_year)
    error = math.sqrt((1.0 + 0.5 * each * each) / count * per_year)
    return sharpe - 1.96 * error, sharpe + 1.96 * error


def _over_equal_weight(told: PortfolioFigures, enough: bool) -> Condition:
    """How much better than full size for every order; told, and tested as utility."""
    name, bound = "Sharpe over full size", "+10% or more"
    plain = told.sharpe_equal_weight
    if math.isnan(told.sharpe) or math.isnan(plain):
        return Condition(name, State.MISSING, None, bound, "no trades say it", reported=True)
    more = told.sharpe / plain - 1.0 if plain > 0.0 else math.nan
    if math.isnan(more):
        lacks = f"full size has a Sharpe ratio of {plain:.2f}, of which no share is to be had"
        return Condition(name, State.INCONCLUSIVE, None, bound, lacks, reported=True)
    lacks = "" if enough else "too few decisions or days yet"
    if not lacks and not more >= 0.10:
        lacks = "not yet"
    state = State.INCONCLUSIVE if lacks else State.PASSED
    return Condition(name, state, more, bound, lacks, reported=True)


def _band(band: tuple[float, float]) -> str:
    return f"{band[0]:.0%} to {band[1]:.0%}"


def _share(
    name: str, value: float, band: tuple[float, float], bound: str, cases: tuple[int, str],
    enough: bool,
) -> Condition:  # fmt: skip
    """Judge a share of so many cases; refuted is what its interval at 95 % excludes."""
    known = cases[0] > 0 and 0.0 <= value <= 1.0
    _, low, high = wilson(value, cases[0]) if known else (value, math.nan, math.nan)
    return _judged(name, value, (low, high), band, bound, cases, enough)


def _judged(
    name: str, value: float, interval: tuple[float, float], band: tuple[float, float], bound: str,
    cases: tuple[int, str], enough: bool,
) -> Condition:  # fmt: skip
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
    (low, high), (least, most) = interval, band
    within = least <= value < most if bound.startswith("below") else least <= value <= most
    if within and not (bound.startswith("above") and value == least):
        return Condition(name, State.PASSED, value, bound)
    if high < least or low > most:
        return Condition(name, State.REFUTED, value, bound, "outside its bound, and not by chance")
    return Condition(name, State.INCONCLUSIVE, value, bound, "outside its bound, maybe by chance")

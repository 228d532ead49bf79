"""What stands beside the evidence: bounds on figures, the AUC they take, what acting is worth."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from darwin.core.agents import GATE, META_LEARNER, PORTFOLIO
from darwin.core.market import FloatArray
from darwin.rl.graduation.checklist import ACCURATE, AGREEMENT, COST, MISSED, SAVED
from darwin.rl.graduation.forecast import acting_on, sized_by_rank
from darwin.rl.graduation.habits import Habits
from darwin.stats.binormal import auc_for_misses, least_auc
from darwin.stats.intervals import wilson
from darwin.stats.performance import YEAR_DAYS

LEAST_SHARPE = 1.5


@dataclass(frozen=True, slots=True)
class Bound:
    """A bound that hangs on skill."""

    name: str
    bound: str  # in words
    auc: float  # the least that meets it on average; NaN: none does
    binds: bool  # nothing graduates without it; else it stands in the way where it is refuted
    hint: str = ""  # what would ask for less

    @property
    def says(self) -> str:
        """What it takes, in words."""
        if math.isnan(self.auc):
            return f"{self.name} {self.bound} is met by no skill{self.hint}"
        return f"{self.name} {self.bound} takes an AUC of {self.auc:.2f} or more{self.hint}"


def bounds_of(habits: Habits, rule: str) -> tuple[Bound, ...]:
    """The bounds of a rule that hang on skill."""
    if habits.agent == PORTFOLIO:
        auc = least_auc(lambda one: sharpe_of(habits, one) >= LEAST_SHARPE, 1e-3)
        return (Bound("Sharpe ratio", f"above {LEAST_SHARPE}", auc, binds=False),)
    if habits.agent == META_LEARNER:
        auc = least_auc(lambda one: accuracy_of(habits, one) >= ACCURATE)
        return (Bound("override accuracy", f"above {ACCURATE:.0%}", auc, binds=False),)
    if rule != COST:
        return ()
    (side,) = habits.sides
    auc = auc_for_misses(side.acts, MISSED, 1.0 - side.wins)
    least = auc_for_misses(SAVED[0], MISSED, 1.0 - side.wins)
    hint = f"; skipping {SAVED[0]:.0%}, the least, {least:.2f}" if least < auc else ""
    return (Bound("miss rate", f"below {MISSED:.0%}", auc, binds=True, hint=hint),)


def outside(habits: Habits, rule: str, *, chosen: bool) -> tuple[str, bool]:
    """What lies outside a bound that hangs on habits alone, in words, and whether by no chance.

    `chosen` says that the share acted on is meant, not measured. Empty: nothing does.
    """
    if habits.agent == PORTFOLIO:
        if habits.terms.risk_per_trade is None:
            return (
                "its sizes are not made from risk (portfolio.sizing), so that nobody knows its "
                "shadow drawdown, which has to be 20% or less"
            ), True
        if not np.ptp(habits.sizes) > 0.0:
            return "it gives one size to all, which ranks nothing", True
        return "", False
    if habits.agent == GATE:
        name, share, band = (
            "saved calls",
            habits.acts,
            (SAVED[0], 1.0 if rule == COST else SAVED[1]),
        )
    else:
        name, share, band = "agreement", 1.0 - habits.acts, AGREEMENT
    low, high = band
    if low <= share <= high:
        return "", False
    _, least, most = wilson(share, habits.decisions)
    says = f"{name} {share:.1%}, and the bound is {low:.0%} to {high:.0%}"
    return says, chosen or most < low or least > high


def pays_from(habits: Habits) -> float:
    """The AUC from which on acting brings more than it costs; NaN: from none.

    For sizes: from which on their Sharpe ratio is above that of full size.
    """
    if habits.agent == PORTFOLIO:
        return least_auc(lambda one: _beats_full_size(habits, one), 1e-3)
    return least_auc(lambda one: worth_of(habits, one) > 0.0)


def worth_of(habits: Habits, auc: float) -> float:
    """What acting brings beyond the baseline, R per decision.

    For sizes: beyond the same capital spread evenly.
    """
    if habits.agent == PORTFOLIO:
        w, r = sized_by_rank(habits, auc)
        return float((w * r).mean() - w.mean() * r.mean())
    found = 0.0
    for side in habits.sides:
        on_winners, on_losers = acting_on(side, auc)
        won = side.wins * on_winners * side.winners.paid
        lost = (1.0 - side.wins) * on_losers * side.losers.paid
        found += side.toward * (won + lost) * side.per_day / habits.per_day
    if habits.agent == GATE:
        found += habits.call_cost_r * habits.acts
    return found


def accuracy_of(habits: Habits, auc: float) -> float:
    """The share of overrides that are right; NaN where there are none."""
    right = every = 0.0
    for side in habits.sides:
        on_winners, on_losers = acting_on(side, auc)
        won, lost = side.wins * on_winners, (1.0 - side.wins) * on_losers
        right += side.per_day * (lost if side.toward < 0 else won)
        every += side.per_day * (won + lost)
    return right / every if every else math.nan


def sharpe_of(habits: Habits, auc: float) -> float:
    """The annualised Sharpe ratio of w·R per trade."""
    w, r = sized_by_rank(habits, auc)
    return _ratio(w * r) * math.sqrt(len(habits.r) / habits.days * YEAR_DAYS)


def _beats_full_size(habits: Habits, auc: float) -> bool:
    w, r = sized_by_rank(habits, auc)
    return _ratio(w * r) > _ratio(r)


def _ratio(x: FloatArray) -> float:
    spread = float(x.std())
    return float(x.mean()) / spread if spread > 0.0 else math.nan

"""What a walk over held-out bars came to, beside books that need no learning."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from darwin.core.market import FloatArray, IntArray
from darwin.core.rebalance import MARKET
from darwin.rl.training.book_ground import Ground, Stretch
from darwin.stats.deflated import DailySharpe, daily_sharpe
from darwin.stats.intervals import Interval
from darwin.stats.paired import DAYS_THAT_HANG_TOGETHER, daily_lead
from darwin.stats.performance import Days, max_drawdown, sharpe_ratio, simple_returns, utc_days
from darwin.trading.book import Walk, walk

REPORTED, DECISIVE = 0.95, 0.99
"""Levels of intervals: of each figure, and of the lead that a verdict goes by."""
BUY_AND_HOLD = "buy and hold"
BASELINES = {True: "equal weight", False: "flat"}
"""What stands without the agent, of pages with weights and with codes."""
_SEED = 20_260_601  # of the bootstrap: a report comes out the same each time


class Figures(NamedTuple):
    """How one book did over the held-out bars, all costs paid; NaN where it cannot be said."""

    name: str
    total_return: float
    sharpe: float  # of daily returns, annualised
    max_drawdown: float  # zero or below
    turnover: float  # per decision
    costs: float  # all of them, over the value at each trade


@dataclass(frozen=True)
class Judged:
    """The agent, what stands without it, and by how much it led."""

    figures: tuple[Figures, ...]  # of the agent, of its baseline, of others
    lead: Interval  # of daily returns over the baseline, 95 %
    decisive: Interval  # the same, 99 %
    days: int
    asked: float  # share of decisions at which the door would have asked the agent
    closed: IntArray  # closes of the bars, ms UTC, (t,)
    walks: tuple[Walk, ...]  # of the figures, over those bars
    rows: IntArray  # of the decisions among those bars


def judged(ground: Ground, stretch: Stretch, rows: IntArray, targets: FloatArray) -> Judged:
    """Follow `targets` (k, n), decided at `rows` (k,), and the baseline over the same bars.

    Every book begins in cash and pays for its way in.
    """
    page = ground.page
    at = rows - stretch.start
    more = [(BUY_AND_HOLD, at[:1], np.ones((1, 1)))] if page.name == MARKET else []
    followed = _followed(ground, stretch, rows, targets, more)
    ours, theirs = followed.daily[:2]
    lead, decisive = (
        daily_lead(ours, theirs, np.random.default_rng(_SEED), level)
        for level in (REPORTED, DECISIVE)
    )
    figures = tuple(
        _figures(name, one, curve, followed.days.per_year)
        for name, one, curve in zip(followed.names, followed.walks, followed.daily, strict=True)
    )
    return Judged(
        figures, lead, decisive, len(followed.days.day), float(ground.asked[rows].mean()),
        followed.closed, followed.walks, at,
    )  # fmt: skip


def lead_sharpe(
    ground: Ground, stretch: Stretch, rows: IntArray, targets: FloatArray
) -> DailySharpe:
    """The Sharpe ratio of the daily lead over the baseline, of the same books.

    Days of a week may hang together, as `daily_lead` has it: fewer of them count then.
    """
    followed = _followed(ground, stretch, rows, targets, [])
    ours, theirs = (simple_returns(one[1:], 1.0) for one in followed.daily)
    return daily_sharpe(ours - theirs, DAYS_THAT_HANG_TOGETHER - 1)


class _Followed(NamedTuple):
    """Books over the bars of a stretch: of the agent, of its baseline, of others."""

    names: tuple[str, ...]
    walks: tuple[Walk, ...]
    closed: IntArray
    days: Days
    daily: list[FloatArray]  # value at the beginning and at the end of each day, of each book


def _followed(
    ground: Ground,
    stretch: Stretch,
    rows: IntArray,
    targets: FloatArray,
    more: list[tuple[str, IntArray, FloatArray]],
) -> _Followed:
    page, terms = ground.page, ground.terms
    panel = ground.panel.slice(stretch.start, stretch.stop + terms.every)
    at = rows - stretch.start
    base = np.broadcast_to(ground.baseline, targets.shape)
    named = [(page.name, at, targets), (BASELINES[page.is_continuous], at, base), *more]
    walks = tuple(walk(panel, when, what, terms.cost_rate) for _, when, what in named)
    closed = panel.time + panel.timeframe.ms
    days = utc_days(closed, "continuous")
    daily = [np.append(1.0, one.value[days.last]) for one in walks]
    return _Followed(tuple(name for name, _, _ in named), walks, closed, days, daily)


def is_led(found: Judged) -> bool:
    """Whether the 99 % interval of the lead lies above zero; NaN is no lead."""
    return bool(found.decisive.low > 0.0)


def verdict(found: Judged) -> str:
    """What a careful reader takes away."""
    base, sure, lead = found.figures[1].name, found.decisive, found.lead
    if math.isnan(sure.low):
        return f"Nothing learnable found: {found.days} held-out days are too few for an interval."
    told = (
        f"{_bps(lead.value)} a day beyond {base}, 99 % interval {_bps(sure.low)} to"
        f" {_bps(sure.high)} (95 %: {_bps(lead.low)} to {_bps(lead.high)}), {found.days} days"
    )
    return f"Learned: {told}." if is_led(found) else f"Nothing learnable found: {told}."


def _bps(value: float) -> str:
    return f"{1e4 * value:+.2f} bps"


def _figures(name: str, one: Walk, daily: FloatArray, per_year: float) -> Figures:
    returns = simple_returns(daily[1:], 1.0)
    return Figures(
        name,
        float(one.value[-1]) - 1.0,
        float(sharpe_ratio(returns, per_year)),
        max_drawdown(one.value, 1.0).depth,
        float(one.turnover.mean()),
        float(one.cost.sum()),
    )

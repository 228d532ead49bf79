"""Whether an agent can graduate in good time, reckoned before it starts.

From its habits follow the smallest skill that would show with a chance of 80 %, how long that
takes, and which rule cannot be met at all. Skill is told as AUC: the chance that the agent ranks a
winner above a loser.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from darwin.core.agents import GATE, META_LEARNER, PORTFOLIO
from darwin.core.market import IntArray
from darwin.errors import ConfigError
from darwin.rl.graduation.checklist import COST, VALUE
from darwin.rl.graduation.contract import ALPHA, level_of, next_number
from darwin.rl.graduation.forecast import draw, least_blocks, promotions
from darwin.rl.graduation.habits import Habits
from darwin.rl.graduation.observed import read_habits
from darwin.rl.graduation.plan_bounds import Bound, bounds_of, outside, pays_from, worth_of
from darwin.rl.graduation.trial import COST_SHARE, MAIN_SHARE
from darwin.stats.binormal import COIN
from darwin.store.db import Database
from darwin.store.queries import ON_PAPER

POWER = 0.80
"""Chance with which a skill is to show within the horizon."""
MOST_AUC = 0.70
"""Who plans on ranking single trades better than that plans on luck; `auc` does it all the same."""
HIGHEST_AUC = 0.95
"""No skill beyond it is tried."""
STREAMS = 500
"""Agents that are drawn for each AUC."""
_DRAWN = 200_000
"""Blocks of all streams together, at most: over long horizons fewer are drawn."""
_FEWEST_STREAMS = 200
_FINE = 0.005


class Feasible(StrEnum):
    """What a plan says of a rule; the best comes first."""

    FEASIBLE = "feasible"
    INCONCLUSIVE = "inconclusive within the horizon"
    IMPOSSIBLE = "cannot be met"


@dataclass(frozen=True, slots=True)
class Rule:
    """One way to graduate, and what is to be expected of it."""

    name: str  # value or cost; an agent with one rule goes by value
    state: Feasible
    why: tuple[str, ...]  # what stands against it; empty: nothing
    bounds: tuple[Bound, ...]
    level: float  # of its own test: chance of crossing without skill, ever
    smallest_auc: float  # that shows with a chance of 80 %; NaN: none up to 0.95
    auc: float  # that the figures below are for
    worth_r: float  # R per decision that acting brings at that AUC
    promoted: float  # chance of a promotion within the horizon
    median_days: float  # market days until half are promoted; NaN: fewer than half are
    median_decisions: float

    @property
    def inconclusive(self) -> float:
        """Chance that the horizon ends without a promotion."""
        return 1.0 - self.promoted


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be expected of the next version of an agent."""

    habits: Habits
    assumed: tuple[str, ...]  # what was not measured, in words
    number: int  # v: which version of its budget period it would be
    days: float  # the horizon, market time
    most_auc: float  # skill that is planned on
    pays_from: float  # AUC from which on acting brings more than it costs; NaN: from none
    streams: int
    rules: tuple[Rule, ...]

    @property
    def alpha_v(self) -> float:
        """Chance that the version is ever promoted without skill."""
        return level_of(ALPHA, self.number)

    @property
    def blocks(self) -> int:
        """Whole blocks within the horizon."""
        return blocks_of(self.habits, self.days)

    @property
    def state(self) -> Feasible:
        """What the best of its rules comes to."""
        states = {rule.state for rule in self.rules}
        return next(one for one in Feasible if one in states)


def plan(
    database: Database,
    agent: str,
    *,
    run_id: str | None = None,
    auc: float | None = None,
    rate: float | None = None,
    number: int | None = None,
    days: float = 365.0,
) -> Plan:
    """Plan the next version of an agent on the record of a run.

    `auc`, `rate` (share that is skipped or overridden) and `number` ask what if. Raises
    ConfigError for a run that is none and for a share where sizes are meant, DataError where too
    little is on record.
    """
    if rate is not None and agent == PORTFOLIO:
        raise ConfigError(
            "portfolio gives sizes: it neither skips nor overrides",
            where="--skip-rate",
            mend="leave it out; it is for gate and meta_learner",
        )
    habits = read_habits(database, agent, run_id)
    if number is None:
        with database.read() as connection:
            number = next_number(
                connection, agent, deployed=habits.mode == ON_PAPER, since_ms=habits.newest
            )
    return plan_on(habits, number=number, days=days, auc=auc, rate=rate)


def plan_on(
    habits: Habits,
    *,
    number: int = 1,
    days: float = 365.0,
    auc: float | None = None,
    rate: float | None = None,
    streams: int = STREAMS,
) -> Plan:
    """Plan on habits, with a share acted on in place of theirs where `rate` says so."""
    assumed = _assumed(habits, auc, rate)
    if rate is not None:
        habits = habits.acting_on(rate)
    forecasts = Forecasts(habits, level_of(ALPHA, number), blocks_of(habits, days), streams)
    return Plan(
        habits=habits,
        assumed=assumed,
        number=number,
        days=days,
        most_auc=MOST_AUC if auc is None else auc,
        pays_from=pays_from(habits),
        streams=forecasts.streams,
        rules=tuple(
            _rule(forecasts, name, days, auc, chosen=rate is not None) for name in forecasts.rules
        ),
    )


def blocks_of(habits: Habits, days: float) -> int:
    """Whole blocks within so many days."""
    return int(days / habits.block_days + 1e-9)


def _assumed(habits: Habits, auc: float | None, rate: float | None) -> tuple[str, ...]:
    found = [] if auc is None else [f"an AUC of {auc:g}, as asked for"]
    if rate is not None:
        return (*found, f"it acts on {rate:.1%} of its decisions, as asked for")
    if habits.advises:
        return tuple(found)
    what = {
        GATE: f"it skips {habits.acts:.0%}",
        META_LEARNER: f"it overrides {habits.acts:.0%}",
        PORTFOLIO: "it gives every size between 0 and 1 as often",
    }[habits.agent]
    return (*found, f"{what}, for run '{habits.run_id}' holds no advice of it")


class Forecasts:
    """Promotions by AUC and rule; each AUC is drawn once, and from the same chance."""

    def __init__(self, habits: Habits, alpha_v: float, blocks: int, streams: int = STREAMS) -> None:
        """Draw nothing yet."""
        self.habits, self.alpha_v, self.blocks = habits, alpha_v, blocks
        self.rules = (VALUE, COST) if habits.agent == GATE else (VALUE,)
        self.streams = min(streams, max(_DRAWN // max(blocks, 1), _FEWEST_STREAMS))
        self._known: dict[float, dict[str, IntArray]] = {}

    def at(self, auc: float, rule: str) -> IntArray:
        """The block at whose end each stream is promoted, from 0, (streams,); -1: never."""
        if auc not in self._known:
            drawn = draw(self.habits, auc, self.streams, self.blocks)
            self._known[auc] = promotions(self.habits, drawn, self.alpha_v, self.rules)
        return self._known[auc][rule]

    def chance(self, auc: float, rule: str) -> float:
        """Of a promotion within the horizon."""
        return float((self.at(auc, rule) >= 0).mean())

    def smallest(self, rule: str) -> float:
        """The smallest AUC that shows with a chance of 80 %, to 0.005; NaN: none up to 0.95."""
        if self.chance(HIGHEST_AUC, rule) < POWER:
            return math.nan
        low, high = COIN, HIGHEST_AUC
        while high - low > _FINE:
            middle = 0.5 * (low + high)
            low, high = (low, middle) if self.chance(middle, rule) >= POWER else (middle, high)
        return high


def _rule(
    forecasts: Forecasts, name: str, days: float, asked: float | None, *, chosen: bool
) -> Rule:
    habits, most = forecasts.habits, MOST_AUC if asked is None else asked
    bounds = bounds_of(habits, name)
    never = [one.says for one in bounds if one.binds and not one.auc <= most]
    maybe = [one.says for one in bounds if not one.binds and not one.auc <= most]
    says, for_certain = outside(habits, name, chosen=chosen)
    if says:
        (never if for_certain else maybe).append(says)
    least = least_blocks(habits)
    smallest, promoted = math.nan, np.array([-1])
    auc = most
    if forecasts.blocks < least:
        maybe.append(
            f"{days:g} days hold {forecasts.blocks} blocks; {least} are the least, "
            f"{least * habits.block_days:,.0f} days"
        )
    else:
        smallest = forecasts.smallest(name)
        if asked is None and not math.isnan(smallest):
            auc = smallest
        promoted = forecasts.at(auc, name)
        if not smallest <= most:
            shown = "none up to 0.95" if math.isnan(smallest) else f"{smallest:.2f}"
            maybe.append(f"the smallest AUC that would show in time is {shown}")
    waited = np.where(promoted < 0, np.inf, (promoted + 1) * habits.block_days)
    median = float(np.median(waited))
    median = median if math.isfinite(median) else math.nan
    state = Feasible.INCONCLUSIVE if maybe else Feasible.FEASIBLE
    return Rule(
        name=name,
        state=Feasible.IMPOSSIBLE if never else state,
        why=(*never, *maybe),
        bounds=bounds,
        level=(COST_SHARE if name == COST else MAIN_SHARE) * forecasts.alpha_v,
        smallest_auc=smallest,
        auc=auc,
        worth_r=worth_of(habits, auc),
        promoted=float((promoted >= 0).mean()),
        median_days=median,
        median_decisions=median * habits.per_day,
    )

"""Why a candidate went otherwise in one run than in another: the first cause that applies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from darwin.core.agents import AGENT_CAP, AGENTS
from darwin.core.decision import Reason
from darwin.store.queries import stage_rank
from darwin.store.told import Key, Told, Trade


class Cause(StrEnum):
    """What two runs can differ by, in the order in which it is asked for."""

    DATA = "data"  # other bars, or bars that the other run does not have
    SIGNAL = "signal"  # the same bars judged otherwise: setup, agents, expert, sizing, limits
    TIMING = "timing"  # taken by both, entered or left at another bar or for another reason
    FILL = "fill"  # at the same bars, another mid price
    SIZE = "size"  # at the same mid prices, other units
    COST = "cost"  # the same fills at another spread or slippage, with other fees or funding


class Judged(NamedTuple):
    """The cause, where in the life of the candidate it shows, and what either run says there."""

    cause: Cause
    what: str
    a: str
    b: str
    knock_on: bool = False  # what differs is the account that earlier candidates have left
    at: int | None = None  # of `data`: the bar at which it shows


@dataclass(frozen=True, slots=True)
class Reach:
    """The bars of a run, as far as they are recorded."""

    symbols: frozenset[str]
    since: int | None  # ms UTC
    until: int | None


@dataclass(frozen=True, slots=True)
class Grounds:
    """What is known of two runs as wholes when their candidates are compared."""

    bars_differ: bool
    keys: frozenset[str]  # of the config, that differ
    reach_a: Reach
    reach_b: Reach
    same_features: Callable[[bytes, bytes], bool]
    parted: Mapping[str, int] = field(default_factory=dict)  # by symbol: the first other close

    def touches(self, *places: str) -> bool:
        """Whether a key that differs is one of `places` or within one."""
        return any(key.startswith(places) for key in self.keys)


def judge(key: Key, a: Told | None, b: Told | None, on: Grounds) -> Judged | None:
    """Name the first cause that applies to a candidate of either run; None: all is the same."""
    if a is None or b is None:
        return _alone(key, a, b, on)
    return (
        _data(key, a, b, on) or _signal(a, b, on) or _traded(a, b, on) or _without_effect(a, b, on)
    )


def split(judged: Judged, a: Told | None, b: Told | None) -> dict[Cause, float]:
    """Split what B earned more with a candidate than A over the causes; the parts add up to it.

    Where both traded the same bracket: what the prices moved, at the units of A; what the other
    units made of it; what it cost otherwise. Else all of it is the cause's own.
    """
    earned = (0.0 if b is None else b.net_usd) - (0.0 if a is None else a.net_usd)
    first, second = (None if told is None else told.trade for told in (a, b))
    if first is None or second is None or judged.what in _WHOLE or judged.cause is Cause.DATA:
        return {judged.cause: earned} if earned else {}
    moved = first.units * (second.moved - first.moved)
    cost = second.units * _dearer(first, second)
    timing = judged.cause is Cause.TIMING
    parts = {Cause.TIMING if timing else Cause.FILL: moved, Cause.COST: cost}
    if first.units != second.units:
        by_agent = judged.cause is Cause.SIGNAL and judged.what in AGENTS
        parts[Cause.SIGNAL if by_agent else Cause.SIZE] = earned - moved - cost
    else:
        parts[Cause.COST] = earned - moved
    return {cause: usd for cause, usd in parts.items() if usd}


_SETUP, _BRACKET, _STALE = "setup", "bracket", Reason.STALE.text
_WHOLE = (_SETUP, _BRACKET)
_ROUNDING = 1e-11  # of the price: what two reckonings of one cost may differ by


def _dearer(a: Trade, b: Trade) -> float:
    """How much less a unit cost in B than in A; nothing where that is rounding alone."""
    less = a.cost - b.cost
    return 0.0 if abs(less) <= _ROUNDING * max(a.entry_mid, b.entry_mid) else less


def _alone(key: Key, a: Told | None, b: Told | None, on: Grounds) -> Judged:
    """Judge a candidate that one run did not propose."""
    other = on.reach_a if a is None else on.reach_b
    left, right = ("not proposed" if told is None else told.ending for told in (a, b))
    what = _SETUP
    if on.bars_differ:
        other_setups = on.touches("playbooks", "market.warmup_bars", "market.max_gap_bars")
        seen = on.parted.get(key.symbol)
        if key.symbol not in other.symbols:
            what = "symbol"
        elif _beyond(key.bar_time, other):
            what = "range"
        elif not other_setups or (seen is not None and seen <= key.bar_time):
            what = "bars"
    if what == _SETUP:
        return Judged(Cause.SIGNAL, what, left, right)
    return Judged(Cause.DATA, what, left, right, at=key.bar_time)


def _beyond(time: int, reach: Reach) -> bool:
    before = reach.since is not None and time < reach.since
    return before or reach.until is None or time > reach.until


def _data(key: Key, a: Told, b: Told, on: Grounds) -> Judged | None:
    """Other bars up to the signal, or, where bars differ, another way of the same bracket."""
    if (a.reason == _STALE) != (b.reason == _STALE):
        return Judged(Cause.DATA, "stale", a.ending, b.ending, at=key.bar_time)
    if not on.bars_differ:
        return None
    what, at = "", key.bar_time
    if a.close != b.close:
        what = "close"
    elif not on.same_features(a.features, b.features):
        what = "features"
    elif a.bracket != b.bracket:
        what = "" if on.touches("playbooks") else _BRACKET
    elif a.course != b.course:
        what, at = "course", _parting(a, b) or at
    return Judged(Cause.DATA, what, a.ending, b.ending, at=at) if what else None


def _parting(a: Told, b: Told) -> int | None:
    """The first bar at which two courses of one bracket are seen to part."""
    ways = [told.course for told in (a, b) if told.course is not None]
    entered = {(way.entry_time, way.entry_price) for way in ways}
    times = [way.entry_time if len(entered) > 1 else way.exit_time for way in ways]
    return min((time for time in times if time is not None), default=None)


def _signal(a: Told, b: Told, on: Grounds) -> Judged | None:
    """Another bracket, another ending, or another part of the order that agents left."""
    if a.bracket != b.bracket:
        return Judged(Cause.SIGNAL, _BRACKET, a.ending, b.ending)
    agent = next((one for one in AGENTS if a.left_by(one) != b.left_by(one)), None)
    if (a.stage, a.reason) != (b.stage, b.reason):
        first = min(a, b, key=lambda told: stage_rank(told.stage))
        earlier = agent is not None and stage_rank(agent) < stage_rank(first.stage)
        knock_on = not earlier and _by_account(first, on)
        return Judged(Cause.SIGNAL, first.stage, a.ending, b.ending, knock_on)
    if agent is None or a.trade is None or b.trade is None or a.trade.units == b.trade.units:
        return None
    return Judged(Cause.SIGNAL, agent, _stood(a, agent), _stood(b, agent))


def _by_account(told: Told, on: Grounds) -> bool:
    """Whether it ended by how the account stood, under terms that both runs share."""
    places = _TERMS.get(told.reason)
    return places is not None and not on.touches(*places)


_SIZING = ("portfolio", "limits.max_position_usd", "market.lot_size")
_TERMS = {
    Reason.POSITION_OPEN.text: ("portfolio.positions_per_symbol",),
    Reason.EXPOSURE.text: _SIZING,
    Reason.CASH.text: _SIZING,
    Reason.MINIMUM_ORDER.text: _SIZING,
    Reason.RISK_MANAGER.text: _SIZING,
    Reason.MAX_POSITIONS.text: ("portfolio.max_positions",),
    Reason.MAX_POSITION_VALUE.text: _SIZING,
    Reason.ORDERS_PER_BAR.text: ("limits.max_orders_per_bar",),
    Reason.ORDERS_PER_DAY.text: ("limits.max_orders_per_day",),
    Reason.DAILY_LOSS.text: ("limits.max_daily_loss_fraction",),
    Reason.DRAWDOWN.text: ("limits.max_drawdown_fraction", "limits.reducing_resume"),
}
"""The reasons that lie in the account, and the keys of the config that set their terms."""


def _stood(told: Told, agent: str) -> str:
    """What an agent advised, in its own unit, and what came of that."""
    said = told.said.get(agent)
    if said is None:
        return "not asked"
    action = "no advice" if said.action is None else f"advised {said.action:.2g}"
    return f"{action}, {said.reason}, left {said.final_action:.0%}"


def _traded(a: Told, b: Told, on: Grounds) -> Judged | None:
    """Taken by both, in another way."""
    first, second = a.trade, b.trade
    left, right = ("still open" if one is None else one.exit_reason for one in (first, second))
    if first is None or second is None:
        return None if first is second else Judged(Cause.TIMING, "exit", left, right)
    for cause, what, one, other in (
        (Cause.TIMING, "entry", first.entry_time, second.entry_time),
        (Cause.TIMING, "exit", (first.exit_time, left), (second.exit_time, right)),
        (Cause.FILL, "entry", first.entry_mid, second.entry_mid),
        (Cause.FILL, "exit", first.exit_mid, second.exit_mid),
    ):
        if one != other:
            return Judged(cause, what, left, right)
    if first.units != second.units:
        knock_on = not on.touches(*_SIZING) and _is_capped(a) == _is_capped(b)
        return Judged(Cause.SIZE, "units", _cut(a), _cut(b), knock_on)
    paid = {
        "price": (first.entry_price, first.exit_price) != (second.entry_price, second.exit_price),
        "fees": first.fees_usd != second.fees_usd,
        "funding": first.funding_usd != second.funding_usd,
    }
    differ = [name for name, differs in paid.items() if differs]
    return Judged(Cause.COST, " and ".join(differ), left, right) if differ else None


def _is_capped(told: Told) -> bool:
    """Whether agents act in it that may hold no larger position: which is no term of the config."""
    return AGENT_CAP in (told.clipped_by or "")


def _cut(told: Told) -> str:
    return f"clipped by {told.clipped_by}" if told.clipped_by else "full"


def _without_effect(a: Told, b: Told, on: Grounds) -> Judged | None:
    """Said or reckoned otherwise, and nothing came of it."""
    agent = next((one for one in AGENTS if a.said.get(one) != b.said.get(one)), None)
    if a.answer != b.answer:
        return Judged(Cause.SIGNAL, "expert, no effect", a.ending, b.ending)
    if agent is not None:
        left, right = _stood(a, agent), _stood(b, agent)
        surer = " surer or less" if left == right else ""
        return Judged(Cause.SIGNAL, f"{agent}{surer}, no effect", left, right)
    if not on.same_features(a.features, b.features):
        return Judged(Cause.SIGNAL, "features, no effect", a.ending, b.ending)
    if a.course != b.course:
        return Judged(Cause.FILL, "outcome alone", a.ending, b.ending)
    if a.r != b.r:
        return Judged(Cause.COST, "outcome alone", a.ending, b.ending)
    return None

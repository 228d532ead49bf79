"""Outcomes against bars: entered at the next open, ended where a walk bar by bar ends.

The walk is written down a second time, for one bracket and in plain Python; `trading.brackets`
resolves all of them at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from darwin.core.market import Bars
from darwin.rl.training.canaries.bars import Market, spread
from darwin.rl.training.canaries.finding import Finding, counted, unchecked
from darwin.rl.training.canaries.told import Told

WALKED = 20_000
"""Candidates of each run whose bracket is walked."""

_CLOSE = 1e-9
_LEAST_LEFT = 0.25  # of the stop's distance; an open that leaves less cancels the entry


class _Fact(NamedTuple):
    """One outcome on record, as its columns are called there."""

    side: str
    bar_time: int
    close: float
    stop_distance: float
    time_stop_bars: float | None
    trail_activation_r: float | None
    trail_distance: float | None
    anchor: str
    status: str
    entry_time: int | None
    entry_price: float
    stop_price: float
    target_price: float | None
    exit_time: int
    exit_price: float

    @property
    def sign(self) -> float:
        """1 for a long, -1 for a short."""
        return 1.0 if self.side == "long" else -1.0


def brackets_end_where_they_do(runs: Sequence[Told], markets: Sequence[Market]) -> Finding:
    """Entries are at the open after the decision, exits where a plain walk over bars has them."""
    faults: dict[str, int] = {}
    walked, why_not = 0, ""
    for told, market in zip(runs, markets, strict=True):
        why_not = why_not or market.why_not
        if market.why_not or not len(told.facts):
            continue
        chosen = told.facts[spread(len(told.facts), WALKED)]
        walked += len(chosen)
        facts = map(_Fact._make, chosen.select(_Fact._fields).iter_rows())
        for symbol, fact in zip(chosen["symbol"], facts, strict=True):
            fault = _fault_of(fact, market.bars[symbol], told.config.market.tick_size is not None)
            faults[fault] = faults.get(fault, 0) + 1
    faults.pop("", None)
    if not walked:
        return unchecked("brackets", why_not or "there is no candidate")
    clean = f"{walked:,} brackets begin and end where a walk over their bars has it"
    found = counted("brackets", [(count, what) for what, count in faults.items()], clean)
    return unchecked("brackets", why_not) if found.passed and why_not else found


def _fault_of(fact: _Fact, bars: Bars, on_ticks: bool) -> str:
    """What is wrong with one outcome, in words; nothing where nothing is."""
    at = int(np.searchsorted(bars.time, fact.bar_time)) + 1
    if fact.status not in ("resolved", "gapped") or at >= len(bars):
        return ""
    opened = float(bars.open[at])
    planned = (opened if fact.anchor == "fill" else fact.close) - fact.sign * fact.stop_distance
    left = fact.sign * (opened - planned) / fact.stop_distance
    checks = [
        (fact.entry_time != int(bars.time[at]), "entries at another bar than the next"),
        (not _near(fact.entry_price, opened), "entries at another price than the next open"),
        (not (on_ticks or _near(fact.stop_price, planned)), "stops at another price than planned"),
        (not (on_ticks or left >= _LEAST_LEFT - _CLOSE), "entries that left too little of a stop"),
    ]
    if fact.status == "gapped":
        return checks[0][1] if checks[0][0] else ""
    fault = next((what for wrong, what in checks if wrong), "")
    if fault or _ends_as_walked(fact, bars, at):
        return fault
    return "exits at another bar or price than a walk over the bars gives"


def _ends_as_walked(fact: _Fact, bars: Bars, at: int) -> bool:
    bar, price = _walk(fact, bars, at)
    return bar >= 0 and fact.exit_time == int(bars.time[bar]) and _near(fact.exit_price, price)


def _walk(fact: _Fact, bars: Bars, first: int) -> tuple[int, float]:
    """The bar and mid price at which the bracket ends; bar -1 where the data end before.

    Shorts are walked as longs on the negated price.
    """
    sign, entry = fact.sign, fact.sign * fact.entry_price
    stop, risk = sign * fact.stop_price, abs(fact.entry_price - fact.stop_price)
    target = np.inf if fact.target_price is None else sign * fact.target_price
    most_bars = np.inf if fact.time_stop_bars is None else fact.time_stop_bars
    activation = np.inf if fact.trail_activation_r is None else fact.trail_activation_r
    highest = -np.inf
    for bar in range(first, len(bars)):
        opened, ends = sign * float(bars.open[bar]), (bars.low[bar], bars.high[bar])
        low, high = sorted(sign * float(end) for end in ends)
        if highest >= entry + activation * risk:
            stop = max(stop, highest - (fact.trail_distance or 0.0))
        if bar - first >= most_bars or opened <= stop:
            return bar, sign * opened
        if low <= stop:
            return bar, sign * stop
        if opened >= target:
            return bar, sign * opened
        if high >= target:
            return bar, sign * target
        highest = max(highest, high)
    return -1, np.nan


def _near(kept: float | None, own: float) -> bool:
    return kept is not None and abs(kept - own) <= _CLOSE * max(1.0, abs(own))

"""Random traders: what a run's trades would have earned at bars picked by chance.

All draws of a symbol are arrays of shape (draws, trades); profit is booked by UTC day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from darwin.core.market import Bars, BoolArray, FloatArray, IntArray
from darwin.core.trade import Exit, Phase, Trade
from darwin.engine.report_facts import Activity, Benchmark, Sampling
from darwin.engine.result import RunResult
from darwin.stats.performance import Days, day_of, drawdowns, sharpe_ratio, simple_returns
from darwin.trading.costs import Costs, funding_paid_until

_CELLS_AT_A_TIME = 100_000


@dataclass(frozen=True, slots=True)
class Plan:
    """The trades of one symbol without their entry times; every array has shape (k,)."""

    side: IntArray
    bars_held: IntArray  # from the entry's bar to the exit's
    at_open: BoolArray  # leaves at that bar's open, else at its close
    notional: FloatArray  # USD at the entry's mid price
    exit_fee: FloatArray  # fraction
    exit_slip: FloatArray  # fraction

    def __len__(self) -> int:
        return len(self.side)


def random_matched(
    result: RunResult, sampling: Sampling, draws: int, chance: np.random.Generator
) -> Benchmark:
    """The run's own trades moved to random bars, `draws` times.

    Per symbol each trade keeps its side, notional, holding time in bars and kind of exit (thus
    its cost rates); order and gaps are drawn so that no two overlap, as in a run with one
    position per symbol. Where they do not fit side by side, each entry is drawn on its own.
    """
    plans = [_plan(result, symbol) for symbol in range(len(result.markets))]
    note = (
        "the run's trades with their sides, notionals, holding times and costs, "
        f"entered at random bars; median of {draws} draws"
    )
    return _play("random_matched", note, result, plans, sampling, draws, chance, flip=False)


def random_entries(
    result: RunResult, sampling: Sampling, draws: int, chance: np.random.Generator
) -> Benchmark:
    """As many trades per symbol as the run made, entered at random bars, side by a coin flip.

    Each has the run's median holding time and median notional of that symbol and leaves at
    market.
    """
    plans = [_typical(_plan(result, s), result.costs) for s in range(len(result.markets))]
    note = (
        "as many trades as the run, side by coin flip, the run's median holding time and "
        f"notional; median of {draws} draws"
    )
    return _play("random", note, result, plans, sampling, draws, chance, flip=True)


def _plan(result: RunResult, symbol: int) -> Plan:
    costs, bars = result.costs, result.markets[symbol]
    mine: Sequence[Trade] = [trade for trade in result.trades if trade.symbol == symbol]
    entered = np.array([trade.entry.time for trade in mine], dtype=np.int64)
    left = np.array([trade.exit.time for trade in mine], dtype=np.int64)
    resting = np.array([trade.exit.reason == Exit.TARGET for trade in mine], dtype=bool)
    return Plan(
        side=np.array([trade.side for trade in mine], dtype=np.int64),
        bars_held=np.searchsorted(bars.time, left) - np.searchsorted(bars.time, entered),
        at_open=np.array([trade.exit.phase == Phase.OPEN for trade in mine], dtype=bool),
        notional=np.array([trade.units * trade.entry.mid_price for trade in mine]),
        exit_fee=np.where(resting, costs.maker, costs.taker),
        exit_slip=np.where(resting, 0.0, costs.slip),
    )


def _typical(plan: Plan, costs: Costs) -> Plan:
    if len(plan) == 0:
        return plan
    held = max(1, int(np.median(plan.bars_held)))
    return replace(
        plan,
        bars_held=np.full(len(plan), held),
        at_open=np.ones(len(plan), dtype=bool),
        notional=np.full(len(plan), np.median(plan.notional)),
        exit_fee=np.full(len(plan), costs.taker),
        exit_slip=np.full(len(plan), costs.slip),
    )


def _play(
    name: str,
    note: str,
    result: RunResult,
    plans: Sequence[Plan],
    sampling: Sampling,
    draws: int,
    chance: np.random.Generator,
    *,
    flip: bool,
) -> Benchmark:
    days, start = sampling.days, result.starting_equity_usd
    profit, traded = np.zeros((draws, len(days.day))), np.zeros((draws, len(days.day)))
    held = np.zeros(profit.shape, dtype=bool)
    for bars, first, plan in zip(result.markets, result.first_bar, plans, strict=True):
        if len(plan) == 0:
            continue
        nights = _Nights.of(bars, days)
        step = max(1, _CELLS_AT_A_TIME // len(plan))
        for done in range(0, draws, step):
            some = slice(done, min(done + step, draws))
            played = _one_symbol(
                bars, first, plan, result.costs, nights, some.stop - done, chance, flip
            )
            profit[some] += played.profit
            traded[some] += played.traded_usd
            held[some] |= played.held
    equity = start + np.cumsum(profit, axis=1)
    total = equity[:, -1] / start - 1 if len(days.day) else np.zeros(draws)
    sharpes = sharpe_ratio(simple_returns(equity, start), days.per_year)
    known = sharpes[np.isfinite(sharpes)]
    band = np.quantile(equity, [0.05, 0.5, 0.95], axis=0)
    return Benchmark(
        name=name,
        note=note,
        trades=sum(len(plan) for plan in plans),
        total_return=float(np.median(total)),
        sharpe_ratio=float(np.median(known)) if len(known) else float("nan"),
        max_drawdown=float(np.median(drawdowns(equity, start).min(axis=1, initial=0.0))),
        time=sampling.time[days.last],
        equity=band[1],
        activity=Activity(traded, held),
        band=band[[0, 2]],
        draws=total,
        drawn_equity=equity,
    )


class _Nights(NamedTuple):
    """The bars of one symbol seen from the days of the run."""

    day_of_bar: IntArray  # (n,)
    close: FloatArray  # the last close by the end of each day, (d,)
    paid: FloatArray | None  # funding of a long unit by bar, (n,)

    @classmethod
    def of(cls, bars: Bars, days: Days) -> _Nights:
        closed = day_of(bars.time + bars.timeframe.ms)
        closed_by = np.searchsorted(closed, days.day, side="right") - 1
        return cls(
            np.searchsorted(days.day, closed),
            bars.close[np.maximum(closed_by, 0)],
            funding_paid_until(bars),
        )


def place(
    slots: IntArray, first: int, stop: int, draws: int, chance: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """Draw entry bars in [first, stop) for trades that fill `slots` bars each, shape (k,).

    Returns the order in which the trades come and their entry bars, both (draws, k). Trades that
    fit side by side never overlap; else each is drawn on its own, anywhere it fits.
    """
    shape = (draws, len(slots))
    order = np.argsort(chance.random(shape), axis=1)
    wanted = slots[order]
    spare = stop - first - int(slots.sum())
    if spare < 0:
        room = np.maximum(stop - first - wanted + 1, 1)
        return order, first + (chance.random(shape) * room).astype(np.int64)
    gaps = np.sort(chance.integers(0, spare + 1, shape), axis=1)
    return order, first + gaps + np.cumsum(wanted, axis=1) - wanted


class _Played(NamedTuple):
    """Random placements of one symbol's trades by UTC day, every array of shape (draws, d)."""

    profit: FloatArray
    traded_usd: FloatArray  # at mid prices
    held: BoolArray  # whether anything was at some close of the day


def _one_symbol(
    bars: Bars,
    first: int,
    plan: Plan,
    costs: Costs,
    nights: _Nights,
    draws: int,
    chance: np.random.Generator,
    flip: bool,
) -> _Played:
    """Place the trades of `plan` at random, `draws` times."""
    order, entry = place(plan.bars_held + 1, first + 1, len(bars), draws, chance)
    order, entry = order.ravel(), entry.ravel()
    side = chance.choice(np.array([1, -1]), len(order)) if flip else plan.side[order]
    leave = np.minimum(entry + plan.bars_held[order], len(bars) - 1)
    bought = bars.open[entry]
    sold = np.where(plan.at_open[order], bars.open[leave], bars.close[leave])
    units = plan.notional[order] / bought
    slip, fee = plan.exit_slip[order], plan.exit_fee[order]
    entry_cost = plan.notional[order] * (costs.slip + costs.taker * (1 + side * costs.slip))
    exit_cost = units * sold * (slip + fee * (1 - side * slip))
    if nights.paid is not None:
        exit_cost += side * units * (nights.paid[leave] - nights.paid[entry])
    begin, end = nights.day_of_bar[entry], nights.day_of_bar[leave]
    days = len(nights.close)
    cell = np.repeat(np.arange(draws), len(plan)) * days
    size = draws * days
    booked = _sums(cell + begin, -entry_cost, size)
    booked += _sums(cell + end, -exit_cost, size)
    booked += _price_moves(nights.close, side * units, bought, sold, begin, end, cell, size)
    traded = _sums(cell + begin, plan.notional[order], size)
    traded += _sums(cell + end, units * sold, size)
    last = np.where(leave > entry, nights.day_of_bar[np.maximum(leave, 1) - 1] + 1, begin)
    shape = (draws, days)
    held = _covered(np.repeat(np.arange(draws), len(plan)), begin, last, shape)
    return _Played(booked.reshape(shape), traded.reshape(shape), held)


def _covered(line: IntArray, begin: IntArray, stop: IntArray, shape: tuple[int, int]) -> BoolArray:
    """Which cells lie in some [begin, stop) of their line."""
    wide = shape[1] + 1
    size = shape[0] * wide
    begun = np.bincount(line * wide + begin, minlength=size)
    ended = np.bincount(line * wide + stop, minlength=size)
    covered: BoolArray = np.cumsum((begun - ended).reshape(-1, wide), axis=1)[:, :-1] > 0
    return covered


def _price_moves(
    day_close: FloatArray,
    held: FloatArray,
    bought: FloatArray,
    sold: FloatArray,
    begin: IntArray,
    end: IntArray,
    cell: IntArray,
    size: int,
) -> FloatArray:
    """Book each holding's gain day by day: from entry, over the days' last closes, to exit."""
    nights = end - begin
    which = np.repeat(np.arange(len(held)), nights + 1)
    nth = np.arange(len(which)) - np.repeat(np.cumsum(nights + 1) - nights - 1, nights + 1)
    day = begin[which] + nth
    until = np.where(nth == nights[which], sold[which], day_close[day])
    since = np.where(nth == 0, bought[which], day_close[np.maximum(day - 1, 0)])
    return _sums(cell[which] + day, held[which] * (until - since), size)


def _sums(cell: IntArray, amount: FloatArray, size: int) -> FloatArray:
    """Add up `amount` by cell, shape (size,)."""
    return np.asarray(np.bincount(cell, amount, size), dtype=np.float64)

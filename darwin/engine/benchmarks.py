"""What the same market gave to those who knew nothing: buy & hold, MA crossover, chance.

Every benchmark starts with the run's equity, may trade from the run's first tradeable open, pays
the run's costs and is closed at the last close, as the run's own positions are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from darwin.core.clock import Clock
from darwin.core.market import Bars, BoolArray, FloatArray, IntArray
from darwin.engine.report_draws import random_entries, random_matched
from darwin.engine.report_facts import Activity, Benchmark, Sampling, by_day
from darwin.engine.result import RunResult
from darwin.stats.performance import drawdowns, sharpe_ratio, simple_returns
from darwin.trading.costs import Costs, funding_paid_until

FAST_BARS, SLOW_BARS = 50, 200
DRAWS = 200


def benchmarks(
    result: RunResult, sampling: Sampling, seed: int = 0, draws: int = DRAWS
) -> tuple[Benchmark, ...]:
    """Run all four against `result`; the random ones draw from `seed` alone."""
    return (
        buy_and_hold(result, sampling),
        ma_crossover(result, sampling),
        random_matched(result, sampling, draws, np.random.default_rng([seed, 1])),
        random_entries(result, sampling, draws, np.random.default_rng([seed, 2])),
    )


def buy_and_hold(result: RunResult, sampling: Sampling) -> Benchmark:
    """Split the equity equally over the symbols, buy each at its first tradeable open, hold."""
    legs = [
        Legs(np.array([first + 1]), np.array([len(bars)])) if first + 1 < len(bars) else Legs.none()
        for bars, first in zip(result.markets, result.first_bar, strict=True)
    ]
    return _long_only(
        "buy_and_hold",
        "equal split over the symbols that could be traded, bought once, held to the end",
        result,
        legs,
        sampling,
    )


def ma_crossover(
    result: RunResult, sampling: Sampling, fast: int = FAST_BARS, slow: int = SLOW_BARS
) -> Benchmark:
    """Long while the simple average of `fast` closes stands above that of `slow`, else in cash.

    A signal at a close is filled at the next open; each symbol trades its equal share of the
    starting equity, all of it at a time.
    """
    legs = [
        _crossings(bars, first, fast, slow)
        for bars, first in zip(result.markets, result.first_bar, strict=True)
    ]
    note = f"long while SMA({fast}) > SMA({slow}), else cash; next-open fills"
    return _long_only("ma_crossover", note, result, legs, sampling)


@dataclass(frozen=True, slots=True)
class Legs:
    """Long holdings of one symbol, in order and apart, each array of shape (k,).

    Bought at the open of bar `enter`, sold at the open of bar `leave`; `leave` equal to the
    number of bars stands for the last close.
    """

    enter: IntArray
    leave: IntArray

    @classmethod
    def none(cls) -> Legs:
        """No holding at all."""
        return cls(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))


def _crossings(bars: Bars, first: int, fast: int, slow: int) -> Legs:
    n = len(bars)
    start = max(first, slow - 1)
    if start + 1 >= n:
        return Legs.none()
    above = np.zeros(n, dtype=bool)
    above[slow - 1 :] = _moving_average(bars.close, fast)[slow - fast :] > _moving_average(
        bars.close, slow
    )
    above[:start] = False
    wanted: BoolArray = np.concatenate([[False], above[:-1], [False]])  # at each open, (n + 1,)
    turns = np.diff(wanted.astype(np.int8))
    return Legs(np.flatnonzero(turns == 1) + 1, np.flatnonzero(turns == -1) + 1)


def _moving_average(close: FloatArray, span: int) -> FloatArray:
    """Mean of each window of `span` closes, shape (n - span + 1,)."""
    mean: FloatArray = np.lib.stride_tricks.sliding_window_view(close, span).mean(axis=1)
    return mean


def _long_only(
    name: str, note: str, result: RunResult, legs: list[Legs], sampling: Sampling
) -> Benchmark:
    clock = Clock.of(result.markets)
    tradeable = sum(
        first + 1 < len(b) for b, first in zip(result.markets, result.first_bar, strict=True)
    )
    share = result.starting_equity_usd / max(tradeable, 1)
    equity = np.zeros(len(sampling.time))
    held, traded = np.zeros(len(equity), dtype=bool), np.zeros(len(sampling.days.last))
    for bars, first, leg, instant in zip(
        result.markets, result.first_bar, legs, clock.instant_of_bar, strict=True
    ):
        if first + 1 >= len(bars):
            continue  # never warm: its share goes to the others
        sleeve = _sleeve(bars, leg, share, result.costs)
        latest = np.searchsorted(bars.time[: len(instant)], clock.time, side="right")
        equity += np.concatenate([[share], sleeve.value])[latest]
        held |= np.concatenate([[False], sleeve.held])[latest]
        traded += by_day(sleeve.traded_usd, instant, sampling.days)
    start = result.starting_equity_usd
    equity = equity if tradeable else np.full(len(sampling.time), start)
    daily = simple_returns(equity[sampling.days.last], start)
    return Benchmark(
        name=name,
        note=note,
        trades=sum(len(leg.enter) for leg in legs),
        total_return=float(equity[-1] / start - 1) if len(equity) else 0.0,
        sharpe_ratio=float(sharpe_ratio(daily, sampling.days.per_year)),
        max_drawdown=float(drawdowns(equity, start).min(initial=0.0)),
        time=sampling.time,
        equity=equity,
        activity=Activity(traded[None], held[None]),
    )


class _Sleeve(NamedTuple):
    """One symbol's share at each close, all in or all in cash; every array has shape (n,)."""

    value: FloatArray
    held: BoolArray
    traded_usd: FloatArray  # within that bar, at mid prices


def _sleeve(bars: Bars, legs: Legs, cash: float, costs: Costs) -> _Sleeve:
    n = len(bars)
    paid = funding_paid_until(bars)
    owed = np.zeros(n) if paid is None else paid
    at_end = legs.leave >= n
    leave = np.minimum(legs.leave, n - 1)
    sold = np.where(at_end, bars.close[-1], bars.open[leave])
    per_unit = bars.open[legs.enter] * (1 + costs.slip) * (1 + costs.taker)
    back = sold * (1 - costs.slip) * (1 - costs.taker) - (owed[leave] - owed[legs.enter])
    wealth = cash * np.cumprod(np.concatenate([[1.0], back / per_unit]))
    bar = np.arange(n)
    nth = np.searchsorted(legs.enter, bar, side="right")  # holdings begun by this bar
    value: FloatArray = wealth[nth]
    traded = np.zeros(n)
    if len(legs.enter) == 0:
        return _Sleeve(value, np.zeros(n, dtype=bool), traded)
    current = np.maximum(nth - 1, 0)
    inside = (nth > 0) & (bar < legs.leave[current]) & (bar < n - at_end[current])
    bought = wealth[:-1] / per_unit
    np.add.at(traded, legs.enter, bought * bars.open[legs.enter])
    np.add.at(traded, leave, bought * sold)
    marked = bought[current] * (bars.close - (owed - owed[legs.enter[current]]))
    return _Sleeve(np.where(inside, marked, value), inside, traded)

"""Equal weight and least variance over the symbols of a run, at its costs, as its rivals."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from darwin.allocation.benchmark_settings import BenchmarkSettings
from darwin.allocation.benchmark_walks import Books
from darwin.allocation.book_days import cut
from darwin.allocation.strategies import Strategy, equal_weight, least_variance
from darwin.core.market import DAY_MS, Bars, IntArray
from darwin.core.panel import Panel
from darwin.core.rebalance import BookState
from darwin.engine.report_facts import Sampling, by_day
from darwin.engine.result import RunResult
from darwin.errors import ConfigError, DataError
from darwin.trading.book import walk

EQUAL, LEAST = "equal_weight", "minimum_variance"
_NEEDS_TWO = "it wants two symbols that can be traded at once; of one it is buy & hold"
_STANDS = "there are days before which no symbol has moved"


class Weighted(NamedTuple):
    """The books that could be walked; and who is left out, by name, with the reason."""

    books: list[Books]
    left_out: dict[str, str]


class _Ground(NamedTuple):
    """Where such a book is walked: the bars that all symbols have, once each may be traded."""

    panel: Panel
    rows: IntArray  # of its decisions; from the close of the first on it is walked
    marks: IntArray  # of each of those closes on the clock of the run


def weighted_books(result: RunResult, sampling: Sampling, settings: BenchmarkSettings) -> Weighted:
    """Walk both once a day, closed at the last close; neither where fewer than two can be traded.

    They begin once all of those symbols may be traded, and decide at closes that all have.
    """
    traded = [
        (bars, first)
        for bars, first in zip(result.markets, result.first_bar, strict=True)
        if first + 1 < len(bars)
    ]
    ground = _ground(traded, sampling)
    if ground is None:
        return Weighted([], {EQUAL: _NEEDS_TWO, LEAST: _NEEDS_TWO})
    least = least_variance(settings.lookback, settings.shrinkage)
    once = "once a day, from the day on at which all symbols may be traded"
    estimate = f"from {settings.lookback:,} returns, shrunk by {settings.shrinkage:g}"
    equal = _book(
        EQUAL, f"equal parts, restored {once}", ground, equal_weight, result, sampling
    )  # fmt: skip
    note = f"least variance without shorts, {estimate}, {once}"
    try:
        calm = _book(LEAST, note, ground, least, result, sampling)
    except ConfigError:  # prices that stand have no least variance
        return Weighted([equal], {LEAST: _STANDS})
    return Weighted([equal, calm], {})


def _ground(traded: list[tuple[Bars, int]], sampling: Sampling) -> _Ground | None:
    if len(traded) < 2:
        return None
    try:
        panel = Panel.of([bars for bars, _ in traded])
    except DataError:
        return None  # they never have a bar in common
    frame = panel.timeframe.ms
    allowed = max(int(bars.time[first]) for bars, first in traded)
    start = int(np.searchsorted(panel.time, allowed))
    if start + 1 >= len(panel):
        return None
    rows = np.arange(start, len(panel) - 1, max(DAY_MS // frame, 1))
    return _Ground(panel, rows, np.searchsorted(sampling.time, panel.time[start:] + frame))


def _book(
    name: str,
    note: str,
    ground: _Ground,
    strategy: Strategy,
    result: RunResult,
    sampling: Sampling,
) -> Books:
    panel, rows, marks = ground
    rate = (1.0 + result.costs.slip) * (1.0 + result.costs.taker) - 1.0
    plan = strategy(panel, rows, BookState.start(panel.assets))
    begun = int(rows[0])
    decided = plan.rows - begun
    walked = walk(panel.slice(begun, len(panel)), decided, plan.targets, rate)
    gross = np.abs(walked.weights).sum(axis=1)
    end, last = walked.value.copy(), float(gross[-1])
    end[-1] *= 1.0 - min(rate * last, 1.0)
    held = gross > 0.0
    held[-1] = False  # closed there
    since = np.searchsorted(marks, np.arange(len(sampling.time)), side="right")
    value = np.concatenate([[1.0], end])[since]
    traded = np.concatenate([walked.turnover, [last]])
    when = np.concatenate([marks[decided + 1], marks[-1:]])
    days = sampling.days
    book = cut(
        np.concatenate([[1.0], value]), np.concatenate([[False], held])[since],
        by_day(traded, when, days), days,
    )  # fmt: skip
    return Books(name, note, book, np.concatenate([[1.0], value]))

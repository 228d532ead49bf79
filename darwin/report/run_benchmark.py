"""A run of candidates beside its rivals: the same figures, intervals and test as of books.

What is scored are all days of the run: nothing is fitted to them here, so no part of them is a
training. The warm-up, in which nobody may trade, counts as cash, as it does in metrics.json.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from darwin.allocation.benchmark_figures import median
from darwin.allocation.benchmark_judgement import Judgement, judgement_on
from darwin.allocation.benchmark_settings import BenchmarkSettings
from darwin.allocation.benchmark_tree import judgement_tree, sampling_tree, span
from darwin.allocation.benchmark_walks import Books
from darwin.allocation.book_days import BookDays, cut
from darwin.core.market import DAY_MS, BoolArray, FloatArray
from darwin.engine.report import Report
from darwin.engine.report_facts import Benchmark, by_day
from darwin.engine.report_words import plain
from darwin.engine.result import RunResult
from darwin.report.run_books import weighted_books
from darwin.stats.performance import Days, sharpe_ratio

THIS_RUN = "this_run"
"""What the run is called among its rivals."""


@dataclass(frozen=True, slots=True)
class RunBenchmark:
    """A run judged beside its rivals."""

    report: Report
    settings: BenchmarkSettings
    books: tuple[Books, ...]  # the run first
    left_out: dict[str, str]  # who has no book, by name, with the reason
    judgement: Judgement

    @property
    def windows(self) -> list[tuple[int, int]]:
        """Days [from, to) that follow each other, as many windows as were asked for or days are."""
        days = len(self.report.sampling.days.day)
        count = max(min(self.settings.windows, days), 1)
        edges = [days * at // count for at in range(count + 1)]
        return list(pairwise(edges))


def run_benchmark(report: Report, settings: BenchmarkSettings | None = None) -> RunBenchmark:
    """Judge the run of `report`; of `settings` windows, draws, seed, level and what is estimated.

    Of a rival by chance the median of its draws is told, as in metrics.json.
    """
    settings = settings or BenchmarkSettings()
    result, days = report.result, report.sampling.days
    weighted = weighted_books(result, report.sampling, settings)
    books = (
        _run(result, days),
        *(_rival(rival, result.starting_equity_usd, days) for rival in report.benchmarks),
        *weighted.books,
    )
    gains = np.column_stack([_gains(one, report) for one in books])
    told = judgement_on(books, days.per_year, settings, THIS_RUN, median, gains)
    return RunBenchmark(report, settings, books, weighted.left_out, told)


def run_tree(told: RunBenchmark) -> dict[str, Any]:
    """All of it as JSON has it; `benchmarks` and what stands before are those of metrics.json."""
    metrics, days = told.report.metrics, told.report.sampling.days
    tree = {
        **{name: metrics[name] for name in ("run_id", "symbols", "timeframe", "synthetic")},
        **{name: metrics[name] for name in ("total_return", "sharpe_ratio", "max_drawdown")},
        "benchmarks": metrics["benchmarks"],
        **judgement_tree(told.judgement),
        "left_out": told.left_out,
        "test": _span(days, 0, len(days.day)),
        "windows": [_window(told, first, stop) for first, stop in told.windows],
        "sampling": sampling_tree(told.settings, days.per_year),
    }
    plained: dict[str, Any] = plain(tree)
    return plained


def _gains(one: Books, report: Report) -> FloatArray:
    """The returns that are tested, (d,): of a rival by chance those of all its draws in one pot."""
    drawn = {rival.name: rival.drawn_equity for rival in report.benchmarks}.get(one.name)
    start = report.result.starting_equity_usd
    growth = one.days.growth if drawn is None else _growth(drawn.mean(axis=0, keepdims=True), start)
    gained: FloatArray = growth[0] - 1.0
    return gained


def _run(result: RunResult, days: Days) -> Books:
    trades, curve = result.trades, result.equity
    notional = [(t.units * t.entry.mid_price, t.units * t.exit.mid_price) for t in trades]
    instants = [(t.entry.instant, t.exit.instant) for t in trades]
    traded = by_day(
        np.array(notional, dtype=np.float64).ravel(), np.array(instants, dtype=np.int64).ravel(),
        days,
    )  # fmt: skip
    start = result.starting_equity_usd
    return _marked(THIS_RUN, "the run", curve.equity, curve.positions > 0, traded, start, days)


def _rival(rival: Benchmark, start: float, days: Days) -> Books:
    traded, held = rival.activity
    if rival.drawn_equity is None:
        return _marked(rival.name, rival.note, rival.equity, held[0], traded[0], start, days)
    growth = _growth(rival.drawn_equity, start)
    value: FloatArray = np.multiply.accumulate(growth, axis=1)
    before = np.concatenate([np.ones((len(value), 1)), value[:, :-1]], axis=1)
    turnover = _of_value(traded / start, before)
    book = BookDays(growth, growth, growth, np.zeros_like(growth), turnover, held & (before > 0.0))
    return Books(rival.name, rival.note, book, np.median(value, axis=0))


def _marked(
    name: str,
    note: str,
    equity: FloatArray,
    held: BoolArray,
    traded_usd: FloatArray,
    start: float,
    days: Days,
) -> Books:
    """The one book of a curve that is marked at every close, shape (g,)."""
    value = np.concatenate([[1.0], _alive(equity) / start])
    before = np.concatenate([[1.0], value[1:][days.last][:-1]])
    turnover = _of_value(traded_usd / start, before)
    return Books(name, note, cut(value, held, turnover, days), value)


def _growth(equity: FloatArray, start: float) -> FloatArray:
    """Equity at the end of each day over that before it, (s, d); 1 once it is ruined."""
    value = _alive(equity)
    before = np.concatenate([np.full((len(value), 1), start), value[:, :-1]], axis=1)
    return np.where(before > 0.0, value / np.where(before > 0.0, before, 1.0), 1.0)


def _alive(equity: FloatArray) -> FloatArray:
    """Equity along the last axis; what is ruined stays so, at zero."""
    return np.where(np.minimum.accumulate(equity > 0.0, axis=-1), equity, 0.0)


def _of_value(traded: FloatArray, before: FloatArray) -> FloatArray:
    """What is traded on each day over what the book was worth before it."""
    return np.where(before > 0.0, traded / np.where(before > 0.0, before, 1.0), 0.0)


def _window(told: RunBenchmark, first: int, stop: int) -> dict[str, Any]:
    days = told.report.sampling.days
    return _span(days, first, stop) | {
        "strategies": {one.name: _plain_figures(one, first, stop, days) for one in told.books}
    }


def _plain_figures(one: Books, first: int, stop: int, days: Days) -> dict[str, float]:
    """Of some days alone, without intervals."""
    growth = one.days.growth[:, first:stop]
    return {
        "total_return": median(growth.prod(axis=1) - 1.0),
        "sharpe_ratio": median(sharpe_ratio(growth - 1.0, days.per_year)),
    }


def _span(days: Days, first: int, stop: int) -> dict[str, Any]:
    """UTC days [first, stop) of the run; nothing to say where there are none."""
    if stop <= first:
        return {"from": None, "to": None, "days": 0}
    begun, ended = int(days.day[first]) * DAY_MS, (int(days.day[stop - 1]) + 1) * DAY_MS
    return span(begun, ended, stop - first)

"""The books of a benchmark: every strategy over the same test, one book that is never closed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from darwin.allocation import strategies
from darwin.allocation.benchmark_settings import TEST_SHARE, BenchmarkSettings, Judged
from darwin.allocation.book_days import BookDays, by_day
from darwin.allocation.strategies import Plan, Strategy
from darwin.core.market import DAY_MS, FloatArray, IntArray
from darwin.core.panel import Panel
from darwin.core.rebalance import BookState
from darwin.errors import ModelError
from darwin.stats.performance import Days, utc_days
from darwin.stats.walk_forward import Window, walk_forward
from darwin.trading.book import Walk, walk

MOST_GROSS = 10.0
"""Weights of a strategy, longs and shorts together, are at most that: more is a mistake."""


class Books(NamedTuple):
    """The books of one strategy: as many as it has seeds."""

    name: str
    note: str
    days: BookDays
    value: FloatArray  # at the first decision and at each close after it, mean over books, (g + 1,)


@dataclass(frozen=True)
class Course:
    """Where a benchmark is run: windows, the closes at which may be decided, and the days."""

    panel: Panel
    settings: BenchmarkSettings
    windows: tuple[Window, ...]
    rows: IntArray
    days: Days

    @classmethod
    def of(cls, panel: Panel, settings: BenchmarkSettings) -> Course:
        """Lay it out. Raises ConfigError where the windows do not fit."""
        at = settings.test_from
        start = round(len(panel) * (1 - TEST_SHARE)) if at is None else _first(panel, at)
        windows = walk_forward(
            len(panel), start, settings.windows, settings.embargo, settings.train_bars
        )
        frame = panel.timeframe.ms
        calendar = "sessions" if frame > DAY_MS else settings.calendar
        days = utc_days(panel.time[start + 1 :] + frame, calendar)
        return cls(panel, settings, windows, np.arange(start, len(panel) - 1, settings.every), days)

    @property
    def start(self) -> int:
        """The bar at whose close the first decision is possible."""
        return self.windows[0].test_from

    @property
    def closes(self) -> IntArray:
        """When the values of a book are known, from the first decision on, ms UTC, (g + 1,)."""
        return self.panel.time[self.start :] + self.panel.timeframe.ms

    def follow(self, plan: Plan) -> Walk:
        """Walk one book over the test."""
        rows, rate = plan.rows - self.start, self.settings.cost_bps / 1e4
        return walk(self.panel.slice(self.start, len(self.panel)), rows, plan.targets, rate)

    def books(self, name: str, note: str, plans: Sequence[Plan]) -> Books:
        """Walk all books of one strategy."""
        walks = [self.follow(plan) for plan in plans]
        days = [
            by_day(one, plan.rows - self.start, self.days)
            for one, plan in zip(walks, plans, strict=True)
        ]
        value = np.mean([one.value for one in walks], axis=0)
        return Books(name, note, BookDays.side_by_side(days), value)

    def plan(self, strategy: Strategy) -> Plan:
        """Ask a strategy that needs no training once for the whole test."""
        return strategy(self.panel, self.rows, BookState.start(self.panel.assets))


def judged_plans(course: Course, judged: Judged) -> list[Plan]:
    """Ask an agent in each window, with each seed; its book goes on from window to window.

    Raises ModelError where a model has seen what it would be tested on.
    """
    _require_unseen(course, judged)
    return [_judged_plan(course, judged, seed) for seed in range(judged.seeds)]


def benchmark_books(course: Course, judged: Sequence[Plan]) -> list[Books]:
    """Walk all who know nothing; chance is matched to `judged`, or to the crossover without."""
    panel, settings = course.panel, course.settings
    crossover = course.plan(strategies.ma_crossover(settings.fast, settings.slow))
    busy, whose = (judged, "the agent's") if judged else ([crossover], "the crossover's")
    seeds = settings.seeds

    def chance(number: int, make: Callable[[int, np.random.Generator], Strategy]) -> list[Plan]:
        generators = [np.random.default_rng([settings.seed, number, at]) for at in range(seeds)]
        return [course.plan(make(at, rng)) for at, rng in enumerate(generators)]

    matched = chance(1, lambda at, rng: strategies.matched(busy[at % len(busy)], rng))
    random = chance(2, lambda _, rng: strategies.random_weights(rng))
    one = panel.assets == 1
    found = [
        course.books(
            "buy_and_hold", "equal parts bought at the first decision and held to the end",
            [course.plan(strategies.buy_and_hold)],
        ),
        course.books(
            "ma_crossover",
            f"equal parts of what is above: SMA({settings.fast}) over SMA({settings.slow})",
            [crossover],
        ),
        course.books(
            "random_matched",
            f"{whose} decisions at other times{'' if one else ' and with other assets'}, "
            f"mean of {seeds} books",
            matched,
        ),
        course.books(
            "random",
            f"{'long, flat or short' if one else 'any weights'} by chance, mean of {seeds} books",
            random,
        ),
    ]  # fmt: skip
    if one:
        return [*found, course.books("flat", "nothing is held", [course.plan(strategies.flat)])]
    least = strategies.least_variance(settings.lookback, settings.shrinkage)
    return [
        *found,
        course.books(
            "equal_weight", "equal parts, restored at every decision",
            [course.plan(strategies.equal_weight)],
        ),
        course.books(
            "minimum_variance",
            f"least variance without shorts, from {settings.lookback:,} returns, "
            f"shrunk by {settings.shrinkage:g}",
            [course.plan(least)],
        ),
    ]  # fmt: skip


def _judged_plan(course: Course, judged: Judged, seed: int) -> Plan:
    panel, done = course.panel, Plan(course.rows[:0], np.zeros((0, course.panel.assets)))
    for window in course.windows:
        inside = (course.rows >= window.test_from) & (course.rows < window.test_to)
        rows = course.rows[inside]
        if not len(rows):
            continue
        strategy = judged.policy_for(panel.slice(window.train_from, window.train_to), seed)
        book = _standing(course, done, int(rows[0]))
        plan = strategy(panel.slice(0, window.test_to), rows, book)
        _require_sound(plan, rows, judged.name, panel.assets)
        done = Plan(
            np.concatenate([done.rows, plan.rows]), np.concatenate([done.targets, plan.targets])
        )
    return done


def _require_sound(plan: Plan, rows: IntArray, name: str, assets: int) -> None:
    if not (np.isin(plan.rows, rows).all() and (np.diff(plan.rows) > 0).all()):
        raise ModelError(
            f"{name} decided where it was not asked, or not in order",
            mend="let it decide at the rows that it is given, each once",
        )
    if plan.targets.shape != (len(plan.rows), assets):
        raise ModelError(
            f"{name} gave weights of shape {plan.targets.shape} for {len(plan.rows)} decisions"
            f" about {assets} assets",
            mend="give one weight for each asset at each decision",
        )
    if not np.isfinite(plan.targets).all():
        raise ModelError(f"{name} asked for weights that are no numbers", mend="see why it did")
    if not (np.abs(plan.targets).sum(axis=1) <= MOST_GROSS).all():
        raise ModelError(
            f"{name} asked for more than {MOST_GROSS:g} times the book",
            mend="weights are shares of the book, 1 together without leverage",
        )


def _standing(course: Course, done: Plan, row: int) -> BookState:
    """The book at the close of `row`, after what was decided before."""
    book = BookState.start(course.panel.assets)
    if not len(done.rows):
        return book
    walked = course.follow(done)
    for target, until in zip(done.targets, [*done.rows[1:], row], strict=True):
        at = int(until) - course.start
        book = book.after(target.tolist(), walked.weights[at].tolist(), float(walked.value[at]))
    return book


def _first(panel: Panel, test_from: int) -> int:
    """The first bar that opens at or after an instant."""
    return int(np.searchsorted(panel.time, test_from))


def _require_unseen(course: Course, judged: Judged) -> None:
    if judged.trained_until is None:
        return
    frame = course.panel.timeframe.ms
    begins = int(course.panel.time[course.start])
    latest = begins - course.settings.embargo * frame
    if judged.trained_until > latest:
        told = [
            f"{np.datetime64(at, 'ms').astype('datetime64[m]')}" for at in
            (judged.trained_until, begins, judged.trained_until + course.settings.embargo * frame)
        ]  # fmt: skip
        raise ModelError(
            f"{judged.name} has seen bars to {told[0]}, too late for a test from {told[1]} on",
            where=f"an embargo of {course.settings.embargo} bars",
            mend=f"begin the test at {told[2]} or later, or judge a version that saw less",
        )

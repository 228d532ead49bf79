"""The figures of a benchmark, each with an interval over days, and over books where there are many.

Returns are those of UTC days. An interval comes from days drawn again in stretches (the stationary
bootstrap), the same days for every strategy, so that differences are paired; of a strategy with
several books each draw takes one of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np

from darwin.allocation.book_days import BookDays
from darwin.core.market import FloatArray, IntArray
from darwin.stats.intervals import Interval
from darwin.stats.performance import sharpe_ratio
from darwin.stats.stationary import middle

FEWEST_DAYS = 20
"""Of fewer days no interval is told."""


Centre: TypeAlias = Callable[[FloatArray], float]
"""What is told of the figures of several books, shape (s,)."""


def mean(figure: FloatArray) -> float:
    """Over books; NaN where one of them has none."""
    return float(figure.mean())


def median(figure: FloatArray) -> float:
    """Over those books that have one; NaN where none has."""
    known = figure[np.isfinite(figure)]
    return float(np.median(known)) if len(known) else float("nan")


class Figures(NamedTuple):
    """How a strategy did; of several books their centre."""

    total_return: Interval
    sharpe_ratio: Interval  # of daily returns, annualised
    max_drawdown: Interval  # at the closes of bars; zero or below
    win_rate: Interval  # share of days that earned, among those with something held
    avg_return: Interval  # of a day
    turnover: Interval  # a year, in values of the book


class _Drawn(NamedTuple):
    """The same, plain, of any number of sequences of days, each of shape (m,)."""

    total_return: FloatArray
    sharpe_ratio: FloatArray
    max_drawdown: FloatArray
    win_rate: FloatArray
    avg_return: FloatArray
    turnover: FloatArray


def figures(
    books: BookDays,
    per_year: float,
    days: IntArray | None,
    rng: np.random.Generator,
    level: float = 0.95,
    centre: Centre = mean,
) -> Figures:
    """The figures of `books`; `days` (draws, d) are those of each draw, None for no interval."""
    own = _reckon(books, per_year)
    values = [centre(figure) for figure in own]
    if days is None:
        return Figures(*(Interval(value, float("nan"), float("nan")) for value in values))
    which = rng.integers(0, len(books.growth), len(days))[:, None]
    drawn = _reckon(_chosen(books, which, days), per_year)
    return Figures(*(middle(v, d, level) for v, d in zip(values, drawn, strict=True)))


def mean_difference(
    gains: FloatArray, rival: FloatArray, days: IntArray | None, level: float = 0.95
) -> Interval:
    """How much more a day `gains` has than `rival`, both of shape (d,), over the same days."""
    more = gains - rival
    if days is None:
        return Interval(float(more.mean()), float("nan"), float("nan"))
    return middle(float(more.mean()), more[days].mean(axis=1), level)


def _chosen(books: BookDays, which: IntArray, days: IntArray) -> BookDays:
    return BookDays(
        books.growth[which, days], books.low[which, days], books.high[which, days],
        books.fall[which, days], books.turnover[which, days], books.exposed[which, days],
    )  # fmt: skip


def _reckon(books: BookDays, per_year: float) -> _Drawn:
    end: FloatArray = np.multiply.accumulate(books.growth, axis=1)
    before = np.concatenate([np.ones((len(end), 1)), end[:, :-1]], axis=1)
    highest = np.maximum.accumulate(np.maximum(before * books.high, 1.0), axis=1)
    peak = np.concatenate([np.ones((len(end), 1)), highest[:, :-1]], axis=1)
    alive = before > 0.0
    below = np.where(alive, before * books.low / peak, 0.0) - 1.0
    deepest: FloatArray = np.minimum(below, np.where(alive, books.fall, 0.0)).min(axis=1)
    exposed = books.exposed.sum(axis=1)
    won = (books.exposed & (books.growth > 1.0)).sum(axis=1)
    returns = books.returns
    traded: FloatArray = books.turnover.mean(axis=1) * per_year
    return _Drawn(
        end[:, -1] - 1.0,
        sharpe_ratio(returns, per_year),
        deepest,
        np.where(exposed > 0, won / np.maximum(exposed, 1), np.nan),
        returns.mean(axis=1),
        traded,
    )

"""A book by UTC days: what each day made of it, so that days can be drawn again in any order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from darwin.core.market import BoolArray, FloatArray, IntArray
from darwin.stats.performance import Days
from darwin.trading.book import Walk


@dataclass(frozen=True, slots=True)
class BookDays:
    """Days of several books side by side, every array of shape (s, d).

    `low` and `high` are the least and the largest value within the day, and `growth` the last one,
    over that at the end of the day before. `fall` is the deepest fall from a peak of the same day,
    zero or below. A book that is worth nothing stays so: its later days have growth 1.
    """

    growth: FloatArray
    low: FloatArray
    high: FloatArray
    fall: FloatArray
    turnover: FloatArray  # of all trades of the day, each over the value at it
    exposed: BoolArray  # whether anything was held at some close

    @property
    def returns(self) -> FloatArray:
        """Simple returns, shape (s, d)."""
        moved: FloatArray = self.growth - 1.0
        return moved

    @classmethod
    def side_by_side(cls, books: Sequence[BookDays]) -> BookDays:
        """Join books of the same days."""
        return cls(
            np.concatenate([book.growth for book in books]),
            np.concatenate([book.low for book in books]),
            np.concatenate([book.high for book in books]),
            np.concatenate([book.fall for book in books]),
            np.concatenate([book.turnover for book in books]),
            np.concatenate([book.exposed for book in books]),
        )


def by_day(walk: Walk, rows: IntArray, days: Days) -> BookDays:
    """Cut one book by the `days` of its marks.

    `walk` begins at the close of the first decision, in cash; its later closes are the marks, so
    that mark i is its close i + 1. `rows` are those of its decisions, each traded one bar later.
    """
    traded = rows < len(walk.value) - 1  # a decision at the last close is never carried out
    turnover = np.zeros(len(days.last))
    np.add.at(turnover, np.searchsorted(days.last, rows[traded]), walk.turnover[traded])
    held: BoolArray = np.abs(walk.weights[1:]).sum(axis=1) > 0.0
    return cut(walk.value, held, turnover, days)


def cut(value: FloatArray, held: BoolArray, turnover: FloatArray, days: Days) -> BookDays:
    """Cut one book by the `days` of its marks.

    `value`: at the beginning and at each of its g marks, (g + 1,), any unit, never below zero;
    `held`: at each mark, (g,); `turnover`: of each day, (d,).
    """
    start, value = value[:1], value[1:]
    first = np.concatenate([[0], days.last[:-1] + 1])
    longest = int((days.last - first).max()) + 1
    marks = np.minimum(first[:, None] + np.arange(longest), days.last[:, None])  # (d, longest)
    end = value[days.last]
    before = np.concatenate([start, end[:-1]])
    alive = before > 0.0
    within = np.where(alive[:, None], value[marks] / np.where(alive, before, 1.0)[:, None], 1.0)
    peak = np.maximum.accumulate(within, axis=1)
    fallen = np.where(peak > 0.0, within / np.where(peak > 0.0, peak, 1.0), 0.0) - 1.0
    return BookDays(
        within[None, :, -1], within.min(axis=1)[None], within.max(axis=1)[None],
        fallen.min(axis=1)[None], turnover[None], np.any(held[marks], axis=1)[None],
    )  # fmt: skip

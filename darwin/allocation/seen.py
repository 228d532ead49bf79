"""What a page of a book sees of the book itself: columns with ends, on scales that never change.

How the market moves is standardised by the rows of training; how a book stands is not, for a long
decline or a full position is nothing strange (an observation beyond ten standard deviations is).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from darwin.core.market import FloatArray
from darwin.core.rebalance import BookState


class Books(NamedTuple):
    """Any number of books side by side."""

    weights: FloatArray  # (e, n)
    value: FloatArray  # over that at the start, (e,)
    peak: FloatArray  # (e,)
    entry: FloatArray  # see `BookState`, (e,)

    @classmethod
    def of(cls, book: BookState) -> Books:
        """One book."""
        value, peak, entry = (np.array([one]) for one in (book.value, book.peak, book.entry))
        return cls(np.array([book.weights]), value, peak, entry)

    @property
    def drawdown(self) -> FloatArray:
        """Value over its peak, minus 1, shape (e,)."""
        fallen: FloatArray = self.value / self.peak - 1.0
        return fallen


class Scale(NamedTuple):
    """Where a column of the book stays, and what it is divided by; its mean is taken to be 0."""

    low: float
    high: float
    sd: float


WEIGHT = Scale(-2.0, 2.0, 0.25)
FALL = Scale(-1.0, 0.0, 0.11)
RETURN = Scale(-1.0, 1.0, 0.11)


def within(scale: Scale, values: FloatArray) -> FloatArray:
    """Cut off what lies beyond the ends of a column; NaN stays."""
    cut: FloatArray = np.clip(values, scale.low, scale.high)
    return cut

"""Sliding windows whose bits depend on the window's values alone, however the bars arrive.

A window of n bars is put together from windows of 1, 2, 4, 8 … bars (its binary digits) in one
fixed order, with elementwise arithmetic only. No running sum is carried along, so that no rounding
error of the past lives on, and a chunk costs log2(n) passes.

Every kernel has the form `f(x, carry, bars) -> (values, carry)`: x is (n,), oldest first; the
values are (n,) and NaN until the window is full of numbers; carry None is the beginning.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from typing import NamedTuple, TypeAlias

import numpy as np

from darwin.core.market import FloatArray

Tail: TypeAlias = FloatArray  # the last inputs of earlier chunks, as many as a window reaches back

_NOISE = 1e-26  # a variance below this share of the squared mean is rounding noise, not movement


def lag(x: FloatArray, carry: Tail | None, bars: int) -> tuple[FloatArray, Tail]:
    """The value `bars` bars ago."""
    reach, tail = _reach_back(x, carry, bars)
    return reach[: len(x)], tail


def window_sum(x: FloatArray, carry: Tail | None, bars: int) -> tuple[FloatArray, Tail]:
    """Sum of the last `bars` values, the current one included."""
    reach, tail = _reach_back(x, carry, bars - 1)
    return _sums(reach, bars), tail


def window_mean(x: FloatArray, carry: Tail | None, bars: int) -> tuple[FloatArray, Tail]:
    """Arithmetic mean of the last `bars` values, the current one included."""
    reach, tail = _reach_back(x, carry, bars - 1)
    total = _sums(reach, bars)
    return total / bars, tail


def window_highest(x: FloatArray, carry: Tail | None, bars: int) -> tuple[FloatArray, Tail]:
    """Largest of the last `bars` values, the current one included."""
    reach, tail = _reach_back(x, carry, bars - 1)
    return _extremes(reach, bars, np.maximum), tail


def window_lowest(x: FloatArray, carry: Tail | None, bars: int) -> tuple[FloatArray, Tail]:
    """Smallest of the last `bars` values, the current one included."""
    reach, tail = _reach_back(x, carry, bars - 1)
    return _extremes(reach, bars, np.minimum), tail


def window_z(x: FloatArray, carry: Tail | None, bars: int) -> tuple[FloatArray, Tail]:
    """Distance from the window's mean in population standard deviations; 0 where nothing moves."""
    reach, tail = _reach_back(x, carry, bars - 1)
    _, total, squares = reduce(_merge, _moments(reach, bars))
    flat = squares <= total * total * (_NOISE / bars)
    deviation = np.sqrt(squares / bars)
    deviation[flat] = np.inf
    z = x - total / bars
    z /= deviation
    return z, tail


def _reach_back(x: FloatArray, carry: Tail | None, bars: int) -> tuple[FloatArray, Tail]:
    """Put the last `bars` earlier values before `x`; NaN where there are none yet."""
    before = np.full(bars, np.nan) if carry is None else carry
    reach = np.concatenate((before, x))
    return reach, reach[len(x) :].copy()


def _sums(reach: FloatArray, bars: int) -> FloatArray:
    """Sums of all windows of `bars` values, oldest window first, shape (len(reach) - bars + 1,)."""
    return reduce(np.add, _pieces(reach, bars))


def _pieces(reach: FloatArray, bars: int) -> Iterator[FloatArray]:
    """Sums over the binary pieces of each window, from its newest values back, shortest first."""
    count = len(reach) - bars + 1
    sums, size, start = reach, 1, bars
    while size <= bars:
        if bars & size:
            start -= size
            yield sums[start : start + count]
        if 2 * size > bars:
            break
        sums = sums[:-size] + sums[size:]
        size *= 2


def _extremes(reach: FloatArray, bars: int, pick: np.ufunc) -> FloatArray:
    """Extremes of all windows of `bars` values: the two longest halves may overlap."""
    count = len(reach) - bars + 1
    piece, size = reach, 1
    while 2 * size <= bars:
        piece = pick(piece[:-size], piece[size:])
        size *= 2
    if size == bars:
        return piece
    ends: FloatArray = pick(piece[:count], piece[bars - size : bars - size + count])
    return ends


class _Moments(NamedTuple):
    """Of `size` values each: their sum, and the sum of squared deviations from their mean."""

    size: int
    total: FloatArray
    squares: FloatArray

    def cut(self, start: int, stop: int) -> _Moments:
        return _Moments(self.size, self.total[start:stop], self.squares[start:stop])


def _moments(reach: FloatArray, bars: int) -> Iterator[_Moments]:
    """Moments of the same pieces as in `_pieces`, in the same order."""
    count = len(reach) - bars + 1
    piece, start = _Moments(1, reach, np.zeros(len(reach))), bars
    while (size := piece.size) <= bars:
        if bars & size:
            start -= size
            yield piece.cut(start, start + count)
        if 2 * size > bars:
            break
        last = len(piece.total)
        piece = _merge(piece.cut(0, last - size), piece.cut(size, last))


def _merge(one: _Moments, other: _Moments) -> _Moments:
    """Join two pieces by the formula of Chan, Golub, LeVeque (1979).

    It does not lose the variance of prices far from zero to cancellation, and gives exactly 0 for
    equal values.
    """
    size = one.size + other.size
    if one.size == other.size:
        squares = one.total - other.total
        squares *= squares
        squares *= 1.0 / size
    else:
        squares = one.total * other.size
        squares -= other.total * one.size
        squares *= squares
        squares /= one.size * other.size * size
    squares += one.squares
    squares += other.squares
    return _Moments(size, one.total + other.total, squares)

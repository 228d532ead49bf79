"""Row-by-row arithmetic of the indicators: whole columns in, one whole column out.

Where a denominator is 0 nothing has moved or been traded, and the quotient is 0 unless a function
says otherwise; NaN, which stands for warming up, stays NaN.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from darwin.core.market import FloatArray, IntArray

DEAD_ATR = 1e-6
"""An ATR below this share of the close, a hundredth of a basis point, counts as no movement."""

MOST_ATR = 50.0
"""Distances are cut off at so many ATR: the first tick after a dead stretch would be thousands."""


def quotient(numerator: FloatArray, denominator: FloatArray, *, times: float = 1.0) -> FloatArray:
    """`times` × numerator / denominator; 0 where the denominator is 0, NaN where one is NaN."""
    with np.errstate(divide="ignore", invalid="ignore"):
        values: FloatArray = numerator / denominator
    if times != 1.0:
        values *= times
    still = denominator == 0.0
    if still.any():
        values[still] = 0.0 * numerator[still]
    return values


def bounded_quotient(numerator: FloatArray, denominator: FloatArray, *, times: float) -> FloatArray:
    """tanh of `quotient`."""
    values: FloatArray = np.tanh(quotient(numerator, denominator, times=times))
    return values


def minus(one: FloatArray, other: FloatArray) -> FloatArray:
    """Difference, row by row."""
    return one - other


def range_with_gap(high: FloatArray, low: FloatArray, prev_close: FloatArray) -> FloatArray:
    """True range: high to low, stretched to the previous close where there is one."""
    top: FloatArray = np.fmax(high, prev_close)
    top -= np.fmin(low, prev_close)
    return top


def larger_move(move: FloatArray, against: FloatArray) -> FloatArray:
    """The move where it is positive and larger than the one against it, else 0."""
    moved: FloatArray = np.where((move > against) & (move > 0.0), move, 0.0)
    return moved


def rise(x: FloatArray, before: FloatArray) -> FloatArray:
    """How far x rose, 0 where it fell."""
    moved: FloatArray = np.maximum(x - before, 0.0)
    return moved


def lopsidedness(plus: FloatArray, against: FloatArray) -> FloatArray:
    """100 × |plus − against| / (plus + against); 0 where both are 0."""
    return quotient(np.abs(plus - against), plus + against, times=100.0)


def strength(gain: FloatArray, loss: FloatArray) -> FloatArray:
    """100 × gain / (gain + loss); 50 where nothing moved."""
    both = gain + loss
    values = quotient(gain, both, times=100.0)
    values[both == 0.0] = 50.0
    return values


def known_or_zero(volume: FloatArray) -> FloatArray:
    """Volume, 0 where the source has none."""
    known: FloatArray = np.where(np.isnan(volume), 0.0, volume)
    return known


def in_atr(distance: FloatArray, atr: FloatArray, close: FloatArray) -> FloatArray:
    """Distance over ATR, cut off at ±MOST_ATR; 0 where the ATR is below DEAD_ATR × close."""
    with np.errstate(divide="ignore", invalid="ignore"):
        values: FloatArray = distance / atr
    dead = atr <= DEAD_ATR * close
    if dead.any():
        values[dead] = 0.0 * distance[dead]
    np.maximum(values, -MOST_ATR, out=values)
    np.minimum(values, MOST_ATR, out=values)
    return values


def fraction_alive(atr: FloatArray, close: FloatArray) -> FloatArray:
    """ATR over close; 0 below DEAD_ATR."""
    values = atr / close
    values[values <= DEAD_ATR] = 0.0
    return values


def log_ratio(x: FloatArray, before: FloatArray) -> FloatArray:
    """Natural logarithm of x / before."""
    values: FloatArray = np.log(x / before)
    return values


def log_above(x: FloatArray, *, floor: float) -> FloatArray:
    """Natural logarithm of x + floor, for x ≥ 0."""
    values: FloatArray = np.log(x + floor)
    return values


def log_beyond(
    x: FloatArray,
    expected_by: FloatArray,
    mean: FloatArray,
    *,
    floor: float,
    slope: float,
    times: float,
) -> FloatArray:
    """tanh(times · (ln(x + floor) − slope · ln(expected_by + floor))); 0 where `mean` is 0."""
    beyond = np.log(x + floor) - slope * np.log(expected_by + floor)
    values: FloatArray = np.tanh(times * beyond)
    values[mean == 0.0] = 0.0
    return values


def product(one: FloatArray, other: FloatArray) -> FloatArray:
    """one · other."""
    return one * other


def square(x: FloatArray) -> FloatArray:
    """x²."""
    return x * x


def root(x: FloatArray) -> FloatArray:
    """Square root."""
    values: FloatArray = np.sqrt(x)
    return values


def affine(x: FloatArray, *, times: float, plus: float = 0.0) -> FloatArray:
    """times · x + plus."""
    values = x * times
    if plus:
        values += plus
    return values


def place_between(x: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """−1 where x is at low, 1 at high; 0 where both are equal."""
    return quotient((x - low) - (high - x), high - low)


def contrast(one: FloatArray, other: FloatArray) -> FloatArray:
    """(one − other) / (one + other); 0 where both are 0."""
    return quotient(one - other, one + other)


def on_the_clock(time: IntArray, *, period_ms: int, phase: float, step_ms: int) -> FloatArray:
    """Sine of the time's place in a cycle, advanced by `phase` of a cycle; one value per step.

    The values come from a table, so that they are the same on every machine.
    """
    table = _sines(period_ms // step_ms, phase)
    values: FloatArray = table[(time // step_ms) % len(table)]
    return values


@lru_cache(maxsize=16)
def _sines(steps: int, phase: float) -> FloatArray:
    return np.array([math.sin(2.0 * math.pi * (k / steps + phase)) for k in range(steps)])

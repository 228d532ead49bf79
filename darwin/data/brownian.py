"""Extremes of a Brownian bridge: lowest and highest point of a bar, drawn from their joint law.

Everything is told in the natural logarithm of price, relative to where the bar opens. A bridge
runs from 0 to `end` and has variance `variance` over the whole bar; a constant drift does not
change its law.
"""

from __future__ import annotations

import numpy as np

from darwin.core.market import FloatArray

_STAY_IMAGES = 2
_IMAGES = 6  # of the range: on each side, the series is exact to 3e-8 where barriers are half a
_NARROWEST = 0.5  # standard deviation apart, and a bridge with less range is one in 10^7
_WIDEST = 9.0  # of a range beyond its least possible value, in standard deviations
_CLOSE_ENOUGH = 1e-9
_TINY = 1e-300


def touch_probability(level: FloatArray, end: FloatArray, variance: FloatArray) -> FloatArray:
    """Probability that a bridge reaches `level`; 1 for a level between 0 and `end`.

    The arguments broadcast; an infinite level is never reached.
    """
    return np.minimum(_image(level, end, -2.0 / variance), 1.0)


def stay_probability(
    low: FloatArray, high: FloatArray, end: FloatArray, variance: FloatArray
) -> FloatArray:
    """Probability that a bridge stays strictly between `low` <= 0 and `high` >= 0.

    The arguments broadcast; 0 where `end` lies outside; either barrier may be infinite. Method of
    images: the density of the motion killed at both barriers (Borodin & Salminen, Handbook of
    Brownian Motion, part II, 1.15) over the free one, with two images on each side: exact to 1e-5
    for barriers a standard deviation apart or more, to 3e-4 for 0.7 of that.
    """
    scale = -2.0 / variance
    width = high - low
    stays = 1.0 - _image(low, end, scale) - _image(high, end, scale)
    for k in range(1, _STAY_IMAGES + 1):
        away = k * width
        stays = stays + _image(away, end, scale) + _image(-away, end, scale)
        stays -= _image(low - away, end, scale) + _image(high + away, end, scale)
    inside = (low < np.minimum(end, 0.0)) & (high > np.maximum(end, 0.0))
    return np.where(inside, np.clip(stays, 0.0, 1.0), 0.0)


def draw_extremes(
    end: FloatArray, variance: FloatArray, first: FloatArray, second: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Draw (lowest, highest) of bridges from their joint law; all arrays have shape (n,).

    `first` and `second` are independent uniforms in (0, 1]. The minimum follows from inverting
    P(min < a) = exp(-2 a (a - end) / variance); the range from inverting its conditional law
    given that minimum, see `_range_law`. lowest <= min(0, end) and highest >= max(0, end).
    """
    deviation = np.sqrt(variance)
    x = end / deviation
    s = np.sqrt(x * x - 2.0 * np.log(first))
    width = _invert_range(s, np.abs(x), second)
    lowest = 0.5 * (x - s)
    return (
        np.minimum(deviation * lowest, np.minimum(end, 0.0)),
        np.maximum(deviation * (lowest + width), np.maximum(end, 0.0)),
    )


def _image(level: FloatArray, end: FloatArray, scale: FloatArray) -> FloatArray:
    """Weight of the path mirrored at `level`: exp(-2 level (level - end) / variance)."""
    weight: FloatArray = np.exp(np.minimum(scale * level * (level - end), 0.0))
    return weight


def _range_law(width: FloatArray, s: FloatArray, d: FloatArray) -> tuple[FloatArray, FloatArray]:
    """P(range > width | minimum, end) of a standard bridge, and its density in `width`.

    With minimum a and end x: s = x - 2a, d = |x|. The quotient of two derivatives in a: of the
    two-barrier series (`stay_probability`) and of its limit without an upper barrier. Images
    k = ±1, ±2, ... of two kinds, mirrored at a distance from the end (d) and from the start (s).
    """
    beyond = np.zeros_like(width)
    density = np.zeros_like(width)
    tilt = 0.5 * (s * s - d * d)
    for k in (sign * image for image in range(1, _IMAGES + 1) for sign in (1, -1)):
        reach = 2.0 * k * width
        gap = reach - d
        weight = k * np.exp(tilt - 0.5 * reach * (reach - 2.0 * d))
        beyond += gap * weight
        density += (2.0 * k) * (gap * gap - 1.0) * weight
        if k != 1:
            gap = reach - s
            weight = (1 - k) * np.exp(-0.5 * reach * (reach - 2.0 * s))
            beyond += gap * weight
            density += (2.0 * k) * (gap * gap - 1.0) * weight
    return beyond / s, density / s


def _invert_range(s: FloatArray, d: FloatArray, beyond: FloatArray) -> FloatArray:
    """Solve P(range > width | minimum, end) = `beyond`, to 1e-9.

    Newton on the logarithm, which is concave, so that it converges from one side; a step that
    leaves the bracket is replaced by halving it.
    """
    target = np.log(beyond)
    low = np.maximum(0.5 * (s + d), _NARROWEST)
    high = low + _WIDEST
    guess = 0.5 * (d + np.sqrt(s * s - 2.0 * target))  # the first image alone, then its weight
    guess = 0.5 * (d + np.sqrt(np.maximum(s * s - 2.0 * (target - np.log((2 * guess - d) / s)), 0)))
    guess = np.clip(guess, low, high)
    solved = guess.copy()
    rows = np.arange(len(guess))
    while len(rows):
        value, density = _range_law(guess, s, d)
        value = np.maximum(value, _TINY)
        excess = np.log(value) - target
        low = np.where(excess > 0.0, guess, low)
        high = np.where(excess > 0.0, high, guess)
        better = guess + excess * value / np.maximum(density, _TINY)
        better = np.where((better >= low) & (better <= high), better, 0.5 * (low + high))
        solved[rows] = better
        left = np.abs(better - guess) > _CLOSE_ENOUGH
        rows, guess, s, d = rows[left], better[left], s[left], d[left]
        low, high, target = low[left], high[left], target[left]
    return solved

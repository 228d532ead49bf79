"""Bars of a multiple of the timeframe, folded from base bars and seen only once closed.

A higher bar is the base bars of one bucket of absolute time. It closes with the base bar that
reaches the bucket's end, or, where that one is missing, with the first bar of a later bucket.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from darwin.core.market import IntArray


class OpenBucket(NamedTuple):
    """The bucket that has begun and not closed."""

    bucket: int
    open: float
    high: float
    low: float
    close: float


class Folded(NamedTuple):
    """What a chunk of base bars closed."""

    columns: dict[str, NDArray[Any]]  # of the m higher bars that closed within the chunk
    closed: IntArray  # (n,): how many of them each base bar knows
    carry: OpenBucket | None


def fold(
    columns: Mapping[str, NDArray[Any]], carry: OpenBucket | None, bar_ms: int, factor: int
) -> Folded:
    """Fold a chunk of n ≥ 1 base bars of `bar_ms` into bars `factor` times as long."""
    span = factor * bar_ms
    close_time = columns["close_time"]
    bucket = (close_time - bar_ms) // span
    ends = close_time >= (bucket + 1) * span
    prices = [columns[name] for name in ("open", "high", "low", "close")]
    if carry is not None:
        bucket = np.concatenate(([carry.bucket], bucket))
        ends = np.concatenate(([False], ends))
        prices = [np.concatenate(([old], new)) for old, new in zip(carry[1:], prices, strict=True)]
    opens, highs, lows, closes = prices

    begins = np.empty(len(bucket), dtype=np.bool_)
    begins[0] = True
    np.not_equal(bucket[1:], bucket[:-1], out=begins[1:])
    begins[1:] |= ends[:-1]
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(bucket)) - 1
    high, low = np.maximum.reduceat(highs, first), np.minimum.reduceat(lows, first)

    seen_from = np.where(ends[last], last, last + 1)
    whole = len(first) if ends[-1] else len(first) - 1
    closed = np.cumsum(np.bincount(seen_from[:whole], minlength=len(bucket)))
    left = None
    if whole < len(first):
        left = OpenBucket(
            int(bucket[-1]),
            float(opens[first[-1]]),
            float(high[-1]),
            float(low[-1]),
            float(closes[-1]),
        )
    return Folded(
        {
            "open": opens[first[:whole]],
            "high": high[:whole],
            "low": low[:whole],
            "close": closes[last[:whole]],
            "close_time": (bucket[first[:whole]] + 1) * span,
        },
        closed[len(closed) - len(close_time) :],
        left,
    )

"""The digest of the bars that a run has consumed, the same however they were cut."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from darwin.core.market import Bars, IntArray
from darwin.engine.arrivals import Arrival, RunningClock, arrivals
from darwin.trading.costs import funding_due

_WORDS = 8  # of a bar: symbol, time, open, high, low, close, volume, payments that follow
_INSTANTS_AT_ONCE = 1 << 16


def data_digest(markets: Sequence[Bars], reached: int) -> str:
    """Digest all bars of `markets` up to the open time `reached`, as a run that is fed them would.

    64 hex digits.
    """
    cut = [b.slice(0, int(np.searchsorted(b.time, reached, side="right"))) for b in markets]
    clock = RunningClock([b.symbol for b in cut], [b.funding is not None for b in cut])
    digest = DataDigest()
    for chunk in arrivals(cut, _INSTANTS_AT_ONCE):
        digest.take(clock.place(chunk))
    return digest.upto(len(clock))


class DataDigest:
    """SHA-256 over bars in the order of instant and symbol, number by number.

    A bar is eight words of 64 bits, little-endian: number of its symbol (plus 2^32 if the bar came
    too late to act on), open time, open, high, low, close, volume, and how many funding payments
    fall due at it; then the stamp and rate of each of these. An unknown volume is always the same
    NaN.
    """

    def __init__(self) -> None:
        """Start before the first bar."""
        self._hash = hashlib.sha256()
        self._bytes = memoryview(b"")
        self._ends: IntArray = np.empty(0, dtype=np.int64)  # of each instant, in bytes
        self._first = self._done = 0

    def take(self, arrival: Arrival) -> None:
        """Go on by the bars of `arrival`."""
        self._hash.update(self._bytes[self._done :])
        words, ends = _words(arrival)
        self._bytes, self._ends = memoryview(words.astype("<i8").tobytes()), ends * 8
        self._first, self._done = arrival.first, 0

    def upto(self, instants: int) -> str:
        """The digest of all bars of the first so many instants; never fewer than before."""
        count = instants - self._first
        end = int(self._ends[count - 1]) if count else 0
        self._hash.update(self._bytes[self._done : end])
        self._done = max(self._done, end)
        return self._hash.hexdigest()


def _words(arrival: Arrival) -> tuple[IntArray, IntArray]:
    """All words of an arrival, and where those of each instant end, (g,)."""
    dues = [_due(arrival, number) for number in range(len(arrival.chunk))]
    symbol = np.repeat(np.arange(len(dues)), [len(bars) for bars in arrival.chunk])
    place = np.concatenate(arrival.place)
    payments = np.concatenate([payments for payments, *_ in dues])
    length = _WORDS + 2 * payments
    order = np.lexsort((symbol, place))
    ends = np.cumsum(length[order])
    start = np.empty_like(ends)
    start[order] = ends - length[order]
    words = np.empty(int(ends[-1]), dtype=np.int64)
    late = [np.zeros(len(b), np.bool_) if b.stale is None else b.stale for b in arrival.chunk]
    words[start] = symbol + (np.concatenate(late).astype(np.int64) << 32)
    words[start + 1] = np.concatenate([b.time for b in arrival.chunk])
    for nth, name in enumerate(("open", "high", "low", "close", "volume"), start=2):
        column = np.concatenate([getattr(bars, name) for bars in arrival.chunk])
        words[start + nth] = np.where(np.isnan(column), np.nan, column).view(np.int64)
    words[start + _WORDS - 1] = payments
    first = 0
    for (count, stamp, rate), bars in zip(dues, arrival.chunk, strict=True):
        own = start[first : first + len(bars)]
        before = np.repeat(np.cumsum(count) - count, count)  # payments of earlier bars
        at = np.repeat(own + _WORDS, count) + 2 * (np.arange(len(stamp)) - before)
        words[at], words[at + 1] = stamp, rate.view(np.int64)
        first += len(bars)
    return words, ends[np.searchsorted(place[order], np.arange(len(arrival.time)), "right") - 1]


def _due(arrival: Arrival, number: int) -> tuple[IntArray, IntArray, np.ndarray]:
    """Of one symbol: how many payments fall due at each bar, their stamps, their rates."""
    bars = arrival.chunk[number]
    if bars.funding is None or arrival.paid[number] is None:
        return np.zeros(len(bars), dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0)
    due, stamps = funding_due(bars, arrival.since[number])
    count = np.bincount(due, minlength=len(bars))
    return count, bars.funding.time[stamps], bars.funding.rate[stamps]

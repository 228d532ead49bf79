"""Bars of several symbols that come in one by one, put together instant by instant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from darwin.core.market import Bars, Timeframe


class Gathering:
    """Waits at each instant for the bars of all symbols, but no longer than `grace_ms`.

    An instant is the open time of its bars. Times are ms UTC, by the clock of the venue.
    """

    def __init__(
        self, symbols: Sequence[str], timeframe: Timeframe, grace_ms: int, fed: int | None = None
    ) -> None:
        """Go on after the instant `fed`; None: nothing was fed yet."""
        self._timeframe, self._grace_ms, self._fed = timeframe, grace_ms, fed
        self._waiting: list[Bars | None] = [None] * len(symbols)
        self._seen: list[int | None] = [fed] * len(symbols)
        self._symbols = tuple(symbols)
        self.came_too_late = 0  # bars of instants that were fed without them

    @property
    def fed(self) -> int | None:
        """The last instant that was given out."""
        return self._fed

    def wanted(self, number: int) -> int | None:
        """From which open time on bars of symbol `number` are wanted; None: from the first."""
        seen = self._seen[number]
        return None if seen is None else seen + self._timeframe.ms

    def take(self, number: int, bars: Bars) -> None:
        """Take closed bars of symbol `number`, later ones than those it has given before."""
        if not len(bars):
            return
        self._seen[number] = int(bars.time[-1])
        late = 0 if self._fed is None else int(np.searchsorted(bars.time, self._fed, side="right"))
        self.came_too_late += late
        bars = bars.slice(late, len(bars))
        before = self._waiting[number]
        self._waiting[number] = bars if before is None else _joined(before, bars)

    def ready(self, now: int) -> Iterator[list[Bars]]:
        """The bars of each instant that is whole or has waited long enough at `now`, in order.

        A slice per symbol, empty where it has no bar then.
        """
        while True:
            opens = [int(one.time[0]) for one in self._waiting if one is not None and len(one)]
            if not opens:
                return
            instant = min(opens)
            over = now >= instant + self._timeframe.ms + self._grace_ms
            if not (over or all(seen is not None and seen >= instant for seen in self._seen)):
                return
            self._fed = instant
            yield [self._take_one(number, instant) for number in range(len(self._symbols))]

    def _take_one(self, number: int, instant: int) -> Bars:
        waiting = self._waiting[number]
        if waiting is None:
            return _no_bars(self._symbols[number], self._timeframe)
        count = int(len(waiting) > 0 and waiting.time[0] == instant)
        self._waiting[number] = waiting.slice(count, len(waiting))
        return waiting.slice(0, count)


def _joined(one: Bars, other: Bars) -> Bars:
    return replace(
        one,
        time=np.concatenate((one.time, other.time)),
        open=np.concatenate((one.open, other.open)),
        high=np.concatenate((one.high, other.high)),
        low=np.concatenate((one.low, other.low)),
        close=np.concatenate((one.close, other.close)),
        volume=np.concatenate((one.volume, other.volume)),
    )


def _no_bars(symbol: str, timeframe: Timeframe) -> Bars:
    nothing = np.empty(0)
    opens = np.empty(0, dtype=np.int64)
    return Bars(symbol, timeframe, opens, nothing, nothing, nothing, nothing, nothing)

"""Bars of several symbols that come in one by one, put together instant by instant."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from darwin.core.market import Bars, IntArray, Timeframe

AtStake = Callable[[], Collection[int]]
"""Numbers of the symbols of which something is held or ordered now."""


class Patience(NamedTuple):
    """How long an instant waits for a symbol that has no bar of it, ms."""

    grace_ms: int  # where nothing is at stake
    missing_ms: int  # where something is held or ordered


class Instant(NamedTuple):
    """What is fed at once."""

    bars: list[Bars]  # a slice per symbol, empty where it has no bar then
    without: tuple[int, ...]  # symbols of which something is at stake and no bar came
    gaps: tuple[int, ...] = ()  # those of them that have later bars: they skipped it


class Gathering:
    """Waits at each instant for the bars of all symbols, longest for those with something at stake.

    An instant is the open time of its bars. Times are ms UTC, by the clock of the venue. A symbol
    is waited for from the close of the instant on, and not before the first look that missed it:
    after an outage it has the same time to answer.
    """

    def __init__(
        self,
        symbols: Sequence[str],
        timeframe: Timeframe,
        patience: Patience,
        fed: int | None = None,
        seen: Sequence[int | None] | None = None,
        *,
        rests: bool = False,
    ) -> None:
        """Go on after the instant `fed`; None: nothing was fed yet.

        `seen` has the last bar of each symbol that was fed or left out; None: all were at `fed`.
        Where the market `rests`, a bar that is missing between others is no news.
        """
        self._timeframe, self._patience, self._fed = timeframe, patience, fed
        self._waiting: list[Bars | None] = [None] * len(symbols)
        self._seen = [fed] * len(symbols) if seen is None else list(seen)
        self._had = [seen is not None for seen in self._seen]  # bars, before those that wait
        self._holes_count = not rests
        self._symbols = tuple(symbols)
        self._behind: dict[int, int] = {}  # by symbol: when it was first missed
        self.held_for: tuple[int, ...] = ()  # symbols at stake that an instant waits for
        self.missing: tuple[int, ...] = ()  # given up, until they have bars again

    @property
    def fed(self) -> int | None:
        """The last instant that was given out."""
        return self._fed

    def wanted(self, number: int) -> int | None:
        """From which open time on bars of symbol `number` are wanted; None: from the first.

        Where a bar is missing that should be fed next, and later ones were shown, it is that one.
        """
        if self._skips(number):
            return self._expected
        seen = self._seen[number]
        return None if seen is None else seen + self._timeframe.ms

    def take(self, number: int, bars: Bars) -> IntArray:
        """Take closed bars of symbol `number`, later ones than those it has given before.

        Gives the open times of those that are left out: their instants were fed without them.
        """
        if not len(bars):
            return bars.time
        self._had[number] |= self._seen[number] is not None
        self._seen[number] = int(bars.time[-1])
        self.missing = tuple(n for n in self.missing if n != number)
        late = 0 if self._fed is None else int(np.searchsorted(bars.time, self._fed, side="right"))
        before, fresh = self._waiting[number], bars.slice(late, len(bars))
        if before is not None and len(fresh):  # asked anew, later ones came again
            before = before.slice(0, int(np.searchsorted(before.time, fresh.time[0])))
        self._waiting[number] = fresh if before is None else _joined(before, fresh)
        if not self._skips(number):
            self._behind.pop(number, None)
        return bars.time[:late]

    def ready(self, now: int, at_stake: AtStake) -> Iterator[Instant]:
        """Each instant that is whole or has waited long enough at `now`, in order.

        `at_stake` is asked anew before each.
        """
        self.held_for = ()
        while (instant := self._next()) is not None:
            lacking = self._lacking(instant, now)
            close = instant + self._timeframe.ms
            if any(
                now < self._since(number, close) + self._patience.grace_ms for number in lacking
            ):
                return
            staked = self._weigh(lacking, now, at_stake)
            if self.held_for:
                return
            gaps = tuple(n for n in staked if self._skips(n))
            self._fed = instant
            bars = [self._take_one(number, instant) for number in range(len(self._symbols))]
            for number in lacking:
                seen = self._seen[number]
                if seen is not None and seen >= instant:
                    self._behind.pop(number, None)
            self.missing = tuple(n for n in self.missing if n in self._behind)
            yield Instant(bars, staked, gaps)

    def is_over(self, until: int, now: int, at_stake: AtStake) -> bool:
        """Whether all bars that close by `until` are fed, or have been waited for long enough."""
        if self._fed is not None and self._fed + self._timeframe.ms >= until:
            return True
        if self._next() is not None or now < until + self._patience.grace_ms:
            return False
        self._weigh(self._lacking(until - self._timeframe.ms, now), now, at_stake)
        return not self.held_for

    def _next(self) -> int | None:
        """The first instant of which a bar waits here."""
        opens = [int(one.time[0]) for one in self._waiting if one is not None and len(one)]
        return min(opens, default=None)

    def _lacking(self, instant: int, now: int) -> list[int]:
        """Which symbols may still bring a bar of `instant`, missed from now on at the latest."""
        lacking = [
            n
            for n, seen in enumerate(self._seen)
            if seen is None or seen < instant or self._skips(n)
        ]
        for number in lacking:
            self._behind.setdefault(number, now)
        return lacking

    def _since(self, number: int, close: int) -> int:
        """From when on it is waited for; later bars say that it had its time already."""
        if self._skips(number) and self._expected is not None:
            return self._expected + self._timeframe.ms
        return max(close, self._behind[number])

    @property
    def _expected(self) -> int | None:
        """The instant that follows the last one that was given out."""
        return None if self._fed is None else self._fed + self._timeframe.ms

    def _skips(self, number: int) -> bool:
        """Whether it had bars before, and has later ones than the next instant, but not that."""
        waiting, expected = self._waiting[number], self._expected
        if not self._had[number] or expected is None or waiting is None or not len(waiting):
            return False
        return self._holes_count and int(waiting.time[0]) > expected

    def _weigh(self, lacking: Sequence[int], now: int, at_stake: AtStake) -> tuple[int, ...]:
        """Those of them with something at stake; notes which are waited for still."""
        staked = tuple(sorted(set(lacking) & set(at_stake()))) if lacking else ()
        held = {n for n in staked if now < self._behind[n] + self._patience.missing_ms}
        self.held_for = tuple(n for n in staked if n in held)
        self.missing = tuple(sorted({*self.missing, *staked} - held))
        return staked

    def _take_one(self, number: int, instant: int) -> Bars:
        waiting = self._waiting[number]
        if waiting is None:
            return _no_bars(self._symbols[number], self._timeframe)
        count = int(len(waiting) > 0 and waiting.time[0] == instant)
        self._had[number] |= count > 0
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

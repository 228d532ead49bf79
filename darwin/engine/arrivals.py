"""Bars as they arrive: chunks of all symbols, placed on a clock that remembers only the last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from darwin.core.clock import stale_instants
from darwin.core.market import Bars, FloatArray, IntArray
from darwin.errors import DataError
from darwin.trading.costs import funding_paid_until

_Number = TypeVar("_Number", bound=np.generic)


def arrivals(markets: Sequence[Bars], at_once: int = 1) -> Iterator[list[Bars]]:
    """Cut whole markets into chunks of `at_once` instants, in the order of time.

    A chunk holds a slice per symbol, empty where it has no bar then.
    """
    time = _instants_of(markets)
    starts = time[::at_once]
    edges = [np.append(np.searchsorted(bars.time, starts), len(bars)).tolist() for bars in markets]
    for i in range(len(starts)):
        yield [bars.slice(*edge[i : i + 2]) for bars, edge in zip(markets, edges, strict=True)]


class Point(NamedTuple):
    """How far a run has come."""

    time: int  # open time of the bars of the instant
    instant: int
    bars: int  # of all symbols, up to there


@dataclass(frozen=True, slots=True)
class Arrival:
    """A chunk placed on the run's clock: g instants; symbol s has n[s] bars among them."""

    chunk: Sequence[Bars]
    first: int  # number of the first instant
    time: IntArray  # open times, (g,)
    bars: IntArray  # of all symbols since the run began, with those of each instant, (g,)
    place: tuple[IntArray, ...]  # per symbol: which of the g instants each bar is, (n[s],)
    since: tuple[int | None, ...]  # per symbol: open time of its bar before, None at its first
    paid: tuple[FloatArray | None, ...]  # per symbol: funding of a long unit by each bar, (n[s],)

    @property
    def last(self) -> int:
        """Number of the last instant."""
        return self.first + len(self.time) - 1

    def point(self, instant: int) -> Point:
        """The point that `instant`, one of these, reaches."""
        at = instant - self.first
        return Point(self.time.item(at), instant, self.bars.item(at))

    def point_of(self, time: int) -> Point:
        """The point that the bars which open at `time` reach."""
        return self.point(self.first + int(np.searchsorted(self.time, time)))


class Window(Generic[_Number]):
    """Numbers by instant of the run's clock, of which it keeps those of the last chunk.

    So many instants before them are kept too, one at least.
    """

    __slots__ = ("_before", "_first", "_values")

    def __init__(self, before: NDArray[_Number], instants_before: int = 1) -> None:
        """Start before instant 0 with one number, shape (1,)."""
        self._first, self._values, self._before = -1, before, instants_before

    def item(self, instant: int, /) -> Any:
        """The number at `instant`."""
        return self._values.item(instant - self._first)

    def __getitem__(self, instants: slice, /) -> NDArray[_Number]:
        """The numbers at `instants`."""
        return self._values[instants.start - self._first : instants.stop - self._first]

    @property
    def newest(self) -> Any:
        """The last number."""
        return self._values.item(-1)

    def move(self, values: NDArray[_Number]) -> None:
        """Go on by the numbers of the next instants."""
        kept = self._values[-self._before :]
        self._first += len(self._values) - len(kept)
        self._values = np.concatenate((kept, values))

    def move_known(self, known: NDArray[_Number], count: int, place: IntArray) -> None:
        """Go on by `count` instants, of which those at `place` bring a number."""
        latest = np.searchsorted(place, np.arange(count), side="right")
        self.move(np.concatenate((self._values[-1:], known))[latest])


class RunningClock:
    """The clock of a run whose bars arrive in chunks. What it holds does not grow.

    It is what `engine.instants.Instants` asks for.
    """

    def __init__(
        self, symbols: Sequence[str], with_funding: Sequence[bool], bars_before: int = 1
    ) -> None:
        """Start before the first bar; `with_funding` says which symbols pay funding.

        Of times and closes it keeps `bars_before` instants before the last chunk.
        """
        self._symbols = tuple(symbols)
        self.time: Window[np.int64] = Window(np.array([-1]), bars_before)
        self.close = tuple(Window(np.array([np.nan]), bars_before) for _ in self._symbols)
        self.funding = tuple(Window(np.zeros(1)) if pays else None for pays in with_funding)
        self.stale: Window[np.bool_] = Window(np.zeros(1, dtype=np.bool_))
        self._last: list[int | None] = [None] * len(self._symbols)
        self.now = Point(-1, -1, 0)

    def __len__(self) -> int:
        """How many instants have come."""
        return self.now.instant + 1

    def place(self, chunk: Sequence[Bars]) -> Arrival:
        """Go on by the bars of `chunk`; at least one symbol has some.

        Raises DataError, changing nothing, when one opens before or at the last instant.
        """
        self._refuse_late(chunk)
        time = _instants_of(chunk)
        first, since = len(self), tuple(self._last)
        places, paid = [], []
        for number, bars in enumerate(chunk):
            place = np.searchsorted(time, bars.time)
            self.close[number].move_known(bars.close, len(time), place)
            paid.append(self._pay(number, bars, len(time), place))
            places.append(place)
            if len(bars):
                self._last[number] = int(bars.time[-1])
        self.time.move(time)
        stale = stale_instants(chunk, places, len(time))
        self.stale.move(np.zeros(len(time), dtype=np.bool_) if stale is None else stale)
        counts = np.bincount(np.concatenate(places), minlength=len(time))
        upto = self.now.bars + np.cumsum(counts)
        arrival = Arrival(chunk, first, time, upto, tuple(places), since, tuple(paid))
        self.now = arrival.point(arrival.last)
        return arrival

    def _pay(self, number: int, bars: Bars, count: int, place: IntArray) -> FloatArray | None:
        window = self.funding[number]
        if window is None:
            return None
        paid = funding_paid_until(bars, self._last[number], window.newest)
        if paid is None:  # nothing new in the series
            paid = np.full(len(bars), window.newest)
        window.move_known(paid, count, place)
        return paid

    def _refuse_late(self, chunk: Sequence[Bars]) -> None:
        for symbol, bars in zip(self._symbols, chunk, strict=True):
            if len(bars) and bars.time[0] <= self.now.time:
                late, now = (np.datetime64(int(t), "ms") for t in (bars.time[0], self.now.time))
                raise DataError(
                    f"a bar of {symbol} that opens at {late} arrives after those of {now}",
                    mend="hand over all bars of one open time together, and in the order of time",
                )


def _instants_of(chunk: Sequence[Bars]) -> IntArray:
    """All open times, once each, ascending."""
    if len(chunk) == 1:
        return chunk[0].time
    time: IntArray = np.unique(np.concatenate([bars.time for bars in chunk]))
    return time

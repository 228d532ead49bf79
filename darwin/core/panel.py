"""A panel: several instruments on one grid of bars, and what holding each of them gave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

import numpy as np

from darwin.core.market import Bars, FloatArray, Funding, IntArray, Timeframe
from darwin.errors import DataError


class Holding(NamedTuple):
    """What one unit of money in each asset becomes, decided at a close; arrays of shape (m, n).

    Between the close of the decision and the next open nothing can be traded: `gap` is what was
    held before, `body` what is held after the trade at that open.
    """

    gap: FloatArray  # next open over close
    body: FloatArray  # last close of the holding over that open
    carry: FloatArray  # funding that a long pays until then, over its value at that open


@dataclass(frozen=True, slots=True)
class Panel:
    """Prices of n assets at the t instants that all of them have, oldest first.

    `time` (t,) holds open times in ms UTC; prices have shape (t, n). `funding` (t, n) is what a
    long of one pays for funding that falls due within the bar, up to and with its close.
    """

    symbols: tuple[str, ...]
    timeframe: Timeframe
    time: IntArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    funding: FloatArray

    def __len__(self) -> int:
        return len(self.time)

    @property
    def assets(self) -> int:
        """n."""
        return len(self.symbols)

    @classmethod
    def of(cls, markets: Sequence[Bars]) -> Panel:
        """Join checked bars of one timeframe. Raises DataError where they have no two in common."""
        if not markets:
            raise DataError("a panel of no assets", mend="name at least one symbol")
        frames = {bars.timeframe for bars in markets}
        if len(frames) > 1:
            names = ", ".join(sorted(frame.name for frame in frames))
            raise DataError(f"bars of {names} in one panel", mend="take one timeframe for all")
        time = reduce(np.intersect1d, [bars.time for bars in markets])
        if len(time) < 2:
            raise DataError(
                f"{', '.join(bars.symbol for bars in markets)} have {len(time)} bars in common",
                mend="take symbols, start and end under which all of them have bars",
            )
        rows = [np.searchsorted(bars.time, time) for bars in markets]

        def joined(name: str) -> FloatArray:
            columns = [getattr(b, name)[at] for b, at in zip(markets, rows, strict=True)]
            return np.column_stack(columns)

        (frame,) = frames
        funding = [_due(bars.funding, time, frame.ms) for bars in markets]
        return cls(
            tuple(bars.symbol for bars in markets), frame, time,
            joined("open"), joined("high"), joined("low"), joined("close"),
            np.column_stack(funding),
        )  # fmt: skip

    def slice(self, start: int, stop: int) -> Panel:
        """Instants [start, stop) as views."""
        cut = slice(start, stop)
        return Panel(
            self.symbols, self.timeframe, self.time[cut], self.open[cut], self.high[cut],
            self.low[cut], self.close[cut], self.funding[cut],
        )  # fmt: skip

    def returns(self) -> FloatArray:
        """Simple returns from close to close, shape (t - 1, n)."""
        moved: FloatArray = self.close[1:] / self.close[:-1] - 1.0
        return moved

    def holding(self, rows: IntArray, bars: int) -> Holding:
        """What `bars` bars of holding give, decided at the closes of `rows`, shape (m,).

        Every row needs `bars` instants after it: IndexError otherwise.
        """
        entry = self.open[rows + 1]
        carry = np.zeros_like(entry)
        for ahead in range(1, bars + 1):
            carry += self.close[rows + ahead] / entry * self.funding[rows + ahead]
        return Holding(entry / self.close[rows], self.close[rows + bars] / entry, carry)


def _due(funding: Funding | None, time: IntArray, bar_ms: int) -> FloatArray:
    """Rates that fall due after one instant's close and up to the next one's, shape (t,)."""
    due = np.zeros(len(time))
    if funding is None:
        return due
    closes = time + bar_ms
    at = np.searchsorted(closes, funding.time, side="left")
    known = (at < len(time)) & (funding.time > closes[0] - bar_ms)
    np.add.at(due, at[known], funding.rate[known])
    return due

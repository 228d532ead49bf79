"""What trading costs: fees, half-spread, slippage, funding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from darwin.core.market import Bars, FloatArray, IntArray

_BPS = 1e-4
_Price = TypeVar("_Price", float, FloatArray)


@dataclass(frozen=True, slots=True)
class Costs:
    """Rates in basis points of traded value.

    A market or stop fill pays the taker fee and gets its price worsened by half-spread and
    slippage; a target rests in the book, so it pays the maker fee and fills at its price.
    """

    maker_bps: float = 2.0
    taker_bps: float = 5.0
    half_spread_bps: float = 1.0
    slippage_bps: float = 1.0

    @property
    def maker(self) -> float:
        """Maker fee as a fraction."""
        return self.maker_bps * _BPS

    @property
    def taker(self) -> float:
        """Taker fee as a fraction."""
        return self.taker_bps * _BPS

    @property
    def slip(self) -> float:
        """Half-spread and slippage together, as a fraction."""
        return (self.half_spread_bps + self.slippage_bps) * _BPS

    def entry_price(self, mid: _Price, side: _Price) -> _Price:
        """What a market entry at `mid` is filled at, half-spread and slippage against it."""
        return mid * (1.0 + side * self.slip)

    def exit_price(self, mid: _Price, side: _Price) -> _Price:
        """What an exit at `mid` is filled at, unless it is a target, which fills at its price."""
        return mid * (1.0 - side * self.slip)


FREE = Costs(0.0, 0.0, 0.0, 0.0)


def funding_paid_until(
    bars: Bars, since: int | None = None, paid: float = 0.0
) -> FloatArray | None:
    """Fold the funding series into what a long of one unit has paid by each bar's open, (n,).

    A payment counts at the first open at or after its stamp, reckoned at that open; whoever enters
    at that same open does not pay it yet, and whoever leaves within a bar has paid what was due at
    its open. So a position pays value[exit] - value[entry]. None without a funding series.
    Bars that go on from earlier ones need the open time of the last of those as `since`, and what
    had been `paid` by then.
    """
    if bars.funding is None:
        return None
    payments = np.zeros(len(bars))
    due, stamps = funding_due(bars, since)
    np.add.at(payments, due, bars.funding.rate[stamps] * bars.open[due])
    payments[:1] += paid
    return np.cumsum(payments)


def funding_due(bars: Bars, since: int | None = None) -> tuple[IntArray, slice]:
    """Say which stamps of the funding series fall due at `bars`, and at which bar each, (k,).

    What was stamped at or before `since`, the open time of the bar before, was due earlier.
    """
    if bars.funding is None or len(bars) == 0:
        return np.empty(0, dtype=np.int64), slice(0, 0)
    stamped = bars.funding.time
    first = 0 if since is None else int(np.searchsorted(stamped, since, side="right"))
    stamps = slice(first, int(np.searchsorted(stamped, bars.time[-1], side="right")))
    return np.searchsorted(bars.time, stamped[stamps], side="left"), stamps

"""What trading costs: fees, half-spread, slippage, funding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from darwin.core.market import Bars, FloatArray, IntArray

_BPS = 1e-4


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


FREE = Costs(0.0, 0.0, 0.0, 0.0)


def funding_paid_until(bars: Bars) -> FloatArray | None:
    """Fold the funding series into what a long of one unit has paid by each bar, shape (n,).

    The payment stamped T falls on the bar that holds T, reckoned at that bar's open; whoever
    entered at that same open does not pay it yet, so a position pays value[exit] - value[entry].
    None without a funding series.
    """
    if bars.funding is None or len(bars) == 0:
        return None
    payments = np.zeros(len(bars))
    bar: IntArray = np.searchsorted(bars.time, bars.funding.time, side="right") - 1
    inside = (bar >= 0) & (bars.funding.time < bars.time[np.maximum(bar, 0)] + bars.timeframe.ms)
    np.add.at(payments, bar[inside], bars.funding.rate[inside] * bars.open[bar[inside]])
    return np.cumsum(payments)

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
    """Fold the funding series into what a long of one unit has paid by each bar's open, (n,).

    A payment counts at the first open at or after its stamp, reckoned at that open; whoever enters
    at that same open does not pay it yet, and whoever leaves within a bar has paid what was due at
    its open. So a position pays value[exit] - value[entry]. None without a funding series.
    """
    if bars.funding is None:
        return None
    due: IntArray = np.searchsorted(bars.time, bars.funding.time, side="left")
    known = due < len(bars)
    payments = np.zeros(len(bars))
    np.add.at(payments, due[known], bars.funding.rate[known] * bars.open[due[known]])
    return np.cumsum(payments)

"""ATR sizing: as many units as lose a given part of equity when the price moves so many ATR."""

from __future__ import annotations

import math
from dataclasses import dataclass

from darwin.allocation.by_name import ByName
from darwin.allocation.terms import require
from darwin.errors import DataError
from darwin.trading.sizing import whole_lots

MOST_RISK = 0.05
"""No position risks more of equity, whatever is asked for."""


@dataclass(frozen=True, slots=True)
class PositionSize(ByName):
    """How large a position may be, and what cut it."""

    units: float | None  # None: price or equity is not known
    fraction: float  # its value over equity
    risk: float  # of equity, lost over the stop's distance
    stop_distance: float | None  # in the price's unit; None: the price is not known
    clipped_by: str  # "", "risk", "risk cap", "max position", "lot"


@dataclass(frozen=True, slots=True)
class PositionSizer:
    """The rule. A risk above 5 % of equity is cut to it, and the size says so."""

    risk_per_trade: float = 0.01  # of equity
    atr_multiple: float = 2.0  # the stop's distance in ATR
    max_position: float = 1.0  # value over equity
    lot: float | None = None  # the smallest step of units

    def __post_init__(self) -> None:
        require("risk_per_trade", self.risk_per_trade, 0.0, 1.0, above=True)
        require("atr_multiple", self.atr_multiple, 0.0, 1000.0, above=True)
        require("max_position", self.max_position, 0.0, 100.0, above=True)
        if self.lot is not None:
            require("lot", self.lot, 1e-12, 1e12)

    @property
    def risk(self) -> float:
        """What a position risks: `risk_per_trade`, at most 5 %."""
        return min(self.risk_per_trade, MOST_RISK)

    def units_to_stop(self, equity: float, stop_distance: float) -> float:
        """Units that lose `risk` of equity over a distance in price; 0 without any equity."""
        return max(equity, 0.0) * self.risk / stop_distance

    def size(self, equity: float, price: float, atr: float) -> PositionSize:
        """The size at `price`. Raises DataError where price or ATR is not above 0 and finite."""
        for name, value in (("price", price), ("ATR", atr)):
            if not 0.0 < value < math.inf:
                raise DataError(f"{name} is {value!r}", mend="it must be above 0 and finite")
        if not math.isfinite(equity):
            raise DataError(f"equity is {equity!r}", mend="it must be finite")
        distance = atr * self.atr_multiple
        wanted, clipped_by = self.fraction(distance / price)
        return self.at_price(wanted if equity > 0.0 else 0.0, clipped_by, equity, price, distance)

    def fraction(self, stop_fraction: float) -> tuple[float, str]:
        """Position value over equity, at a stop that is so far away as a part of the price.

        And what cut it.
        """
        clipped_by = "risk cap" if self.risk < self.risk_per_trade else ""
        if not self.risk > self.max_position * stop_fraction:
            return self.risk / stop_fraction, clipped_by
        return self.max_position, "max position"

    def at_price(
        self, fraction: float, clipped_by: str, equity: float, price: float, distance: float
    ) -> PositionSize:
        """The size of a position worth `fraction` of equity, rounded down to whole lots."""
        units = fraction * equity / price
        if self.lot is not None:
            whole = math.copysign(whole_lots(abs(units), self.lot), units)
            if abs(whole) < abs(units):
                clipped_by = clipped_by or "lot"
                fraction = whole * price / equity
            units = whole
        return PositionSize(
            units, fraction, abs(fraction) * (distance / price), distance, clipped_by
        )

"""Hedging: nothing while losses are small, more and more of the exposure as they grow."""

from __future__ import annotations

from dataclasses import dataclass

from darwin.allocation.by_name import ByName
from darwin.allocation.terms import require
from darwin.errors import DataError


@dataclass(frozen=True, slots=True)
class Hedge(ByName):
    """What part of an exposure to give up, and why."""

    active: bool
    ratio: float  # of the exposure, 0 to 1
    exposure: float  # to sell against it, over the book's value
    drawdown: float  # a loss of 5 % from the peak is 0.05
    threshold: float


@dataclass(frozen=True, slots=True)
class HedgingStrategy:
    """No hedge up to the threshold; beyond it a part of what the drawdown has in excess of it."""

    threshold: float = 0.05  # drawdown, 0 to 1
    part_of_excess: float = 0.5
    cap: float = 1.0

    def __post_init__(self) -> None:
        require("threshold", self.threshold, 0.0, 1.0)
        require("part_of_excess", self.part_of_excess, 0.0, 1000.0)
        require("cap", self.cap, 0.0, 1.0)

    def ratio(self, drawdown: float) -> float:
        """The part of the exposure to hedge, 0 to `cap`, at a drawdown of 0 to 1."""
        if not 0.0 <= drawdown <= 1.0:
            raise DataError(
                f"a drawdown of {drawdown!r}", mend="a loss of 5 % from the peak is 0.05"
            )
        return min(self.part_of_excess * max(drawdown - self.threshold, 0.0), self.cap)

    def hedge(self, drawdown: float, exposure: float) -> Hedge:
        """The same as an order: `exposure` is what is held, over the book's value."""
        ratio = self.ratio(drawdown)
        return Hedge(ratio > 0.0, ratio, ratio * abs(exposure), drawdown, self.threshold)

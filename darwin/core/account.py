"""The account at one instant, and the events that change what it may do."""

from __future__ import annotations

from typing import NamedTuple


class Account(NamedTuple):
    """Marked at the close of the instant; every figure in USD unless it says otherwise."""

    equity: float
    gross_exposure: float  # sum of |position value| at the close
    pending_exposure: float  # orders placed and not yet filled
    open_positions: int
    drawdown: float  # equity over its peak minus 1; 0 at the peak, negative below


class SafetyEvent(NamedTuple):
    """A change of what the account may do."""

    time: int  # open time of the bar at whose close it happened, ms UTC
    kind: str  # "daily_loss", "reducing", "resumed", "halted"
    detail: str
    row: int = -1  # of the candidate whose decision brought it about; -1: the mark did


class EquityMark(NamedTuple):
    """The account at the last close of a UTC day."""

    time: int  # open time of that bar, ms UTC
    equity_usd: float
    exposure_usd: float  # gross
    positions: int

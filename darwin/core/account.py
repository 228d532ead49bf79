"""The account at one instant, and the events that change what it may do."""

from __future__ import annotations

from typing import NamedTuple

BARS_LEFT_OUT, NO_BARS, GAP, VENUE_REFUSES, VENUE_AWAY = FEED_ALERTS = (
    "bars left out", "no bars", "gap in bars", "venue refuses", "venue away",
)  # fmt: skip
"""Kinds of alerts about the bars of a run on paper: they come from its feed, not from its facts."""


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
    kind: str  # account: `trading.limits`; agents: `safety.breaker`
    detail: str
    row: int = -1  # of the candidate whose decision brought it about; -1: the mark did
    agent: str = ""  # whom it is about; empty: the account


class Finding(NamedTuple):
    """Where the statement of a venue differed from the ledger."""

    detail: str
    settled: bool  # it was put right; else nobody knows how things stand, and the account halts


class EquityMark(NamedTuple):
    """The account at the last close of a UTC day."""

    time: int  # open time of that bar, ms UTC
    equity_usd: float
    exposure_usd: float  # gross
    positions: int


class Alert(NamedTuple):
    """Something that a person should look at; no ruling depends on it."""

    time: int  # open time of the bar at which it came up, ms UTC
    kind: str  # one of `safety.monitor.KINDS`, or of `FEED_ALERTS`
    agent: str  # empty: it is about the run
    detail: str

"""Orders, fills, positions, closed trades, and the outcome every candidate has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from darwin.core.market import BoolArray, FloatArray, IntArray


class Phase(IntEnum):
    """The order of what happens within one bar."""

    OPEN = 0  # entry fills, time-stop exits, exits at an open beyond stop or target
    INTRABAR = 1  # stops and targets touched within the bar
    MARK = 2  # mark to market at the close
    DECIDE = 3  # candidates


class Exit(IntEnum):
    """Why a bracket ended."""

    STOP = 0
    TARGET = 1
    TRAILING_STOP = 2
    TIME_STOP = 3
    END_OF_RUN = 4
    UNPLANNED = 5  # at a venue: closed by hand, or at once because no stop could be placed

    @property
    def text(self) -> str:
        """As tables write it."""
        return self.name.lower()


class Status(IntEnum):
    """How far the outcome of a candidate is known."""

    RESOLVED = 0
    GAPPED = 1  # the entry is cancelled: the open left too little of the bracket
    UNRESOLVED = 2  # its bars are not all known


class Order(NamedTuple):
    """An entry order: fills at the symbol's next open, never re-sized."""

    candidate_id: int
    row: int
    symbol: int
    playbook: int
    side: int
    bar_time: int  # of the signal
    units: float
    price: float  # the signal's close, from which the size was reckoned
    clipped_by: str  # what cut the full size: "", "exposure", "order cap", "cash", "lot"; with a
    # risk manager its figures stand before that


class Fill(NamedTuple):
    """What the broker did. `price` holds half-spread and slippage, `mid_price` does not."""

    candidate_id: int
    row: int
    symbol: int
    playbook: int
    side: int  # of the position, not of the transaction
    is_entry: bool
    time: int  # open time of the bar it happened in, ms UTC
    instant: int  # index of that time on the run's clock
    phase: int
    units: float
    price: float
    mid_price: float
    fee_usd: float
    funding_usd: float  # paid (positive) or received since entry; 0 on an entry
    reason: int  # Exit on an exit, -1 on an entry
    stop_price: float  # the initial stop, on the entry


class Cancel(NamedTuple):
    """An entry that did not happen."""

    order: Order
    time: int
    instant: int
    reason: int  # a `Reason` of the stage "entry"


class Position(NamedTuple):
    """An open position: its entry fill is all there is to know."""

    entry: Fill

    @property
    def risk_usd(self) -> float:
        """The denominator of R: distance from the entry's mid price to the initial stop."""
        return abs(self.entry.mid_price - self.entry.stop_price) * self.entry.units


class Trade(NamedTuple):
    """A closed position."""

    candidate_id: int
    row: int
    symbol: int
    playbook: int
    side: int
    units: float
    entry: Fill
    exit: Fill
    gross_usd: float  # from mid price to mid price, before every cost
    fees_usd: float
    slippage_usd: float  # half-spread and slippage of both fills
    funding_usd: float
    net_pnl_usd: float
    risk_usd: float
    r: float


@dataclass(frozen=True, slots=True)
class OutcomeTable:
    """How each candidate's bracket ended, taken or not; every array has shape (m,).

    Prices are mid prices (before half-spread and slippage); `r` is net of all costs. Where
    `status` is not RESOLVED, `exit_*` and `r` are -1 or NaN; GAPPED rows have no entry either.
    """

    status: NDArray[np.int8]
    entry_bar: IntArray  # row in the symbol's bars; -1 where there is no next bar
    entry_price: FloatArray
    stop_price: FloatArray
    target_price: FloatArray
    exit_bar: IntArray
    exit_price: FloatArray
    exit_reason: NDArray[np.int8]
    exit_phase: NDArray[np.int8]
    ambiguous: BoolArray  # the exit bar touched stop and target; the stop won
    funding: FloatArray  # paid per unit between entry and exit, in quote currency
    r: FloatArray

    def __len__(self) -> int:
        return len(self.status)

    @classmethod
    def joined(cls, parts: Sequence[OutcomeTable]) -> OutcomeTable:
        """All `parts`, one after the other."""
        names = cls.__dataclass_fields__
        return cls(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})

    def select(self, rows: IntArray | BoolArray) -> OutcomeTable:
        """The outcomes at `rows`, in that order."""
        return OutcomeTable(
            **{name: getattr(self, name)[rows] for name in self.__dataclass_fields__}
        )

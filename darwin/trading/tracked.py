"""What a tracker tells of the brackets it follows: who met an open, who ended, what is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from darwin.core.facts import OutcomeFacts
from darwin.core.market import BoolArray, FloatArray, IntArray
from darwin.core.trade import Status


class Opened(NamedTuple):
    """A candidate's bracket met the open at which it would be entered."""

    candidate_id: int
    gapped: bool  # the open left too little of it: nothing is entered
    price: float  # mid price of the entry; NaN where gapped
    stop_price: float  # the initial stop; NaN where gapped


class Ended(NamedTuple):
    """A candidate's bracket came to its end, or the run did (`END_OF_RUN`)."""

    candidate_id: int
    phase: int
    price: float  # mid price
    reason: int  # an `Exit`
    funding: float  # paid per unit since the entry


@dataclass(frozen=True, slots=True)
class Tracked:
    """What happened to brackets over some bars; the first of each pair is the bar among them."""

    opened: list[tuple[int, Opened]]
    ended: list[tuple[int, Ended]]
    outcomes: OutcomeFacts  # of all that gapped or ended
    known_bar: IntArray  # at which bar each outcome became known


class Told:
    """Collects what happens to brackets while some bars are walked."""

    def __init__(self, symbol: int) -> None:
        self._symbol = symbol
        self._opened: list[tuple[int, Opened]] = []
        self._ended: list[tuple[int, Ended]] = []
        self._outcomes: list[OutcomeFacts] = []
        self._bars: list[IntArray] = []

    def open(
        self,
        bar: IntArray,
        id_: NDArray[np.uint64],
        gapped: BoolArray,
        price: FloatArray,
        stop: FloatArray,
    ) -> None:
        """Note brackets that met the open of `bar`, gapped or entered."""
        mid, level = np.where(gapped, np.nan, price), np.where(gapped, np.nan, stop)
        columns = (id_, gapped, mid, level)
        opened = map(Opened, *(column.tolist() for column in columns))
        self._opened += zip(bar.tolist(), opened, strict=True)

    def end(
        self,
        id_: NDArray[np.uint64],
        bar: IntArray,
        phase: NDArray[Any],
        price: FloatArray,
        reason: NDArray[Any],
        funding: FloatArray,
    ) -> None:
        """Note brackets that ended at `bar`, or with the run."""
        columns = (id_, phase, price, reason, funding)
        ended = map(Ended, *(column.tolist() for column in columns))
        self._ended += zip(bar.tolist(), ended, strict=True)

    def outcome(
        self,
        id_: NDArray[np.uint64],
        row: IntArray,
        playbook: IntArray,
        side: IntArray,
        bar: IntArray | int,
        status: Status,
        known_time: IntArray | int,
        known_phase: NDArray[np.int8] | int,
        **known: NDArray[Any],
    ) -> None:
        """Note outcomes; what is not given is not known."""
        k = len(id_)
        columns: dict[str, NDArray[Any]] = {
            name: np.full(k, blank, dtype) for name, (blank, dtype) in _BLANK.items()
        }
        facts = OutcomeFacts(
            id=id_, row=row, symbol=np.full(k, self._symbol), playbook=playbook, side=side,
            known_time=np.full(k, known_time), known_phase=np.full(k, known_phase, dtype=np.int64),
            status=np.full(k, int(status), dtype=np.int8), **(columns | known),
        )  # fmt: skip
        self._outcomes.append(facts)
        self._bars.append(np.full(k, bar))

    def tracked(self) -> Tracked:
        """All that was noted."""
        if not self._outcomes:
            return Tracked(self._opened, self._ended, NO_OUTCOMES, np.empty(0, dtype=np.int64))
        outcomes, bars = OutcomeFacts.joined(self._outcomes), np.concatenate(self._bars)
        return Tracked(self._opened, self._ended, outcomes, bars)


_BLANK: dict[str, tuple[float, type[np.generic]]] = {
    "entry_time": (-1, np.int64),
    "entry_price": (np.nan, np.float64),
    "stop_price": (np.nan, np.float64),
    "target_price": (np.nan, np.float64),
    "exit_time": (-1, np.int64),
    "exit_price": (np.nan, np.float64),
    "exit_phase": (-1, np.int8),
    "exit_reason": (-1, np.int8),
    "ambiguous": (False, np.bool_),
    "funding": (0.0, np.float64),
    "r": (np.nan, np.float64),
}

_INTEGERS = ("row", "symbol", "playbook", "side", "known_time", "known_phase")
_EMPTY: dict[str, NDArray[Any]] = {
    "id": np.empty(0, dtype=np.uint64),
    "status": np.empty(0, dtype=np.int8),
    **{name: np.empty(0, dtype=np.int64) for name in _INTEGERS},
    **{name: np.empty(0, dtype=dtype) for name, (_, dtype) in _BLANK.items()},
}

NO_OUTCOMES = OutcomeFacts(**_EMPTY)
"""Nothing became known."""

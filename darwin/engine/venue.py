"""What a live run tells a broker whose orders leave for a venue, and hears from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from darwin.core.account import Finding
from darwin.core.candidate import CandidateTable
from darwin.core.market import Bars
from darwin.core.ports import Broker
from darwin.core.trade import Order
from darwin.engine.arrivals import Arrival
from darwin.trading.tracked import Ended, Opened


class LiveBroker(Broker, Protocol):
    """A broker that is shown, instant by instant, what brackets meet."""

    def see(
        self, time: int, instant: int, opened: Sequence[Opened], ended: Sequence[Ended]
    ) -> None:
        """Learn what happened at the bars of `instant`, which open at `time`.

        Where it bears on an order, it comes back from `next_event`; what the end of the run brings
        about, from `finish`.
        """
        ...


@runtime_checkable
class VenueBroker(LiveBroker, Protocol):
    """A live broker at a venue, which may say otherwise than the ledger.

    Any broker with these methods is one. Each instant is told to it: `watch`, `see`, then its
    events and findings are taken, and only then candidates are judged.
    """

    def watch(self, bars: Sequence[Bars]) -> None:
        """Be shown the bars of the instant that `see` tells of next: of each symbol one or none."""
        ...

    def plan(self, order: Order, candidate: CandidateTable) -> None:
        """Learn the bracket of `order`, which is submitted next, from its `candidate`, one row."""
        ...

    def findings(self) -> Sequence[Finding]:
        """Where the statement of the venue differed from the ledger since the last time."""
        ...


def bars_at(arrival: Arrival, instant: int) -> list[Bars]:
    """The bars of `instant`, one of those of `arrival`: of each symbol one or none."""
    at = instant - arrival.first
    found = []
    for bars, place in zip(arrival.chunk, arrival.place, strict=True):
        first, end = np.searchsorted(place, (at, at + 1)).tolist()
        found.append(bars.slice(first, end))
    return found

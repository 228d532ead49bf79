"""The simulated broker of a replay: it knows the bars, so it knows every fill beforehand."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import fields
from typing import NamedTuple

from darwin.brokers.fills import entry_fill, exit_fill, objection
from darwin.core.clock import Clock
from darwin.core.decision import Reason
from darwin.core.trade import Cancel, Fill, Order, Phase, Status
from darwin.trading.costs import Costs
from darwin.trading.foresight import Foresight

_ENTRY, _EXIT = 1, 0  # exits come before entries of the same phase


class _Row(NamedTuple):
    """One row of `Foresight`, field by field."""

    status: int
    entry_time: int
    entry_instant: int
    entry_mid: float
    entry_price: float
    stop_price: float
    exit_time: int
    exit_instant: int
    exit_phase: int
    exit_mid: float
    exit_price: float
    exit_fee: float
    exit_reason: int
    funding: float


class SimulatedBroker:
    """Fills entries at the next open and exits where the candidate's bracket ends.

    Implements `core.ports.Broker`. The price collar is the broker's too: it takes an entry back
    when the open has moved further from the signal's close than `collar` allows.
    """

    def __init__(
        self, foresight: Foresight, clock: Clock, costs: Costs, collar: float | None = None
    ) -> None:
        """Prepare what would happen to each candidate."""
        columns = (getattr(foresight, field.name).tolist() for field in fields(foresight))
        self._rows = list(map(_Row._make, zip(*columns, strict=True)))
        self._clock, self._costs, self._collar = clock, costs, collar
        self._queue: list[tuple[int, int, int, int, int, int, int, Order, Fill | None]] = []
        self._count = 0
        self._waiting: dict[int, Order] = {}  # entries whose next bar is not in the data
        self._open: dict[int, Fill] = {}  # exits that only the end of the run brings

    def submit(self, order: Order) -> None:
        """Place an entry order; it fills or is taken back at the symbol's next open."""
        row = self._rows[order.row]
        if row.entry_time < 0:
            self._waiting[order.candidate_id] = order
        else:
            self._push(row.entry_time, Phase.OPEN, order, _ENTRY, None)

    def next_event(self, before_time: int, before_phase: int) -> Fill | Cancel | None:
        """The next fill or cancellation strictly before that point, in total order, or None."""
        queue = self._queue
        if not queue:
            return None
        time, phase = queue[0][:2]
        if time > before_time or (time == before_time and phase >= before_phase):
            return None
        *_, order, exit_fill = heapq.heappop(queue)
        return self._enter(order) if exit_fill is None else exit_fill

    def finish(self) -> Iterator[Fill | Cancel]:
        """End the run: close what is open at its last close, take back what never filled."""
        yield from sorted(
            self._open.values(), key=lambda fill: (fill.symbol, fill.playbook, -fill.side)
        )
        time, instant = int(self._clock.time[-1]), len(self._clock) - 1
        for order in self._waiting.values():
            yield Cancel(order, time, instant, Reason.NO_NEXT_BAR)
        self._waiting, self._open = {}, {}

    def _push(self, time: int, phase: int, order: Order, kind: int, fill: Fill | None) -> None:
        self._count += 1
        place = (time, phase, order.symbol, order.playbook, -order.side, kind, self._count)
        heapq.heappush(self._queue, (*place, order, fill))

    def _enter(self, order: Order) -> Fill | Cancel:
        """Fill an entry and know its exit, or take it back."""
        row = self._rows[order.row]
        why_not = objection(order, row.entry_mid, row.status == Status.GAPPED, self._collar)
        if why_not is not None:
            return Cancel(order, row.entry_time, row.entry_instant, why_not)
        entry = entry_fill(
            order, row.entry_time, row.entry_instant, row.entry_mid, row.entry_price,
            self._costs.taker, row.stop_price,
        )  # fmt: skip
        exit_ = exit_fill(
            entry, row.exit_time, row.exit_instant, row.exit_phase, row.exit_mid, row.exit_price,
            row.exit_fee, row.funding, row.exit_reason,
        )  # fmt: skip
        if row.status == Status.UNRESOLVED:
            self._open[order.candidate_id] = exit_
        else:
            self._push(row.exit_time, row.exit_phase, order, _EXIT, exit_)
        return entry

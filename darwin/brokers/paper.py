"""The paper broker: fills what is ordered as the market shows it, knowing nothing beforehand."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence

from darwin.brokers.fills import entry_fill, exit_fill, objection
from darwin.core.decision import Reason
from darwin.core.trade import Cancel, Exit, Fill, Order, Phase
from darwin.trading.costs import Costs
from darwin.trading.tracked import Ended, Opened

_ENTRY, _EXIT = 1, 0  # exits come before entries of the same phase


class PaperBroker:
    """Makes of what brackets meet the fills that the simulated broker knows from the start.

    Implements `engine.live.LiveBroker`. It is shown every bracket and acts on those it has orders
    for.
    """

    def __init__(self, costs: Costs, collar: float | None = None) -> None:
        """Open without orders. `collar` as for the simulated broker."""
        self._costs, self._collar = costs, collar
        self._waiting: dict[int, Order] = {}  # by candidate id: entries for the next open
        self._open: dict[int, Fill] = {}  # their entry fills
        self._at_end: list[Fill] = []  # exits that only the end of the run brings
        self._queue: list[tuple[int, int, int, int, int, int, int, Fill | Cancel]] = []
        self._now = (-1, -1)  # time and instant of what was shown last

    def submit(self, order: Order) -> None:
        """Place an entry order; it fills or is taken back at the symbol's next open."""
        self._waiting[order.candidate_id] = order

    def see(
        self, time: int, instant: int, opened: Sequence[Opened], ended: Sequence[Ended]
    ) -> None:
        """Learn what brackets met at the bars of `instant`, which open at `time`."""
        self._now = (time, instant)
        for met in opened:
            order = self._waiting.pop(met.candidate_id, None)
            if order is not None:
                self._push(Phase.OPEN, order, _ENTRY, self._enter(order, met))
        for end in ended:
            entry = self._open.pop(end.candidate_id, None)
            if entry is None:
                continue
            exit_ = self._leave(entry, end)
            if end.reason == Exit.END_OF_RUN:
                self._at_end.append(exit_)
            else:
                self._push(end.phase, entry, _EXIT, exit_)

    def next_event(self, before_time: int, before_phase: int) -> Fill | Cancel | None:
        """The next fill or cancellation strictly before that point, in total order, or None."""
        if not self._queue or self._queue[0][:2] >= (before_time, before_phase):
            return None
        return heapq.heappop(self._queue)[-1]

    def finish(self) -> Iterator[Fill | Cancel]:
        """End the run: close what is open at its last close, take back what never filled."""
        at_end, self._at_end = self._at_end, []
        waiting, self._waiting = self._waiting, {}
        yield from sorted(at_end, key=lambda fill: (fill.symbol, fill.playbook, -fill.side))
        for order in waiting.values():
            yield Cancel(order, *self._now, Reason.NO_NEXT_BAR)

    def _push(self, phase: int, of: Order | Fill, kind: int, event: Fill | Cancel) -> None:
        place = (self._now[0], phase, of.symbol, of.playbook, -of.side, kind, of.row)
        heapq.heappush(self._queue, (*place, event))

    def _enter(self, order: Order, met: Opened) -> Fill | Cancel:
        why_not = objection(order, met.price, met.gapped, self._collar)
        if why_not is not None:
            return Cancel(order, *self._now, why_not)
        price = self._costs.entry_price(met.price, order.side)
        fill = entry_fill(order, *self._now, met.price, price, self._costs.taker, met.stop_price)
        self._open[order.candidate_id] = fill
        return fill

    def _leave(self, entry: Fill, end: Ended) -> Fill:
        resting = end.reason == Exit.TARGET
        price = end.price if resting else self._costs.exit_price(end.price, entry.side)
        fee = self._costs.maker if resting else self._costs.taker
        return exit_fill(
            entry, *self._now, end.phase, end.price, price, fee, end.funding, end.reason
        )

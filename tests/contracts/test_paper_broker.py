"""The paper broker keeps the contract of brokers, shown by and by what the suite knows at once."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from darwin.brokers.paper import PaperBroker
from darwin.brokers.simulated import SimulatedBroker
from darwin.core.clock import Clock
from darwin.core.trade import Cancel, Exit, Fill, Order, Phase, Status
from darwin.testing.contract_samples import busy_market
from darwin.testing.contracts import BrokerContract, OpenBroker
from darwin.trading.costs import Costs
from darwin.trading.foresight import Foresight
from darwin.trading.tracked import Ended, Opened


class ShownByAndBy:
    """Shows a paper broker, instant by instant, what a foresight knows of every candidate."""

    def __init__(self, foresight: Foresight, clock: Clock, broker: PaperBroker) -> None:
        self._foresight, self._clock, self._broker = foresight, clock, broker
        self._ids: dict[int, int] = {}  # by row; those never ordered have none
        self._shown = 0

    def submit(self, order: Order) -> None:
        self._ids[order.row] = order.candidate_id
        self._broker.submit(order)

    def next_event(self, before_time: int, before_phase: int) -> Fill | Cancel | None:
        times = self._clock.time
        while self._shown < len(times) and times[self._shown] <= before_time:
            self._show(self._shown)
            self._shown += 1
        return self._broker.next_event(before_time, before_phase)

    def finish(self) -> Iterable[Fill | Cancel]:
        last = len(self._clock) - 1
        f = self._foresight
        rows = np.flatnonzero((f.exit_reason == Exit.END_OF_RUN) & (f.entry_instant >= 0))
        ended = [self._ended(row) for row in rows.tolist()]
        self._broker.see(int(self._clock.time[-1]), last, (), ended)
        return self._broker.finish()

    def _show(self, instant: int) -> None:
        f = self._foresight
        met = np.flatnonzero(f.entry_instant == instant).tolist()
        left = (f.exit_instant == instant) & (f.exit_reason != Exit.END_OF_RUN)
        opened = [
            Opened(
                self._id(row),
                bool(f.status[row] == Status.GAPPED),
                float(f.entry_mid[row]),
                float(f.stop_price[row]),
            )
            for row in met
        ]
        ended = [self._ended(row) for row in np.flatnonzero(left).tolist()]
        self._broker.see(int(self._clock.time[instant]), instant, opened, ended)

    def _ended(self, row: int) -> Ended:
        f = self._foresight
        columns = (f.exit_phase, f.exit_mid, f.exit_reason, f.funding)
        return Ended(self._id(row), *(column[row].item() for column in columns))

    def _id(self, row: int) -> int:
        return self._ids.get(row, -1 - row)


class TestPaperBroker(BrokerContract):
    @pytest.fixture(params=[None, 0.01], ids=["without collar", "with collar"])
    def open_broker(self, request) -> OpenBroker:
        return lambda foresight, clock: ShownByAndBy(
            foresight, clock, PaperBroker(Costs(), request.param)
        )


@pytest.mark.parametrize("collar", [None, 0.01])
def test_it_tells_what_the_simulated_broker_tells(collar):
    market = busy_market()
    told = []
    for broker in (
        SimulatedBroker(market.foresight, market.clock, Costs(), collar),
        ShownByAndBy(market.foresight, market.clock, PaperBroker(Costs(), collar)),
    ):
        events: list[Fill | Cancel] = []
        for order in market.orders:
            while (event := broker.next_event(order.bar_time, Phase.DECIDE)) is not None:
                events.append(event)
            broker.submit(order)
        while (event := broker.next_event(2**62, Phase.OPEN)) is not None:
            events.append(event)
        told.append(list(map(repr, [*events, *broker.finish()])))
    assert len(told[0]) > 100
    assert told[1] == told[0]

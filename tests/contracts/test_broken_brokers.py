"""A broker that breaks a promise makes the test of that promise fail, with the mend."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from darwin.brokers.simulated import SimulatedBroker
from darwin.core.clock import Clock
from darwin.core.decision import Reason
from darwin.core.trade import Cancel, Fill, Order, Phase
from darwin.testing.contracts import BrokerContract
from darwin.trading.costs import Costs
from darwin.trading.foresight import Foresight
from tests.contracts.caught import assert_caught


class Broken(SimulatedBroker):
    """The simulated broker; subclasses break a promise each."""

    @classmethod
    def opened(cls, foresight: Foresight, clock: Clock) -> Broken:
        return cls(foresight, clock, Costs())


class ForgetsTheEnd(Broken):
    def finish(self) -> Iterator[Fill | Cancel]:
        return (event for event in super().finish() if isinstance(event, Cancel))


class NeverTakesBack(Broken):
    def finish(self) -> Iterator[Fill | Cancel]:
        return (event for event in super().finish() if isinstance(event, Fill))


class FillsLess(Broken):
    def next_event(self, before_time: int, before_phase: int) -> Fill | Cancel | None:
        event = super().next_event(before_time, before_phase)
        if isinstance(event, Fill) and not event.is_entry:
            return event._replace(units=event.units * 0.5)
        return event


class FillsAtTheSignal(Broken):
    def submit(self, order: Order) -> None:
        self._order_time = order.bar_time
        super().submit(order)

    def next_event(self, before_time: int, before_phase: int) -> Fill | Cancel | None:
        event = super().next_event(before_time, before_phase)
        if isinstance(event, Fill) and event.is_entry:
            return event._replace(time=self._order_time)
        return event


class TellsTheFuture(Broken):
    def next_event(self, before_time: int, before_phase: int) -> Fill | Cancel | None:
        return super().next_event(before_time + 3_600_000, before_phase)


class OutOfOrder(Broken):
    """Tells the later of two events that are due first."""

    def next_event(self, before_time: int, before_phase: int) -> Fill | Cancel | None:
        held = self.__dict__.pop("held", None)
        if held is not None:
            return held
        first = super().next_event(before_time, before_phase)
        second = None if first is None else super().next_event(before_time, before_phase)
        if second is None:
            return first
        self.held = first
        return second


class TellsTwice(Broken):
    def finish(self) -> Iterator[Fill | Cancel]:
        kept = dict(self._open)
        yield from super().finish()
        self._open = kept


class Eager(Broken):
    """Fills a candidate nobody ordered."""

    def next_event(self, before_time: int, before_phase: int) -> Fill | Cancel | None:
        event = super().next_event(before_time, before_phase)
        if event is not None or self.__dict__.get("done") or before_phase == Phase.DECIDE:
            return event
        self.done = True
        row = next(i for i, row in enumerate(self._rows) if row.status == 0 and i % 3 == 1)
        order = Order(row, row, 0, 0, 1, 0, 1.0, self._rows[row].entry_mid, "")
        return self._enter(order)


class Nervous(Broken):
    """Takes an entry back once it has been asked about too often."""

    def next_event(self, before_time: int, before_phase: int) -> Fill | Cancel | None:
        self.asked = self.__dict__.get("asked", 0) + 1
        event = super().next_event(before_time, before_phase)
        if isinstance(event, Fill) and event.is_entry and self.asked > 1_000:
            order = Order(event.candidate_id, event.row, 0, 0, 1, 0, 1.0, 1.0, "")
            return Cancel(order, event.time, event.instant, Reason.PRICE_COLLAR)
        return event


STORY = "test_an_order_ends_in_a_round_trip_or_a_cancellation"
BROKEN_BROKERS = (
    (ForgetsTheEnd, STORY, r"finish\(\) closes what is open"),
    (NeverTakesBack, STORY, r"finish\(\) takes back what never filled"),
    (FillsLess, STORY, "exit what was filled"),
    (FillsAtTheSignal, STORY, "fill at the next open"),
    (Eager, STORY, "never ordered"),
    (TellsTheFuture, "test_nothing_is_told_before_its_time", "until that point has passed"),
    (OutOfOrder, "test_events_come_in_total_order", "keep events in a queue"),
    (TellsTwice, "test_nothing_is_told_twice", "forget what was told"),
    (Eager, "test_what_was_not_ordered_never_fills", "without a single order"),
    (Nervous, "test_it_tells_the_same_however_often_it_is_asked", "depends on when"),
)


@pytest.mark.parametrize(
    ("broker", "promise", "mend"),
    BROKEN_BROKERS,
    ids=[f"{broker.__name__}-{promise}" for broker, promise, _ in BROKEN_BROKERS],
)
def test_a_broken_broker_is_caught(broker, promise, mend):
    assert_caught(BrokerContract, promise, mend, broker.opened)

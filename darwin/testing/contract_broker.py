"""The suite that every broker inherits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import TypeAlias

from darwin.core.clock import Clock
from darwin.core.ports import Broker
from darwin.core.trade import Cancel, Fill, Order, Phase
from darwin.testing.contract_samples import busy_market
from darwin.trading.foresight import Foresight

OpenBroker: TypeAlias = Callable[[Foresight, Clock], Broker]
Event: TypeAlias = Fill | Cancel


class BrokerContract:
    """What a broker keeps. Fixture: `open_broker`, which opens one as `Session.open_broker` does.

    Point it at a broker that knows the bars beforehand; there the whole story can be checked.
    """

    def test_an_order_ends_in_a_round_trip_or_a_cancellation(self, open_broker: OpenBroker) -> None:
        """An entry and one exit after it, or nothing but the word that it did not happen."""
        stories: dict[int, list[Event]] = {}
        for event in _traded(open_broker):
            stories.setdefault(_who(event), []).append(event)
        ordered = {order.candidate_id: order for order in busy_market().orders}
        assert set(stories) <= set(ordered), (
            "something happened to a candidate that was never ordered; act on submit() alone"
        )
        assert set(stories) == set(ordered), (
            f"{len(set(ordered) - set(stories))} orders ended in nothing; finish() takes back what "
            "never filled"
        )
        for who, events in stories.items():
            told = [_kind(event) for event in events]
            assert told in (["cancel"], ["entry", "exit"]), (
                f"an order is told as {told}; give one cancel, or an entry and then its exit; "
                "finish() closes what is open"
            )
            _assert_order_kept(ordered[who], events)
        kinds = {_kind(event) for events in stories.values() for event in events}
        assert kinds == {"cancel", "entry", "exit"}, f"only {kinds} happened, nothing is proven"

    def test_events_come_in_total_order(self, open_broker: OpenBroker) -> None:
        """By time, phase, symbol, playbook and side; what ends the run comes last."""
        for before, after in pairwise(
            map(_place, _traded(open_broker)[: -len(_last(open_broker))])
        ):
            assert before <= after, (
                f"an event at (time, phase, symbol, playbook, −side) {after} is told after {before}"
                "; keep events in a queue ordered by these"
            )

    def test_nothing_is_told_before_its_time(self, open_broker: OpenBroker) -> None:
        """Strictly before the point that was asked about: a decision sees no later fill."""
        for time, phase, event in _polled(open_broker):
            assert _place(event)[:2] < (time, phase), (
                f"asked for what happened before {(time, phase)} it told of {_place(event)[:2]}; "
                "give None until that point has passed"
            )

    def test_it_tells_the_same_however_often_it_is_asked(self, open_broker: OpenBroker) -> None:
        """Polled at every instant or only when an order is placed."""
        often = [event for *_, event in _polled(open_broker)] + list(_last(open_broker))
        assert often == _traded(open_broker), (
            "what happened depends on when it was asked for; fills follow from orders and bars"
        )

    def test_nothing_is_told_twice(self, open_broker: OpenBroker) -> None:
        """Not by asking again, not by finishing again."""
        market = busy_market()
        broker = open_broker(market.foresight, market.clock)
        for order in market.orders:
            broker.submit(order)
        events = [*_drained(broker, _AFTER_ALL, 0), *broker.finish()]
        again = [*_drained(broker, _AFTER_ALL, 0), *broker.finish()]
        assert events, "nothing happened at all"
        assert not again, f"{len(again)} events are told again after the end; forget what was told"

    def test_what_was_not_ordered_never_fills(self, open_broker: OpenBroker) -> None:
        """A broker without orders has nothing to tell."""
        market = busy_market()
        broker = open_broker(market.foresight, market.clock)
        told = [*_drained(broker, _AFTER_ALL, 0), *broker.finish()]
        assert not told, f"{len(told)} events without a single order; act on submit() alone"


_AFTER_ALL = 2**62


def _drained(broker: Broker, time: int, phase: int) -> Iterator[Event]:
    while (event := broker.next_event(time, phase)) is not None:
        yield event


def _traded(open_broker: OpenBroker) -> list[Event]:
    """All that happens when the orders are placed one by one, as the replay does."""
    market = busy_market()
    broker = open_broker(market.foresight, market.clock)
    events: list[Event] = []
    for order in market.orders:
        events += _drained(broker, order.bar_time, Phase.DECIDE)
        broker.submit(order)
    events += _drained(broker, _AFTER_ALL, Phase.OPEN)
    return [*events, *broker.finish()]


def _last(open_broker: OpenBroker) -> list[Event]:
    """What only the end of the run brings."""
    market = busy_market()
    broker = open_broker(market.foresight, market.clock)
    for order in market.orders:
        broker.submit(order)
    for _ in _drained(broker, _AFTER_ALL, Phase.OPEN):
        pass
    return list(broker.finish())


def _polled(open_broker: OpenBroker) -> list[tuple[int, int, Event]]:
    """Ask after every phase of every instant: (time, phase, what was told)."""
    market = busy_market()
    broker = open_broker(market.foresight, market.clock)
    told = []
    orders = list(market.orders)
    for time in market.clock.time.tolist():
        for phase in Phase:
            told += [(time, int(phase), event) for event in _drained(broker, time, phase)]
        while orders and orders[0].bar_time == time:
            broker.submit(orders.pop(0))
    told += [(_AFTER_ALL, 0, event) for event in _drained(broker, _AFTER_ALL, 0)]
    return told


def _assert_order_kept(order: Order, events: Sequence[Event]) -> None:
    for event in events:
        if isinstance(event, Cancel):
            assert event.order == order, "a cancel gives another order back than was placed"
            continue
        kept = (event.row, event.symbol, event.playbook, event.side, event.units)
        wanted = (order.row, order.symbol, order.playbook, order.side, order.units)
        assert kept == wanted, (
            f"a fill has (row, symbol, playbook, side, units) {kept} where {wanted} was ordered; "
            "fill what was ordered, and exit what was filled"
        )
        assert event.time > order.bar_time, (
            "a fill within the bar whose close brought the order; fill at the next open"
        )


def _who(event: Event) -> int:
    return event.order.candidate_id if isinstance(event, Cancel) else event.candidate_id


def _kind(event: Event) -> str:
    if isinstance(event, Cancel):
        return "cancel"
    return "entry" if event.is_entry else "exit"


def _place(event: Event) -> tuple[int, int, int, int, int]:
    """Where it stands in the total order."""
    if isinstance(event, Cancel):
        return (event.time, Phase.OPEN, event.order.symbol, event.order.playbook, -event.order.side)
    return (event.time, event.phase, event.symbol, event.playbook, -event.side)

"""A session fed bar by bar with an exchange on the other side, which is moved by the same bars."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from darwin.brokers.exchange import ExchangeBroker
from darwin.brokers.exchange_clerk import Patience
from darwin.brokers.exchange_client import ExchangeClient
from darwin.brokers.exchange_kept import Kept
from darwin.core.market import HOUR_MS, Bars
from darwin.core.trade import Fill
from darwin.engine.live import Live
from darwin.engine.session import Session
from darwin.testing.exchange_api import Exchange
from darwin.testing.exchange_market import Market
from darwin.testing.exchange_server import ExchangeServer
from darwin.trading.costs import Costs
from tests.engine.live_runs import Collected, FlatStream

DEAR = Costs(maker_bps=2, taker_bps=5, half_spread_bps=1, slippage_bps=1)
RUN_ID = "venue-1"


class Watchmaker:
    """A clock that goes on only where somebody waits."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds

    def pause(self, seconds: float) -> None:
        self.seconds += max(seconds, 0.001)


def an_exchange(**how: Any) -> Exchange:
    terms: dict[str, Any] = {"maker_bps": 2.0, "taker_bps": 5.0, "slip_bps": 2.0}
    return Exchange(Market(**terms), **how)


class Venue:
    """A server, and the runs that trade at it."""

    def __init__(self, server: ExchangeServer) -> None:
        self.server, self.exchange = server, server.exchange
        self.runs: list[Run] = []

    def run(self, session: Session, journal: Collected | None = None, **how: Any) -> Run:
        """An attempt at a session; one after another with the journal of that."""
        run = Run(self.server, session, Collected() if journal is None else journal, **how)
        self.runs.append(run)
        return run


@contextmanager
def serving(exchange: Exchange | None = None, **how: Any) -> Iterator[Venue]:
    with ExchangeServer(exchange or an_exchange(), **how) as server:
        venue = Venue(server)
        try:
            yield venue
        finally:
            for run in venue.runs:
                run.client.close()


@dataclass
class Run:
    """One attempt at a session, and what came of it."""

    server: ExchangeServer
    session: Session
    journal: Collected = field(default_factory=Collected)
    timeout_s: float = 10.0
    each: Callable[[Run, int], None] = lambda run, bar: None  # before a bar is fed
    then: Callable[[Run, int], None] = lambda run, bar: None  # and after it
    inputs: Any = None
    at: int = 0  # bars fed
    watch: Watchmaker = field(default_factory=Watchmaker)

    def __post_init__(self) -> None:
        rules, markets = self.session.rules, self.session.markets
        self.client = ExchangeClient(
            self.server.url, timeout_s=self.timeout_s, pause=self.watch.pause, now=self.watch.now
        )
        kept = Kept.of_batches(self.journal.batches)
        self.broker = ExchangeBroker(
            self.client, RUN_ID, [bars.symbol for bars in markets], HOUR_MS,
            collar=rules.limits.price_collar_fraction, patience=Patience(), kept=kept,
        )  # fmt: skip
        blind = replace(self.session, markets=tuple(bars.slice(0, 0) for bars in markets))
        journal = Again(self.journal) if self.journal.batches else self.journal
        self.live = Live(blind, FlatStream, self.broker, journal, self.inputs)

    @property
    def exchange(self) -> Exchange:
        return self.server.exchange

    def go_on(self, bars: int) -> Run:
        """Play and feed so many more bars of all symbols; they have the same open times."""
        markets = self.session.markets
        for i in range(self.at, self.at + bars):
            play(self.exchange, markets, i)
            self.each(self, i)
            self.live.feed([one.slice(i, i + 1) for one in markets])
            self.at = i + 1
            self.then(self, i)
        return self

    def take_up(self, reached: int) -> Run:
        """Feed again the bars up to `reached`, which the exchange has played."""
        markets = self.session.markets
        while self.at < len(markets[0]) and markets[0].time[self.at] <= reached:
            self.live.feed([one.slice(self.at, self.at + 1) for one in markets])
            self.at += 1
        return self

    def finish(self) -> Run:
        """End at the last bar, with a market at its close."""
        for bars in self.session.markets:
            self.exchange.open(bars.symbol, float(bars.close[self.at - 1]))
        self.live.finish()
        return self

    def whole(self) -> Run:
        return self.go_on(len(self.session.markets[0]) - self.at).finish()

    @property
    def fills(self) -> list[Fill]:
        return self.journal.of("fills")

    @property
    def words(self) -> list[tuple[str, str]]:
        """Kind and detail of what happened to the account."""
        return [(event.kind, event.detail) for event in self.journal.of("safety_events")]

    @property
    def halts(self) -> list[str]:
        return [detail for kind, detail in self.words if kind == "halted"]

    @property
    def settled(self) -> list[str]:
        return [detail for kind, detail in self.words if kind == "reconciled"]


def play(exchange: Exchange, markets: Sequence[Bars], i: int) -> None:
    """Play bar `i`, and let the next one open."""
    for bars in markets:
        exchange.bar(bars.symbol, bars.row(i), HOUR_MS)
    for bars in markets:
        if i + 1 < len(bars):
            exchange.open(bars.symbol, float(bars.open[i + 1]))


class Again:
    """A journal that compares what comes with what it has, and then goes on."""

    def __init__(self, journal: Collected) -> None:
        self._journal, self._at = journal, 0
        self._before = len(journal.batches)

    def due(self) -> bool:
        return True

    def append(self, facts: Any) -> None:
        if self._at < self._before:
            alone, kept = Collected(), Collected()
            alone.append(facts)
            kept.append(self._journal.batches[self._at])
            assert alone.told() == kept.told(), (alone.told(), kept.told())
        else:
            self._journal.append(facts)
        self._at += 1


def assert_once(run: Run) -> None:
    """No intent became two orders, and none was sent again without a look."""
    taken = Counter(order.client_id for order in run.exchange.market.taken)
    assert max(taken.values(), default=1) == 1
    assert_never_blind(run.exchange)


def assert_books_agree(run: Run) -> None:
    """The venue holds nothing, and the ledger has booked each of its fills, to the cent."""
    market = run.exchange.market
    assert {s: u for s, u in market.positions.items() if u} == {}
    cash = sum(t.side * t.units * t.price + t.fee_usd for t in market.trades)
    booked = sum(
        (f.side if f.is_entry else -f.side) * f.units * f.price + f.fee_usd for f in run.fills
    )
    assert booked == pytest.approx(cash, rel=1e-9, abs=1e-7)
    assert sum(t.units for t in market.trades) == pytest.approx(sum(f.units for f in run.fills))


def assert_guarded(run: Run, *, but_new: bool = False) -> None:
    """Everything held has a stop at the venue that covers it, or the account was halted.

    What was filled since the last bar closed may be left out.
    """
    market = run.exchange.market
    for symbol, units in market.positions.items():
        last = [t.time for t in market.trades if t.symbol == symbol and "entry" in t.client_id]
        if but_new and last and last[-1] == market.now_ms:
            continue
        stops = sum(
            order.rest
            for order in market.taken
            if order.symbol == symbol and order.type == "stop" and order.status == "open"
        )
        assert run.halts or stops >= abs(units) * (1 - 1e-9), (symbol, units, stops)


def assert_never_blind(exchange: Exchange) -> None:
    """Before an order is sent again, somebody asked for it and was told that it is not there."""
    asked: dict[str, bool] = {}
    for request in exchange.requests:
        who = request.client_id
        if request.line == "POST /v1/orders":
            assert asked.get(who, True), f"{who} was sent again without a look"
            asked[who] = request.fault in ("rate limit",)
        elif request.method == "GET" and request.status == 404 and who in asked:
            asked[who] = True

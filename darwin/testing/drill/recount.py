"""The hard limits of a run, reckoned anew from its orders, fills and bars, in the plainest way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from darwin.bootstrap import rules_of
from darwin.core.clock import Clock
from darwin.core.market import DAY_MS, Bars, FloatArray
from darwin.core.trade import Phase
from darwin.engine.marks import funding_by_instant
from darwin.engine.step import Rules
from darwin.testing.drill.room import RUN, Room

A_HAIR = 1.0 + 1e-9
_NEVER_MS = 1 << 62


class Order(NamedTuple):
    """An entry order as the database has it."""

    candidate: str
    symbol: str
    time: int
    units: float
    price: float


class Deal(NamedTuple):
    """A fill."""

    candidate: str
    kind: str
    symbol: str
    sign: int  # of the position
    time: int
    phase: int
    units: float
    price: float
    mid_price: float
    paid_usd: float  # fee and funding


@dataclass
class Books:
    """Cash, positions and pending orders of one run, one event after the other."""

    clock: Clock
    symbols: list[str]
    funding: dict[str, FloatArray]  # by symbol: what a long unit has paid by each instant
    cash: float
    deals: list[Deal]
    cancels: list[tuple[str, int]]  # candidate, time
    open: dict[str, Deal] = field(default_factory=dict)
    pending: dict[str, Order] = field(default_factory=dict)

    def settle_until(self, time: int) -> None:
        """Book what happened up to and within the bar that opens at `time`."""
        while self.cancels and self.cancels[0][1] <= time:
            self.pending.pop(self.cancels.pop(0)[0], None)
        while self.deals and (self.deals[0].time, self.deals[0].phase) <= (time, Phase.MARK):
            deal = self.deals.pop(0)
            entry = deal.kind == "entry"
            self.cash -= deal.sign * deal.units * deal.price * (1 if entry else -1) + deal.paid_usd
            if entry:
                self.pending.pop(deal.candidate, None)
                self.open[deal.candidate] = deal
            else:
                self.open.pop(deal.candidate, None)

    def equity(self, instant: int) -> float:
        """The account, marked at the closes of `instant`."""
        marked = (d.sign * d.units * self._worth(d, instant) for d in self.open.values())
        return self.cash + sum(marked)

    def value_of(self, symbol: str, instant: int) -> float:
        """What a symbol's positions are worth, with what its orders ask for."""
        units = sum(d.units for d in self.open.values() if d.symbol == symbol)
        held = units * self._close(symbol, instant) if units else 0.0
        return held + sum(o.units * o.price for o in self.pending.values() if o.symbol == symbol)

    def count_of(self, symbol: str) -> int:
        """How many positions and orders a symbol has."""
        held = [d.symbol for d in self.open.values()] + [o.symbol for o in self.pending.values()]
        return held.count(symbol)

    def _worth(self, deal: Deal, instant: int) -> float:
        """A long unit of an open position: its close, less the funding it still owes."""
        close = self._close(deal.symbol, instant)
        if deal.symbol not in self.funding:
            return close
        paid, entered = self.funding[deal.symbol], int(self.clock.time.searchsorted(deal.time))
        return close - float(paid[instant] - paid[entered])

    def _close(self, symbol: str, instant: int) -> float:
        return float(self.clock.close[self.symbols.index(symbol)][instant])


def broken_limit(room: Room, markets: Sequence[Bars]) -> str:
    """What the run of a room did first that a hard limit of its config forbids; empty: nothing."""
    rules = rules_of(room.loaded().config)
    orders, books = _read(room, rules, markets)
    if not orders:
        return "there was no order"
    far = _beyond_collar(rules, orders, books.deals)
    if far:
        return far
    watch, per_day = _Watch(rules), Counter[int]()
    for instant, time in enumerate(books.clock.time.tolist()):
        books.settle_until(time)
        forbidden, here = watch.forbids(time, books.equity(instant)), 0
        while orders and orders[0].time == time:
            order = orders.pop(0)
            books.pending[order.candidate] = order
            here += 1
            per_day[time // DAY_MS] += 1
            flaw = forbidden or _flaw(rules, books, order, instant)
            flaw = flaw or _too_many(rules, here, per_day[time // DAY_MS])
            if flaw:
                return f"order of candidate {order.candidate}: {flaw}"
    return "an order names no bar" if orders else ""


def _flaw(rules: Rules, books: Books, order: Order, instant: int) -> str:
    """What forbids an order that is already among those pending."""
    limits, equity = rules.limits, books.equity(instant)
    count = len(books.open) + len(books.pending)
    if limits.max_positions is not None and count > limits.max_positions:
        return f"{count} positions"
    everything = sum(books.value_of(symbol, instant) for symbol in books.symbols)
    most = limits.max_exposure_fraction
    if most is not None and not everything <= most * equity * A_HAIR:
        return f"an exposure of {everything:,.2f} USD on {equity:,.2f} USD"
    held, cap = books.value_of(order.symbol, instant), limits.max_position_usd
    if cap is not None and not held <= cap * A_HAIR:
        return f"a position of {held:,.2f} USD"
    if books.count_of(order.symbol) > rules.positions_per_symbol:
        return f"{books.count_of(order.symbol)} positions of {order.symbol}"
    return ""


def _too_many(rules: Rules, at_this_bar: int, on_this_day: int) -> str:
    limits = rules.limits
    if at_this_bar > (limits.max_orders_per_bar or at_this_bar):
        return f"number {at_this_bar} at one bar"
    if on_this_day > (limits.max_orders_per_day or on_this_day):
        return f"number {on_this_day} on one day"
    return ""


class _Watch:
    """Daily loss and drawdown by hand, mark by mark."""

    def __init__(self, rules: Rules) -> None:
        self._limits = rules.limits
        self._peak = self._last = self._day_start = rules.starting_equity_usd
        self._day, self._lost_today = -1, False
        self._reduced_at: int | None = None

    def forbids(self, time: int, equity: float) -> str:
        """What forbids entries at this close; empty: nothing does."""
        if time // DAY_MS != self._day:
            self._day, self._day_start, self._lost_today = time // DAY_MS, self._last, False
        self._last = equity
        daily, deepest = self._limits.max_daily_loss_fraction, self._limits.max_drawdown_fraction
        if daily is not None and equity <= self._day_start * (1.0 - daily) / A_HAIR:
            self._lost_today = True
        days = self._limits.reducing_resume_days
        until = _NEVER_MS if days is None else days * DAY_MS
        if self._reduced_at is None:
            self._peak = max(self._peak, equity)
            if deepest is not None and equity <= self._peak * (1.0 - deepest) / A_HAIR:
                self._reduced_at = time
        elif time >= self._reduced_at + until:
            self._reduced_at, self._peak = None, equity
        if self._reduced_at is not None:
            return "the drawdown had stopped entries"
        return "the daily loss had stopped entries" if self._lost_today else ""


def _beyond_collar(rules: Rules, orders: Sequence[Order], deals: Sequence[Deal]) -> str:
    """The first entry further from the price of its order than a fill may be; empty: none."""
    collar, asked = rules.limits.price_collar_fraction, {o.candidate: o.price for o in orders}
    for deal in deals:
        if deal.kind == "entry" and collar is not None:
            moved = abs(deal.mid_price / asked[deal.candidate] - 1.0)
            if not moved <= collar * A_HAIR:
                return f"the entry of candidate {deal.candidate} is {moved:.2%} away"
    return ""


def _read(room: Room, rules: Rules, markets: Sequence[Bars]) -> tuple[list[Order], Books]:
    orders = room.ask(
        "SELECT candidate_id, symbol, time, units, price FROM orders"
        " WHERE run_id = ? AND kind = 'submitted' ORDER BY id", RUN,
    )  # fmt: skip
    cancels = room.ask(
        "SELECT candidate_id, time FROM orders WHERE run_id = ? AND kind = 'cancelled' ORDER BY id",
        RUN,
    )
    deals = room.ask(
        "SELECT candidate_id, kind, symbol, CASE side WHEN 'long' THEN 1 ELSE -1 END, time, phase,"
        " units, price, mid_price, fee_usd + funding_usd FROM fills WHERE run_id = ? ORDER BY id",
        RUN,
    )
    clock, symbols = Clock.of(markets), [bars.symbol for bars in markets]
    paid = zip(symbols, funding_by_instant(markets, clock), strict=True)
    books = Books(
        clock,
        symbols,
        {symbol: series for symbol, series in paid if series is not None},
        rules.starting_equity_usd,
        [Deal(*row) for row in deals],
        [(candidate, time) for candidate, time in cancels],
    )
    return [Order(*row) for row in orders], books

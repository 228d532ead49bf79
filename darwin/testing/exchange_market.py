"""The market of the scripted exchange: orders, fills and positions, moved by bars handed to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from darwin.core.market import Bar

OPEN, FILLED, CANCELLED = "open", "filled", "cancelled"
_NOTHING = 1e-9  # of an order: what rounding leaves of one that is done
_BPS = 1e-4


@dataclass(slots=True)
class Order:
    """An order the exchange has taken."""

    client_id: str
    symbol: str
    side: int  # 1 buys, -1 sells
    type: str  # "market", "stop", "limit"
    quantity: float
    price: float | None  # where a stop is triggered, the limit of a limit order
    reduce_only: bool
    group: str  # of orders of which one cancels the others; empty: none
    status: str = OPEN
    filled: float = 0.0
    reason: str = ""
    pieces: list[float] = field(default_factory=list)  # units of the fills before the last
    rest_comes: bool = True
    rest_at: float | None = None  # at what price what is left of it goes on filling
    hidden_reads: int = 0  # so many more reads do not list it

    @property
    def rest(self) -> float:
        """Units not filled."""
        return max(self.quantity - self.filled, 0.0)

    def told(self) -> dict[str, Any]:
        """As the API writes it."""
        return {
            "client_id": self.client_id, "symbol": self.symbol,
            "side": "buy" if self.side > 0 else "sell", "type": self.type,
            "quantity": self.quantity, "price": self.price, "reduce_only": self.reduce_only,
            "group": self.group, "status": self.status, "filled": self.filled,
            "reason": self.reason,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Trade:
    """One fill; `client_id` is empty where somebody traded by hand."""

    trade_id: int
    client_id: str
    symbol: str
    side: int
    units: float
    price: float
    fee_usd: float
    time: int

    def told(self) -> dict[str, Any]:
        """As the API writes it."""
        return {
            "trade_id": self.trade_id, "client_id": self.client_id, "symbol": self.symbol,
            "side": "buy" if self.side > 0 else "sell", "units": self.units, "price": self.price,
            "fee_usd": self.fee_usd, "time": self.time,
        }  # fmt: skip


class Market:
    """One account and its orders. The rule of matching:

    - `open` says at what price the next bar of a symbol opens. Market orders that wait, or come
      until the bar is over, are filled there, worse by `slip_bps`, before anything that rests.
    - `bar` plays that bar: at its open, stops and then limits that it lies beyond, at the open;
      within it, stops its range touches, at the stop, and then limits, at the limit.
    - Stops pay `slip_bps` and the taker fee, limits the maker fee alone.
    - After a bar there is no market until the next `open`: market orders wait.
    - A reduce-only order never fills more than the position it is against; with none it is
      cancelled. A fill of one order of a group takes as much off the others.
    """

    def __init__(
        self, *, maker_bps: float, taker_bps: float, slip_bps: float, lot: float | None = None
    ) -> None:
        """Start flat, at time 0, with no symbol quoted."""
        self._maker, self._taker = maker_bps * _BPS, taker_bps * _BPS
        self._slip, self.lot = slip_bps * _BPS, lot
        self.now_ms = 0
        self.orders: dict[str, Order] = {}
        self.taken: list[Order] = []  # all of them, also where two have one client id
        self.trades: list[Trade] = []
        self.positions: dict[str, float] = {}
        self.quote: dict[str, float] = {}
        self.is_open: set[str] = set()
        self._played: dict[str, int] = {}  # open time of the last bar
        self._playing: int | None = None  # open time of the bar that is played

    def take(self, order: Order) -> None:
        """Take an order; one that can trade does so now."""
        self.taken.append(order)
        self.orders[order.client_id] = order
        if order.type == "market" and order.symbol in self.is_open:
            self._execute(order, self.quote[order.symbol], rests=False)

    def cancel(self, order: Order, reason: str = "asked to") -> None:
        """Take an order off the book; one that is over stays what it is."""
        if order.status == OPEN:
            order.status, order.reason = CANCELLED, reason

    def open(self, symbol: str, price: float) -> None:
        """Say at which price the next bar of `symbol` opens, and fill the market orders."""
        self.quote[symbol] = price
        self.is_open.add(symbol)
        for order in self._open_orders(symbol):
            if order.type == "limit" and order.rest_at is not None:
                self._execute(order, order.rest_at, rests=True)
            elif order.type == "market" or order.rest_at is not None:
                self._execute(order, price, rests=False)

    def bar(self, symbol: str, bar: Bar, length_ms: int) -> None:
        """Play a bar to its close; one that was played already changes nothing."""
        if bar.time <= self._played.get(symbol, -1):
            return
        self._played[symbol] = bar.time
        if symbol not in self.is_open:
            self.now_ms = max(self.now_ms, bar.time)
            self.open(symbol, bar.open)
        self._playing = bar.time
        for at_open in (True, False):
            for type_ in ("stop", "limit"):
                for order in self._open_orders(symbol):
                    if order.type == type_ and order.price is not None:
                        self._touch(order, order.price, bar, at_open=at_open)
        self._playing = None
        self.quote[symbol] = bar.close
        self.is_open.discard(symbol)
        self.now_ms = max(self.now_ms, bar.time + length_ms)

    def by_hand(self, symbol: str, units: float) -> None:
        """Trade at the quote as a person at the venue would; negative `units` sell."""
        side = 1 if units > 0 else -1
        price = self.quote[symbol] * (1.0 + side * self._slip)
        self._book("", symbol, side, abs(units), price, self._taker)

    def read(self, order: Order) -> None:
        """Somebody looks at an order: what was to come later comes by and by."""
        if order.status == OPEN and order.rest_at is not None and order.rest_comes:
            self._execute(order, order.rest_at, rests=order.type == "limit")

    def _open_orders(self, symbol: str) -> list[Order]:
        return [o for o in self.taken if o.symbol == symbol and o.status == OPEN]

    def _touch(self, order: Order, level: float, bar: Bar, *, at_open: bool) -> None:
        """Fill a resting order where the bar reaches it."""
        if order.status != OPEN or order.rest_at is not None:
            return
        rising = (order.side > 0) == (order.type == "stop")  # reached from below
        beyond = bar.open >= level if rising else bar.open <= level
        within = bar.high >= level if rising else bar.low <= level
        rests = order.type == "limit"
        if at_open and beyond:
            self._execute(order, bar.open, rests=rests)
        elif not at_open and within and not beyond:
            self._execute(order, level, rests=rests)

    def _execute(self, order: Order, mid: float, *, rests: bool) -> None:
        units = order.rest
        if order.reduce_only:
            held = self.positions.get(order.symbol, 0.0)
            units = min(units, max(-order.side * held, 0.0))
            if units <= _NOTHING * order.quantity:
                self.cancel(order, "nothing to reduce")
                return
        if order.pieces:
            units = min(units, order.pieces.pop(0))
            order.rest_at = mid
        price = mid if rests else mid * (1.0 + order.side * self._slip)
        fee = self._maker if rests else self._taker
        order.filled += units
        if order.rest <= _NOTHING * order.quantity:
            order.filled, order.status = order.quantity, FILLED
        self._book(order.client_id, order.symbol, order.side, units, price, fee)
        self._shrink_group(order, units)

    def _shrink_group(self, order: Order, units: float) -> None:
        for other in self._open_orders(order.symbol) if order.group else ():
            if other is not order and other.group == order.group:
                other.quantity -= units
                if other.rest <= _NOTHING * order.quantity:
                    self.cancel(other, "the other one was filled")

    def _book(
        self, client_id: str, symbol: str, side: int, units: float, price: float, fee: float
    ) -> None:
        held = self.positions.get(symbol, 0.0) + side * units
        self.positions[symbol] = 0.0 if abs(held) <= _NOTHING * units else held
        number, fee_usd = len(self.trades) + 1, fee * price * units
        time = self.now_ms if self._playing is None else self._playing
        self.trades.append(Trade(number, client_id, symbol, side, units, price, fee_usd, time))

"""What the scripted exchange answers, before anything goes wrong with the answer."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from darwin.core.market import Bar
from darwin.testing.exchange_faults import FILLS, POSITIONS, Fault, Faults
from darwin.testing.exchange_market import Market, Order, Trade

_PAGE = 50
_TYPES = ("market", "stop", "limit")


class RefusedError(Exception):
    """A request that is answered with a status of its own and a reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(slots=True)
class Request:
    """One request as it is logged."""

    method: str
    path: str
    query: dict[str, str]
    body: dict[str, Any]
    fault: str = ""  # what went wrong with its answer
    done: bool = False  # whether the exchange did what was asked
    status: int = 0  # of the answer, 0 where none went out
    order: dict[str, Any] = field(default_factory=dict)

    @property
    def line(self) -> str:
        """Method and path."""
        return f"{self.method} {self.path}"

    @property
    def client_id(self) -> str:
        """Of the order it is about, empty for none."""
        if self.path.startswith("/v1/orders/"):
            return self.path.removeprefix("/v1/orders/")
        return str(self.body.get("client_id", self.query.get("client_id", "")))


class Exchange:
    """A market behind an API, with faults, of which everything is logged."""

    def __init__(self, market: Market, *, refuses_duplicates: bool = True) -> None:
        """Open. Without `refuses_duplicates` a client id that was used is taken once more."""
        self.market, self.faults = market, Faults()
        self._refuses_duplicates = refuses_duplicates
        self.requests: list[Request] = []
        self.lock = threading.RLock()
        self._acts: dict[str, Callable[[Request], dict[str, Any]]] = {
            "GET /v1/time": lambda _: {"now_ms": self.market.now_ms},
            "GET /v1/price": self._price,
            "GET /v1/positions": self._positions,
            "GET /v1/fills": self._fills,
            "GET /v1/orders": self._list,
            "POST /v1/orders": lambda request: self._take(request).told(),
        }
        self.heard: Callable[[Request], None] = lambda request: None  # before it is done
        self.did: Callable[[Request], None] = lambda request: None  # before it is answered

    def open(self, symbol: str, price: float) -> None:
        """Let the next bar of `symbol` open at `price`."""
        with self.lock:
            self.market.open(symbol, price)

    def bar(self, symbol: str, bar: Bar, length_ms: int) -> None:
        """Play a bar."""
        with self.lock:
            self.market.bar(symbol, bar, length_ms)

    def fault(self, kind: str, **how: Any) -> None:
        """Let something go wrong; `how` as the fields of `Fault`."""
        with self.lock:
            self.faults.add(Fault(kind, **how))

    def by_hand(self, symbol: str, units: float) -> None:
        """Trade without the client; negative `units` sell."""
        with self.lock:
            self.market.by_hand(symbol, units)

    def cancel_some(self, of: str) -> int:
        """Cancel, as a venue may, the open orders that bear `of` in the client id; how many."""
        with self.lock:
            some = [o for o in self.market.taken if o.status == "open" and of in o.client_id]
            for order in some:
                self.market.cancel(order, "by the venue")
            return len(some)

    def answer(self, request: Request) -> dict[str, Any]:
        """Do what is asked. Raises RefusedError."""
        act = self._acts.get(request.line)
        if act is not None:
            return act(request)
        if request.path.startswith("/v1/orders/"):
            return self._one(request).told()
        if request.path.startswith("/v1/admin/") and request.method == "POST":
            return self._admin(request)
        raise RefusedError(404, f"nothing at {request.path}")

    def _price(self, request: Request) -> dict[str, Any]:
        symbol = request.query.get("symbol", "")
        if symbol not in self.market.quote:
            raise RefusedError(404, f"no price of '{symbol}' yet")
        is_open = symbol in self.market.is_open
        return {"symbol": symbol, "price": self.market.quote[symbol], "open": is_open}

    def _list(self, request: Request) -> dict[str, Any]:
        return {"orders": [o.told() for o in self.market.taken if self._shows(o)]}

    def _positions(self, request: Request) -> dict[str, Any]:
        fault = self.faults.strike(POSITIONS, request.line)
        told = {symbol: units for symbol, units in self.market.positions.items() if units}
        if fault is not None:
            wrong = fault.symbol or next(iter(self.market.quote), "")
            told[wrong] = told.get(wrong, 0.0) + fault.units
        return {"positions": [{"symbol": s, "units": units} for s, units in told.items()]}

    def _fills(self, request: Request) -> dict[str, Any]:
        of, since = request.query.get("client_id"), int(request.query.get("since", "0"))
        if of is not None and (order := self.market.orders.get(of)) is not None:
            self._shows(order)
        found = [t for t in self.market.trades if t.trade_id > since and self._lists(t)]
        found = [t for t in found if of is None or t.client_id == of]
        page, more = found[:_PAGE], len(found) > _PAGE
        after = page[-1].trade_id if more else None
        fault = self.faults.strike(FILLS, request.line)
        if fault is not None and fault.kind == "duplicated":
            page = sorted([*page, *page, *found[_PAGE : _PAGE + 1]], key=lambda t: t.trade_id)
        elif fault is not None:
            page = page[::-1]
        return {"fills": [trade.told() for trade in page], "next": after}

    def _lists(self, trade: Trade) -> bool:
        order = self.market.orders.get(trade.client_id)
        return order is None or not order.hidden_reads

    def _shows(self, order: Order) -> bool:
        """Whether an order is listed as open now; to look brings later pieces of it."""
        if order.hidden_reads:
            order.hidden_reads -= 1
            return False
        self.market.read(order)
        return order.status == "open"

    def _take(self, request: Request) -> Order:
        body = request.body
        try:
            client_id, symbol, type_ = str(body["client_id"]), str(body["symbol"]), body["type"]
            quantity, price = float(body["quantity"]), body.get("price")
            side = {"buy": 1, "sell": -1}[body["side"]]
            price = None if price is None else float(price)
        except (KeyError, TypeError, ValueError) as why:
            raise RefusedError(400, f"not an order: {why!r}") from why
        if type_ not in _TYPES or not 0.0 < quantity < math.inf:
            raise RefusedError(400, f"not an order: {type_}, {quantity} units")
        if (price is None) != (type_ == "market") or (price is not None and not price > 0.0):
            raise RefusedError(400, "stops and limits have a price, market orders none")
        if self._refuses_duplicates and client_id in self.market.orders:
            raise RefusedError(409, f"client id {client_id} was used")
        lot = self.market.lot
        if lot is not None and abs(quantity / lot - round(quantity / lot)) > 1e-6:
            raise RefusedError(422, f"quantity is no multiple of {lot}")
        order = Order(
            client_id, symbol, side, type_, quantity, price, bool(body.get("reduce_only")),
            str(body.get("group", "")),
        )  # fmt: skip
        if (fault := self.faults.strike(["stale"], request.line, client_id)) is not None:
            order.hidden_reads = fault.reads
        if (fault := self.faults.strike(["partial"], request.line, client_id)) is not None:
            order.pieces = [share * quantity for share in fault.pieces]
            order.rest_comes = fault.rest_comes
        self.market.take(order)
        return order

    def _one(self, request: Request) -> Order:
        order = self.market.orders.get(request.client_id)
        if order is None:
            raise RefusedError(404, "no such order")
        if order.hidden_reads:
            order.hidden_reads -= 1
            raise RefusedError(404, "no such order")
        if request.method == "DELETE":
            self.market.cancel(order)
        elif request.method == "PUT":
            if order.status != "open" or order.price is None:
                raise RefusedError(409, f"the order is {order.status}")
            order.price = float(request.body["price"])
        else:
            self.market.read(order)
        return order

    def _admin(self, request: Request) -> dict[str, Any]:
        """Bars and faults over HTTP, for a client in another process."""
        body, what = request.body, request.path.removeprefix("/v1/admin/")
        try:
            if what == "open":
                self.market.open(str(body["symbol"]), float(body["price"]))
            elif what == "bar":
                length_ms = int(body["length_ms"])
                self.market.bar(str(body["symbol"]), _bar(body), length_ms)
            elif what == "fault":
                self.faults.add(Fault.of_json(body))
            elif what == "trade":
                self.market.by_hand(str(body["symbol"]), float(body["units"]))
            else:
                raise RefusedError(404, f"nothing at {request.path}")
        except (KeyError, TypeError, ValueError) as why:
            raise RefusedError(400, f"not understood: {why!r}") from why
        return {"now_ms": self.market.now_ms}


def _bar(body: dict[str, Any]) -> Bar:
    open_, high, low, close = (float(body[name]) for name in ("open", "high", "low", "close"))
    return Bar(int(body["time"]), open_, high, low, close, float(body.get("volume", 0.0)))

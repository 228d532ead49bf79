"""The client of an exchange: asks over HTTP, and waits out what passes within one deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import httpx2

from darwin.brokers.exchange_answers import (
    Ask,
    Refusal,
    VenueFill,
    VenueOrder,
    read,
    read_fills,
    read_order,
    read_positions,
    read_price,
    read_time,
)
from darwin.errors import UnreachableError

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 4.0
_BUSY, _NOT_FOUND, _USED = 429, 404, 409
_Answer = TypeVar("_Answer")


class ExchangeClient:
    """Speaks the API that `darwin.testing.exchange_server` describes.

    What is asked between two calls of `begin` has one deadline together. Questions are asked again
    after 429, 5xx, lost connections and answers that make no sense, until it is over; then they
    raise UnreachableError. An order is sent once by each `place`.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 5.0,
        deadline_s: float = 30.0,
        pause: Callable[[float], object] = time.sleep,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Connect to nothing yet. `pause` and `now` are the clock by which it waits, in seconds."""
        self._http = httpx2.Client(base_url=url, timeout=timeout_s)
        self._deadline_s, self.pause, self.now = deadline_s, pause, now
        self._until = now() + deadline_s

    def close(self) -> None:
        """Let go of connections."""
        self._http.close()

    def begin(self) -> None:
        """Start the deadline anew."""
        self._until = self.now() + self._deadline_s

    def now_ms(self) -> int:
        """What time it is at the venue, ms UTC."""
        return self._told("GET", "/v1/time", read_time)

    def price(self, symbol: str) -> float:
        """What `symbol` trades at."""
        return self._told("GET", "/v1/price", read_price, query={"symbol": symbol})

    def positions(self) -> dict[str, float]:
        """Units by symbol, negative where short; those that are not zero."""
        told = self._told("GET", "/v1/positions", read_positions)
        return {symbol: units for symbol, units in told.items() if units}

    def open_orders(self) -> dict[str, VenueOrder]:
        """The open orders by client id."""
        told = self._told("GET", "/v1/orders", lambda told: [*map(read_order, told["orders"])])
        return {order.client_id: order for order in told}

    def fills(self, since: int = 0, client_id: str | None = None) -> list[VenueFill]:
        """All fills after trade id `since`, of all orders or of one, each once, in their order."""
        found: dict[int, VenueFill] = {}
        after: int | None = since
        while after is not None:
            query = {"since": str(after)} | ({} if client_id is None else {"client_id": client_id})
            page, following = self._told("GET", "/v1/fills", read_fills, query=query)
            found |= {fill.trade_id: fill for fill in page}
            after = following if following is None or following > after else None
        return [found[number] for number in sorted(found)]

    def order(self, client_id: str) -> VenueOrder | None:
        """The order of that client id as it is; None: the venue lists none."""
        return self._asked("GET", f"/v1/orders/{client_id}", read_order, missing=(_NOT_FOUND,))

    def cancel(self, client_id: str) -> VenueOrder | None:
        """Take an order back; answers what it is then, None: the venue lists none."""
        return self._asked("DELETE", f"/v1/orders/{client_id}", read_order, missing=(_NOT_FOUND,))

    def move(self, client_id: str, price: float) -> VenueOrder | None:
        """Move a stop to `price`; None: it is not there, or over."""
        return self._asked(
            "PUT", f"/v1/orders/{client_id}", read_order, body={"price": price},
            missing=(_NOT_FOUND, _USED),
        )  # fmt: skip

    def place(self, ask: Ask) -> VenueOrder | Refusal | None:
        """Send an order, once; None: nobody knows whether it was taken. Look for it then."""
        wait_s = _FIRST_PAUSE_S
        while True:
            status, body, asked_s = self._once("POST", "/v1/orders", body=ask.body())
            if status != _BUSY:
                break
            wait_s = self._rest("the venue is busy", wait_s, asked_s)
        if 400 <= status < 500 and status != _USED:
            return Refusal(_reason(body) or f"status {status}")
        if status != 200:
            return None
        try:
            taken = read_order(read(body))
        except (ValueError, KeyError, TypeError):
            return None
        return taken if taken.client_id == ask.client_id else None

    def _told(
        self,
        method: str,
        path: str,
        read_as: Callable[[dict[str, Any]], _Answer],
        query: Mapping[str, str] | None = None,
    ) -> _Answer:
        answer = self._asked(method, path, read_as, query=query)
        if answer is None:
            raise UnreachableError(f"the venue knows nothing of {path}")
        return answer

    def _asked(
        self,
        method: str,
        path: str,
        read_as: Callable[[dict[str, Any]], _Answer],
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        missing: tuple[int, ...] = (),
    ) -> _Answer | None:
        """The answer, or None for a status that is among `missing`."""
        wait_s = _FIRST_PAUSE_S
        while True:
            status, answer, asked_s = self._once(method, path, query=query, body=body)
            if status in missing:
                return None
            fault = f"it answers {method} {path} with status {status}"
            if status == 200:
                try:
                    return read_as(read(answer))
                except (ValueError, KeyError, TypeError) as why:
                    fault = f"its answer to {method} {path} makes no sense: {why}"
            elif status == 0:
                fault = f"it does not answer {method} {path}"
            elif status < 500 and status != _BUSY:
                raise UnreachableError(f"the venue refuses {method} {path}: {_reason(answer)}")
            wait_s = self._rest(fault, wait_s, asked_s)

    def _once(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> tuple[int, bytes, float | None]:
        """Status, body and how many seconds to wait; status 0 where no answer came."""
        try:
            answer = self._http.request(method, path, params=query, json=body)
        except (httpx2.TransportError, httpx2.DecodingError):
            return 0, b"", None
        return answer.status_code, answer.content, _seconds(answer.headers.get("Retry-After"))

    def _rest(self, fault: str, wait_s: float, asked_s: float | None) -> float:
        """Wait as long as asked to, else `wait_s`; how long to wait the next time."""
        wait = wait_s if asked_s is None else asked_s
        if self.now() + wait >= self._until:
            raise UnreachableError(
                f"the venue gave no answer within {self._deadline_s:g} s: {fault}",
                mend="see whether the venue is up; what rests there goes on",
            )
        self.pause(wait)
        return min(2.0 * wait_s, _LONGEST_PAUSE_S)


def _seconds(told: str | None) -> float | None:
    """Retry-After in seconds; None where there is none that makes sense."""
    try:
        wait = float(told or "nan")
    except ValueError:
        return None
    return wait if 0.0 <= wait < 3600.0 else None


def _reason(body: bytes) -> str:
    """What an answer says of its refusal."""
    try:
        return str(read(body).get("error", ""))
    except ValueError:
        return ""

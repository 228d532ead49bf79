"""How the local venue answers: as Binance does, or spoilt by a word of a script."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Protocol
from urllib.parse import parse_qsl, urlsplit

from darwin.core.market import Bars
from darwin.testing.klines_page import Row, cut_short, page

FAULTS = {
    "hang": "no answer, until the client or the server gives up",
    "reset": "the connection is reset before the answer",
    "cut": "the connection ends in the middle of the answer",
    "truncated": "a whole answer, of half the JSON",
    "html": "an answer that is no JSON",
    "object": "an object where an array is meant",
    "huge": "17 MiB of spaces before the answer",
    "empty": "no candle",
    "duplicate": "the last candle twice",
    "backwards": "the first candles of all again",
    "gap": "the candle in the middle is missing",
    "half": "the newest candle as it was halfway, said to have ended",
    "nan": "a close that is no number",
    "crossed": "a high below the close",
}
"""Words of a script, beside HTTP statuses such as "500" and "429:2" (Retry-After: 2)."""
_DEFAULT_LIMIT, _MOST = 500, 1_000
_HUGE = 17 * 2**20


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked, and when."""

    path: str
    query: dict[str, str]
    now_ms: int  # of the virtual clock
    at_s: float  # time.monotonic()
    fault: str  # the word of the script that answered it; "" for a proper answer


class Venue(Protocol):
    """What is served."""

    markets: Mapping[str, Bars]  # by the name they are asked for
    stopping: threading.Event

    @property
    def now_ms(self) -> int:
        """The virtual time."""
        ...

    def told_ms(self, request: Request) -> int:
        """What time it says it is."""
        ...

    def shown(self, name: str) -> Bars | None:
        """The bars of a symbol, by the name it is asked for, that may be shown; None: no such."""
        ...

    def take(self, path: str, query: dict[str, str]) -> Request:
        """Note a request, with the instant at which it is answered and its fault."""
        ...


class Listener(ThreadingHTTPServer):
    """Listens on this machine alone, with a thread for each connection."""

    daemon_threads = True

    def __init__(self, venue: Venue, port: int) -> None:
        """Bind the port; 0: any that is free. Raises OSError."""
        self.venue = venue
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body leave together
    server: Listener
    refusals: ClassVar[dict[str, tuple[int, str]]] = {
        "symbol": (-1121, "Invalid symbol."),
        "interval": (-1120, "Invalid interval."),
        "limit": (-1130, "Data sent for parameter 'limit' is not valid."),
        "startTime": (-1100, "Illegal characters found in parameter 'startTime'."),
    }

    def do_GET(self) -> None:
        """Answer one request."""
        parts = urlsplit(self.path)
        request = self.server.venue.take(parts.path, dict(parse_qsl(parts.query)))
        status, _, wait = request.fault.partition(":")
        if status.isdigit():
            more = {"Retry-After": wait} if wait else {}
            if status.startswith("3"):
                more["Location"] = self.path
            self._send(int(status), {"code": -1003, "msg": f"HTTP {status} as asked for."}, more)
        elif request.fault == "hang":
            self.server.venue.stopping.wait()
            self.close_connection = True
        elif request.fault == "reset":
            self._reset()
        elif parts.path == "/api/v3/time":
            self._send(HTTPStatus.OK, {"serverTime": self.server.venue.told_ms(request)})
        elif parts.path == "/api/v3/exchangeInfo":
            self._send(HTTPStatus.OK, _exchange_info(self.server.venue))
        elif parts.path == "/api/v3/klines":
            self._klines(request)
        else:
            self._send(HTTPStatus.NOT_FOUND, {"code": -1, "msg": "No such path."})

    def _klines(self, request: Request) -> None:
        bars = self.server.venue.shown(request.query.get("symbol", ""))
        if bars is None:
            return self._refuse("symbol")
        if request.query.get("interval") != bars.timeframe.name:
            return self._refuse("interval")
        numbers = {name: request.query.get(name) for name in ("startTime", "endTime", "limit")}
        if any(text is not None and not text.isdigit() for text in numbers.values()):
            return self._refuse("startTime")
        first, last, limit = (None if text is None else int(text) for text in numbers.values())
        limit = _DEFAULT_LIMIT if limit is None else limit
        if not 1 <= limit <= _MOST:
            return self._refuse("limit")
        rows = page(bars, request.now_ms, first, last, limit)
        return self._answer(spoilt(rows, bars, request), request.fault)

    def _answer(self, rows: object, fault: str) -> None:
        raw = json.dumps(rows).encode()
        if fault == "truncated":
            raw = raw[: len(raw) // 2]
        elif fault == "html":
            raw = b"<html>\x1b[31mMaintenance</html>"
        elif fault == "huge":
            raw = b" " * _HUGE + raw
        self._write(HTTPStatus.OK, raw, {}, cut=fault == "cut")

    def _refuse(self, what: str) -> None:
        code, says = self.refusals[what]
        self._send(HTTPStatus.BAD_REQUEST, {"code": code, "msg": says})

    def _send(self, status: int, tree: object, headers: dict[str, str] | None = None) -> None:
        self._write(status, json.dumps(tree).encode(), headers or {})

    def _write(self, status: int, raw: bytes, headers: dict[str, str], cut: bool = False) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw[: len(raw) // 2] if cut else raw)
        self.close_connection = self.close_connection or cut

    def _reset(self) -> None:
        """Hang up rudely: with unsent data dropped, the client sees a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing; `requests` has it all."""


def spoilt(rows: list[Row], bars: Bars, request: Request) -> object:
    """`rows` with the fault of the request, where it is one of their content."""
    fault, spoil = request.fault, [list(row) for row in rows]
    if fault == "object":
        return {"code": 0, "msg": "this is no array"}
    if fault == "empty" or not spoil:
        return []
    if fault == "duplicate":
        spoil.append(list(spoil[-1]))
    elif fault == "backwards":
        return page(bars, request.now_ms, 0, None, len(spoil))
    elif fault == "gap":
        del spoil[len(spoil) // 2]
    elif fault == "half":
        newest = int(bars.time.searchsorted(int(spoil[-1][0])))
        spoil[-1] = list(cut_short(bars, newest, request.now_ms))
    elif fault == "nan":
        spoil[-1][4] = "NaN"
    elif fault == "crossed":
        spoil[0][2] = spoil[0][3]
    return spoil


def _exchange_info(venue: Venue) -> dict[str, object]:
    """As much as ccxt needs to know the markets."""
    return {
        "timezone": "UTC",
        "serverTime": venue.now_ms,
        "symbols": [_market(name, bars.symbol) for name, bars in venue.markets.items()],
    }


def _market(name: str, symbol: str) -> dict[str, object]:
    base, _, quote = symbol.partition(":")[0].partition("/")
    return {
        "symbol": name,
        "status": "TRADING",
        "baseAsset": base,
        "quoteAsset": quote or "USDT",
        "isSpotTradingAllowed": True,
        "permissions": ["SPOT"],
        "filters": [],
    }

"""A local exchange over HTTP whose market is the bars it is handed, and whose faults are a script.

    python -m darwin.testing.exchange_server --port 8791

The API, in the manner of the big venues; all bodies are JSON objects, times are ms UTC:

    GET    /v1/time                    {"now_ms"}: the close of the last bar played
    GET    /v1/price?symbol=           {"symbol", "price", "open"}: without a market the last price
    POST   /v1/orders                  {"client_id", "symbol", "side": "buy" | "sell", "quantity",
                                       "type": "market" | "stop" | "limit", "price": not of the
                                       first, "reduce_only", "group": one of it cancels the others}
                                       409: the client id was used; 422: refused, with a reason
    GET    /v1/orders                  {"orders": the open ones}
    GET    /v1/orders/CLIENT_ID        the order: what was sent, "status" (open, filled, cancelled),
                                       "filled", "reason"; 404: no such order
    PUT    /v1/orders/CLIENT_ID        {"price"}: move a stop or limit
    DELETE /v1/orders/CLIENT_ID        cancel it; answers the order as it is then
    GET    /v1/fills?since=&client_id= {"fills": [{"trade_id", "client_id", "symbol", "side",
                                       "units", "price", "fee_usd", "time"}],
                                       "next": since which to ask again, or null}
    GET    /v1/positions               {"positions": [{"symbol", "units": negative when short}]}
    POST   /v1/admin/open              {"symbol", "price"}: the next bar opens at that price
    POST   /v1/admin/bar               {"symbol", "time", "open", "high", "low", "close",
                                       "length_ms"}: plays a bar
    POST   /v1/admin/trade             {"symbol", "units"}: somebody trades by hand
    POST   /v1/admin/fault             a fault: {"kind", "on", "of", "skip", "times", …}

429 brings Retry-After in seconds. How orders meet bars: `darwin.testing.exchange_market.Market`.
"""

from __future__ import annotations

import argparse
import json
import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from darwin.errors import ConfigError
from darwin.testing.exchange_api import Exchange, RefusedError, Request
from darwin.testing.exchange_faults import ANSWERS, KINDS
from darwin.testing.exchange_market import Market

_LARGEST_BODY = 1 << 20
_LOOK_EVERY_S = 0.02  # whether it is to close
_STATUS = {"rate limit": 429, "reject": 422, "error": 500, "error after": 503}
_TOLD = ("", "malformed", "nan")  # the answer goes out with the status it has
_BEFORE = ("reset before", "hang before", "rate limit", "error", "reject")  # nothing is done


class ExchangeServer:
    """Serves an exchange on this machine until it is closed; a context manager."""

    def __init__(self, exchange: Exchange, port: int = 0, hang_s: float = 5.0) -> None:
        """Listen. `hang_s` is how long an answer that never comes keeps the connection."""
        self.exchange, self.hang_s = exchange, hang_s
        handler = type("Handler", (_Handler,), {"served": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(
            target=self._http.serve_forever, args=(_LOOK_EVERY_S,), daemon=True
        )
        self.closing = threading.Event()

    def __enter__(self) -> ExchangeServer:
        self._thread.start()
        return self

    def __exit__(self, *why: object) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    served: ExchangeServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are in `Exchange.requests`."""

    def _handle(self) -> None:
        exchange = self.served.exchange
        try:
            request = self._read()
        except ValueError as why:
            self._write(400, {"error": str(why)})
            return
        exchange.heard(request)
        with exchange.lock:
            exchange.requests.append(request)
            fault = exchange.faults.strike(ANSWERS, request.line, request.client_id)
            kind = request.fault = "" if fault is None else fault.kind
            status, answer = 200, dict[str, Any]()
            if kind not in _BEFORE:
                status, answer = self._do(request)
            request.status = _STATUS.get(kind, 0) if kind not in _TOLD else status
        exchange.did(request)
        if fault is None:
            self._write(status, answer)
        elif kind == "rate limit":
            self._write(_STATUS[kind], {"error": "too many requests"}, wait_s=fault.retry_after_s)
        elif kind in _STATUS:
            told = fault.reason if kind == "reject" else "try later"
            self._write(_STATUS[kind], {"error": told})
        elif kind == "malformed":
            self._send(status, b'{"client_id": "')
        elif kind == "nan":
            self._send(status, json.dumps(_without_numbers(answer)).encode())
        else:
            self._drop(kind)

    do_GET = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815

    def _do(self, request: Request) -> tuple[int, dict[str, Any]]:
        try:
            answer = self.served.exchange.answer(request)
        except RefusedError as refused:
            return refused.status, {"error": str(refused)}
        except ConfigError as error:
            return 400, {"error": error.what}
        request.done = True
        return 200, answer

    def _read(self) -> Request:
        url = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        if not 0 <= length <= _LARGEST_BODY:
            raise ValueError("the body is too large")
        body = json.loads(self.rfile.read(length) or b"{}")
        if not isinstance(body, dict):
            raise ValueError("the body is no object")
        return Request(self.command, unquote(url.path), dict(parse_qsl(url.query)), body)

    def _drop(self, kind: str) -> None:
        """Answer nothing: at once, or after the client has given up."""
        self.close_connection = True
        if kind.startswith("hang"):
            self.served.closing.wait(self.served.hang_s)
        elif kind.startswith("reset"):
            linger = struct.pack("ii", 1, 0)  # close with RST
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    def _write(self, status: int, answer: dict[str, Any], wait_s: float | None = None) -> None:
        self._send(status, json.dumps(answer, allow_nan=False).encode(), wait_s)

    def _send(self, status: int, body: bytes, wait_s: float | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if wait_s is not None:
            self.send_header("Retry-After", f"{wait_s:g}")
        self.end_headers()
        self.wfile.write(body)


def _without_numbers(answer: Any) -> Any:
    """The same with NaN in place of each number."""
    if isinstance(answer, dict):
        return {key: _without_numbers(value) for key, value in answer.items()}
    if isinstance(answer, list):
        return [_without_numbers(value) for value in answer]
    return float("nan") if isinstance(answer, (int, float)) else answer


def main(words: list[str] | None = None) -> None:
    """Serve until Ctrl-C."""
    kinds = "\n".join(f"  {kind:13} {what}" for kind, what in KINDS.items())
    parser = argparse.ArgumentParser(
        prog="python -m darwin.testing.exchange_server",
        description=__doc__,
        epilog=f"kinds of faults:\n{kinds}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=8791, help="0: any that is free")
    parser.add_argument("--maker-bps", type=float, default=2.0)
    parser.add_argument("--taker-bps", type=float, default=5.0)
    parser.add_argument("--slip-bps", type=float, default=2.0, help="half-spread and slippage")
    parser.add_argument("--lot", type=float, help="quantities are multiples of it")
    given = parser.parse_args(words)
    market = Market(
        maker_bps=given.maker_bps, taker_bps=given.taker_bps, slip_bps=given.slip_bps, lot=given.lot
    )
    try:
        server = ExchangeServer(Exchange(market), given.port)
    except (OSError, OverflowError) as fault:
        parser.exit(2, f"error: cannot listen on port {given.port}: {fault}\n")
    with server:
        print(f"listening at {server.url}", flush=True)  # noqa: T201
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()

"""What can go wrong between a model's server and its client, each as a fault that is played.

A fault is played instead of a good answer and carries the text of that answer as far as it can, so
that a test shows that nothing of it is acted on.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: no good-bye
_BOMB_BYTES = 64 << 20


class Exchange(Protocol):
    """One request that waits for its answer."""

    @property
    def socket(self) -> socket.socket:
        """The connection."""
        ...

    @property
    def closing(self) -> threading.Event:
        """Set when the server stops; whoever waits must wake up then."""
        ...

    def envelope(self, text: str) -> dict[str, Any]:
        """The body of a good answer that says `text`."""
        ...


@dataclass(frozen=True)
class ServerFault:
    """One thing that goes wrong."""

    name: str
    play: Callable[[Exchange, str], None]

    def __str__(self) -> str:
        return self.name


def send(
    exchange: Exchange,
    body: bytes,
    status: str = "200 OK",
    headers: dict[str, str] | None = None,
    length: int | None = None,
) -> None:
    """Write an HTTP response; `length` is what it claims the body to be long."""
    lines = {
        "Content-Type": "application/json",
        "Content-Length": str(len(body) if length is None else length),
        "Connection": "close",
    } | (headers or {})
    head = f"HTTP/1.1 {status}\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items()) + "\r\n"
    exchange.socket.sendall(head.encode("latin-1") + body)


def good(exchange: Exchange, text: str) -> None:
    """No fault at all: the answer as it should be."""
    send(exchange, _encoded(exchange.envelope(text)))


def _encoded(envelope: object) -> bytes:
    return json.dumps(envelope).encode("ascii")


@functools.cache
def _bomb() -> bytes:
    return gzip.compress(b" " * _BOMB_BYTES, compresslevel=1)


def _reset(exchange: Exchange, text: str) -> None:
    exchange.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    exchange.socket.close()


def _reset_midway(exchange: Exchange, text: str) -> None:
    body = _encoded(exchange.envelope(text))
    send(exchange, body[: len(body) // 2], length=len(body))
    _reset(exchange, text)


def _hang_up_midway(exchange: Exchange, text: str) -> None:
    body = _encoded(exchange.envelope(text))
    send(exchange, body[: len(body) // 2], length=len(body))


def _hang(exchange: Exchange, text: str) -> None:
    exchange.closing.wait()


def _speak_plainly(exchange: Exchange, text: str) -> None:
    exchange.socket.sendall(text.encode("utf-8", "replace") + b"\r\n")


def drip(every_s: float = 1.0) -> ServerFault:
    """Send a good answer byte by byte, beginning with the headers."""

    def play(exchange: Exchange, text: str) -> None:
        body = _encoded(exchange.envelope(text))
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nContent-Type: application/json"
        for byte in head.encode("ascii") + b"\r\n\r\n" + body:
            exchange.socket.sendall(bytes([byte]))
            if exchange.closing.wait(every_s):
                return

    return ServerFault(f"a byte every {every_s:g} s", play)


def drip_body(every_s: float = 1.0) -> ServerFault:
    """Send the headers of a good answer at once, and its body byte by byte."""

    def play(exchange: Exchange, text: str) -> None:
        body = _encoded(exchange.envelope(text))
        send(exchange, b"", length=len(body))
        for byte in body:
            exchange.socket.sendall(bytes([byte]))
            if exchange.closing.wait(every_s):
                return

    return ServerFault(f"a byte of the body every {every_s:g} s", play)


def status(line: str, retry_after: str | None = None, location: str | None = None) -> ServerFault:
    """Answer with that status (`429 Too Many Requests`), the good answer as its body."""
    named = {"Retry-After": retry_after, "Location": location}
    headers = {name: value for name, value in named.items() if value is not None}

    def play(exchange: Exchange, text: str) -> None:
        send(exchange, _encoded(exchange.envelope(text)), line, headers)

    told = "".join(f", {name} {value}" for name, value in headers.items())
    return ServerFault(f"{line}{told}", play)


def changed(name: str, change: Callable[[dict[str, Any]], object]) -> ServerFault:
    """Send what `change` makes of the envelope: it edits it in place, or returns another value."""

    def play(exchange: Exchange, text: str) -> None:
        envelope = exchange.envelope(text)
        other = change(envelope)
        send(exchange, _encoded(envelope if other is None else other))

    return ServerFault(name, play)


def raw(
    name: str, edit: Callable[[bytes], bytes], headers: dict[str, str] | None = None
) -> ServerFault:
    """Send what `edit` makes of the encoded envelope, with other headers if given."""

    def play(exchange: Exchange, text: str) -> None:
        send(exchange, edit(_encoded(exchange.envelope(text))), headers=headers)

    return ServerFault(name, play)


RESET = ServerFault("reset before the headers", _reset)
RESET_MIDWAY = ServerFault("reset midway through the body", _reset_midway)
HUNG_UP_MIDWAY = ServerFault("hung up midway through the body", _hang_up_midway)
HANG = ServerFault("nothing comes", _hang)
NOT_HTTP = ServerFault("not HTTP", _speak_plainly)
TRUNCATED = raw("truncated JSON", lambda body: body[:-3])
TWICE = raw("two envelopes", lambda body: body + body)
NOT_UTF8 = raw("invalid UTF-8", lambda body: body[:-1] + b', "x": "\xff\xfe"}')
HUGE = raw("a huge body", lambda body: body[:-1] + b', "x": "' + b"x" * (2 << 20) + b'"}')
WRONG_CONTENT_TYPE = raw("a page", lambda body: body, {"Content-Type": "text/html"})
CLAIMS_GZIP = raw("said to be gzip", lambda body: body, {"Content-Encoding": "gzip"})
GZIP_BOMB = raw(
    "a gzip bomb",
    lambda body: gzip.compress(body) + _bomb(),
    {"Content-Encoding": "gzip"},
)


@contextlib.contextmanager
def nobody_listens() -> Iterator[str]:
    """An address of this machine at which connections are refused, for as long as one needs it."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"

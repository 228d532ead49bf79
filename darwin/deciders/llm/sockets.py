"""Sockets that keep a deadline, however slowly a server drips.

An HTTP library's time-outs begin anew at each byte, so here each wait is cut to what is left of one
deadline: looking the name up (in a thread, for the system's resolver knows no time-out), connecting
to each address in turn, the TLS handshake, each send, each receive. What fails raises `Lost`.
Imported only when a model is asked: it needs httpcore2, which the extra `llm` brings.
"""

from __future__ import annotations

import contextlib
import ipaddress
import queue
import socket
import ssl
import threading
from collections.abc import Iterable
from typing import Any, NamedTuple

import httpcore2
import httpx2

from darwin.deciders.llm.deadline import Deadline
from darwin.deciders.llm.question import Cause


class Lost(httpx2.TransportError):
    """The exchange failed; `cause` says how. Holds nothing that was sent or received."""

    def __init__(
        self, cause: Cause, *, status: int | None = None, retry_after: str | None = None
    ) -> None:
        super().__init__(cause.value)
        self.cause, self.status, self.retry_after = cause, status, retry_after


class Patience(NamedTuple):
    """How long the parts of an exchange may take, each within the deadline of the whole."""

    connect_s: float  # to one address, and again for TLS
    silence_s: float  # without a byte going either way


class Line(httpcore2.NetworkStream):
    """One connection."""

    def __init__(self, plug: socket.socket, deadline: Deadline, patience: Patience) -> None:
        self._plug, self._deadline, self._patience = plug, deadline, patience
        self.used = False  # whether a byte may have left
        self.ended = False  # whether the other side has hung up

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """What has come, at most `max_bytes`; empty at the end."""
        self._allow(self._patience.silence_s)
        try:
            data = self._plug.recv(max_bytes)
        except TimeoutError:
            raise self._overdue(Cause.SILENCE) from None
        except OSError:
            raise Lost(Cause.CONNECTION_LOST) from None
        self.ended = not data
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of it. A server that hangs up in between may have answered: that is read."""
        view = memoryview(buffer)
        while view:
            self._allow(self._patience.silence_s)
            self.used = True
            try:
                sent = self._plug.send(view)
            except TimeoutError:
                raise self._overdue(Cause.SILENCE) from None
            except OSError:
                raise httpcore2.WriteError(Cause.CONNECTION_LOST.value) from None
            view = view[sent:]

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        """Shake hands; a certificate that does not hold ends it."""
        self._allow(self._patience.connect_s)
        try:
            self._plug = ssl_context.wrap_socket(self._plug, server_hostname=server_hostname)
        except TimeoutError:
            raise self._overdue(Cause.NO_CONNECTION) from None
        except ssl.SSLCertVerificationError:
            raise Lost(Cause.NOT_TRUSTED) from None
        except OSError:
            raise Lost(Cause.NO_CONNECTION) from None
        return self

    def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(OSError):
            self._plug.close()

    def get_extra_info(self, info: str) -> Any:
        """Nothing: each connection serves one request."""
        return None

    def _allow(self, part_s: float) -> None:
        left_s = self._deadline.left_s()
        if left_s <= 0:
            raise Lost(Cause.DEADLINE)
        self._plug.settimeout(min(part_s, left_s))

    def _overdue(self, part: Cause) -> Lost:
        return Lost(part if self._deadline.left_s() > 0 else Cause.DEADLINE)


class Dialler(httpcore2.NetworkBackend):
    """Makes the one connection of an exchange; `line` is it, once it stands."""

    def __init__(self, deadline: Deadline, patience: Patience) -> None:
        self._deadline, self._patience = deadline, patience
        self.line: Line | None = None

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """Try each address of `host` until one answers."""
        for family, address in self._addresses(host, port):
            plug = socket.socket(family, socket.SOCK_STREAM)
            try:
                plug.settimeout(min(self._patience.connect_s, self._left_s()))
                plug.connect(address)
                plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError:
                plug.close()
                continue
            except Lost:
                plug.close()
                raise
            self.line = Line(plug, self._deadline, self._patience)
            return self.line
        self._left_s()
        raise Lost(Cause.NO_CONNECTION)

    def _left_s(self) -> float:
        left_s = self._deadline.left_s()
        if left_s <= 0:
            raise Lost(Cause.DEADLINE)
        return left_s

    def _addresses(self, host: str, port: int) -> list[tuple[socket.AddressFamily, Any]]:
        with contextlib.suppress(ValueError):
            ip = ipaddress.ip_address(host)
            family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
            return [(family, (host, port))]
        found: queue.SimpleQueue[list[tuple[socket.AddressFamily, Any]]] = queue.SimpleQueue()

        def look_up() -> None:
            try:
                rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            except (OSError, UnicodeError):
                rows = []
            found.put([(row[0], row[4]) for row in rows])

        threading.Thread(target=look_up, name="name look-up", daemon=True).start()
        try:
            return found.get(timeout=min(self._patience.connect_s, self._left_s()))
        except queue.Empty:
            self._left_s()
            raise Lost(Cause.NO_CONNECTION) from None

"""One HTTP exchange with a model's server, below the SDK: what leaves, and what may come back.

The SDK of a provider writes the request; it is given a stand-in for the key. Here the key takes
its place, all headers but a few are left out, and the exchange is held to its deadline. Only a
status 200 with plain JSON of at most 1 MiB comes back. There are no proxies and no redirects, the
environment and `.netrc` are not looked at, so the key goes to the one host of the base URL.
Compressed answers are refused: none was asked for, and one may unpack to anything. Each exchange
has a connection of its own, beside which the seconds that a model takes do not show.
"""

from __future__ import annotations

import ssl

import httpcore2
import httpx2

from darwin.deciders.llm.deadline import Deadline
from darwin.deciders.llm.keys import Secret
from darwin.deciders.llm.question import Cause
from darwin.deciders.llm.sockets import Dialler, Lost, Patience

LARGEST_BODY = 1 << 20
STAND_IN = "the-key-stands-in-no-request-object"
"""What the SDK takes for the key."""

_SENT = ("content-type", "content-length", "user-agent", "anthropic-version")
_CAUSES = {
    401: Cause.KEY_REFUSED,
    403: Cause.KEY_REFUSED,
    404: Cause.NOT_FOUND,
    408: Cause.TRY_AGAIN,
    409: Cause.TRY_AGAIN,
    429: Cause.TOO_MANY_REQUESTS,
}


class Wire(httpx2.BaseTransport):
    """Carries one request. `body` is what came; `lost` says why nothing did."""

    def __init__(
        self, key: Secret | None, deadline: Deadline, patience: Patience, tls: ssl.SSLContext
    ) -> None:
        self._key, self._tls = key, tls
        self._dialler = Dialler(deadline, patience)
        self.body = b""
        self.lost: Lost | None = None

    @property
    def used(self) -> bool:
        """Whether any byte of a request may have left."""
        return self._dialler.line is not None and self._dialler.line.used

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Exchange; raises Lost for anything but a whole answer of status 200."""
        try:
            self.body = self._exchange(request)
        except Lost as lost:
            self.lost = lost.with_traceback(None)  # its frames have seen the key
        except httpcore2.WriteError:
            self.lost = Lost(Cause.CONNECTION_LOST)
        except httpcore2.ProtocolError:
            ended = self._dialler.line is not None and self._dialler.line.ended
            self.lost = Lost(Cause.CONNECTION_LOST if ended else Cause.NOT_HTTP)
        if self.lost is not None:
            raise self.lost
        return httpx2.Response(
            200, headers={"content-type": "application/json"}, content=self.body, request=request
        )

    def _exchange(self, request: httpx2.Request) -> bytes:
        pool = httpcore2.ConnectionPool(
            ssl_context=self._tls, max_connections=1, network_backend=self._dialler
        )
        with (
            pool,
            pool.stream(
                request.method,
                httpcore2.URL(
                    scheme=request.url.raw_scheme,
                    host=request.url.raw_host,
                    port=request.url.port,
                    target=request.url.raw_path,
                ),
                headers=self._headers(request),
                content=request.read(),
            ) as response,
        ):
            headers = httpx2.Headers(response.headers)
            if response.status != 200:
                raise _refusal(response.status, headers)
            if headers.get("content-encoding", "identity").strip().lower() != "identity":
                raise Lost(Cause.NOT_JSON, status=200)
            kind = headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/json":
                raise Lost(Cause.NOT_JSON, status=200)
            body = bytearray()
            for part in response.iter_stream():
                body += part
                if len(body) > LARGEST_BODY:
                    raise Lost(Cause.TOO_LARGE, status=200)
            return bytes(body)

    def _headers(self, request: httpx2.Request) -> list[tuple[bytes, bytes]]:
        """Those of the SDK that say something, and the key."""
        host = request.url.netloc
        headers = [(b"host", host), (b"accept", b"application/json"), (b"connection", b"close")]
        headers.append((b"accept-encoding", b"identity"))
        for name, value in request.headers.items():
            if name in _SENT:
                headers.append((name.encode("ascii"), value.encode("latin-1")))
            elif STAND_IN in value and self._key is not None:
                full = value.replace(STAND_IN, self._key.reveal())
                headers.append((name.encode("ascii"), full.encode("ascii")))
        return headers


def _refusal(status: int, headers: httpx2.Headers) -> Lost:
    if 300 <= status < 400:
        return Lost(Cause.REDIRECTED, status=status)
    cause = _CAUSES.get(status)
    if cause is None and 400 <= status < 500:
        cause = Cause.REQUEST_REFUSED
    if cause is None and 500 <= status < 600:
        cause = Cause.SERVER_ERROR
    return Lost(cause or Cause.ODD_STATUS, status=status, retry_after=headers.get("retry-after"))

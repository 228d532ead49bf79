"""The outermost look at a request: by which name it was asked, from which page; and what leaves.

Whoever serves on loopback is asked by any page that a browser there has open: a page elsewhere may
lead its own name to 127.0.0.1, or post a form across. So the name must be one that is known, and a
page that asks must be of this very service.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from darwin.service.refusals import Refusal
from darwin.service.settings import Settings

CSP = (
    "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self';"
    " object-src 'none'"
)
_HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_HOST = re.compile(r"(?P<name>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(:(?P<port>\d{1,5}))?")
_LOG = logging.getLogger(__name__)
Observe = Callable[[Scope, int], None]


class Guard:
    """Refuses foreign hosts and origins, and lets no bug of ours leave as a traceback."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app, self._settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let through what may pass."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def dressed(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            refuse_foreign(scope, self._settings)
            await self._app(scope, receive, dressed)
        except Refusal as refusal:
            await refusal.answer()(scope, receive, dressed)
        except ClientDisconnect:
            _LOG.info("the client left before its request was whole")
        except Exception:
            number = secrets.token_hex(4)
            _LOG.exception("internal error %s at %s", number, scope["method"])
            if begun:
                raise
            await _broken(number).answer()(scope, receive, dressed)


def refuse_foreign(scope: Scope, settings: Settings) -> None:
    """Raise Refusal where a request was sent to another name, or by a page of elsewhere."""
    hosts = [value.decode("latin-1") for key, value in scope["headers"] if key == b"host"]
    found = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
    if found is None or found["name"].lower().strip("[]").rstrip(".") not in settings.hosts:
        raise Refusal(
            421, "this service does not answer to that name", where="Host",
            mend="ask 127.0.0.1 or localhost, or start it with --allow-host NAME",
        )  # fmt: skip
    origins = [value.decode("latin-1") for key, value in scope["headers"] if key == b"origin"]
    if origins and not (len(origins) == 1 and _same(origins[0], hosts[0])):
        raise Refusal(
            403, "a page of another origin may not ask this service", where="Origin",
            mend="open the pages of the service itself",
        )  # fmt: skip


def _same(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()


def _broken(number: str) -> Refusal:
    return Refusal(
        500, f"internal error {number}, a bug in Darwin", where="",
        mend="the log of the service tells more under this number; please report it",
    )  # fmt: skip

"""The way in: who asks and whether they may, then the body; each act that was asked is noted."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from darwin.errors import DarwinError
from darwin.service.addresses import LOOKS, Address
from darwin.service.asked_acts import AskedAct, plain_line
from darwin.service.auth import NOBODY, Keys, Limiter, Who, address_of, shown
from darwin.service.metrics import metrics_of
from darwin.service.place import now
from darwin.service.reader import THREADS
from darwin.service.refusals import Refusal, refusal_of
from darwin.service.settings import Settings
from darwin.service.strict_body import fields_of, whole_body
from darwin.store.service_acts import note

LOGIN, LOGOUT = "/login", "/logout"
OPEN = frozenset({"/health", LOGIN, LOGOUT})
"""Addresses that nobody needs a token for."""
OPEN_BELOW = "/static/"
ENDLESS = frozenset({"/api/v1/events"})
AHEAD = ENDLESS | {"/health", "/login", "/part/kill", "/ask/kill", "/api/v1/kill"}
"""What waits behind nobody who looks: the way to the kill switch, and the watchdog."""
FOR_ACTS = 8
"""Threads that nobody else who looks may have: the kill switch waits behind no page."""
_METHODS = LOOKS | {"POST", "PUT", "PATCH", "DELETE"}
_LOG = logging.getLogger(__name__)


class Entry:
    """Asks who it is, reads the body strictly, and writes down what was asked of the service."""

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        keys: Keys,
        limiter: Limiter,
        addresses: Sequence[Address],
    ) -> None:
        self._app, self._settings, self._keys = app, settings, keys
        self._limiter, self._addresses = limiter, addresses
        self._looking = asyncio.Semaphore(THREADS - FOR_ACTS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let in whoever may; `scope["state"]["who"]` says who that is."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._let_in(scope, receive, watched)
        finally:
            self._observe(scope, status or 500, time.perf_counter() - begun)

    async def _let_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        changes = scope["method"] not in LOOKS
        asked = AskedAct(scope, {})
        scope.setdefault("state", {})["who"] = NOBODY
        address = self._address(scope)
        if changes:
            unknown = plain_line(f"{scope['method']} {scope['path']}")
            scope["state"]["act"] = unknown if address is None else address.name
        try:
            who = await self._who(scope)
            scope["state"]["who"] = who
            self._admit(scope, who, changes=changes)
            if changes:
                body = await whole_body(scope, receive)
                forms = not scope["path"].startswith("/api/")
                fields = fields_of(scope, body, forms=forms)
                asked = AskedAct(scope, fields if isinstance(fields, dict) else {})
                receive = _replayed(body, receive)
        except Refusal as refusal:
            await self._refuse(asked, refusal, receive, send, changes=changes)
            return
        if not changes:
            await self._look(scope, receive, send)
        elif scope["path"] in OPEN:
            await self._app(scope, receive, send)
        else:
            await self._noted(asked, receive, send)

    async def _look(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer who only looks, so many at once; one whose answer has begun counts no more."""
        if scope["path"] in AHEAD:
            await self._app(scope, receive, send)
            return
        await self._looking.acquire()
        holds = True

        def let_go() -> None:
            nonlocal holds
            if holds:
                holds = False
                self._looking.release()

        async def watched(message: Message) -> None:
            let_go()
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            let_go()

    async def _noted(self, asked: AskedAct, receive: Receive, send: Send) -> None:
        """Do what was asked for; who is answered finds it on record."""
        is_noted = False

        async def watched(message: Message) -> None:
            nonlocal is_noted
            if message["type"] == "http.response.start":
                is_noted = True
                await self._note(asked, message["status"])
            await send(message)

        try:
            await self._app(asked.scope, receive, watched)
        finally:
            if not is_noted:
                await self._note(asked, 500)

    async def _refuse(
        self, asked: AskedAct, refusal: Refusal, receive: Receive, send: Send, *, changes: bool
    ) -> None:
        if changes and asked.scope["path"] not in OPEN and refusal.status != 429:
            await self._note(asked, refusal.status)
        answer = refusal.answer() if refusal.status != 303 else _to_login(asked.scope)
        await answer(asked.scope, receive, send)

    async def _who(self, scope: Scope) -> Who:
        token, by_cookie = shown(Headers(scope=scope))
        if token is None:
            return NOBODY
        try:
            held = await run_in_threadpool(self._keys.holder, token)
        except DarwinError as fault:
            raise refusal_of(fault, self._settings.place, changes=False) from fault
        if held is not None:
            return Who(held.name, str(held.role), by_cookie)
        if by_cookie and scope["path"] in OPEN:
            return NOBODY  # a cookie of yesterday keeps nobody from the page where one signs in
        self._limiter.wrong(address_of(scope))
        raise Refusal(
            401, "this token does not hold", where="Authorization",
            mend="`darwin token create NAME --role operator|viewer` makes one",
            headers={"WWW-Authenticate": "Bearer"},
        )  # fmt: skip

    def _admit(self, scope: Scope, who: Who, *, changes: bool) -> None:
        path = scope["path"]
        if path in OPEN or path.startswith(OPEN_BELOW):
            return
        if changes:
            self._admit_act(scope, who)
        elif who is NOBODY and self._settings.reading_needs_token:
            if "text/html" in Headers(scope=scope).get("accept", "") and "/api/" not in path:
                raise Refusal(303, "sign in first")
            raise _no_token("look at")

    def _admit_act(self, scope: Scope, who: Who) -> None:
        if who is NOBODY:
            self._limiter.wrong(address_of(scope))
            raise _no_token("change")
        if not who.may_act:
            raise Refusal(
                403, f"the token of {who.name} may look, and change nothing",
                where="Authorization", mend="use the token of an operator",
            )  # fmt: skip
        headers = Headers(scope=scope)
        own = "origin" in headers or headers.get("sec-fetch-site") == "same-origin"
        if who.by_cookie and not own:
            raise Refusal(
                403, "nothing says that a page of this service has sent this", where="Origin",
                mend="send the token as `Authorization: Bearer …` instead of a cookie",
            )  # fmt: skip

    def _address(self, scope: Scope) -> Address | None:
        """Where a request goes; None: nowhere that is known."""
        for one in self._addresses:
            if scope["method"] in one.methods and one.regex.match(scope["path"]):
                return one
        return None

    def _observe(self, scope: Scope, status: int, seconds: float) -> None:
        """Count it for Prometheus; a stream of events lasts as long as whoever listens."""
        address = self._address(scope)
        pattern = "none" if address is None else address.pattern
        if pattern not in ENDLESS:
            method = scope["method"] if scope["method"] in _METHODS else "other"
            metrics_of(self._settings.place).observe(method, pattern, status, seconds)

    async def _note(self, asked: AskedAct, status: int) -> None:
        """Write it down. A database that refuses keeps no act from being done: the log has it."""
        act, who = asked.act, asked.scope["state"]["who"]

        def write() -> None:
            with self._settings.place.write() as database:
                note(
                    database, act, by=who.name, role=who.role, reason=asked.reason,
                    detail=asked.detail, status=status, at=now(),
                )  # fmt: skip

        try:
            await run_in_threadpool(write)
        except DarwinError as fault:
            _LOG.error("%s by %s (%d) could not be noted: %s", act, who.name, status, fault.what)


def _no_token(what: str) -> Refusal:
    return Refusal(
        401, f"a token is needed to {what} this", where="Authorization",
        mend="send `Authorization: Bearer …`; `darwin token create NAME --role operator` makes one",
        headers={"WWW-Authenticate": "Bearer"},
    )  # fmt: skip


def _to_login(scope: Scope) -> RedirectResponse:
    return RedirectResponse(f"{LOGIN}?next={quote(scope['path'], safe='')}", status_code=303)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Hand out the body that was read already, then what comes after it."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again

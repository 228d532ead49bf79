"""Asks a model one question: a `Reply` or a `Failure`, never an exception, by one deadline.

All attempts, the pauses between them and the waiting for a slot lie within the deadline. Tried
again are connections that failed or broke, parts that took too long, and 408, 409, 429 and 5xx;
whatever else a server says is final, a reply that cannot be used among it. `Retry-After` is
obeyed where it ends before the deadline, and ends the question where it does not; without it the
pauses are 0.5 s, 1 s, 2 s and so on.

Every failure says how many requests may have been billed: those of which a byte left, unless the
server refused them by a status below 500. Reckon with as many as `Server.attempts` before asking.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from darwin.deciders.llm.deadline import Deadline
from darwin.deciders.llm.envelope import Opened, open_chat, open_message
from darwin.deciders.llm.keys import find_key
from darwin.deciders.llm.pacing import Breaker, Clock, RateLimit, Sleep
from darwin.deciders.llm.question import Cause, Failure, Reply, Request
from darwin.deciders.llm.refusals import is_from_the_model
from darwin.deciders.llm.sdk import exchange, require
from darwin.deciders.llm.server import KEY_VARIABLE, Server

if TYPE_CHECKING:
    from darwin.deciders.llm.sockets import Lost

__all__ = ["Breaker", "Cause", "Failure", "Model", "RateLimit", "Reply", "Request", "Server"]

_FIRST_PAUSE_S = 0.5
_TRIED_AGAIN = frozenset(
    (
        Cause.NO_CONNECTION,
        Cause.CONNECTION_LOST,
        Cause.SILENCE,
        Cause.TRY_AGAIN,
        Cause.TOO_MANY_REQUESTS,
        Cause.SERVER_ERROR,
    )
)


def _always() -> bool:
    return True


class Model:
    """Asks the models of one server; any number of threads may.

    Raises ConfigError where the key or the extra `llm` is missing. Without a `limit` the rate is
    not limited; the breaker counts questions for which requests left and nothing came that is from
    the model: what it said, useful or not, shows that the server is there. `clock` and `sleep` are
    seconds of a clock that never goes back, and `wall` tells the time of day, which a `Retry-After`
    may name.
    """

    def __init__(
        self,
        server: Server,
        *,
        limit: RateLimit | None = None,
        breaker: Breaker | None = None,
        environ: Mapping[str, str] = os.environ,
        clock: Clock = time.monotonic,
        sleep: Sleep = time.sleep,
        wall: Callable[[], float] = time.time,
    ) -> None:
        variable = KEY_VARIABLE[server.kind]
        self._key = find_key(variable, environ, required=server.wants_a_key)
        self._tls = require(server)
        self.server = server
        self._limit, self._breaker = limit, breaker or Breaker(clock=clock)
        self._clock, self._sleep, self._wall = clock, sleep, wall

    def ask(
        self, request: Request, deadline_s: float, may_leave: Callable[[], bool] = _always
    ) -> Reply | Failure:
        """Ask, and have the answer or why there is none, `deadline_s` from now at the latest.

        `may_leave` is asked right before each request leaves; what it says no to does not.
        """
        deadline = Deadline(deadline_s, self._clock)
        if not request.is_sound:
            return Failure(Cause.ODD_REQUEST)
        if not self._breaker.admits():
            return Failure(Cause.BREAKER_OPEN)
        came: Reply | Failure | None = None
        try:
            came = self._by(deadline, request, may_leave)
        finally:
            if came is not None and is_from_the_model(came):
                self._breaker.succeeded()
            elif came is not None and came.attempts:
                self._breaker.failed()
            else:
                self._breaker.abandoned()
        return came

    @property
    def is_out(self) -> bool:
        """Whether its server only fails: the breaker is open."""
        return self._breaker.is_open

    def ready_in_s(self) -> float:
        """How long until breaker and rate let a question through."""
        room_s = 0.0 if self._limit is None else self._limit.room_in_s()
        return max(self._breaker.probe_in_s(), room_s)

    def _by(
        self, deadline: Deadline, request: Request, may_leave: Callable[[], bool]
    ) -> Reply | Failure:
        failure = Failure(Cause.DEADLINE)
        billable = 0
        for attempt in range(1, self.server.attempts + 1):
            if deadline.left_s() <= 0:
                break
            if self._limit is not None and not self._limit.wait(deadline.left_s()):
                return failure if failure.attempts else Failure(Cause.RATE_LIMIT)
            if not may_leave():
                return failure._replace(cause=Cause.BUDGET_SPENT)
            came, may_be_billed, lost = self._once(deadline, request)
            billable += may_be_billed
            counts = came.input_tokens, came.output_tokens
            if came.cause is None:
                return Reply(came.text, *counts, attempts=attempt, billable=billable)
            status = lost.status if lost is not None else 200
            failure = Failure(came.cause, attempt, billable, status, *counts)
            if came.cause not in _TRIED_AGAIN or attempt == self.server.attempts:
                break
            pause_s = self._pause_s(attempt, lost.retry_after if lost is not None else None)
            if not (pause_s < deadline.left_s()):
                break
            self._sleep(pause_s)
        return failure

    def _once(self, deadline: Deadline, request: Request) -> tuple[Opened, bool, Lost | None]:
        """One request: what came of it, whether it may be billed, what went wrong on the way."""
        from darwin.deciders.llm.sockets import Patience  # noqa: PLC0415  needs the extra
        from darwin.deciders.llm.wire import Wire  # noqa: PLC0415

        server = self.server
        patience = Patience(server.connect_s, server.silence_s)
        wire = Wire(self._key, deadline, patience, self._tls)
        lost = exchange(server, request, wire, server.silence_s)
        if lost is not None:
            refused = lost.status is not None and 300 <= lost.status < 500
            return Opened(lost.cause), wire.used and not refused, lost
        came = open_chat(wire.body) if server.kind == "openai" else open_message(wire.body)
        if self._key is not None and self._key.reveal() in came.text:
            came = came._replace(cause=Cause.HOLDS_THE_KEY, text="")
        return came, True, None

    def _pause_s(self, attempt: int, retry_after: str | None) -> float:
        asked_s = seconds_until(retry_after, self._wall()) if retry_after is not None else None
        return _FIRST_PAUSE_S * 2.0 ** (attempt - 1) if asked_s is None else asked_s


def seconds_until(retry_after: str, now: float) -> float | None:
    """How long a `Retry-After` asks to wait, seen at `now` (seconds since 1970, UTC).

    It is a count of seconds or an HTTP date; a date that has passed asks for nothing. None where
    it is neither.
    """
    text = retry_after.strip()
    if text.isascii() and text.replace(".", "", 1).isdigit():
        seconds = float(text)
        return seconds if math.isfinite(seconds) else None
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return max(0.0, moment.timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None

"""The circuit breaker of one agent: failures shut it out, probes let it back in.

What it remembers is the fold of its recorded transitions (`safety.circuit`). A success while
closed leaves no fact, but the next failure says which call it was, so the fold knows the last calls
too, up to the last failure.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from darwin.core.account import SafetyEvent
from darwin.safety.circuit import (
    CLOSED,
    FAILURE,
    OPENED,
    SUCCESS,
    BreakerState,
    Transition,
    failed_call,
)


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """When a breaker opens, for how long, and what closes it."""

    failures_in_a_row: int = 5  # so many open it
    failure_share: Fraction = Fraction(1, 2)  # so does this share of the last calls, or more
    window_calls: int = 20  # the last calls: at most so many,
    min_calls: int = 10  # and at least so many
    open_s: int = 300  # of run clock; doubled at each opening until it closes again
    max_open_s: int = 3600
    probes_to_close: int = 3  # that go well, one after the other


class Breaker:
    """Lets calls of one agent through, or keeps them off until it behaves again.

    A caller asks `admits`; when it may, it makes the call and reports by one of `succeeded`,
    `failed`, `tripped` or `abandoned`. These answer with what is to be recorded: one transition or
    none. Times are ms of the run's clock: when the bar closed. Any number of threads may call;
    while a probe is out, the next report is taken for the probe's.
    """

    def __init__(self, settings: BreakerSettings) -> None:
        """Start closed, with no call made."""
        self._settings = settings
        self._state = BreakerState()
        self._calls = _Calls(settings)
        self._probing = False
        self._lock = threading.Lock()

    @classmethod
    def fold(cls, events: Iterable[SafetyEvent], agent: str, settings: BreakerSettings) -> Breaker:
        """Rebuild the breaker of `agent` from recorded events, in their order; no probe is out.

        Events about others or of other kinds are passed over. Raises IntegrityError for a detail
        that no breaker has written.
        """
        breaker = cls(settings)
        for event in events:
            if event.agent != agent:
                continue
            if event.kind == FAILURE:
                breaker._calls.add_failure_of(failed_call(event.detail))
            breaker._enter(Transition(event.kind, event.detail))
        return breaker

    @property
    def state(self) -> BreakerState:
        """Where it stands now."""
        return self._state

    def admits(self, now_ms: int) -> bool:
        """Say whether a call may be made. Half-open, the first to ask gets the one probe."""
        with self._lock:
            until = self._state.open_until_ms
            if until is None:
                return True
            if self._probing or now_ms < until:
                return False
            self._probing = True
            return True

    def succeeded(self, now_ms: int) -> list[Transition]:
        """Count a call that went well."""
        with self._lock:
            if self._state.open_until_ms is None:
                self._calls.add(failed=False)
                # A good call, too, may be the one that makes them enough to judge.
                too_many = self._calls.too_many()
                return self._open(now_ms, too_many) if too_many else []
            if not self._probing:
                return []  # admitted before it opened, answered after
            wanted, went_well = self._settings.probes_to_close, self._state.successes + 1
            if went_well < wanted:
                detail = f"probe {went_well} of {wanted} went well"
                return self._enter(Transition(SUCCESS, detail))
            return self._enter(Transition(CLOSED, f"{wanted} probes in a row went well"))

    def failed(self, now_ms: int, why: str) -> list[Transition]:
        """Count a call that failed; `why` in a few words."""
        with self._lock:
            if self._state.open_until_ms is None:
                self._calls.add(failed=True)
                too_many = self._calls.too_many()
                if too_many:
                    return self._open(now_ms, f"{too_many}, the last one: {why}")
                return self._enter(Transition.failure(self._calls.made, why))
            if not self._probing:
                return []
            return self._open(now_ms, f"the probe failed: {why}")

    def tripped(self, now_ms: int, why: str) -> list[Transition]:
        """Open at once, whatever the calls were like; a probe that is out has failed.

        May stand for `succeeded`, or follow it. Nothing happens where it is open already.
        """
        with self._lock:
            until = self._state.open_until_ms
            if until is not None and now_ms < until and not self._probing:
                return []
            return self._open(now_ms, why)

    def abandoned(self) -> None:
        """Forget a call that was admitted and never made: neither a success nor a failure."""
        with self._lock:
            self._probing = False

    def _open(self, now_ms: int, why: str) -> list[Transition]:
        settings = self._settings
        seconds = min(settings.open_s << self._state.openings, settings.max_open_s)
        return self._enter(Transition.opened(now_ms + 1000 * seconds, why))

    def _enter(self, change: Transition) -> list[Transition]:
        self._state = self._state.after(*change)
        self._probing = False
        if change.kind == OPENED:
            self._calls = _Calls(self._settings)  # those of before will not count again
        return [change]


class _Calls:
    """The calls since the breaker last closed, as far as they can open it again."""

    __slots__ = ("_in_a_row", "_recent", "_settings", "made")

    def __init__(self, settings: BreakerSettings) -> None:
        self._settings = settings
        self.made = 0
        self._in_a_row = 0  # failures, up to the last call
        self._recent = 0  # one bit for each of the last calls, the lowest for the last: 1 failed

    def add(self, *, failed: bool) -> None:
        """Count one call."""
        self.made += 1
        self._in_a_row = self._in_a_row + 1 if failed else 0
        self._recent = (self._recent << 1 | failed) & ((1 << self._settings.window_calls) - 1)

    def add_failure_of(self, call: int) -> None:
        """Count the calls up to number `call`: it failed, those in between went well."""
        for _ in range(min(call - 1 - self.made, self._settings.window_calls)):
            self.add(failed=False)
        self.made = call - 1
        self.add(failed=True)

    def too_many(self) -> str:
        """Say in words that too many have failed; empty: they have not."""
        settings, share = self._settings, self._settings.failure_share
        if self._in_a_row >= settings.failures_in_a_row:
            return f"{self._in_a_row} failures in a row"
        calls, failures = min(self.made, settings.window_calls), self._recent.bit_count()
        if calls < settings.min_calls or failures * share.denominator < share.numerator * calls:
            return ""
        return f"{failures} of the last {calls} calls failed"

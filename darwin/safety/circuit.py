"""Where an agent's circuit breaker stands, as its recorded events alone tell.

    breaker_failure   closed, and it stays so; names the call since the breaker last closed
    breaker_opened    no calls until the time it names
    breaker_success   that time is over, and a probe went well; more are wanted
    breaker_closed    enough did

That the time of an open breaker is over needs no event: from then on it is half-open. A challenger
has a breaker of its own. Its events are called `challenger_breaker_failure` and so on, so that no
fold of the agent's events counts them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from darwin.core.account import SafetyEvent
from darwin.core.agents import Role
from darwin.errors import IntegrityError

KINDS = ("breaker_failure", "breaker_opened", "breaker_success", "breaker_closed")
FAILURE, OPENED, SUCCESS, CLOSED = KINDS
OF_CHALLENGER = "challenger_"
"""Begins the kind of an event of the challenger's breaker."""

_CALL = re.compile(r"call (\d+): ")
_UNTIL = re.compile(r"until (\S+Z): ")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


class Phase(StrEnum):
    """What a breaker lets through: all calls, none, or one probe at a time."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Transition(NamedTuple):
    """A change that is to be recorded, of a breaker or of what made it open."""

    kind: str  # one of `KINDS`, or `overrides.STORM`
    detail: str

    @classmethod
    def failure(cls, call: int, why: str) -> Transition:
        """A failed call that leaves the breaker closed; `call` counts from when it last closed."""
        return cls(FAILURE, f"call {call}: {why}")

    @classmethod
    def opened(cls, until_ms: int, why: str) -> Transition:
        """No calls from now on until `until_ms` of the run's clock."""
        moment = _EPOCH + int(until_ms) * _MS
        text = moment.isoformat(timespec="milliseconds").removesuffix("+00:00")
        return cls(OPENED, f"until {text}Z: {why}")

    def event(self, time: int, row: int, agent: str, role: Role = Role.SERVING) -> SafetyEvent:
        """As a fact: brought about by the decision on candidate `row`, whose bar opened at `time`.

        It is the breaker of the `agent`, or of what challenges its model.
        """
        of = OF_CHALLENGER if role is Role.CHALLENGER else ""
        return SafetyEvent(time, of + self.kind, self.detail, row, agent)


@dataclass(frozen=True, slots=True)
class BreakerState:
    """Where a breaker stands."""

    open_until_ms: int | None = None  # run clock; None: it is closed
    openings: int = 0  # since it was last closed
    successes: int = 0  # of probes, since it last opened

    def phase(self, now_ms: int) -> Phase:
        """What it lets through at `now_ms`, unless a probe is out."""
        if self.open_until_ms is None:
            return Phase.CLOSED
        return Phase.OPEN if now_ms < self.open_until_ms else Phase.HALF_OPEN

    def after(self, kind: str, detail: str) -> BreakerState:
        """Where it stands after one more event; those of other kinds change nothing.

        Raises IntegrityError for a detail that no breaker has written.
        """
        if kind == OPENED:
            return BreakerState(_until_ms(detail), self.openings + 1)
        if kind == SUCCESS:
            return replace(self, successes=self.successes + 1)
        return BreakerState() if kind == CLOSED else self


def state_of(events: Iterable[SafetyEvent], agent: str) -> BreakerState:
    """Fold recorded events, in their order, into where the breaker of `agent` stands."""
    state = BreakerState()
    for event in events:
        if event.agent == agent:
            state = state.after(event.kind, event.detail)
    return state


def failed_call(detail: str) -> int:
    """Which call since it last closed a failure was. Raises IntegrityError."""
    return int(_read(_CALL, detail))


def _until_ms(detail: str) -> int:
    text = _read(_UNTIL, detail)
    try:
        return (datetime.fromisoformat(text) - _EPOCH) // _MS
    except ValueError:
        raise _never_written(detail) from None


def _read(pattern: re.Pattern[str], detail: str) -> str:
    found = pattern.match(detail)
    if found is None:
        raise _never_written(detail)
    return found[1]


def _never_written(detail: str) -> IntegrityError:
    return IntegrityError(
        f"no circuit breaker has written {detail!r}",
        where="safety_events.detail",
        mend="`darwin verify RUN_ID` names the first row that was changed",
    )

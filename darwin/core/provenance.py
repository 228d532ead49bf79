"""How a run was recorded: what it was made of, and what happened while it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from darwin.core.expert import Expense


class RunEvent(NamedTuple):
    """Something that happened to a run, not in it."""

    kind: str  # "resumed", "code accepted", "waited"
    facts: int  # acknowledged when it happened
    reached: int | None  # open time of the last bar they cover, ms UTC; None: of none
    detail: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """Who vouches for a run's figures."""

    mode: str  # "replay" or "feed"
    config_digest: str
    data_digest: str  # SHA-256 of the bars it saw
    code_version: str  # that it was begun with
    facts: int  # in its chain
    head: str  # hash of the last of them, 64 hex digits
    events: tuple[RunEvent, ...]
    bar_events: tuple[RunEvent, ...] = ()  # on paper: bars that did not come, or too late
    expense: Expense | None = None  # None: no model was asked

    @property
    def resumes(self) -> tuple[RunEvent, ...]:
        """Where it was taken up again, and where other code was accepted."""
        return tuple(event for event in self.events if event.kind in {"resumed", "code accepted"})

    @property
    def storage_events(self) -> tuple[RunEvent, ...]:
        """What the database made it wait for."""
        return tuple(event for event in self.events if event.kind == "waited")

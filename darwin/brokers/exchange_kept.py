"""What an earlier attempt at a run has kept of its broker, so that the next one tells the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from darwin.core.account import Finding, SafetyEvent
from darwin.core.facts import Facts
from darwin.core.trade import Cancel, Fill
from darwin.trading.limits import DOUBT, HALTED, RECONCILED


@dataclass(frozen=True, slots=True)
class Kept:
    """Fills, cancellations and findings up to bar `reached`, as the journal acknowledged them."""

    reached: int = -1
    events: tuple[Fill | Cancel, ...] = ()
    found: tuple[tuple[int, Finding], ...] = ()  # with the bar they were told at
    entries: dict[int, Fill] = field(default_factory=dict)  # by candidate id
    ends: dict[int, Fill | Cancel] = field(default_factory=dict)

    @classmethod
    def of(
        cls, reached: int, events: Iterable[Fill | Cancel], safety: Iterable[SafetyEvent]
    ) -> Kept:
        """Sort what was kept; of `safety` only what a venue's statement brought about is looked at.

        Events are in the order in which they were kept.
        """
        told = tuple(events)
        entries = {e.candidate_id: e for e in told if isinstance(e, Fill) and e.is_entry}
        ends = {_who(e): e for e in told if isinstance(e, Cancel) or not e.is_entry}
        found = tuple(_findings(safety))
        return cls(reached, told, found, entries, ends)

    @classmethod
    def of_batches(cls, batches: Iterable[Facts]) -> Kept:
        """The same of what a journal was handed."""
        some = list(batches)
        events: list[Fill | Cancel] = []
        for batch in some:
            events += [*batch.cancels, *batch.fills]
        safety = [event for batch in some for event in batch.safety_events]
        return cls.of(max((batch.reached for batch in some), default=-1), events, safety)


def _findings(safety: Iterable[SafetyEvent]) -> Iterator[tuple[int, Finding]]:
    for event in safety:
        if event.row < 0 and event.kind in (HALTED, DOUBT, RECONCILED):
            yield event.time, Finding(event.detail, event.kind == RECONCILED)


def _who(event: Fill | Cancel) -> int:
    return event.order.candidate_id if isinstance(event, Cancel) else event.candidate_id

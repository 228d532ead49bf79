"""The replay timeline: candidates and broker events of a whole run, in one total order."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from darwin.core.candidate import Candidate, CandidateTable
from darwin.core.market import FloatArray
from darwin.core.ports import Broker, Progress
from darwin.core.trade import Phase
from darwin.engine.scribe import Scribe
from darwin.engine.settling import Settling
from darwin.engine.step import Step

_TELL_EVERY = 1_024  # candidates between two words to the progress bar
_LOOK_EVERY = 256  # candidates between two looks at whether a journal wants to hear
_TELL_SLOW_EVERY = 16  # the same where an expert may take seconds over each; it looks at each one
_END_OF_TIME = 2**62


def replay(
    table: CandidateTable,
    seen: FloatArray,
    broker: Broker,
    step: Step,
    instants: int,
    progress: Progress | None = None,
    scribe: Scribe | None = None,
    settling: Settling | None = None,
) -> None:
    """Walk events, not bars: fills and cancellations up to each candidate's close, then it.

    `seen[row]` is what the decider may see of candidate `row`, shape (m, k). A `scribe` is told
    what happened, bar by whole bar, as often as its journal wants to hear it. `settling` tells the
    step what became of earlier candidates, where an agent wants to know.
    """
    with _collector_paused():
        _walk(table, seen, broker, step, instants, progress, scribe, settling)


def _walk(
    table: CandidateTable,
    seen: FloatArray,
    broker: Broker,
    step: Step,
    instants: int,
    progress: Progress | None,
    scribe: Scribe | None,
    settling: Settling | None,
) -> None:
    on_broker, on_candidate, next_event = step.on_broker, step.on_candidate, broker.next_event
    look_every, tell_every = (
        (1, _TELL_SLOW_EVERY) if step.is_patient else (_LOOK_EVERY, _TELL_EVERY)
    )
    look_at = look_every if scribe is not None else len(table)
    before: Candidate | None = None
    for candidate in candidates_of(table):
        time = candidate.bar_time
        complete = before is not None and time > before.bar_time
        if scribe is not None and before is not None and candidate.row >= look_at and complete:
            look_at = candidate.row + look_every
            if scribe.due(candidate.row):
                step.watch_until(before.instant + 1)
                scribe.tell(before.bar_time, candidate.row)
        before = candidate
        while (event := next_event(time, Phase.DECIDE)) is not None:
            on_broker(event)
        if settling is not None:
            settling.until(time, step)
        on_candidate(candidate, seen[candidate.row])
        if progress is not None and candidate.row % tell_every == 0:
            progress(candidate.instant, instants, len(step.ledger.trades))
    while (event := next_event(_END_OF_TIME, Phase.OPEN)) is not None:
        on_broker(event)
    step.watch_until(instants)  # before the end, as whoever does not know that it is one
    for event in broker.finish():
        on_broker(event)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Keep the cycle collector from walking the growing facts: they hold no cycles."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def candidates_of(table: CandidateTable, first_row: int = 0) -> Iterator[Candidate]:
    """The candidates of `table` one by one; the first is row `first_row` of its run."""
    columns = (
        table.id,
        table.symbol,
        table.playbook,
        table.side,
        table.bar_time,
        table.instant,
        table.close,
        table.stop_distance,
        table.target_distance,
    )
    ids, *rest = (column.tolist() for column in columns)
    rows = range(first_row, first_row + len(ids))
    return map(Candidate._make, zip(ids, rows, *rest, strict=True))

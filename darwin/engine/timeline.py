"""The replay timeline: candidates and broker events of a whole run, in one total order."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from darwin.core.candidate import Candidate, CandidateTable
from darwin.core.market import FloatArray
from darwin.core.ports import Broker, Progress
from darwin.core.trade import Phase
from darwin.engine.step import Step

_TELL_EVERY = 1_024  # candidates between two words to the progress bar
_END_OF_TIME = 2**62


def replay(
    table: CandidateTable,
    seen: FloatArray,
    broker: Broker,
    step: Step,
    instants: int,
    progress: Progress | None = None,
) -> None:
    """Walk events, not bars: fills and cancellations up to each candidate's close, then it.

    `seen[row]` is what the decider may see of candidate `row`, shape (m, k).
    """
    with _collector_paused():
        _walk(table, seen, broker, step, instants, progress)


def _walk(
    table: CandidateTable,
    seen: FloatArray,
    broker: Broker,
    step: Step,
    instants: int,
    progress: Progress | None,
) -> None:
    on_broker, on_candidate, next_event = step.on_broker, step.on_candidate, broker.next_event
    for candidate in _rows(table):
        time = candidate.bar_time
        while (event := next_event(time, Phase.DECIDE)) is not None:
            on_broker(event)
        on_candidate(candidate, seen[candidate.row])
        if progress is not None and candidate.row % _TELL_EVERY == 0:
            progress(candidate.instant, instants, len(step.ledger.trades))
    while (event := next_event(_END_OF_TIME, Phase.OPEN)) is not None:
        on_broker(event)
    for event in broker.finish():
        on_broker(event)
    step.finish()


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


def _rows(table: CandidateTable) -> map[Candidate]:
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
    return map(Candidate._make, zip(ids, range(len(ids)), *rest, strict=True))

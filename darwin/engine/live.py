"""The live timeline: the run of a session over bars as they arrive.

It tells `step` what the replay tells it, in the same total order, and hands a journal the same
facts; only that every decision is kept before its order leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import TypeVar

import numpy as np

from darwin.core.account import EquityMark, SafetyEvent
from darwin.core.candidate import Candidate, CandidateTable
from darwin.core.facts import ORDERED, Facts, OutcomeFacts
from darwin.core.market import DAY_MS, Bars, FloatArray, IntArray
from darwin.core.ports import Inputs, Journal, Progress, Witness
from darwin.core.trade import Cancel, Fill, Order, Phase
from darwin.engine.arrivals import Arrival, Point, RunningClock
from darwin.engine.digest import DataDigest
from darwin.engine.gaps import gaps
from darwin.engine.instrument import BracketEvents, Instrument, StreamOf
from darwin.engine.proposals import in_total_order
from darwin.engine.session import Session
from darwin.engine.step import Step
from darwin.engine.timeline import candidates_of
from darwin.engine.venue import LiveBroker, VenueBroker, bars_at
from darwin.trading.tracked import NO_OUTCOMES

_TELL_EVERY = 1_024  # instants with events between two words to the progress bar
_Fact = TypeVar("_Fact")


class Live:
    """One run, fed with bars; it ends with `finish`, or stays open when that is never called.

    To take a run up again, feed a new one all bars from the first on: the journal compares what
    it has already. How the bars are cut into chunks makes no difference.
    """

    def __init__(
        self,
        session: Session,
        stream_of: StreamOf,
        broker: LiveBroker,
        journal: Journal,
        inputs: Inputs | None = None,
        progress: Progress | None = None,
        instants_expected: int = 0,
        overdue: Callable[[int], bool] | None = None,
        witness: Witness | None = None,
        too_late: Callable[[Candidate], bool] | None = None,
    ) -> None:
        """Start before the first bar.

        Of the markets of `session` only symbol, timeframe and whether there is funding are looked
        at. `progress` hears of `instants_expected` as the total. `overdue` says of the latency of
        an inference, in ns, that it was too long. `witness` sees what agents decide.
        `too_late` says of a candidate that was just judged that its order would leave too late.
        """
        markets, keys = session.markets, session.feature_keys
        self._clock = RunningClock(
            [bars.symbol for bars in markets],
            [bars.funding is not None for bars in markets],
            1 if session.rules.risk is None else session.rules.risk.bars + 1,
        )
        self._digest = DataDigest()
        ticks = session.tick_size or (None,) * len(markets)
        self._instruments = [
            Instrument(number, bars, session, stream_of, tick)
            for number, (bars, tick) in enumerate(zip(markets, ticks, strict=True))
        ]
        self._setups, self._quiet = len(session.setups), session.quiet
        self._needed = [keys.index(key) for key in session.decider.needs]
        self._broker, self._outbox, self._journal = broker, _Outbox(), journal
        self._venue = broker if isinstance(broker, VenueBroker) else None
        self._reasons: dict[int, int] = {}
        self._step = Step(
            session.rules, session.decider, self._outbox, self._clock, self._clock.funding,
            self._reasons, inputs,
        )  # fmt: skip
        self._step.too_late = too_late
        self._door = session.open_door(self._step, overdue, witness)
        self._progress, self._expected = progress, instants_expected
        self._row = 0  # of the next candidate
        self._nobody: CandidateTable  # empty; made at the first arrival
        self._marks: list[EquityMark] = []
        self.trades = 0  # closed so far

    @property
    def instants(self) -> int:
        """How many have come."""
        return len(self._clock)

    @property
    def bars(self) -> int:
        """How many have come, of all symbols."""
        return self._clock.now.bars

    def at_stake(self) -> frozenset[int]:
        """Numbers of the symbols of which something is held or ordered."""
        return self._step.at_stake()

    def feed(self, chunk: Sequence[Bars]) -> None:
        """Go on by the bars of all symbols whose open times lie in one range, a slice each.

        When it returns, all that happened at them is in the journal. Raises DataError when bars
        open before or at those fed already, and what the journal raises; do not go on then.
        """
        if not any(map(len, chunk)):
            return
        arrival = self._clock.place(chunk)
        self._digest.take(arrival)
        self._step.on_gaps(gaps(chunk, arrival.since, self._quiet))
        table = self._propose(arrival)
        self._nobody = table.select(np.empty(0, dtype=np.int64))
        self._walk(arrival, table, self._track(arrival, table))
        self._tell_progress(self.instants)

    def finish(self) -> None:
        """End the run at the last bar fed: close what is open, take back what never filled."""
        if not self.instants:
            return
        now = self._clock.now
        told = [
            one.tracker.finish(close.newest, 0.0 if paid is None else paid.newest, now.time)
            for one, close, paid in zip(
                self._instruments, self._clock.close, self._clock.funding, strict=True
            )
        ]
        self._broker.see(now.time, now.instant, (), [end for one in told for _, end in one.ended])
        for event in self._broker.finish():
            self._step.on_broker(event)
        self._compare(now)
        self._mark(now.time, now.instant)
        self._append(now, OutcomeFacts.joined([one.outcomes for one in told]))

    def _propose(self, arrival: Arrival) -> CandidateTable:
        """The candidates at the bars of an arrival, in total order."""
        parts = [
            one.propose(bars, arrival.first + place, since)
            for one, bars, place, since in zip(
                self._instruments, arrival.chunk, arrival.place, arrival.since, strict=True
            )
            if len(bars)
        ]
        return in_total_order(parts, self._setups)

    def _track(self, arrival: Arrival, table: CandidateTable) -> BracketEvents:
        """What brackets meet at the bars of an arrival, those of its own candidates too."""
        events = BracketEvents()
        for number, bars in enumerate(arrival.chunk):
            if len(bars):
                mine = np.flatnonzero(table.symbol == number)
                told = self._instruments[number].tracker.push(
                    bars, table.select(mine), self._row + mine, arrival.paid[number]
                )
                events.add(told, arrival.first + arrival.place[number])
        return events

    def _walk(self, arrival: Arrival, table: CandidateTable, events: BracketEvents) -> None:
        """Stop at each instant at which something happens, or a new day begins."""
        begun = self._days_begun(arrival)
        if self._venue is None:
            stops = np.unique(np.concatenate((begun, table.instant, events.instants())))
        else:  # something may happen at the venue at any of them
            stops = np.arange(arrival.first, arrival.last + 1)
        new_days, first_row = set(begun.tolist()), self._row
        seen = np.ascontiguousarray(table.features[:, self._needed])
        coming = iter(candidates_of(table, self._row))
        candidate = next(coming, None)
        for nth, instant in enumerate(stops.tolist(), start=1):
            self._watch(arrival, instant)
            if instant in new_days:
                self._mark(int(self._clock.time[instant - 1 : instant][0]), instant - 1)
            now = arrival.point(instant)
            if self._venue is not None:
                self._venue.watch(bars_at(arrival, instant))
            self._happen(now, events)
            while candidate is not None and candidate.instant == instant:
                at = candidate.row - first_row
                self._decide(now, candidate, seen[at], table.select(np.array([at])))
                candidate = next(coming, None)
            if nth % _TELL_EVERY == 0:
                self._tell_progress(instant)
        self._watch(arrival, arrival.last + 1)

    def _days_begun(self, arrival: Arrival) -> IntArray:
        """The instants of an arrival that are the first of a UTC day, but for that of the run."""
        before = self._clock.time[arrival.first - 1 : arrival.first]
        begun = np.flatnonzero(np.diff(np.append(before, arrival.time) // DAY_MS))
        return begun[begun + arrival.first > 0] + arrival.first

    def _watch(self, arrival: Arrival, until: int) -> None:
        """Mark the closes before `until`, at which nothing happens but what the marks bring."""
        self._step.watch_until(until)
        happened = _drained(self._step.watch.events)
        for time, events in groupby(happened, lambda event: event.time):
            self._append(arrival.point_of(time), safety_events=list(events))

    def _happen(self, now: Point, events: BracketEvents) -> None:
        """Phases 0 to 2 of an instant."""
        opened, ended, outcomes = events.at(now.instant)
        if opened or ended or self._venue is not None:
            self._broker.see(now.time, now.instant, opened, ended)
        step = self._step
        while (event := self._broker.next_event(now.time, Phase.DECIDE)) is not None:
            step.on_broker(event)
        if step.wants_outcomes:
            for at in np.argsort(outcomes.row, kind="stable").tolist():
                step.on_outcome(
                    outcomes.row.item(at), outcomes.r.item(at), outcomes.known_time.item(at)
                )
        step.watch_until(now.instant + 1)
        self._compare(now)
        if len(outcomes) or step.fills or step.cancels or step.safety_events:
            self._append(now, outcomes)

    def _compare(self, now: Point) -> None:
        """Hear where the statement of a venue differs from the ledger."""
        for finding in () if self._venue is None else self._venue.findings():
            self._step.watch.compare(now.time, finding)

    def _decide(
        self, now: Point, candidate: Candidate, seen: FloatArray, alone: CandidateTable
    ) -> None:
        """Phase 3: one decision, kept before its order leaves."""
        if self._door is not None:
            self._door.show(alone, candidate.row)
        self._step.on_candidate(candidate, seen)
        self._append(now, decided=alone)
        for order in _drained(self._outbox.orders):
            if self._venue is not None:
                self._venue.plan(order, alone)
            self._broker.submit(order)

    def _append(
        self,
        now: Point,
        outcomes: OutcomeFacts = NO_OUTCOMES,
        decided: CandidateTable | None = None,
        safety_events: Sequence[SafetyEvent] = (),
    ) -> None:
        """Hand over what happened since the last time; what is over is not held any longer."""
        step, row = self._step, self._row
        candidates = self._nobody if decided is None else decided
        facts = Facts(
            candidates=candidates,
            first_row=row,
            decided=np.full(len(candidates), self._reasons.get(row, ORDERED), dtype=np.int8),
            verdicts=_drained(step.verdicts),
            orders=_drained(step.orders),
            cancels=_drained(step.cancels),
            fills=_drained(step.fills),
            outcomes=outcomes,
            safety_events=[*safety_events, *_drained(step.watch.events)],
            reached=now.time,
            bars=now.bars,
            inputs=_drained(step.inputs),
            decisions=step.take_decisions(),
            marks=_drained(self._marks),
            alerts=step.take_alerts(now.time),
            data_digest=self._digest.upto(now.instant + 1),
        )
        self._row += len(candidates)
        self.trades += len(_drained(step.ledger.trades))
        self._reasons.clear()
        self._journal.append(facts)

    def _mark(self, time: int, instant: int) -> None:
        """Note the account at the last instant of a day."""
        account = self._step.account(instant)
        self._marks.append(
            EquityMark(time, account.equity, account.gross_exposure, account.open_positions)
        )

    def _tell_progress(self, instants: int) -> None:
        if self._progress is not None:
            self._progress(instants, max(self._expected, instants), self.trades)


class _Outbox:
    """Stands before the broker and keeps what is ordered until the facts of it are kept."""

    def __init__(self) -> None:
        self.orders: list[Order] = []

    def submit(self, order: Order) -> None:
        """Keep `order`."""
        self.orders.append(order)

    def next_event(self, before_time: int, before_phase: int) -> Fill | Cancel | None:
        """Nothing happens in here."""
        return None

    def finish(self) -> Iterator[Fill | Cancel]:
        """Nor does it end anything."""
        return iter(())


def _drained(facts: list[_Fact]) -> list[_Fact]:
    """Take all facts out of a list."""
    taken = facts[:]
    facts.clear()
    return taken

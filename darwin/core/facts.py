"""What happened between two points of a run, complete, as a journal is given it to keep.

The total order of facts is the order of events (bar open time, phase, symbol, playbook, side),
and among the facts of one event: what came from outside, exits, entries, the candidate, what was
said of it, what was ordered, what became of its bracket. An agent's decision stands where it was
asked: the gate before the expert, the meta-learner after, the portfolio agent before the order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from darwin.core.account import Alert, EquityMark, SafetyEvent
from darwin.core.agents import GATE, META_LEARNER, PORTFOLIO, Decision
from darwin.core.candidate import SHORT, CandidateTable
from darwin.core.columns import column
from darwin.core.decision import Reason, Verdict
from darwin.core.market import BoolArray, FloatArray, IntArray
from darwin.core.trade import Cancel, Exit, Fill, Order, Phase

ORDERED = -1
"""Stands for the reason of a candidate whose decision sent an order out."""

END = Phase.DECIDE + 1
"""The phase after the last: the end of the run, at its last bar."""

TABLES = (
    "inputs", "candidates", "verdicts", "orders", "fills", "outcomes", "safety_events",
    "agent_decisions", "rebalances", "holdings",
)  # fmt: skip
"""The kinds of facts that are chained; their place here is their code in `Facts.order`.

A run of a book has inputs, safety events and those of `OF_BOOKS` (`core.book_facts`), any other
run has all but these.
"""
OF_BOOKS = ("rebalances", "holdings")
_INPUT, _CANDIDATE, _VERDICT, _ORDER, _FILL, _OUTCOME, _SAFETY, _DECISION = range(8)
_RANK_INPUT, _RANK_EXIT, _RANK_ENTRY, _RANK_CANDIDATE = range(4)
_RANK_GATE, _RANK_VERDICT, _RANK_META_LEARNER, _RANK_PORTFOLIO = range(4, 8)
_RANK_ORDER, _RANK_SAFETY, _RANK_OUTCOME = range(8, 11)
_RANK_OF = {
    GATE: _RANK_GATE, META_LEARNER: _RANK_META_LEARNER, PORTFOLIO: _RANK_PORTFOLIO,
}  # fmt: skip


RELEASE, KILLED, ALLOWED, STANDING, TIMEOUT, LATE = (
    "release",  # a person lifts a halt or a drawdown stop
    "killed",  # the kill switch is on: no agent acts, none is asked
    "allowed",  # it is off again
    "standing",  # which models an agent has, and how far they may go
    "timeout",  # live: inference on this candidate took too long
    "late",  # on paper: the decision on this candidate came too late to act on
)  # fmt: skip
INPUTS = (RELEASE, KILLED, ALLOWED, STANDING, TIMEOUT, LATE)


class Subject(Protocol):
    """What a decision is about: a candidate, or a rebalance."""

    @property
    def row(self) -> int:
        """Its number in the run."""
        ...

    @property
    def id(self) -> int:
        """The same in every run."""
        ...

    @property
    def bar_time(self) -> int:
        """Open time of the bar at whose close it is decided, ms UTC."""
        ...


class Input(NamedTuple):
    """Something from outside the bars that changes rulings, from one decision on."""

    row: int  # of the first candidate decided under it
    candidate_id: int
    time: int  # open time of that candidate's bar, ms UTC
    kind: str  # one of `INPUTS`
    by: str
    reason: str
    agent: str = ""  # whom it is about; empty: the account, or all agents
    detail: str = ""  # of a standing: `Standing.text`


@dataclass(frozen=True, slots=True)
class OutcomeFacts:
    """Outcomes as they become known; every array has shape (k,).

    `known_time` and `known_phase` say when: at the exit of a resolved bracket, at the open that
    cancelled a gapped one, at the end of the run (`END`) for one that stays unresolved. Times are
    bar open times, -1 where there is none.
    """

    id: NDArray[np.uint64]
    row: IntArray
    symbol: IntArray
    playbook: IntArray
    side: IntArray
    known_time: IntArray
    known_phase: IntArray
    status: NDArray[np.int8]
    entry_time: IntArray
    entry_price: FloatArray
    stop_price: FloatArray
    target_price: FloatArray
    exit_time: IntArray
    exit_price: FloatArray
    exit_phase: NDArray[np.int8]
    exit_reason: NDArray[np.int8]
    ambiguous: BoolArray
    funding: FloatArray
    r: FloatArray

    def __len__(self) -> int:
        return len(self.id)

    @classmethod
    def joined(cls, parts: Sequence[OutcomeFacts]) -> OutcomeFacts:
        """All `parts`, one after the other."""
        names = cls.__dataclass_fields__
        return cls(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})

    def select(self, rows: IntArray | BoolArray | slice) -> OutcomeFacts:
        """The outcomes at `rows`, in that order."""
        return OutcomeFacts(
            **{name: getattr(self, name)[rows] for name in self.__dataclass_fields__}
        )


@dataclass(frozen=True, slots=True)
class Facts:
    """All that happened after one point of the total order, up to and with `reached`.

    `decided[i]` is the `Reason` with which candidate i ended at its own decision, or `ORDERED`;
    how an ordered one ended is told by its fill or cancellation. Rows number the candidates of
    the run: candidate i of `candidates` is row `first_row + i`.
    """

    candidates: CandidateTable
    first_row: int
    decided: NDArray[np.int8]
    verdicts: Sequence[tuple[int, Verdict]]  # by row
    orders: Sequence[Order]
    cancels: Sequence[Cancel]
    fills: Sequence[Fill]
    outcomes: OutcomeFacts
    safety_events: Sequence[SafetyEvent]
    reached: int  # open time of the last bar whose events are all told, ms UTC
    bars: int  # bars of all symbols up to there
    inputs: Sequence[Input] = ()
    decisions: Sequence[Decision] = ()  # of agents, as they were asked
    marks: Sequence[EquityMark] = ()  # of the days that are over; no part of the order
    alerts: Sequence[Alert] = ()  # nor are these
    data_digest: str = ""  # live: SHA-256 of the bars consumed so far, 64 hex digits

    def __len__(self) -> int:
        return (
            len(self.inputs) + len(self.candidates) + len(self.verdicts) + len(self.orders)
            + len(self.cancels) + len(self.fills) + len(self.outcomes) + len(self.safety_events)
            + len(self.decisions)
        )  # fmt: skip

    def order(self) -> tuple[NDArray[np.int8], IntArray]:
        """Say what comes when: the kind (index into `TABLES`) and number of each fact, (n,).

        Orders and cancellations are one kind: cancellation i is number `len(orders) + i`.
        """
        parts = [
            keys_of()
            for some, keys_of in (
                (self.inputs, self._inputs),
                (self.candidates, self._candidates),
                (self.verdicts, self._verdicts),
                (self.orders, self._orders),
                (self.cancels, self._cancels),
                (self.fills, self._fills),
                (self.outcomes, self._outcomes),
                (self.safety_events, self._safety_events),
                (self.decisions, self._decisions),
            )
            if len(some)
        ]
        if not parts:
            return np.empty(0, dtype=np.int8), np.empty(0, dtype=np.int64)
        kind = np.concatenate([np.full(len(p.time), p.kind, dtype=np.int8) for p in parts])
        number = np.concatenate([p.start + np.arange(len(p.time)) for p in parts])
        rank = np.concatenate([np.broadcast_to(p.rank, len(p.time)) for p in parts])
        time, phase, symbol, playbook, side, row = (
            np.concatenate([np.broadcast_to(getattr(p, name), len(p.time)) for p in parts])
            for name in ("time", "phase", "symbol", "playbook", "side", "row")
        )
        order = np.lexsort((row, rank, side, playbook, symbol, phase, time))
        return kind[order], number[order]

    def _of_rows(self, kind: int, rank: int | IntArray, rows: IntArray, start: int = 0) -> _Keys:
        """Keys of facts that belong to the decisions on the candidates at `rows`."""
        table, at = self.candidates, rows - self.first_row
        phase = np.full(len(rows), int(Phase.DECIDE))
        return _Keys(
            kind, start, table.bar_time[at], phase, table.symbol[at], table.playbook[at],
            table.side[at] == SHORT, rank, rows,
        )  # fmt: skip

    def _inputs(self) -> _Keys:
        return self._of_rows(_INPUT, _RANK_INPUT, _ints([one.row for one in self.inputs]))

    def _candidates(self) -> _Keys:
        rows = self.first_row + np.arange(len(self.candidates))
        return self._of_rows(_CANDIDATE, _RANK_CANDIDATE, rows)

    def _verdicts(self) -> _Keys:
        return self._of_rows(_VERDICT, _RANK_VERDICT, _ints([row for row, _ in self.verdicts]))

    def _decisions(self) -> _Keys:
        ranks = _ints([_RANK_OF[one.agent] for one in self.decisions])
        return self._of_rows(_DECISION, ranks, _ints([one.row for one in self.decisions]))

    def _orders(self) -> _Keys:
        return self._of_rows(_ORDER, _RANK_ORDER, column(self.orders, "row").astype(np.int64))

    def _cancels(self) -> _Keys:
        cancels = self.cancels
        orders = [cancel.order for cancel in cancels]
        unfilled = _ints([cancel.reason for cancel in cancels]) == Reason.NO_NEXT_BAR
        return _Keys(
            _ORDER, len(self.orders), _ints([cancel.time for cancel in cancels]),
            np.where(unfilled, END, int(Phase.OPEN)), _ints([o.symbol for o in orders]),
            _ints([o.playbook for o in orders]), _ints([o.side for o in orders]) == SHORT,
            _RANK_ENTRY, _ints([o.row for o in orders]),
        )  # fmt: skip

    def _fills(self) -> _Keys:
        time, phase, symbol, playbook, side, row, reason, is_entry = (
            column(self.fills, name).astype(np.int64)
            for name in (
                "time", "phase", "symbol", "playbook", "side", "row", "reason", "is_entry",
            )
        )  # fmt: skip
        return _Keys(
            _FILL, 0, time, np.where(reason == Exit.END_OF_RUN, END, phase), symbol, playbook,
            side == SHORT, np.where(is_entry, _RANK_ENTRY, _RANK_EXIT), row,
        )  # fmt: skip

    def _outcomes(self) -> _Keys:
        out = self.outcomes
        return _Keys(
            _OUTCOME, 0, out.known_time, out.known_phase, out.symbol, out.playbook,
            out.side == SHORT, _RANK_OUTCOME, out.row,
        )  # fmt: skip

    def _safety_events(self) -> _Keys:
        """Those of the mark come before all decisions, the others after the one that caused it."""
        time = _ints([event.time for event in self.safety_events])
        row = _ints([event.row for event in self.safety_events])
        caused = row >= 0
        at = np.where(caused, row - self.first_row, 0)
        table, none = self.candidates, np.full(len(row), -1)
        if not len(table):
            symbol, playbook, short = none, none, none
        else:
            symbol = np.where(caused, table.symbol[at], -1)
            playbook = np.where(caused, table.playbook[at], -1)
            short = np.where(caused, table.side[at] == SHORT, False)
        phase = np.where(caused, int(Phase.DECIDE), int(Phase.MARK))
        return _Keys(_SAFETY, 0, time, phase, symbol, playbook, short, _RANK_SAFETY, row)


class _Keys(NamedTuple):
    """What facts of one kind are sorted by; scalars stand for all of them."""

    kind: int
    start: int  # number of the first
    time: IntArray
    phase: IntArray
    symbol: IntArray
    playbook: IntArray
    side: IntArray | BoolArray  # shorts after longs
    rank: int | IntArray
    row: IntArray


def _ints(values: Sequence[int]) -> IntArray:
    return np.array(values, dtype=np.int64)

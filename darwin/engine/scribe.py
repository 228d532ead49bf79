"""The scribe of a replay: hands facts to a journal in pieces that are complete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from darwin.core.account import Alert, SafetyEvent
from darwin.core.agents import Decision
from darwin.core.candidate import CandidateTable
from darwin.core.decision import Verdict
from darwin.core.facts import END, ORDERED, Facts, Input, OutcomeFacts
from darwin.core.market import Bars, IntArray
from darwin.core.ports import Journal
from darwin.core.trade import Cancel, Fill, Order, OutcomeTable, Phase, Status

_NEVER = np.iinfo(np.int64).max
_AT_MOST = 4_096  # candidates kept waiting: more would only take memory


class Walked(Protocol):
    """What a walk has left so far; all sequences grow in the order of events."""

    @property
    def verdicts(self) -> Sequence[tuple[int, Verdict]]:
        """What the expert said, by row."""
        ...

    @property
    def orders(self) -> Sequence[Order]:
        """In the order of their candidates."""
        ...

    @property
    def cancels(self) -> Sequence[Cancel]:
        """Entries that did not happen."""
        ...

    @property
    def fills(self) -> Sequence[Fill]:
        """Entries and exits."""
        ...

    @property
    def safety_events(self) -> Sequence[SafetyEvent]:
        """What changed what the account may do."""
        ...

    @property
    def inputs(self) -> Sequence[Input]:
        """What came from outside."""
        ...

    def take_decisions(self) -> Sequence[Decision]:
        """What agents decided since the last time; it is not asked for again."""
        ...

    def take_alerts(self, reached: int) -> Sequence[Alert]:
        """What a person should look at up to bar `reached`, since the last time."""
        ...


class Scribe:
    """Remembers how far the facts of a walk have been handed over."""

    def __init__(
        self,
        journal: Journal,
        walked: Walked,
        reasons: NDArray[np.int8],
        table: CandidateTable,
        outcomes: OutcomeTable,
        markets: Sequence[Bars],
    ) -> None:
        """Begin before the first bar; `table` and `outcomes` are those of the whole run.

        `reasons` is where the walk notes the `Reason` of each candidate, shape (m,).
        """
        self._journal, self._walked, self._reasons = journal, walked, reasons
        self._table, self._outcomes, self._markets = table, outcomes, markets
        known = known_time(table, outcomes, markets)
        self._by_time = np.argsort(known, kind="stable")
        self._known = known[self._by_time]
        self._row = self._outcome = 0
        self._told = dict.fromkeys(_GROWING, 0)

    def due(self, row: int) -> bool:
        """Whether to hand over what came before candidate `row`: it is asked for, or much."""
        return row - self._row >= _AT_MOST or self._journal.due()

    def tell(self, reached: int, row: int) -> None:
        """Hand over all up to bar `reached`, at which the last candidate before `row` stands."""
        self._hand_over(reached, row, int(np.searchsorted(self._known, reached, side="right")))

    def finish(self, last: int) -> None:
        """Hand over the rest of a run whose last bar opened at `last`."""
        self._hand_over(last, len(self._table), len(self._table))

    def _hand_over(self, reached: int, row: int, outcome: int) -> None:
        table = self._table.select(np.arange(self._row, row))
        orders = self._since("orders")
        decided = self._reasons[self._row : row].copy()
        decided[[order.row - self._row for order in orders]] = ORDERED
        facts = Facts(
            candidates=table,
            first_row=self._row,
            decided=decided,
            verdicts=self._since("verdicts"),
            orders=orders,
            cancels=self._since("cancels"),
            fills=self._since("fills"),
            outcomes=outcome_facts(
                self._by_time[self._outcome : outcome],
                self._table,
                self._outcomes,
                self._markets,
                reached,
            ),
            safety_events=self._since("safety_events"),
            reached=reached,
            bars=sum(int(np.searchsorted(b.time, reached, side="right")) for b in self._markets),
            inputs=self._since("inputs"),
            decisions=self._walked.take_decisions(),
            alerts=self._walked.take_alerts(reached),
        )
        self._row, self._outcome = row, outcome
        self._journal.append(facts)

    def _since(self, name: str) -> Sequence[Any]:
        grown: Sequence[Any] = getattr(self._walked, name)
        start, self._told[name] = self._told[name], len(grown)
        return grown[start:]


_GROWING = ("verdicts", "orders", "cancels", "fills", "safety_events", "inputs")


def known_time(table: CandidateTable, outcomes: OutcomeTable, markets: Sequence[Bars]) -> IntArray:
    """The bar at which each outcome is known, (m,): its exit, or the open that cancelled it.

    One that stays unresolved is known after all bars.
    """
    bar = np.where(outcomes.status == Status.GAPPED, outcomes.entry_bar, outcomes.exit_bar)
    bar = np.where(outcomes.status == Status.UNRESOLVED, -1, bar)
    return _times(markets, table.symbol, bar, _NEVER)


def outcome_facts(
    rows: IntArray,
    table: CandidateTable,
    outcomes: OutcomeTable,
    markets: Sequence[Bars],
    last: int,
) -> OutcomeFacts:
    """The outcomes of `rows` as facts; `last` is the last bar, at which open ends become known."""
    out = outcomes.select(rows)
    symbol = table.symbol[rows]
    open_ended, gapped = out.status == Status.UNRESOLVED, out.status == Status.GAPPED
    entry_time = _times(markets, symbol, out.entry_bar, -1)
    exit_time = _times(markets, symbol, np.where(open_ended, -1, out.exit_bar), -1)
    known = np.where(gapped, entry_time, exit_time)
    phase = np.where(gapped, int(Phase.OPEN), out.exit_phase.astype(np.int64))
    return OutcomeFacts(
        id=table.id[rows],
        row=rows,
        symbol=symbol,
        playbook=table.playbook[rows],
        side=table.side[rows],
        known_time=np.where(open_ended, last, known),
        known_phase=np.where(open_ended, END, phase),
        status=out.status,
        entry_time=entry_time,
        entry_price=out.entry_price,
        stop_price=out.stop_price,
        target_price=out.target_price,
        exit_time=exit_time,
        exit_price=out.exit_price,
        exit_phase=out.exit_phase,
        exit_reason=out.exit_reason,
        ambiguous=out.ambiguous,
        funding=out.funding,
        r=out.r,
    )


def _times(markets: Sequence[Bars], symbol: IntArray, bar: IntArray, none: int) -> IntArray:
    """Open times of bars given by symbol and row, (m,); `none` where the row is -1."""
    times = np.full(len(bar), none, dtype=np.int64)
    for code, bars in enumerate(markets):
        rows = np.flatnonzero((symbol == code) & (bar >= 0))
        times[rows] = bars.time[bar[rows]]
    return times

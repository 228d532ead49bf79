"""The walk of a book: from a panel and a page to what was decided, and what came of it.

At each rebalance the agent is asked through the door, what stands is cut to the limits and traded
at the next open. Beside the book of the run walk others: for each model one that always does what
the model says, and those that know nothing. An agent sees the book of its own advice, at every
stage of capital, so that what it says, and the evidence for it, does not hang on how far it is
trusted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darwin.core.account import Alert, SafetyEvent
from darwin.core.agents import Model, Role
from darwin.core.book_facts import BookFacts, Held, Rebalance, Rebalanced, Weights
from darwin.core.facts import RELEASE, Input
from darwin.core.market import FloatArray, IntArray
from darwin.core.ports import BookJournal, Inputs, Progress
from darwin.core.rebalance import BookState, rebalance_id
from darwin.engine.book_run import BookPlan, BookResult, BookWitness
from darwin.engine.consult import Asked, Door
from darwin.engine.matter import BookMatter
from darwin.safety.monitor import Monitor
from darwin.trading.book import stretch
from darwin.trading.limits import LossWatch


@dataclass(slots=True)
class _Book:
    """One book as it goes on."""

    state: BookState
    target: FloatArray
    values: list[FloatArray] = field(default_factory=list)  # at closes, of each stretch

    @classmethod
    def start(cls, assets: int) -> _Book:
        return cls(BookState.start(assets), np.zeros(assets))

    @property
    def weights(self) -> FloatArray:
        return np.array(self.state.weights)


class BookWalk:
    """One walk; it may be made once."""

    def __init__(
        self,
        plan: BookPlan,
        journal: BookJournal | None = None,
        inputs: Inputs | None = None,
        witness: BookWitness | None = None,
    ) -> None:
        """Stand before the first bar."""
        self._plan, self._journal, self._inputs, self._witness = plan, journal, inputs, witness
        self._heard: list[Input] = []
        self._events: list[SafetyEvent] = []
        self._rebalances: list[Rebalanced] = []
        self._holdings: list[Held] = []
        self._alerts: list[Alert] = []
        self._told = dict.fromkeys(_GROWING, 0)
        self._watch = LossWatch(plan.rules.limits, plan.rules.starting_equity_usd, self._tell)
        self._monitor = Monitor()
        self._door = Door(
            plan.terms, (), plan.panel.timeframe.ms, self._tell, self._heard.append,
            self._monitor, self._alerts,
        )  # fmt: skip
        n = plan.panel.assets
        self._columns = plan.page.columns(plan.panel)
        self._book = _Book.start(n)
        self._weights: list[FloatArray] = []
        self._advised = _Book.start(n)  # by whichever model serves
        self._by_model: dict[Model | None, _Book] = {}
        self._baselines = [_Book.start(n) for _ in plan.baselines]

    def run(self, progress: Progress | None = None) -> BookResult:
        """Walk to the end; the journal is handed all facts, complete when this returns."""
        plan, panel = self._plan, self._plan.panel
        rows, last = plan.rows, len(panel) - 1
        first = int(rows[0]) if len(rows) else last
        self._mark(0, first, np.ones(first + 1))
        held: list[Rebalanced] = []
        for number, row in enumerate(rows.tolist()):
            at = Rebalance(
                number, rebalance_id(panel.symbols, int(panel.time[row])), int(panel.time[row])
            )
            held = self._rebalance(at, row)
            end = int(rows[number + 1]) if number + 1 < len(rows) else last
            if end > row:
                self._hold(held, row, end, over=number + 1 < len(rows))
            if self._journal is not None and self._journal.due():
                self._hand_over(row)
            if progress is not None:
                progress(number + 1, len(rows), number + 1)
        self._hand_over(last)
        return self._result(rows, first)

    def _rebalance(self, at: Rebalance, row: int) -> list[Rebalanced]:
        """Ask, rule, cut, record; gives one row for each model that was asked."""
        page = self._plan.page
        if self._inputs is not None:
            for one in self._inputs.before(at):
                self._heed(one)
        asked = self._door.ask(page.name, lambda model: self._look(at, row, model))
        told = [self._recorded(at, one, row) for one in asked]
        self._rebalances += told
        if self._witness is not None:
            self._witness.rebalanced(told)
        return told

    def _look(self, at: Rebalance, row: int, model: Model | None) -> BookMatter:
        """What a model sees: the market, and the book of its own advice."""
        page, mine = self._plan.page, self._of(model)
        seen = np.concatenate([self._columns[row], page.moment(mine.state)]).astype(np.float32)
        seen.flags.writeable = False  # what is recorded is what was shown
        return BookMatter(page, at, seen)

    def _of(self, model: Model | None) -> _Book:
        return self._by_model.setdefault(model, _Book.start(self._plan.panel.assets))

    def _recorded(self, at: Rebalance, asked: Asked, row: int) -> Rebalanced:
        page, matter = self._plan.page, asked.matter
        baseline = self._plan.stands.target(self._book.state)
        advised = None if asked.advice is None else page.target(asked.advice.action)
        if asked.advice is None or advised is None:
            final = baseline
        else:
            final = toward(baseline, advised, asked.ruling.share)
        limited_by = ""
        if asked.role is Role.SERVING:
            book, start = self._book.state, self._plan.rules.starting_equity_usd
            final, limited_by = self._plan.rules.book_limits.within(
                final, self._book.weights, book.value * start, self._watch.objection(),
                asked.ruling.most_usd,
            )  # fmt: skip
            self._book.target = final
            self._advised.target = baseline if advised is None else advised
        self._of(asked.model).target = baseline if advised is None else advised
        return Rebalanced(
            at, page.name, asked.role, asked.mode,
            None if asked.advice is None else asked.advice.action,
            None if asked.advice is None else asked.advice.probability,
            None if advised is None else _plain(advised), _plain(baseline), _plain(final),
            limited_by, asked.ruling.followed, asked.ruling.why, asked.model, page.schema,
            matter.observation.tobytes(), asked.latency_us,
        )  # fmt: skip

    def _hold(self, told: Sequence[Rebalanced], row: int, end: int, *, over: bool) -> None:
        """Let all books go on to the close of `end`; say what came of it where that is `over`."""
        panel = self._plan.panel
        known, holding = int(panel.time[end]), panel.holding(np.array([row]), end - row)
        assets = _plain((holding.body - 1.0 - holding.carry)[0])
        value = self._book.state.value
        turnover, cost, growth = self._go_on(self._book, row, end, keep_weights=True)
        self._mark(row + 1, end, value * self._book.values[-1])
        self._go_on(self._advised, row, end)
        for book, baseline in zip(self._baselines, self._plan.baselines, strict=True):
            book.target = baseline.target(book.state)
        others = tuple(self._go_on(book, row, end)[2] - 1.0 for book in self._baselines)
        models = {one.model for one in told}
        grown = {model: self._go_on(self._of(model), row, end)[2] for model in models}
        for model in [model for model in self._by_model if model not in models]:
            del self._by_model[model]  # one that is asked no more holds nothing
        if not over:
            return
        held = [
            Held(
                one.at, one.agent, one.role, known, grown[one.model] - 1.0, others, assets,
                *((growth - 1.0, turnover, cost) if one.role is Role.SERVING else (None,) * 3),
            )
            for one in told
        ]  # fmt: skip
        self._holdings += held
        if self._witness is not None:
            self._witness.held(held, [one.model for one in told])

    def _go_on(
        self, book: _Book, row: int, end: int, *, keep_weights: bool = False
    ) -> tuple[float, float, float]:
        """Trade to the target of a book and hold it: turnover, cost, growth."""
        before = book.state
        part = stretch(
            self._plan.panel, row, end, book.weights, book.target, self._plan.rules.cost_rate
        )
        growth = float(part.growth[-1])
        book.values.append(part.growth)
        book.state = before.after(
            book.target.tolist(), part.weights[-1].tolist(), before.value * growth
        )
        if keep_weights:
            self._weights.append(part.weights)
        return part.turnover, part.cost, growth

    def _mark(self, first: int, end: int, value: FloatArray) -> None:
        """Let the account be watched at the closes of bars `first` to `end`."""
        time = self._plan.panel.time[first : end + 1]
        self._watch.advance(time, value * self._plan.rules.starting_equity_usd)

    def _tell(self, event: SafetyEvent) -> None:
        self._events.append(event)
        if self._witness is not None:
            self._witness.noted(event)

    def _heed(self, one: Input) -> None:
        self._heard.append(one)
        self._door.heed(one)
        if self._witness is not None:
            self._witness.heard(one)
        if one.kind == RELEASE:
            equity = self._book.state.value * self._plan.rules.starting_equity_usd
            self._watch.release(one.time, equity, f"by {one.by}: {one.reason}", one.row)

    def _hand_over(self, row: int) -> None:
        """Give the journal all that was not told yet, up to the close of `row`."""
        if self._journal is None:
            return
        reached = int(self._plan.panel.time[row])
        holdings = [one for one in self._since("_holdings") if one.known_time <= reached]
        heard = self._since("_heard")
        rebalances = self._since("_rebalances")
        events = [one for one in self._since("_events") if one.time <= reached]
        alerts = self._since("_alerts")
        for name, some in zip(
            self._told, (holdings, heard, rebalances, events, alerts), strict=True
        ):
            self._told[name] += len(some)
        bars = (row + 1) * self._plan.panel.assets
        self._journal.append(
            BookFacts(holdings, heard, rebalances, events, reached, bars, alerts=alerts)
        )

    def _since(self, name: str) -> list[Any]:
        grown: list[Any] = getattr(self, name)
        return grown[self._told[name] :]

    def _result(self, rows: IntArray, first: int) -> BookResult:
        head, n = np.ones(first + 1), self._plan.panel.assets
        return BookResult(
            self._plan, rows, tuple(self._rebalances), tuple(self._holdings), tuple(self._events),
            _joined(head, self._book),
            np.concatenate([np.zeros((first + 1, n)), *self._weights]),
            _joined(head, self._advised),
            np.stack([_joined(head, book) for book in self._baselines]),
        )  # fmt: skip


_GROWING = ("_holdings", "_heard", "_rebalances", "_events", "_alerts")
"""What is handed to the journal; each ascends by time."""


def toward(baseline: FloatArray, advised: FloatArray, share: float) -> FloatArray:
    """What stands where `share` of the capital obeys: all of it gives the advice to the bit."""
    if share == 1.0:
        return advised
    return baseline + share * (advised - baseline)


def _joined(head: FloatArray, book: _Book) -> FloatArray:
    """The value of a book at each close, from that of each stretch over its beginning."""
    parts, value = [head], 1.0
    for growth in book.values:
        parts.append(value * growth)
        value *= float(growth[-1])
    return np.concatenate(parts)


def _plain(values: FloatArray | NDArray[np.float64]) -> Weights:
    return tuple((np.asarray(values, dtype=np.float64) + 0.0).tolist())

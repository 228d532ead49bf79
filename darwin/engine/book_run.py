"""A run of a book: what it is made of, who looks on, and what it comes to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from darwin.core.account import EquityMark, SafetyEvent
from darwin.core.agents import Model
from darwin.core.book_facts import Held, Rebalanced
from darwin.core.facts import Input
from darwin.core.market import DAY_MS, FloatArray, IntArray
from darwin.core.panel import Panel
from darwin.core.rebalance import BookPage, BookState
from darwin.engine.consult import TermsOfBook
from darwin.trading.book_limits import BookLimits
from darwin.trading.limits import Limits


class Baseline(Protocol):
    """A book that knows nothing."""

    @property
    def name(self) -> str:
        """What reports call it."""
        ...

    def target(self, book: BookState) -> FloatArray:
        """What it holds, shape (n,)."""
        ...


class BookWitness(Protocol):
    """Sees what agents of a book decide and what comes of it; see `core.ports.Witness`."""

    def heard(self, one: Input) -> None:
        """Something from outside takes effect, before the next decision."""
        ...

    def noted(self, event: SafetyEvent) -> None:
        """Safety has spoken: of the account, or of an agent."""
        ...

    def rebalanced(self, told: Sequence[Rebalanced]) -> None:
        """Agents were asked about the book."""
        ...

    def held(self, told: Sequence[Held], models: Sequence[Model | None]) -> None:
        """The holding that was decided last is over; `models` had advised it."""
        ...


@dataclass(frozen=True, slots=True)
class BookRules:
    """The terms of the account."""

    starting_equity_usd: float
    cost_rate: float  # of traded value
    limits: Limits
    book_limits: BookLimits


@dataclass(frozen=True, slots=True)
class BookPlan:
    """All that a run of a book needs, wired."""

    panel: Panel
    page: BookPage
    terms: TermsOfBook
    rules: BookRules
    baselines: tuple[Baseline, ...]  # what it is held against, in the order of the record
    stands: Baseline  # what stands without the agent
    every: int  # bars between two rebalances
    warmup_bars: int = 0

    @property
    def rows(self) -> IntArray:
        """Where there is a rebalance: at closes that are whole multiples of `every` bars of UTC."""
        bar_ms = self.panel.timeframe.ms
        due = (self.panel.time // bar_ms + 1) % self.every == 0
        rows = np.flatnonzero(due)
        return rows[rows >= max(self.warmup_bars, self.page.warmup)]


@dataclass(frozen=True, slots=True)
class BookResult:
    """A run of a book as it came out; every value is over that at the start."""

    plan: BookPlan
    rows: IntArray  # of the rebalances, (k,)
    rebalances: tuple[Rebalanced, ...]
    holdings: tuple[Held, ...]
    safety_events: tuple[SafetyEvent, ...]
    value: FloatArray  # of the book of the run at each close, (t,)
    weights: FloatArray  # of it at each close, (t, n)
    advised: FloatArray  # of the book that always did what the serving model said, (t,)
    baselines: FloatArray  # (b, t)

    @property
    def marks(self) -> list[EquityMark]:
        """The book at the last close of each UTC day."""
        time, start = self.plan.panel.time, self.plan.rules.starting_equity_usd
        closes = time + self.plan.panel.timeframe.ms
        last = np.flatnonzero(np.diff((closes - 1) // DAY_MS, append=-1))
        gross = np.abs(self.weights).sum(axis=1) * self.value
        count = np.count_nonzero(self.weights, axis=1)
        return [
            EquityMark(
                int(time[i]), float(self.value[i]) * start, float(gross[i]) * start, int(count[i])
            )
            for i in last.tolist()
        ]

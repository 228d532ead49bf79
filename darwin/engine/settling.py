"""What became of candidates, told to the step of a replay as it becomes known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from darwin.core.candidate import CandidateTable
from darwin.core.market import Bars
from darwin.core.trade import OutcomeTable
from darwin.engine.scribe import known_time


class Learner(Protocol):
    """Who wants to know."""

    def on_outcome(self, row: int, r: float, known_ms: int) -> None:
        """The bracket of candidate `row` has ended with `r`; NaN: it was never entered.

        That is known since the bar that opened at `known_ms`.
        """
        ...


class Settling:
    """Outcomes in the order in which they become known, those of one bar by row."""

    def __init__(
        self, table: CandidateTable, outcomes: OutcomeTable, markets: Sequence[Bars]
    ) -> None:
        """Begin before the first bar."""
        known = known_time(table, outcomes, markets)
        rows = np.argsort(known, kind="stable")
        self._known = known[rows].tolist()
        self._rows, self._r = rows.tolist(), outcomes.r[rows].tolist()
        self._next = 0

    def until(self, time: int, learner: Learner) -> None:
        """Tell what is known at the close of the bars that open at `time`, and was not told yet."""
        at, known = self._next, self._known
        while at < len(known) and known[at] <= time:
            learner.on_outcome(self._rows[at], self._r[at], known[at])
            at += 1
        self._next = at

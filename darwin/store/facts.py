"""What a finished run hands over to be recorded.

The shapes are protocols: the engine's own result has them, and the store need not know the engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from darwin.core.account import SafetyEvent
from darwin.core.candidate import CandidateTable
from darwin.core.market import Bars, BoolArray, FloatArray, IntArray
from darwin.core.trade import Cancel, Fill, Order, OutcomeTable


class Verdicts(Protocol):
    """What the expert said, row by row of the candidates, (m,); unused where not `asked`."""

    @property
    def asked(self) -> BoolArray:
        """Whether the expert was asked at all."""
        ...

    @property
    def take(self) -> BoolArray:
        """Its answer."""
        ...

    @property
    def confidence(self) -> FloatArray:
        """0..1, NaN where not asked; so for the next two."""
        ...

    @property
    def quality(self) -> FloatArray:
        """0..1."""
        ...

    @property
    def cost_usd(self) -> FloatArray:
        """What asking cost."""
        ...

    @property
    def flags(self) -> Mapping[int, tuple[str, ...]]:
        """Risk flags by row, only where there are some."""
        ...


class Equity(Protocol):
    """The account at every close, oldest first; every array has shape (g,)."""

    @property
    def time(self) -> IntArray:
        """Open time of the bar, ms UTC, shape (g,)."""
        ...

    @property
    def equity(self) -> FloatArray:
        """USD, shape (g,)."""
        ...

    @property
    def exposure(self) -> FloatArray:
        """Gross position value in USD, shape (g,)."""
        ...

    @property
    def positions(self) -> IntArray:
        """Open positions, shape (g,)."""
        ...


class RunFacts(Protocol):
    """A run, complete; candidates, reasons, verdicts and outcomes share their row numbers."""

    @property
    def symbols(self) -> tuple[str, ...]:
        """Names, in the order of their codes."""
        ...

    @property
    def playbooks(self) -> tuple[str, ...]:
        """Names, in the order of their codes."""
        ...

    @property
    def markets(self) -> tuple[Bars, ...]:
        """The bars of each symbol."""
        ...

    @property
    def candidates(self) -> CandidateTable:
        """All of them, in total order."""
        ...

    @property
    def reasons(self) -> NDArray[np.int8]:
        """A `Reason` for each candidate, shape (m,)."""
        ...

    @property
    def verdicts(self) -> Verdicts:
        """What the expert said of them."""
        ...

    @property
    def outcomes(self) -> OutcomeTable:
        """How each bracket ended, taken or not."""
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
        """In the order of events."""
        ...

    @property
    def safety_events(self) -> Sequence[SafetyEvent]:
        """In the order of events."""
        ...

    @property
    def equity(self) -> Equity:
        """The account at every close."""
        ...

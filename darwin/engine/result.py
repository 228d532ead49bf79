"""What a run leaves behind: every candidate with its reason and outcome, fills, trades, equity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from darwin.core.account import SafetyEvent
from darwin.core.candidate import CandidateTable
from darwin.core.decision import Call, Reason, Verdict
from darwin.core.facts import Input
from darwin.core.market import Bars, BoolArray, FloatArray, IntArray
from darwin.core.trade import Cancel, Fill, Order, OutcomeTable, Trade
from darwin.engine.consulted import NOBODY, ConsultedColumns
from darwin.trading.costs import Costs

__all__ = ["EquityCurve", "RunResult", "SafetyEvent", "VerdictColumns"]


@dataclass(frozen=True, slots=True)
class EquityCurve:
    """The account marked at every close of the run's clock; every array has shape (g,)."""

    time: IntArray  # open time of the bar, ms UTC
    equity: FloatArray  # USD
    exposure: FloatArray  # gross |position value|, USD
    positions: IntArray  # open positions


@dataclass(frozen=True, slots=True)
class VerdictColumns:
    """What the expert said, row by row of the candidates; NaN where it was not asked, (m,)."""

    asked: NDArray[np.bool_]
    take: NDArray[np.bool_]
    confidence: FloatArray
    quality: FloatArray
    cost_usd: FloatArray
    flags: dict[int, tuple[str, ...]]  # by row, only where there are some
    calls: dict[int, Call] = field(default_factory=dict)  # by row, where a model was asked

    @classmethod
    def of(cls, verdicts: Sequence[tuple[int, Verdict]], m: int) -> VerdictColumns:
        """The columns of verdicts by row, of `m` candidates."""
        nothing = Verdict(False, np.nan, np.nan, (), np.nan)
        columns = cls.same_for(np.zeros(m, dtype=np.bool_), nothing)
        for row, (take, confidence, quality, flags, cost_usd, call) in verdicts:
            columns.asked[row] = True
            columns.take[row] = take
            columns.confidence[row] = confidence
            columns.quality[row] = quality
            columns.cost_usd[row] = cost_usd
            if flags:
                columns.flags[row] = flags
            if call is not None:
                columns.calls[row] = call
        return columns

    @classmethod
    def same_for(cls, asked: BoolArray, verdict: Verdict) -> VerdictColumns:
        """The columns of one verdict given to all who were `asked`, shape (m,)."""
        return cls(
            asked=asked,
            take=asked & verdict.take,
            confidence=np.where(asked, verdict.confidence, np.nan),
            quality=np.where(asked, verdict.quality, np.nan),
            cost_usd=np.where(asked, verdict.cost_usd, np.nan),
            flags={},
        )

    def by_row(self) -> dict[int, Verdict]:
        """Each verdict that was given."""
        rows = np.flatnonzero(self.asked)
        columns = (self.take, self.confidence, self.quality, self.cost_usd)
        plain = (column[rows].tolist() for column in columns)
        return {
            row: Verdict(
                take, confidence, quality, self.flags.get(row, ()), cost_usd, self.calls.get(row)
            )
            for row, take, confidence, quality, cost_usd in zip(rows.tolist(), *plain, strict=True)
        }


@dataclass(frozen=True, slots=True)
class RunResult:
    """One run, complete. Candidates, reasons, verdicts and outcomes share their row numbers."""

    symbols: tuple[str, ...]
    playbooks: tuple[str, ...]  # names as in the config; repeated names get `#2`, `#3`
    markets: tuple[Bars, ...]
    first_bar: tuple[int, ...]  # per symbol: the first bar at which a candidate could arise
    candidates: CandidateTable
    reasons: NDArray[np.int8]  # a `Reason` each
    verdicts: VerdictColumns
    outcomes: OutcomeTable
    orders: Sequence[Order]
    cancels: Sequence[Cancel]
    fills: Sequence[Fill]
    trades: Sequence[Trade]  # in order of their exits
    safety_events: Sequence[SafetyEvent]
    equity: EquityCurve
    starting_equity_usd: float
    costs: Costs
    consulted: ConsultedColumns = NOBODY  # of all agents, in the order in which they were asked
    inputs: Sequence[Input] = ()  # what came from outside, in the order in which it took effect

    def funnel(self) -> dict[str, int]:
        """Count the candidates by the one reason each ended with; the counts add up to all."""
        counts = np.bincount(self.reasons, minlength=len(Reason))
        return {reason.text: int(counts[reason]) for reason in Reason if counts[reason]}

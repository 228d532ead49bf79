"""A session: from markets and rules to the result of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from darwin.core.account import Alert, SafetyEvent
from darwin.core.agents import Decision
from darwin.core.candidate import CandidateTable
from darwin.core.clock import Clock
from darwin.core.decision import Reason, Verdict
from darwin.core.facts import Input
from darwin.core.features import FeatureFrame
from darwin.core.market import Bars, BoolArray
from darwin.core.ports import Broker, Decider, Inputs, Journal, Progress, Witness
from darwin.core.trade import Cancel, Fill, Order, OutcomeTable, Trade
from darwin.engine import bulk
from darwin.engine.consult import Door, Terms
from darwin.engine.consulted import NOBODY, ConsultedColumns
from darwin.engine.gaps import gaps
from darwin.engine.marks import equity_curve, funding_by_instant
from darwin.engine.proposals import Quiet, Setup, propose
from darwin.engine.result import RunResult, VerdictColumns
from darwin.engine.scribe import Scribe
from darwin.engine.settling import Settling
from darwin.engine.step import Rules, Step
from darwin.engine.timeline import replay
from darwin.safety.monitor import Monitor
from darwin.trading.brackets import resolve
from darwin.trading.foresight import Foresight


@dataclass(frozen=True, slots=True)
class Session:
    """Everything a replay needs, wired; `run` may be called again and gives the same result.

    `recorded_features` are kept with the candidates; the decider's own needs are added to what is
    computed.
    """

    markets: tuple[Bars, ...]
    setups: tuple[Setup, ...]
    decider: Decider
    rules: Rules
    open_broker: Callable[[Foresight, Clock], Broker]
    frame_of: Callable[[Bars], FeatureFrame]
    quiet: Quiet = field(default_factory=Quiet)
    tick_size: tuple[float | None, ...] = ()  # per symbol
    recorded_features: tuple[str, ...] = ()
    agents: Terms | None = None  # None: no agent takes part

    @property
    def feature_keys(self) -> tuple[str, ...]:
        """The features kept with each candidate: recorded, and needed by decider and agents."""
        seen = () if self.agents is None else self.agents.needs
        return tuple(dict.fromkeys((*self.recorded_features, *self.decider.needs, *seen)))

    def open_door(
        self,
        step: Step,
        overdue: Callable[[int], bool] | None = None,
        witness: Witness | None = None,
    ) -> Door | None:
        """The door of a walk by `step`, which has to attend it; None without agents.

        `witness` sees what goes on there.
        """
        if self.agents is None:
            return None
        names = tuple(setup.name for setup in self.setups)
        bar_ms = self.markets[0].timeframe.ms
        door = Door(
            self.agents, names, bar_ms, step.tell, step.inputs.append,
            step.monitor, step.alerts, overdue,
        )  # fmt: skip
        step.attend(door, witness)
        return door

    def run(
        self,
        progress: Progress | None = None,
        journal: Journal | None = None,
        inputs: Inputs | None = None,
        witness: Witness | None = None,
    ) -> RunResult:
        """Replay the markets; `journal` is handed all facts, complete when this returns.

        `inputs` are what came from outside when the run was first made; `witness` sees what agents
        decide.
        """
        clock, keys = Clock.of(self.markets), self.feature_keys
        table = propose(self.markets, self.setups, clock, self.quiet, self.frame_of, keys)
        outcomes = self._resolve(table)
        return self.walk(table, outcomes, clock, progress, journal, inputs, witness)

    def walk(
        self,
        table: CandidateTable,
        outcomes: OutcomeTable,
        clock: Clock,
        progress: Progress | None = None,
        journal: Journal | None = None,
        inputs: Inputs | None = None,
        witness: Witness | None = None,
    ) -> RunResult:
        """`run` over candidates and outcomes of these markets that are known already."""
        foresight = Foresight.of(table, outcomes, self.markets, clock, self.rules.costs)
        funding = funding_by_instant(self.markets, clock)
        verdict = self.decider.takes_everything
        alone = inputs is None and self.agents is None and clock.stale is None
        if verdict is not None and alone and bulk.applies(self.rules):
            facts = self._walk_in_bulk(table, outcomes, foresight, clock, verdict)
            if journal is not None:
                walked = _InBulk(facts, verdict, self._gap_alerts())
                scribe = Scribe(journal, walked, facts.reasons, table, outcomes, self.markets)
                scribe.finish(int(clock.time[-1]))
        else:
            reasons = np.full(len(table), -1, dtype=np.int8)
            broker = self.open_broker(foresight, clock)
            step = Step(self.rules, self.decider, broker, clock, funding, reasons, inputs)
            step.on_gaps(gaps(self.markets, (None,) * len(self.markets), self.quiet))
            door, settling = self.open_door(step, witness=witness), None
            if door is not None:
                step.consulted = []
                door.show(table, 0)
            if step.wants_outcomes:
                settling = Settling(table, outcomes, self.markets)
            scribe = None
            if journal is not None:
                scribe = Scribe(journal, step, reasons, table, outcomes, self.markets)
            needed = [table.feature_names.index(key) for key in self.decider.needs]
            seen = np.ascontiguousarray(table.features[:, needed])
            replay(table, seen, broker, step, len(clock), progress, scribe, settling)
            if scribe is not None:
                scribe.finish(int(clock.time[-1]))
            step.take_decisions()  # where no scribe did
            facts = _walked_by(step, reasons)
        start = self.rules.starting_equity_usd
        return RunResult(
            symbols=tuple(bars.symbol for bars in self.markets),
            playbooks=tuple(setup.name for setup in self.setups),
            markets=self.markets,
            first_bar=tuple(_first_true(self.quiet.allows(bars)) for bars in self.markets),
            candidates=table,
            outcomes=outcomes,
            equity=equity_curve(facts.fills, clock, funding, start),
            starting_equity_usd=start,
            costs=self.rules.costs,
            **{field.name: getattr(facts, field.name) for field in fields(facts)},
        )

    def _walk_in_bulk(
        self,
        table: CandidateTable,
        outcomes: OutcomeTable,
        foresight: Foresight,
        clock: Clock,
        verdict: Verdict,
    ) -> _Facts:
        walked = bulk.walk(table, outcomes, foresight, clock, self.rules)
        return _Facts(
            reasons=walked.reasons,
            verdicts=VerdictColumns.same_for(walked.reasons != Reason.POSITION_OPEN, verdict),
            orders=walked.orders,
            cancels=walked.cancels,
            fills=walked.fills,
            trades=walked.trades,
            safety_events=(),
        )

    def _gap_alerts(self) -> list[Alert]:
        monitor, nothing = Monitor(), (None,) * len(self.markets)
        found = gaps(self.markets, nothing, self.quiet)
        return [one for gap in found for one in monitor.missed_bars(*gap)]

    def _resolve(self, table: CandidateTable) -> OutcomeTable:
        """Resolve the outcome of every candidate, symbol by symbol."""
        ticks = self.tick_size or (None,) * len(self.markets)
        if len(self.markets) == 1:
            return resolve(table, self.markets[0], self.rules.costs, ticks[0])
        rows = [np.flatnonzero(table.symbol == number) for number in range(len(self.markets))]
        parts = [
            resolve(table.select(mine), bars, self.rules.costs, tick)
            for mine, bars, tick in zip(rows, self.markets, ticks, strict=True)
        ]
        back = np.argsort(np.concatenate(rows), kind="stable")
        return OutcomeTable.joined(parts).select(back)


@dataclass(frozen=True, slots=True)
class _Facts:
    """What either walk leaves; the fields are those of `RunResult`."""

    reasons: NDArray[np.int8]
    verdicts: VerdictColumns
    orders: Sequence[Order]
    cancels: Sequence[Cancel]
    fills: Sequence[Fill]
    trades: Sequence[Trade]
    safety_events: Sequence[SafetyEvent]
    consulted: ConsultedColumns = NOBODY
    inputs: Sequence[Input] = ()


class _InBulk:
    """A walk in bulk as a scribe reads it: everything is known at once."""

    inputs: tuple[Input, ...] = ()

    def __init__(self, facts: _Facts, verdict: Verdict, alerts: list[Alert]) -> None:
        asked = np.flatnonzero(facts.verdicts.asked).tolist()
        self.verdicts = [(row, verdict) for row in asked]
        self.orders, self.cancels, self.fills = facts.orders, facts.cancels, facts.fills
        self.safety_events, self._alerts = facts.safety_events, alerts

    def take_decisions(self) -> tuple[Decision, ...]:
        """No agent takes part."""
        return ()

    def take_alerts(self, reached: int) -> list[Alert]:
        """Bars that are missing; nothing else can come up."""
        taken, self._alerts = self._alerts, []
        return taken


def _walked_by(step: Step, reasons: NDArray[np.int8]) -> _Facts:
    return _Facts(
        reasons=reasons,
        verdicts=VerdictColumns.of(step.verdicts, len(reasons)),
        orders=step.orders,
        cancels=step.cancels,
        fills=step.fills,
        trades=step.ledger.trades,
        safety_events=tuple(step.safety_events),
        consulted=ConsultedColumns.joined(step.consulted or ()),
        inputs=tuple(step.inputs),
    )


def _first_true(allowed: BoolArray) -> int:
    return int(allowed.argmax()) if allowed.any() else len(allowed)

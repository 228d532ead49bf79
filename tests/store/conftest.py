"""A small run worked out by hand: every kind of ending once, two symbols; and how it is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darwin.cli.main import main
from darwin.core.account import Alert
from darwin.core.agents import Decision, Mode, Role, Why
from darwin.core.candidate import CandidateTable
from darwin.core.decision import Reason, Verdict
from darwin.core.facts import Facts, Input
from darwin.core.market import HOUR_MS, Bars, Timeframe
from darwin.core.trade import Cancel, Exit, Fill, Order, OutcomeTable, Status
from darwin.engine.marks import daily_marks
from darwin.engine.result import EquityCurve, RunResult, SafetyEvent, VerdictColumns
from darwin.engine.scribe import Scribe
from darwin.store.db import Database, connect
from darwin.store.journal import Journal
from darwin.store.runs import Begun, RunIdentity, begin_run
from darwin.trading.costs import FREE

START = 1_704_067_200_000  # 2024-01-01 00:00 UTC
NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
INF, NAN = np.inf, np.nan

IDS = [0x1111_0000_0000_0001, 0x1111_0000_0000_0002, 0xFFFF_FFFF_FFFF_FFFF, 0, 0xABCD, 0x7A]
TAKEN, SKIPPED, BLOCKED, GAPPED, HELD, NO_BAR = (f"{number:016x}" for number in IDS)


def hour(bar: int) -> int:
    """Open time of bar number `bar`."""
    return START + bar * HOUR_MS


def bars(symbol: str, count: int = 60) -> Bars:
    price = np.linspace(100.0, 130.0, count)
    time = START + HOUR_MS * np.arange(count, dtype=np.int64)
    return Bars(symbol, Timeframe.parse("1h"), time, price, price + 1, price - 1, price, price)


def fill(row: int, *, is_entry: bool, bar: int, price: float, **other: Any) -> Fill:
    plain = {
        "candidate_id": IDS[row], "row": row, "symbol": 0, "playbook": 0, "side": 1,
        "is_entry": is_entry, "time": hour(bar), "instant": bar, "phase": 0, "units": 2.0,
        "price": price, "mid_price": price, "fee_usd": 0.1, "funding_usd": 0.0,
        "reason": -1 if is_entry else int(Exit.TARGET), "stop_price": 98.0 if is_entry else NAN,
    }  # fmt: skip
    return Fill(**(plain | other))


def worked_out() -> RunResult:
    """Six candidates: taken, expert skip, position open, gapped, held to the end, no next bar."""
    m = len(IDS)
    bar = np.array([10, 11, 12, 20, 40, 59])
    orders = [
        Order(IDS[row], row, int(row == 5), 0, 1, hour(int(bar[row])), 2.0, 100.0, clipped)
        for row, clipped in ((0, "exposure"), (3, ""), (4, ""), (5, "cash"))
    ]
    return RunResult(
        symbols=("BTC/USDT", "ETH/USDT"),
        playbooks=("breakout", "breakout#2"),
        markets=(bars("BTC/USDT"), bars("ETH/USDT")),
        first_bar=(5, 5),
        candidates=CandidateTable(
            id=np.array(IDS, dtype=np.uint64),
            symbol=np.array([0, 0, 0, 0, 0, 1]),
            playbook=np.array([0, 1, 0, 0, 0, 0]),
            side=np.array([1, -1, 1, 1, 1, 1]),
            bar=bar,
            bar_time=START + HOUR_MS * bar,
            instant=bar,
            close=np.array([100.0, 101.5, 102.0, 103.0, 104.0, 105.0]),
            stop_distance=np.full(m, 2.0),
            target_distance=np.array([4.0, 4.0, 4.0, 4.0, 4.0, INF]),
            time_stop_bars=np.array([32.0, 32.0, 32.0, 32.0, 32.0, INF]),
            trail_activation_r=np.array([INF, INF, INF, INF, INF, 1.0]),
            trail_distance=np.array([INF, INF, INF, INF, INF, 2.5]),
            from_fill=np.array([False, False, False, False, False, True]),
            features=np.array([[row + 0.25, NAN if row == 1 else -0.0] for row in range(m)]),
            feature_names=("rsi_14", "return_1"),
            feature_version="1-abcd",
        ),
        reasons=np.array(
            [
                Reason.TAKEN,
                Reason.EXPERT_SKIP,
                Reason.POSITION_OPEN,
                Reason.GAPPED,
                Reason.TAKEN,
                Reason.NO_NEXT_BAR,
            ],
            dtype=np.int8,
        ),
        verdicts=VerdictColumns(
            asked=np.array([True, True, False, True, True, True]),
            take=np.array([True, False, False, True, True, True]),
            confidence=np.array([0.61, 0.3, NAN, 0.5, 1.0, 0.0]),
            quality=np.array([0.5, 0.25, NAN, 0.5, 0.5, 0.5]),
            cost_usd=np.array([0.01, 0.01, NAN, 0.01, 0.01, 0.01]),
            flags={1: ("thin volume", 'odd "name" é')},
        ),
        outcomes=OutcomeTable(
            status=np.array(
                [
                    Status.RESOLVED,
                    Status.RESOLVED,
                    Status.RESOLVED,
                    Status.GAPPED,
                    Status.UNRESOLVED,
                    Status.UNRESOLVED,
                ],
                dtype=np.int8,
            ),
            entry_bar=np.array([11, 12, 13, 21, 41, -1]),
            entry_price=np.array([100.0, 101.0, 102.0, NAN, 104.0, NAN]),
            stop_price=np.array([98.0, 103.0, 100.0, NAN, 102.0, NAN]),
            target_price=np.array([104.0, 97.0, INF, NAN, 108.0, NAN]),
            exit_bar=np.array([15, 16, 17, -1, -1, -1]),
            exit_price=np.array([104.0, 103.0, 101.0, NAN, NAN, NAN]),
            exit_reason=np.array([1, 0, 3, -1, -1, -1], dtype=np.int8),
            exit_phase=np.array([1, 1, 0, -1, -1, -1], dtype=np.int8),
            ambiguous=np.array([False, True, False, False, False, False]),
            funding=np.array([0.5, 0.0, 0.0, 0.0, 0.0, 0.0]),
            r=np.array([1.95, -1.05, -0.5, NAN, NAN, NAN]),
        ),
        orders=orders,
        cancels=[
            Cancel(orders[1], hour(21), 21, int(Reason.GAPPED)),
            Cancel(orders[3], hour(59), 59, int(Reason.NO_NEXT_BAR)),
        ],
        fills=[
            fill(0, is_entry=True, bar=11, price=100.0),
            fill(0, is_entry=False, bar=15, price=104.0, phase=1, funding_usd=0.3),
            fill(4, is_entry=True, bar=41, price=104.0, stop_price=102.0),
            fill(4, is_entry=False, bar=59, price=103.0, phase=2, reason=int(Exit.END_OF_RUN)),
        ],
        trades=[],
        safety_events=[
            SafetyEvent(hour(30), "daily_loss", "-5.1 %"),
            SafetyEvent(hour(31), "reducing", "drawdown"),
        ],
        equity=EquityCurve(
            time=START + HOUR_MS * np.arange(60, dtype=np.int64),
            equity=10_000.0 + np.arange(60),
            exposure=np.arange(60) * 2.0,
            positions=np.arange(60) % 3,
        ),
        starting_equity_usd=10_000.0,
        costs=FREE,
    )


def no_candidates() -> RunResult:
    """The same market in which nothing happened."""
    run, none = worked_out(), np.zeros(0, dtype=np.int64)
    return replace(
        run,
        candidates=run.candidates.select(none),
        outcomes=run.outcomes.select(none),
        reasons=run.reasons[:0],
        verdicts=VerdictColumns(
            asked=np.zeros(0, dtype=np.bool_),
            take=np.zeros(0, dtype=np.bool_),
            confidence=np.zeros(0),
            quality=np.zeros(0),
            cost_usd=np.zeros(0),
            flags={},
        ),
        orders=[],
        cancels=[],
        fills=[],
        safety_events=[],
    )


def identity(run_id: str = "one", **other: Any) -> RunIdentity:
    plain = {
        "mode": "replay",
        "config_json": '{"limits": {"max_orders_per_bar": 5}, "run_id": "one"}',
        "config_digest": "c" * 64,
        "data_digest": "d" * 64,
        "code_version": "0.1.0",
        "symbols": ("BTC/USDT", "ETH/USDT"),
        "feature_names": ("rsi_14", "return_1"),
    }
    return RunIdentity(run_id=run_id, **(plain | other))


@dataclass
class Collected:
    """A journal that keeps nothing: it remembers what it was handed."""

    pieces: list[Facts]

    def due(self) -> bool:
        return False

    def append(self, facts: Facts) -> None:
        self.pieces.append(facts)


@dataclass
class Walked:
    """A run that is over, as a scribe reads it."""

    verdicts: Sequence[tuple[int, Verdict]]
    orders: Sequence[Order]
    cancels: Sequence[Cancel]
    fills: Sequence[Fill]
    safety_events: Sequence[SafetyEvent]
    inputs: Sequence[Input]
    decisions: Sequence[Decision] = ()
    alerts: Sequence[Alert] = ()

    def take_decisions(self) -> Sequence[Decision]:
        return self.decisions

    def take_alerts(self, reached: int = 0) -> Sequence[Alert]:
        return self.alerts


UNANSWERED = [
    Decision(row, agent, Role.SERVING, Mode.OBSERVE, None, None, 1.0, 1.0, False, Why.NO_MODEL,
             None, "5" * 64, b"\0" * 8, 0)
    for row, agent in ((0, "gate"), (0, "portfolio"), (3, "gate"))
]  # fmt: skip
"""Agents that were asked and had no model."""
RAISED = [
    Alert(hour(31), "drawdown", "", "equity fell"),
    Alert(hour(31), "breaker opened", "gate", "5"),
]


def facts_of(run: RunResult, inputs: Sequence[Input] = ()) -> Facts:
    """All facts of a run, as they are handed over at its end."""
    said = run.verdicts
    verdicts = [
        (row, Verdict(bool(said.take[row]), said.confidence[row].item(), said.quality[row].item(),
                      said.flags.get(row, ()), said.cost_usd[row].item()))
        for row in np.flatnonzero(said.asked).tolist()
    ]  # fmt: skip
    decisions, alerts = (UNANSWERED, RAISED) if len(run.candidates) else ([], [])
    walked = Walked(
        verdicts, run.orders, run.cancels, run.fills, run.safety_events, inputs, decisions, alerts
    )
    journal = Collected([])
    scribe = Scribe(journal, walked, run.reasons, run.candidates, run.outcomes, run.markets)
    scribe.finish(int(run.equity.time[-1]))
    (facts,) = journal.pieces
    return facts


def keep(database: Database, begun: Begun, run: RunResult) -> None:
    """Hand a run that is over to its journal."""
    journal = Journal(database, begun, run.playbooks)
    journal.append(facts_of(run))
    journal.finish(daily_marks(run.equity))


def record(path: Path, run: RunResult, run_id: str = "one", *, at: datetime = NOW) -> None:
    """Begin a run and keep all of it."""
    with connect(path) as database:
        keep(database, begin_run(database, identity(run_id), at=at), run)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a deployment below `tmp_path` has its database."""
    return tmp_path / "artifacts" / "rl_state" / "agent_state.sqlite"


@pytest.fixture
def recorded(path: Path) -> Path:
    """A database that holds the worked-out run under the name `one`."""
    record(path, worked_out())
    return path


@pytest.fixture
def darwin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Call `darwin` in a fresh working directory; gives exit code, standard output and error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DARWIN__ARTIFACTS_DIR", raising=False)
    monkeypatch.delenv("DARWIN_DEBUG", raising=False)

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["darwin", *words])
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return call

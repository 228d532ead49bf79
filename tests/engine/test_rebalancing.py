"""The walk of a book: what agents see, what is told to the journal, what the books come to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from darwin.core.agents import Mode, Model, Role, Standing, Why
from darwin.core.book_facts import BookFacts
from darwin.core.facts import ALLOWED, KILLED, RELEASE, STANDING, TABLES, Input, Subject
from darwin.core.market import FloatArray, Timeframe
from darwin.core.panel import Panel
from darwin.core.rebalance import BookAdvice, BookState, rebalance_id
from darwin.engine.book_run import BookPlan, BookResult, BookRules
from darwin.engine.consult import TermsOfBook
from darwin.engine.rebalancing import BookWalk
from darwin.engine.seat import BookTerms
from darwin.trading.book import walk
from darwin.trading.book_limits import BookLimits
from darwin.trading.limits import Limits

HOUR = 3_600_000
OURS, NEXT = Model("v1", "a" * 64), Model("v2", "b" * 64)
FREE = Limits(max_daily_loss_fraction=None, max_drawdown_fraction=None)
COST = 0.001


@dataclass(frozen=True)
class Page:
    """Sees the last close of each asset, what is held, and what that has come to."""

    assets: int = 2
    name: str = "allocator"
    schema: str = "s" * 64
    warmup: int = 3

    def columns(self, panel: Panel) -> NDArray[np.float32]:
        return np.log(panel.close).astype(np.float32)

    def moment(self, book: BookState) -> tuple[float, ...]:
        return (*book.weights, book.value, book.drawdown)

    def is_legal(self, action: tuple[float, ...]) -> bool:
        return len(action) == self.assets

    def target(self, action: tuple[float, ...]) -> FloatArray:
        return np.array(action)

    def baseline(self, book: BookState) -> FloatArray:
        return np.full(self.assets, 0.5)


@dataclass(frozen=True)
class Same:
    name: str
    weights: tuple[float, ...]

    def target(self, book: BookState) -> FloatArray:
        return np.array(self.weights)


@dataclass
class Policy:
    """Says what it is told to, and keeps what it saw."""

    says: Callable[[NDArray[np.float32]], tuple[float, ...]]
    seen: list[NDArray[np.float32]] = field(default_factory=list)

    def strangeness(self, observation: NDArray[np.float32]) -> float:
        return 0.0

    def advise(self, observation: NDArray[np.float32]) -> BookAdvice:
        self.seen.append(observation)
        return BookAdvice(self.says(observation), None)


@dataclass
class Policies:
    held: dict[Model, Policy]

    def policy(self, agent: str, model: Model) -> Policy:
        return self.held[model]


@dataclass
class Told:
    """Inputs by the row of their rebalance."""

    by_row: dict[int, list[Input]]

    def before(self, candidate: Subject) -> Iterable[Input]:
        at = (candidate.row, candidate.id, candidate.bar_time)
        return [one._replace(row=at[0], candidate_id=at[1], time=at[2])
                for one in self.by_row.get(candidate.row, [])]  # fmt: skip


@dataclass
class Journal:
    """Is due as told, and keeps the pieces."""

    often: bool
    pieces: list[BookFacts] = field(default_factory=list)

    def due(self) -> bool:
        return self.often

    def append(self, facts: BookFacts) -> None:
        self.pieces.append(facts)


def panel(bars: int = 60, seed: int = 1, assets: int = 2) -> Panel:
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0, 0.02, (bars, assets)), axis=0))
    opened = np.vstack([close[:1], close[:-1]]) * np.exp(rng.normal(0, 0.002, (bars, assets)))
    high, low = np.maximum(opened, close) * 1.001, np.minimum(opened, close) * 0.999
    funding = np.where(rng.random((bars, assets)) < 0.2, 1e-4, 0.0)
    names = tuple(f"A{i}/USD" for i in range(assets))
    time = 1_700_006_400_000 + HOUR * np.arange(bars)
    return Panel(names, Timeframe.parse("1h"), time, opened, high, low, close, funding)


def standing(stage: float = 0.0, **more: object) -> Input:
    told = Standing("allocator", OURS, promoted=stage > 0, stage=stage, **more)  # type: ignore[arg-type]
    return Input(0, 0, 0, STANDING, "registry", "", "allocator", told.text())


def made(
    bars: Panel,
    policies: dict[Model, Policy],
    by_row: dict[int, list[Input]],
    *,
    every: int = 4,
    limits: Limits = FREE,
    journal: Journal | None = None,
) -> BookResult:
    page = Page()
    half = Same("half", (0.5, 0.5))
    plan = BookPlan(
        bars, page, TermsOfBook((BookTerms(page, may_act=True),), Policies(policies)),
        BookRules(1_000.0, COST, limits, BookLimits()), (half,), half, every,
    )  # fmt: skip
    return BookWalk(plan, journal, Told(by_row)).run()


def tilt(seen: NDArray[np.float32]) -> tuple[float, ...]:
    return (0.7, 0.1)


def test_every_book_is_what_a_plain_walk_makes_of_its_targets() -> None:
    bars = panel(58)  # the last holding is not over
    found = made(bars, {OURS: Policy(tilt)}, {0: [standing(0.25)]})
    rows = found.rows
    assert rows[-1] < len(bars) - 2
    for value, targets in (
        (found.value, [one.final for one in found.rebalances]),
        (found.advised, [(0.7, 0.1)] * len(rows)),
        (found.baselines[0], [(0.5, 0.5)] * len(rows)),
    ):
        assert_array_equal(value, walk(bars, rows, np.array(targets), COST).value)
    for i, one in enumerate(found.holdings):
        start, end = rows[i], rows[i + 1]
        assert one.known_time == bars.time[end]
        assert one.book_return == pytest.approx(found.value[end] / found.value[start] - 1.0)
        assert one.advised_return == pytest.approx(found.advised[end] / found.advised[start] - 1.0)
    assert len(found.holdings) == len(rows) - 1


def test_rebalances_stand_at_whole_multiples_of_their_pace() -> None:
    found = made(panel(), {OURS: Policy(tilt)}, {0: [standing()]}, every=6)
    closes = found.plan.panel.time[found.rows] + HOUR
    assert set(closes % (6 * HOUR)) == {0}
    later = made(panel().slice(5, 60), {OURS: Policy(tilt)}, {0: [standing()]}, every=6)
    ids = {one.at.id for one in found.rebalances}
    assert {one.at.id for one in later.rebalances} <= ids
    assert found.rebalances[0].at.id == rebalance_id(
        ("A0/USD", "A1/USD"), found.rebalances[0].at.bar_time
    )


@pytest.mark.parametrize("stage", [0.0, 0.01, 1.0])
def test_an_agent_sees_the_book_of_its_own_advice_at_every_stage(stage: float) -> None:
    bars, policy = panel(), Policy(tilt)
    found = made(bars, {OURS: policy}, {0: [standing(stage)]})
    shadow = walk(bars, found.rows, np.tile([0.7, 0.1], (len(found.rows), 1)), COST)
    for row, seen in zip(found.rows, policy.seen, strict=True):
        due = (*shadow.weights[row], shadow.value[row])
        assert seen[2:5] == pytest.approx(due, rel=1e-6)
    assert {one.followed for one in found.rebalances} == {stage > 0.0}
    if stage == 1.0:
        assert {one.final for one in found.rebalances} == {(0.7, 0.1)}


def test_a_kill_lets_the_baseline_stand_until_it_is_over() -> None:
    kill = Input(0, 0, 0, KILLED, "Ada", "stop")
    allow = Input(0, 0, 0, ALLOWED, "Ada", "go")
    policy = Policy(tilt)
    found = made(panel(), {OURS: policy}, {0: [standing(1.0)], 3: [kill], 6: [allow]})
    whys = [one.why for one in found.rebalances]
    assert whys[3:6] == [Why.KILLED] * 3
    assert set(whys[:3] + whys[6:]) == {Why.ACTIVE}
    for one in found.rebalances[3:6]:
        assert (one.action, one.advised, one.final) == (None, None, (0.5, 0.5))
    assert len(policy.seen) == len(whys) - 3


def test_a_challenger_holds_a_book_of_its_own_that_never_stands() -> None:
    other = Policy(lambda seen: (0.0, 0.9))
    found = made(panel(), {OURS: Policy(tilt), NEXT: other}, {0: [standing(1.0, challenger=NEXT)]})
    mine = [one for one in found.rebalances if one.role is Role.SERVING]
    beside = [one for one in found.rebalances if one.role is Role.CHALLENGER]
    assert {one.final for one in mine} == {(0.7, 0.1)}
    assert {(one.why, one.mode, one.model) for one in beside} == {
        (Why.CHALLENGER, Mode.OBSERVE, NEXT)
    }
    shadow = walk(found.plan.panel, found.rows, np.tile([0.0, 0.9], (len(mine), 1)), COST)
    for row, seen in zip(found.rows, other.seen, strict=True):
        assert seen[4] == pytest.approx(shadow.value[row], rel=1e-6)
    held = [one for one in found.holdings if one.role is Role.CHALLENGER]
    assert {(one.book_return, one.cost) for one in held} == {(None, None)}


def test_a_fall_is_noticed_within_a_holding_and_a_person_lifts_it() -> None:
    strict = Limits(max_daily_loss_fraction=None, max_drawdown_fraction=0.02)
    release = Input(0, 0, 0, RELEASE, "Ada", "looked at it")
    journal = Journal(often=True)
    found = made(
        panel(120), {OURS: Policy(tilt)}, {0: [standing()], 20: [release]}, limits=strict,
        journal=journal,
    )  # fmt: skip
    kinds = [event.kind for event in found.safety_events]
    assert kinds[:2] == ["reducing", "resumed"]
    fell, lifted = found.safety_events[:2]
    assert fell.time not in found.plan.panel.time[found.rows]
    assert lifted.time == found.rebalances[20].at.bar_time
    for one in found.rebalances:
        if fell.time <= one.at.bar_time < lifted.time:
            assert (one.final, one.limited_by) == ((0.0, 0.0), "drawdown")
    assert found.rebalances[20].final == (0.5, 0.5)


def facts(often: bool) -> tuple[Journal, list[tuple[str, object]]]:
    """All that is told of a run in which an agent fails and the account falls, in its order."""
    journal = Journal(often)
    strict = Limits(max_daily_loss_fraction=0.01, max_drawdown_fraction=0.02)
    failing = Policy(lambda seen: (float("nan"), 0.0))
    made(panel(120), {OURS: failing}, {0: [standing()]}, limits=strict, journal=journal)
    told = []
    for piece in journal.pieces:
        for kind, number in zip(*piece.order(), strict=True):
            rows = {
                "inputs": piece.inputs, "safety_events": piece.safety_events,
                "rebalances": piece.rebalances, "holdings": piece.holdings,
            }[TABLES[kind]]  # fmt: skip
            told.append((TABLES[kind], rows[number]))
    return journal, told


def test_all_facts_are_told_once_in_one_order_however_often() -> None:
    (one, at_once), (many, by_and_by) = facts(often=False), facts(often=True)
    assert (len(one.pieces), len(many.pieces) > 5) == (1, True)
    assert at_once == by_and_by
    assert len(at_once) == sum(map(len, one.pieces))
    reached = [piece.reached for piece in many.pieces]
    assert reached == sorted(reached)
    kinds = {event.kind for table, event in at_once if table == "safety_events"}  # type: ignore[attr-defined]
    assert {"breaker_opened", "daily_loss", "reducing"} <= kinds


def test_a_ruined_book_stays_at_nothing() -> None:
    bars = panel()
    bars.close[20:], bars.open[21:] = 1e-9, 1e-9
    found = made(bars, {OURS: Policy(lambda seen: (1.0, 0.0))}, {0: [standing(1.0)]})
    assert np.isfinite(found.value).all()
    assert found.value[-1] < 1e-6

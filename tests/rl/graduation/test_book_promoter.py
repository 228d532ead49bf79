"""Who watches the agent of a book: what it says while the run goes on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from bench import book_graduation as world
from darwin.core.agents import Mode, Role, Standing, Why
from darwin.core.book_facts import Held, Rebalance, Rebalanced
from darwin.core.facts import KILLED, STANDING, Input
from darwin.core.market import DAY_MS, FloatArray
from darwin.core.rebalance import ALLOCATOR
from darwin.rl.graduation.book_promoter import BookPromoter
from darwin.rl.graduation.checklist import State, Validation
from darwin.rl.graduation.contract import contracts_in
from darwin.rl.graduation.enacted import Place
from darwin.rl.graduation.promoter import Post
from darwin.rl.graduation.record import read_record
from darwin.store.db import Database, connect

OURS = world.contract(ALLOCATOR, world.FIRST_VERSION).terms.model
EQUAL = np.full(world.ASSETS, 1.0 / world.ASSETS)


class Run:
    """One replay of a book: what it was told, and what came back."""

    def __init__(self, database: Database, *, mode: str = "auto", valid: State = State.PASSED):
        self.database, self.standing = database, Standing(ALLOCATOR, OURS)
        place = Place(
            database=database, run_id="one", number=1, scope="run:one", playbooks=(),
            risk_per_trade=1.0, now=lambda: datetime.now(UTC), held_ms=None, take_over=None,
        )  # fmt: skip
        terms = world.contract(ALLOCATOR, world.FIRST_VERSION).terms
        acts = mode in ("active", "auto")
        post = Post(acts, mode == "auto", lambda model: terms, lambda model: Validation(valid))
        self.promoter = BookPromoter(place, {ALLOCATOR: post})
        self.said: list[tuple[int, Standing, str]] = []
        self._hear(Input(0, 0, 0, STANDING, "registry", "", ALLOCATOR, self.standing.text()))

    def _hear(self, one: Input) -> None:
        self.promoter.heard(one)
        self.standing = Standing.read(one.detail)

    def _hear_kill(self, time: int) -> None:
        self.promoter.heard(Input(0, 0, time, KILLED, "Ada", "stop"))

    def walk(self, seen: world.Market, weights: FloatArray, first: int = 0) -> Run:
        """Tell all days as a run does: before each decision what is due, then what came of it."""
        equal = world.net(seen.returns, np.broadcast_to(EQUAL, weights.shape))
        mine = world.net(seen.returns, weights)
        for i in range(len(weights)):
            day = first + i
            at = Rebalance(day, day, day * DAY_MS)
            for one in self.promoter.look(at):
                self._hear(one)
                self.said.append((day, self.standing, one.reason))
            advised = tuple(weights[i].tolist())
            told = Rebalanced(
                at, ALLOCATOR, Role.SERVING, Mode.OBSERVE, (*advised, 0.0), None, advised,
                tuple(EQUAL), tuple(EQUAL), "", False, Why.OBSERVE, OURS, "0" * 64, b"", 0,
            )  # fmt: skip
            self.promoter.rebalanced([told])
            assets = tuple(seen.returns[i].tolist())
            held = Held(
                at, ALLOCATOR, Role.SERVING, (day + 1) * DAY_MS, float(mine[i]),
                (float(equal[i]),), assets, 0.0, 0.0, 0.0,
            )  # fmt: skip
            self.promoter.held([held], [OURS])
        return self


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return connect(tmp_path / "state.sqlite")


def skilled(seed: int = 1, days: int = 300) -> tuple[world.Market, FloatArray]:
    rng = np.random.default_rng(seed)
    seen = world.market(rng, days, world.ASSETS, 0.001, 0.6)
    return seen, world.SKILLED[ALLOCATOR](rng, seen)


def test_one_with_skill_is_promoted_within_its_replay(database: Database) -> None:
    run = Run(database).walk(*skilled())
    day, standing, reason = run.said[0]
    assert standing.promoted
    assert standing.stage == 0.01
    assert "has graduated" in reason
    assert day >= 100  # not before the least of decisions
    (act, *_) = read_record(database, ALLOCATOR).acts
    assert (str(act.kind), act.scope, act.by) == ("promoted", "run:one", "darwin")
    with database.read() as connection:
        [contract] = contracts_in(connection, ALLOCATOR)
    assert act.detail["contract"] == contract.terms.digest


def test_one_that_has_lost_its_skill_acts_no_longer(database: Database) -> None:
    run = Run(database).walk(*skilled())
    assert run.standing.promoted
    seen, _ = skilled(2, 300)
    turned = world.shares(-1.5 * seen.hint)  # it now wants what falls
    run.walk(seen, turned, first=300)
    assert not run.standing.promoted
    assert run.said[-1][0] < 300 + 60
    assert "hard detector" in run.said[-1][2] or "has fallen" in run.said[-1][2]


def test_a_kill_takes_capital_back_once(database: Database) -> None:
    run = Run(database).walk(*skilled())
    for day in (300, 301):  # a person gives it a quarter again, the day after
        quarter = replace(run.standing, stage=0.25)
        run._hear(Input(0, 0, day * DAY_MS, STANDING, "Ada", "", ALLOCATOR, quarter.text()))
        if day == 300:
            run._hear_kill(day * DAY_MS)
        seen, weights = skilled(3, 1)
        run.walk(seen, weights, first=day)
        assert run.standing.stage == (0.01 if day == 300 else 0.25)


@pytest.mark.parametrize("mode", ["observe", "active"])
def test_only_in_mode_auto_is_anyone_promoted(database: Database, mode: str) -> None:
    assert Run(database, mode=mode).walk(*skilled()).said == []


def test_a_model_that_is_not_validated_is_not_promoted(database: Database) -> None:
    assert Run(database, valid=State.MISSING).walk(*skilled()).said == []


def test_a_constant_tilt_is_never_promoted(database: Database) -> None:
    """Its asset rises each day, so that the tilt pays well, and is no skill."""
    seen, _ = skilled()
    rising = world.Market(seen.returns + np.eye(world.ASSETS)[0] * 0.01, seen.hint)
    weights = np.tile(0.6 * np.eye(world.ASSETS)[0] + 0.08, (300, 1))
    run = Run(database).walk(rising, weights)
    assert run.said == []
    (trial,) = run.promoter._trials.values()
    assert trial.tracks["utility"].crossed is not None


def test_one_that_is_stopped_and_begun_again_says_the_same(tmp_path: Path) -> None:
    whole = Run(connect(tmp_path / "a.sqlite")).walk(*skilled())
    database = connect(tmp_path / "b.sqlite")
    seen, weights = skilled()
    Run(database).walk(world.Market(seen.returns[:200], seen.hint[:200]), weights[:200])
    again = Run(database).walk(seen, weights)
    assert again.said == whole.said
    acts = [(act.kind, act.detail["bar_time"]) for act in read_record(database, ALLOCATOR).acts]
    assert len(set(acts)) == len(acts) == len(whole.said)

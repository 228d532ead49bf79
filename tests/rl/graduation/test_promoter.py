"""Who watches the agents of a run: told decisions and what came of them, it says what follows."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from darwin.core.account import SafetyEvent
from darwin.core.agents import (
    GATE,
    META_LEARNER,
    PORTFOLIO,
    Decision,
    Mode,
    Model,
    Role,
    Standing,
    Why,
)
from darwin.core.candidate import Candidate
from darwin.core.facts import ALLOWED, KILLED, STANDING, Input
from darwin.core.market import DAY_MS
from darwin.rl.graduation.checklist import State, Validation
from darwin.rl.graduation.contract import contract_in, contracts_in
from darwin.rl.graduation.enacted import Place
from darwin.rl.graduation.promoter import Post, Promoter
from darwin.rl.graduation.record import DEPLOYMENT, read_record
from darwin.safety.circuit import Transition
from darwin.safety.overrides import STORM
from darwin.store.db import connect
from tests.rl.graduation.trials import chance, contract

OURS, NEXT = Model("v1", "a" * 64), Model("v2", "b" * 64)
SOUND = Validation(State.PASSED)
BASELINE = {GATE: 1.0, META_LEARNER: 0.0, PORTFOLIO: 1.0}


class Run:
    """One agent of a replay, and the world around it."""

    def __init__(self, path, agent=GATE, *, mode="auto", validation=SOUND, challenger=None):
        self.database = connect(path)
        self.agent, self.row, self.time = agent, 0, 0
        self.standing = Standing(agent, OURS, challenger=challenger)
        self.waiting, self.said = [], []
        self.post = Post(
            mode in ("active", "auto"), mode == "auto", self.terms, lambda model: validation
        )
        self.begin()
        self.tell([Input(0, 0, 0, STANDING, "registry", "", agent, self.standing.text())])

    def begin(self, scope="run:one"):
        place = Place(
            database=self.database, run_id="one", number=1, scope=scope,
            playbooks=("breakout",), risk_per_trade=0.005, now=lambda: datetime.now(UTC),
            held_ms=None, take_over=None,
        )  # fmt: skip
        self.promoter = Promoter(place, {self.agent: self.post})

    def terms(self, model):
        plain = contract(self.agent).terms
        return replace(plain, version=model.version, manifest_sha256=model.sha256)

    def tell(self, inputs):
        for one in inputs:
            self.promoter.heard(one)
            if one.kind == STANDING:
                self.standing = Standing.read(one.detail)
                self.said.append((self.time, one.reason, self.standing))

    def go(self, pairs, model=OURS, role=Role.SERVING):
        """Candidates of a stream, one after the other."""
        for entry, outcome in pairs:
            self.time = entry.bar_time
            self.waiting.sort()
            while self.waiting and self.waiting[0][0] <= entry.bar_time:
                known, row, r = self.waiting.pop(0)
                self.promoter.settled(row, r, known)
            candidate = Candidate(
                int(entry.key, 16), self.row, 0, 0, 1, entry.bar_time, 0, 1.0, 1.0, 2.0
            )
            self.tell(self.promoter.look(candidate))
            decision = Decision(
                self.row, self.agent, role, Mode.OBSERVE, entry.action, None,
                BASELINE[self.agent], 1.0, False, Why.OBSERVE, model, "s", b"", 0,
            )  # fmt: skip
            self.promoter.decided(candidate, [decision], bool(entry.take))
            self.waiting.append((outcome.known_ms, self.row, outcome.r))
            self.row += 1

    def note(self, kind, detail="", agent=GATE):
        self.promoter.noted(SafetyEvent(self.time, kind, detail, -1, agent))

    def open_breaker(self):
        told = Transition.opened(self.time + DAY_MS, "it fell over")
        self.note(told.kind, told.detail)


@pytest.fixture
def run(tmp_path):
    run = Run(tmp_path / "state.sqlite")
    yield run
    run.database.close()


def skilled(agent=GATE, n=2500, seed=1, skill=0.5):
    return list(chance(agent, seed, n, skill))


@pytest.mark.parametrize("agent", [GATE, META_LEARNER, PORTFOLIO])
def test_skill_promotes_and_climbs_to_the_top(tmp_path, agent):
    run = Run(tmp_path / "state.sqlite", agent)
    run.go(skilled(agent, 4000))
    stages = [standing.stage for _, _, standing in run.said]
    assert stages == [0.0, 0.01, 0.05, 0.10, 0.25, 0.50, 1.0]
    times = [time for time, *_ in run.said[1:]]
    assert all(b - a >= 7 * DAY_MS for a, b in pairwise(times))
    assert read_record(run.database, agent).promotion is None, "of the replay alone"


@pytest.mark.parametrize("mode", ["observe", "active"])
def test_only_in_auto_does_evidence_promote(tmp_path, mode):
    run = Run(tmp_path / "state.sqlite", mode=mode)
    run.go(skilled())
    assert len(run.said) == 1
    assert read_record(run.database, GATE).acts == ()


@pytest.mark.parametrize("state", [State.MISSING, State.REFUTED])
def test_a_model_that_is_not_valid_is_not_promoted(tmp_path, state):
    run = Run(tmp_path / "state.sqlite", validation=Validation(state, "told"))
    run.go(skilled())
    assert len(run.said) == 1


def test_no_skill_no_promotion(run):
    run.go(list(chance(GATE, 2, 3000)))
    assert len(run.said) == 1


class TestLowered:
    """At once, whatever the evidence says."""

    @pytest.fixture
    def high(self, run):
        run.pairs = skilled(GATE, 4000)
        while run.standing.stage < 0.25:
            run.go([run.pairs.pop(0)])
        return run

    def test_a_kill(self, high):
        high.promoter.heard(Input(0, 0, high.time, KILLED, "Ada", "a test"))
        high.go([high.pairs.pop(0)])
        assert (high.standing.promoted, high.standing.stage) == (True, 0.01)
        assert "kill switch" in high.said[-1][1]
        high.promoter.heard(Input(0, 0, high.time, ALLOWED, "Ada", "a test"))
        high.go([high.pairs.pop(0)])
        assert high.standing.stage == 0.01

    def test_an_open_breaker(self, high):
        high.open_breaker()
        high.go([high.pairs.pop(0)])
        assert (high.standing.promoted, high.standing.stage) == (True, 0.01)
        assert "breaker" in high.said[-1][1]

    def test_a_breaker_that_stays_open_demotes(self, high):
        for _ in range(5):
            high.open_breaker()
        high.go([high.pairs.pop(0)])
        assert (high.standing.promoted, high.standing.stage) == (False, 0.0)
        assert "5 times in a row" in high.said[-1][1]

    def test_a_storm_of_overrides_demotes(self, high):
        high.note(STORM, "21 of 30")
        high.go([high.pairs.pop(0)])
        assert (high.standing.promoted, high.standing.stage) == (False, 0.0)
        assert "21 of 30" in high.said[-1][1]

    def test_a_fall_of_the_account(self, high):
        high.note("reducing", "-25 %", agent="")
        high.go([high.pairs.pop(0)])
        assert (high.standing.promoted, high.standing.stage) == (True, 0.01)
        assert "-25 %" in high.said[-1][1]

    def test_it_is_on_record_with_the_bar_of_it(self, high):
        high.open_breaker()
        high.go([high.pairs.pop(0)])
        act = read_record(high.database, GATE).acts[-1]
        assert (act.stage, act.scope, act.by) == (0.01, "run:one", "darwin")
        assert act.detail["bar_time"] == high.time

    def test_from_there_it_climbs_again_stage_by_stage(self, high):
        high.open_breaker()
        high.go([high.pairs.pop(0)])
        high.note("breaker_success", "")
        high.note("breaker_closed", "")
        lowered = high.time
        while high.standing.stage < 0.05:
            high.go([high.pairs.pop(0)])
        assert high.time - lowered >= 7 * DAY_MS


def test_an_edge_that_turns_is_demoted_and_starts_a_new_trial(run):
    run.go(skilled(GATE, 3000))
    assert run.standing.stage == 1.0
    turned = [
        (entry._replace(key=f"{at + 9_000_000:016x}", bar_time=entry.bar_time + run.time),
         outcome._replace(known_ms=outcome.known_ms + run.time))
        for at, (entry, outcome) in enumerate(
            (e._replace(bar_time=e.bar_time - skilled(n=1)[0][0].bar_time),
             o._replace(known_ms=o.known_ms - skilled(n=1)[0][0].bar_time))
            for e, o in chance(GATE, 8, 3000, -0.5)
        )
    ]  # fmt: skip
    began = run.time
    run.go(turned)
    demoted = next(time for time, _, standing in run.said if time > began and not standing.promoted)
    assert (demoted - began) / DAY_MS < 60
    assert (run.standing.promoted, run.standing.stage) == (False, 0.0)
    with run.database.read() as connection:
        first, second = contracts_in(connection, GATE)
    assert second.entered_ms == demoted
    assert second.since_ms > first.since_ms


def test_a_challenger_that_graduates_takes_the_place(tmp_path):
    run = Run(tmp_path / "state.sqlite", challenger=NEXT)
    run.go(skilled(), model=NEXT, role=Role.CHALLENGER)
    first = run.said[1]
    assert (first[2].serving, first[2].challenger) == (NEXT, None)
    assert (first[2].promoted, first[2].stage) == (True, 0.01)
    with run.database.read() as connection:
        assert contract_in(connection, GATE, NEXT, "run:one") is not None


def test_what_an_act_rests_on_is_json_with_the_contract(run):
    run.go(skilled())
    act = read_record(run.database, GATE).acts[0]
    told = json.loads(json.dumps(act.detail))
    assert told["contract"] == contract(GATE).terms.digest
    assert told["evidence"]["skill"]["log_e"] >= told["evidence"]["skill"]["log_needed"]
    assert act.scope != DEPLOYMENT

"""Twins: what a run would have been without agents, and with each of them alone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darwin.core.account import Account
from darwin.core.agents import AGENTS, KEEP, PASS, SKIP, STAGES, Why
from darwin.core.candidate import Candidate
from darwin.core.decision import Reason, Verdict
from darwin.core.facts import LATE, RELEASE, TIMEOUT
from darwin.core.market import FloatArray
from darwin.engine import twins as twins_module
from darwin.engine.result import RunResult
from darwin.engine.session import Session
from darwin.engine.twins import TwinsExpert, twins_of, walk_again
from darwin.errors import DataError
from tests.engine.doors import (
    GATE,
    META_LEARNER,
    ONE,
    PORTFOLIO,
    TWO,
    Script,
    always,
    seated,
    standing,
    terms,
    whimsical_policy,
)  # fmt: skip
from tests.engine.test_agents_walk import Moody, market
from tests.engine.worlds import NO_LIMITS

ALL = {agent: whimsical_policy(agent) for agent in AGENTS}


def acting(script: Script, session: Session | None = None, **policies: Any) -> tuple[Any, ...]:
    """A run of agents that may act, with the session that came to it."""
    seated_there = replace(
        session or market(), agents=terms(policies or ALL, max_override_rate=1.0)
    )
    return seated_there, seated_there.run(inputs=script)


def twins(session: Session, result: RunResult, *, asks_nobody: bool = True) -> Any:
    assert session.agents is not None
    return twins_of(session, result, session.agents, asks_nobody=asks_nobody)


def account(result: RunResult) -> tuple[Any, ...]:
    """All that an account did, to the last bit."""
    return (
        list(result.orders), list(result.cancels), list(result.fills), list(result.trades),
        result.equity.equity.tolist(), result.reasons.tolist(),
    )  # fmt: skip


def only(script: Script, agent: str) -> Script:
    """The same outside world, but that no other agent was ever promoted."""
    copied = Script({})
    for row, told in script.by_row.items():
        for kind, name, detail in told:
            if kind == "standing" and name != agent:
                copied.stand(row, standing(name, promoted=False))
            else:
                copied.by_row.setdefault(row, []).append((kind, name, detail))
    return copied


@pytest.mark.parametrize("stage", [0.01, 0.25, 1.0])
def test_without_agents_the_twin_is_the_run_that_never_had_any(stage: float) -> None:
    session, result = acting(seated(*AGENTS, stage=stage))
    found = twins(session, result)
    assert account(found.without_agents.result) == account(market().run())
    assert account(found.without_agents.result) != account(result)


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("stage", [0.01, 1.0])
def test_alone_an_agent_does_what_it_does_beside_others_that_only_watch(
    agent: str, stage: float
) -> None:
    script = seated(*AGENTS, stage=stage)
    session, result = acting(script)
    beside_watchers = acting(only(script, agent))[1]
    assert account(twins(session, result).alone[agent].result) == account(beside_watchers)
    assert account(beside_watchers) != account(result)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), asks_nobody=st.booleans(), data=st.data())
def test_whatever_happens_outside_twins_are_the_runs_they_stand_for(
    seed: int, asks_nobody: bool, data: st.DataObject
) -> None:
    """Kills, demotions, stages, other models; agents that fail, and shut their breakers."""
    script = seated(*AGENTS, stage=data.draw(st.sampled_from(STAGES)))
    for row in data.draw(st.lists(st.integers(1, 90), max_size=6, unique=True)):
        what = data.draw(st.sampled_from(["kill", "allow", "stand"]))
        if what == "stand":
            agent, stage = data.draw(st.sampled_from(AGENTS)), data.draw(st.sampled_from(STAGES))
            serving = data.draw(st.sampled_from([ONE, TWO]))
            script.stand(row, standing(agent, stage=stage, serving=serving))
        else:
            getattr(script, what)(row)
    policies = {agent: whimsical_policy(agent, "a", 0.2) for agent in AGENTS}
    others = {agent: whimsical_policy(agent, "b", 0.2) for agent in AGENTS}
    agents = terms(policies, challengers=others, max_override_rate=0.5)
    session = replace(market(seed, bars=120), agents=agents)
    result = session.run(inputs=script)
    found = twins(session, result, asks_nobody=asks_nobody)
    each = [(found.without_agents, market(seed, bars=120).run())]
    each += [(found.alone[name], session.run(inputs=only(script, name))) for name in AGENTS]
    for twin, stands_for in each:
        if not twin.not_known:
            assert account(twin.result) == account(stands_for)
    assert not (asks_nobody and any(twin.not_known for twin, _ in each))


@pytest.mark.parametrize("agent", AGENTS)
def test_the_only_agent_that_acts_is_its_own_twin(agent: str) -> None:
    """Held against the walk that is spared."""
    session, result = acting(only(seated(*AGENTS), agent))
    found = twins(session, result)
    assert found.alone[agent].is_run
    mine = tuple(one for one in session.agents.agents if one.page.name == agent)
    expert = TwinsExpert(session.decider, None)
    walked = walk_again(session, result, session.agents, mine, expert)
    assert account(walked.result) == account(result)
    others = [found.alone[name] for name in AGENTS if name != agent]
    assert others == [found.without_agents] * 2


class Counted:
    """Counts the brokers that a session opens: one for each walk."""

    def __init__(self, session: Session) -> None:
        self.walks, self._open = 0, session.open_broker

    def __call__(self, *what: Any) -> Any:
        self.walks += 1
        return self._open(*what)


@pytest.mark.parametrize(
    ("policies", "script", "walks"),
    [
        (ALL, seated(*AGENTS, promoted=False), 0),
        (ALL, seated(*AGENTS, stage=0.0), 0),
        (ALL, seated(*AGENTS).kill(0), 0),
        ({GATE: always(PASS), META_LEARNER: always(KEEP)}, seated(GATE, META_LEARNER), 0),
        ({GATE: always(SKIP)}, seated(GATE), 1),
        (ALL, only(seated(*AGENTS), GATE), 1),
        (ALL, seated(GATE).stand(0, *(standing(name, stage=0.0) for name in AGENTS[1:])), 1),
        (ALL, seated(*AGENTS), 4),
    ],
)
def test_it_is_walked_again_only_where_an_account_may_differ(
    policies: Any, script: Script, walks: int
) -> None:
    opened = Counted(market())
    session, result = acting(script, replace(market(), open_broker=opened), **policies)
    opened.walks = 0
    found = twins(session, result)
    assert opened.walks == walks
    assert found.are_the_run == (walks == 0)
    if not walks:
        everyone = [found.without_agents, *found.alone.values()]
        assert all(twin.is_run and twin.result is result for twin in everyone)
        assert account(result) == account(market().run())


def test_sizes_that_advice_has_changed_are_counted_by_agent() -> None:
    script = seated(GATE, META_LEARNER, PORTFOLIO, stage=0.5)
    policies = {GATE: always(SKIP), META_LEARNER: always(KEEP), PORTFOLIO: always(1.0)}
    session, result = acting(script, **policies)
    asked = len(result.consulted.of(GATE))
    assert asked > 50
    assert twins(session, result).sizes_changed == {GATE: asked, META_LEARNER: 0, PORTFOLIO: 0}


def test_an_agent_that_changed_nothing_beside_others_may_act_alone() -> None:
    """The gate skips all until the kill, so that the portfolio agent is not asked before."""
    script = seated(*AGENTS).kill(20)
    policies = {GATE: always(SKIP), PORTFOLIO: always(0.5)}
    session, result = acting(script, **policies)
    found = twins(session, result)
    assert found.sizes_changed[GATE] > 10
    assert found.sizes_changed[PORTFOLIO] == 0
    alone = acting(only(script, PORTFOLIO), **policies)[1]
    assert account(found.alone[PORTFOLIO].result) == account(alone)
    assert {order.units for order in alone.orders} == {0.5, 1.0}
    assert found.alone[GATE].is_run


@dataclass
class Paid(Moody):
    """An expert who must never be asked about a candidate twice."""

    asked: list[int] = field(default_factory=list)

    def decide(self, candidate: Candidate, features: FloatArray, account: Account) -> Verdict:
        assert candidate.row not in self.asked, "asked twice"
        self.asked.append(candidate.row)
        return super().decide(candidate, features, account)


def test_an_expert_who_may_cost_money_is_asked_by_the_run_alone() -> None:
    """Where the run heard nothing the twin skips, counts that, and says so."""
    expert = Paid()
    session, result = acting(seated(GATE), market(decider=expert), gate=whimsical_policy(GATE))
    by_run = set(expert.asked)
    found = twins(session, result, asks_nobody=False)
    assert set(expert.asked) == by_run
    twin = found.without_agents
    asked_by_twin = set(twin.result.verdicts.by_row())
    assert twin.not_known == len(asked_by_twin - by_run) > 20
    flagged = {row for row, verdict in twin.result.verdicts.by_row().items()
               if verdict == twins_module.NOT_KNOWN}  # fmt: skip
    assert flagged == asked_by_twin - by_run
    assert {twin.result.reasons[row] for row in flagged} == {Reason.EXPERT_SKIP}
    known = asked_by_twin & by_run
    assert known
    heard = result.verdicts.by_row()
    assert all(twin.result.verdicts.by_row()[row] == heard[row] for row in known)


def test_an_expert_who_looks_at_the_account_is_asked_anew_where_that_costs_nothing() -> None:
    class Cautious(Moody):
        def decide(self, candidate: Candidate, features: FloatArray, account: Account) -> Verdict:
            take = account.open_positions < 2
            return Verdict(take, 0.7, 0.5, (), 0.01)

    session, result = acting(seated(GATE), market(decider=Cautious()), gate=whimsical_policy(GATE))
    found = twins(session, result)
    bare = market(decider=Cautious()).run()
    assert account(found.without_agents.result) == account(bare)
    as_heard = twins(session, result, asks_nobody=False)
    assert account(as_heard.without_agents.result) != account(bare)


def test_a_record_that_ends_is_no_end_of_the_twin() -> None:
    class Recorded(Moody):
        def decide(self, candidate: Candidate, features: FloatArray, account: Account) -> Verdict:
            if candidate.row % 2:
                raise DataError("not recorded", where="decider", mend="another run")
            return Verdict(True, 0.7, 0.5, (), 0.01)

    class KnowsAll(Moody):
        def decide(self, candidate: Candidate, features: FloatArray, account: Account) -> Verdict:
            return Verdict(True, 0.7, 0.5, (), 0.01)

    session, result = acting(seated(GATE), market(decider=KnowsAll()), gate=always(SKIP))
    found = twins(replace(session, decider=Recorded()), result)
    unknown = [row for row in found.without_agents.result.verdicts.by_row() if row % 2]
    assert found.without_agents.not_known == len(unknown) > 20


def test_before_a_kill_twins_differ_and_after_it_they_earn_alike() -> None:
    """One unit each, so that the past of an account does not size its future."""
    session, result = acting(seated(*AGENTS).kill(60))
    found = twins(session, result)
    unkilled_session, unkilled = acting(seated(*AGENTS))
    free = twins(unkilled_session, unkilled)
    at = int(result.candidates.instant[60])
    for agent in AGENTS:
        killed, other = found.alone[agent].result, free.alone[agent].result
        assert killed.equity.equity[:at].tolist() == other.equity.equity[:at].tolist()
        assert {one.row for one in killed.orders if one.row < 60} == {
            one.row for one in other.orders if one.row < 60
        }
    bare = found.without_agents.result
    busy = result.equity.positions + bare.equity.positions > 0
    flat = at + int(np.flatnonzero(~busy[at:])[0])
    added = result.equity.equity - bare.equity.equity
    assert added[flat:] == pytest.approx(added[flat])
    assert bare.orders[-1].row > np.searchsorted(result.candidates.instant, flat)
    assert np.ptp(added[:at]) > 1.0


def test_a_person_who_released_the_run_released_its_twins() -> None:
    """The account of each twin is stopped by its own losses."""
    tight = replace(NO_LIMITS, max_drawdown_fraction=2e-5)
    bare = market(limits=tight)
    released = Script({row: [(RELEASE, "", "")] for row in range(40, 400, 40)})
    script = seated(*AGENTS)
    script.by_row |= released.by_row
    session, result = acting(script, bare)
    twin = twins(session, result).without_agents.result
    assert {"reducing", "resumed"} <= {event.kind for event in twin.safety_events}
    assert account(twin) == account(bare.run(inputs=released))
    assert account(twin) != account(bare.run())


def test_what_the_run_decided_too_late_its_twins_decided_too_late() -> None:
    bare = market()
    late = Script({row: [(LATE, "", "")] for row in range(0, 400, 2)})
    script = seated(*AGENTS)
    for row, told in late.by_row.items():
        script.by_row[row] = [*script.by_row.get(row, []), *told]
    session, result = acting(script, bare)
    twin = twins(session, result).without_agents.result
    assert account(twin) == account(bare.run(inputs=late))
    assert account(twin) != account(bare.run())
    assert not {order.row for order in twin.orders} & set(late.by_row)


def test_a_time_out_of_the_run_is_one_of_its_twin() -> None:
    script = seated(GATE, PORTFOLIO)
    for row in range(0, 40, 2):
        script.by_row.setdefault(row, []).append((TIMEOUT, GATE, ""))
    session, result = acting(script, gate=always(SKIP), portfolio=always(0.5))
    timed_out = acting(only(script, GATE), gate=always(SKIP), portfolio=always(0.5))[1]
    whys = {Why.TIMED_OUT}
    assert whys <= {why_of(code) for code in timed_out.consulted.of(GATE).why.tolist()}
    assert account(twins(session, result).alone[GATE].result) == account(timed_out)


def why_of(code: int) -> Why:
    return tuple(Why)[code]


def test_a_model_that_is_gone_is_told_and_its_baseline_stands() -> None:
    session, result = acting(seated(*AGENTS))
    left = {agent: policy for agent, policy in ALL.items() if agent != META_LEARNER}
    bereft = replace(session.agents, policies=terms(left).policies)
    found = twins(replace(session, agents=bereft), result)
    gone = found.alone[META_LEARNER]
    assert gone.missing_models == (f"{META_LEARNER} {ONE.version}",)
    assert account(gone.result) == account(found.without_agents.result)
    assert not found.alone[GATE].missing_models
    assert account(found.alone[GATE].result) == account(twins(session, result).alone[GATE].result)

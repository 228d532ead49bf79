"""Agents in a walk: watching changes nothing, both timelines agree, capital adds up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darwin.core.account import Account
from darwin.core.agents import AGENTS, KEEP, PASS, SKIP, STAGES, TO_SKIP, TO_TAKE, Mode, Role, Why
from darwin.core.candidate import Candidate, Exits
from darwin.core.decision import Reason, Verdict
from darwin.core.market import FloatArray
from darwin.engine.session import Session
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
from tests.engine.live_runs import Collected, fed, whimsical
from tests.engine.worlds import grid_bars, session_over

EXITS = [Exits(1.0, 2.0, 8), Exits(2.0, None, 5)]


class Moody:
    """An expert that takes by the digits of the close."""

    needs: tuple[str, ...] = ()
    takes_everything = None

    def decide(self, candidate: Candidate, features: FloatArray, account: Account) -> Verdict:
        take = int(candidate.close * 4) % 3 != 0
        return Verdict(take, 0.7 if take else 0.3, 0.5, (), 0.01)


def market(seed: int = 3, bars: int = 240, **other: Any) -> Session:
    markets = [
        grid_bars(bars, seed, symbol="BTC/USDT"),
        grid_bars(bars - 30, seed + 1, symbol="ETH/USDT"),
    ]
    plain = {"exits": EXITS, "decider": Moody(), "positions_per_symbol": 3}
    return whimsical(session_over(*markets, **(plain | other)), seed, 0.3)


def replayed(session: Session, inputs: Script | None) -> Collected:
    journal = Collected()
    session.run(journal=journal, inputs=inputs)
    return journal


def traded(journal: Collected) -> list[Any]:
    return [fact for fact in journal.told() if fact[0] in ("orders", "fills", "outcomes")]


ALL = {agent: whimsical_policy(agent) for agent in AGENTS}


def test_agents_that_watch_change_no_order_fill_or_outcome() -> None:
    bare = replayed(market(), None)
    watching = replace(market(), agents=terms(ALL, may_act=False))
    observed = replayed(watching, seated(*AGENTS))
    assert traded(observed) == traded(bare)
    assert {one.agent for one in observed.of("decisions")} == set(AGENTS)
    assert {one.why for one in observed.of("decisions")} == {Why.OBSERVE}


def test_agents_that_are_killed_leave_the_orders_of_a_run_without_agents() -> None:
    killed = replayed(replace(market(), agents=terms(ALL)), seated(*AGENTS).kill(0))
    assert traded(killed) == traded(replayed(market(), None))
    assert {(one.why, one.action) for one in killed.of("decisions")} == {(Why.KILLED, None)}


def test_every_candidate_that_gets_so_far_has_its_row_of_each_agent() -> None:
    session = replace(market(), agents=terms(ALL, may_act=False))
    journal = Collected()
    result = session.run(journal=journal, inputs=seated(*AGENTS))
    rows = {agent: {d.row for d in journal.of("decisions") if d.agent == agent} for agent in AGENTS}
    busy = set(np.flatnonzero(result.reasons == Reason.POSITION_OPEN).tolist())
    assert rows[GATE] == set(range(len(result.candidates))) - busy
    assert rows[META_LEARNER] == {row for row, _ in journal.of("verdicts")}
    assert rows[PORTFOLIO] == {order.row for order in journal.of("orders")}


@pytest.mark.sweep
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    sizes=st.lists(st.integers(0, 9), min_size=1, max_size=4),
    data=st.data(),
)
def test_fed_bar_by_bar_and_replayed_at_once_agents_decide_alike(
    seed: int, sizes: list[int], data: st.DataObject
) -> None:
    session = market(seed, bars=90)
    script = Script({})
    for row in data.draw(st.lists(st.integers(0, 60), max_size=6, unique=True)):
        what = data.draw(st.sampled_from(["kill", "allow", "stand"]))
        if what == "stand":
            agent = data.draw(st.sampled_from(AGENTS))
            stage = data.draw(st.sampled_from(STAGES))
            challenger = data.draw(st.sampled_from([None, TWO]))
            script.stand(row, standing(agent, stage=stage, challenger=challenger))
        else:
            getattr(script, what)(row)
    first = seated(*AGENTS, stage=data.draw(st.sampled_from(STAGES)))
    script.by_row[0] = first.by_row[0] + script.by_row.get(0, [])
    policies = {agent: whimsical_policy(agent, "a", 0.1) for agent in AGENTS}
    others = {agent: whimsical_policy(agent, "b", 0.1) for agent in AGENTS}
    session = replace(session, agents=terms(policies, challengers=others))
    whole = replayed(session, script)
    _, live = fed(session, [size for size in sizes if size] or [1], inputs=script)
    assert live.told() == whole.told()
    assert whole.of("decisions")


@pytest.mark.parametrize("stage", STAGES)
def test_an_agents_capital_is_the_part_of_the_order_that_obeys_it(stage: float) -> None:
    sized = replayed(
        replace(market(), agents=terms({PORTFOLIO: always(0.25)})),
        seated(PORTFOLIO, stage=stage),
    )
    assert {order.units for order in sized.of("orders")} == {stage * 0.25 + (1 - stage) * 1.0}
    (why,) = {one.why for one in sized.of("decisions")}
    assert why is (Why.ACTIVE if stage else Why.STAGE_ZERO)


def test_the_shares_of_all_agents_multiply_in_the_order_in_which_they_are_asked() -> None:
    """a(S) over all subsets S, weighted by who holds how much, is the product of the shares."""
    policies = {GATE: always(SKIP), META_LEARNER: always(TO_SKIP), PORTFOLIO: always(0.5)}
    script = seated(GATE, stage=0.1).stand(
        0, standing(META_LEARNER, stage=0.25), standing(PORTFOLIO, stage=0.5)
    )
    session = market(decider=None)
    journal = replayed(replace(session, agents=terms(policies, max_override_rate=1.0)), script)
    calm = [order.units for order in journal.of("orders") if order.row < 19]  # no storm yet
    assert set(calm) == {0.9 * 0.75 * (0.5 * 0.5 + 0.5)}


def test_below_full_capital_a_skip_still_asks_the_expert_and_at_full_capital_it_does_not() -> None:
    def asked(stage: float) -> tuple[int, float]:
        agents = terms({GATE: always(SKIP)})
        journal = replayed(replace(market(), agents=agents), seated(GATE, stage=stage))
        decisions = journal.of("decisions")
        audits = sum(one.why is Why.AUDIT for one in decisions)
        assert stage < 1.0 or audits == len(journal.of("verdicts"))
        return len(journal.of("verdicts")), audits / len(decisions)

    verdicts, audited = asked(0.5)
    assert verdicts > 50
    assert audited == 0
    verdicts, audited = asked(1.0)
    assert 0 < verdicts < 50
    assert 0.02 < audited < 0.09


def test_what_an_agent_leaves_nothing_of_ends_at_its_stage() -> None:
    def reasons(agent: str, action: float) -> set[str]:
        agents = terms({agent: always(action)}, max_override_rate=1.0)
        session = replace(market(decider=None), agents=agents)
        result = session.run(inputs=seated(agent))
        return {Reason(code).text for code in set(result.reasons.tolist())}

    assert "gate skip" in reasons(GATE, SKIP)
    assert "sized to zero" in reasons(PORTFOLIO, 0.0)
    assert "override" in reasons(META_LEARNER, TO_SKIP)
    assert not {"gate skip", "override", "sized to zero"} & reasons(GATE, PASS)
    assert not {"gate skip", "override", "sized to zero"} & reasons(META_LEARNER, KEEP)


def test_an_override_to_take_orders_what_the_expert_would_not() -> None:
    class Never(Moody):
        def decide(self, candidate: Candidate, features: FloatArray, account: Account) -> Verdict:
            return Verdict(False, 0.1, 0.1, (), 0.01)

    agents = terms({META_LEARNER: always(TO_TAKE)}, max_override_rate=1.0)
    journal = replayed(
        replace(market(decider=Never()), agents=agents), seated(META_LEARNER, stage=0.1)
    )
    assert {order.units for order in journal.of("orders")} == {0.1}


def test_a_challenger_is_recorded_beside_the_serving_model_and_never_obeyed() -> None:
    agents = terms({GATE: always(PASS)}, challengers={GATE: always(SKIP)})
    with_it = replayed(replace(market(), agents=agents), seated(GATE, challenger=TWO))
    assert traded(with_it) == traded(replayed(market(), None))
    beside = [one for one in with_it.of("decisions") if one.role is Role.CHALLENGER]
    assert {
        (one.action, one.final_action, one.followed, one.why, one.model, one.mode) for one in beside
    } == {(SKIP, 1.0, False, Why.CHALLENGER, TWO, Mode.OBSERVE)}
    assert {one.row for one in beside} == {
        one.row for one in with_it.of("decisions") if one.role is Role.SERVING
    }


def test_another_model_takes_over_from_one_decision_to_the_next() -> None:
    session = replace(
        market(), agents=terms({GATE: always(PASS)}, challengers={GATE: always(SKIP)})
    )
    script = seated(GATE).stand(40, standing(GATE, serving=TWO))
    decisions = replayed(session, script).of("decisions")
    assert {one.model for one in decisions if one.row < 40} == {ONE}
    assert {one.model for one in decisions if one.row >= 40} == {TWO}


def test_the_result_remembers_who_was_asked_and_what_stood() -> None:
    session = replace(market(), agents=terms(ALL))
    journal = Collected()
    result = session.run(journal=journal, inputs=seated(*AGENTS, stage=0.25))
    told = result.consulted.of(PORTFOLIO)
    kept = [one for one in journal.of("decisions") if one.agent == PORTFOLIO]
    assert told.row.tolist() == [one.row for one in kept]
    assert told.share.tolist() == [one.final_action for one in kept]
    without = session.run(inputs=seated(*AGENTS, stage=0.25)).consulted
    assert without.share.tolist() == result.consulted.share.tolist()

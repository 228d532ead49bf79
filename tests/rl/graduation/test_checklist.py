"""The necessary conditions: what passes, is refuted or cannot be told; and none is enough."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darwin.core.agents import AGENTS, GATE, META_LEARNER, PORTFOLIO
from darwin.rl.graduation.checklist import (
    Condition,
    State,
    Validation,
    all_pass,
    conditions,
    overall,
)
from darwin.rl.graduation.latest import Latest
from darwin.rl.graduation.proof import proof_of
from darwin.rl.graduation.scorecard import (
    GateFigures,
    MetaLearnerFigures,
    PortfolioFigures,
    Scorecard,
)
from darwin.safety.circuit import Phase

NAN = float("nan")
GOOD = {
    GATE: GateFigures(0.30, 0.05, 40),
    PORTFOLIO: PortfolioFigures(2.0, 1.0, 500.0, 60, 3.0, 0.1),
    META_LEARNER: MetaLearnerFigures(0.90, 30, 25, 0.7),
}
ENOUGH = {GATE: (100, 7.0), PORTFOLIO: (50, 7.0), META_LEARNER: (200, 14.0)}
SOUND = Validation(State.PASSED)
NO_PROOF = proof_of(None)


def card(agent=GATE, **changes):
    decisions, days = ENOUGH[agent]
    plain = Scorecard(agent, decisions, 0, decisions, 1.0, 0.0, days, GOOD[agent], Latest("one", 0))
    return replace(plain, **changes)


def judged(agent=GATE, validation=SOUND, **changes):
    return {one.name: one for one in conditions(card(agent, **changes), validation, NO_PROOF)}


def figures(agent=GATE, **changes):
    return {"figures": GOOD[agent]._replace(**changes)}


@pytest.mark.parametrize("agent", AGENTS)
def test_a_good_record_passes_all_but_evidence_and_so_does_not_pass(agent):
    found = judged(agent)
    lacking = {name: one.state for name, one in found.items() if one.state is not State.PASSED}
    assert lacking == {"blocks": State.MISSING, "evidence of skill": State.MISSING}
    assert "no contract was written" in found["evidence of skill"].lacks
    assert overall(found.values()) is State.INCONCLUSIVE
    assert not all_pass(list(found.values()))


@pytest.mark.parametrize("agent", AGENTS)
def test_one_decision_or_one_day_too_few_and_nothing_is_judged(agent):
    decisions, days = ENOUGH[agent]
    for changes, name in (
        ({"decisions": decisions - 1}, "decisions"),
        ({"days": days - 0.01}, "days of market time"),
    ):
        found = judged(agent, **changes)
        assert found.pop(name).state is State.INCONCLUSIVE
        shares = [one for one in found.values() if one.value is not None and "%" in one.bound]
        assert {one.state for one in shares if one.name != "outcomes settled"} == {
            State.INCONCLUSIVE
        }


@pytest.mark.parametrize(
    "agent, name, field, good, bad",
    [
        (GATE, "saved calls", "saved_share", (0.20, 0.40), (0.10, 0.52)),
        (GATE, "miss rate", "miss_rate", (0.0, 0.099), (0.25, 1.0)),
        (PORTFOLIO, "Sharpe ratio", "sharpe", (1.51, 9.0), (-6.0, -9.0)),
        (PORTFOLIO, "shadow drawdown", "drawdown", (0.0, 0.20), (0.201, 1.0)),
        (META_LEARNER, "agreement", "agreement", (0.80, 0.95), (0.74, 0.985)),
        (META_LEARNER, "override accuracy", "override_accuracy", (0.61, 1.0), (0.40, 0.0)),
    ],
)
def test_a_figure_passes_within_its_bound_and_is_refuted_outside(agent, name, field, good, bad):
    for value in good:
        assert judged(agent, **figures(agent, **{field: value}))[name].state is State.PASSED
    for value in bad:
        found = judged(agent, **figures(agent, **{field: value}))
        assert found[name].state is State.REFUTED
        alone = [one for one in found.values() if one.rule in ("", found[name].rule)]
        assert overall(alone) is State.REFUTED
    found = judged(agent, **figures(agent, **{field: NAN}))[name]
    assert (found.state, found.value) == (State.MISSING, None)


@pytest.mark.parametrize(
    "agent, name, cases",
    [
        (GATE, "miss rate", "winners"),
        (PORTFOLIO, "Sharpe ratio", "trades"),
        (META_LEARNER, "override accuracy", "overrides_known"),
    ],
)
def test_a_share_of_few_cases_is_not_judged(agent, name, cases):
    assert judged(agent, **figures(agent, **{cases: 19}))[name].state is State.INCONCLUSIVE
    assert judged(agent, **figures(agent, **{cases: 20}))[name].state is State.PASSED


def test_open_brackets_refute_nothing_and_pass_nothing():
    name = "outcomes settled"
    assert judged(settled_share=0.95)[name].state is State.PASSED
    assert judged(settled_share=0.94)[name].state is State.INCONCLUSIVE


@pytest.mark.parametrize(
    "phase, state",
    [
        (Phase.CLOSED, State.PASSED),
        (Phase.OPEN, State.REFUTED),
        (Phase.HALF_OPEN, State.INCONCLUSIVE),
    ],
)
def test_only_a_closed_breaker_passes(phase, state):
    assert judged(latest=Latest("one", 0, phase))["breaker"].state is state


@pytest.mark.parametrize("state", State)
def test_the_model_is_as_validated_as_it_is_said_to_be(state):
    assert judged(validation=Validation(state, "told"))["model validated"].state is state


def test_what_is_missing_is_said_with_the_time_it_may_take():
    found = judged(decisions=40, days=2.0)["decisions"]
    assert (found.value, found.bound) == (40, "100 or more")
    assert found.lacks == "60 more, about 3 days at its rate so far"


def test_without_sizing_by_risk_the_drawdown_is_told_in_r_and_does_not_pass():
    found = judged(PORTFOLIO, **figures(PORTFOLIO, drawdown=NAN))["shadow drawdown"]
    assert found.state is State.MISSING
    assert "3.00 R" in found.lacks


@pytest.mark.parametrize("agent", AGENTS)
def test_of_an_agent_that_never_decided_nothing_passes(agent):
    nothing = type(GOOD[agent])(*[NAN if isinstance(v, float) else 0 for v in GOOD[agent]])
    empty = card(
        agent, decisions=0, resolved=0, settled_share=NAN, silent_share=NAN, days=0.0,
        figures=nothing, latest=Latest(),
    )  # fmt: skip
    found = conditions(empty, Validation(State.MISSING), NO_PROOF)
    assert {one.state for one in found} == {State.MISSING}


def test_nothing_judged_is_no_pass():
    assert overall([]) is State.MISSING
    assert not all_pass([])


def test_thresholds_alone_never_pass():
    assert not all_pass([Condition("decisions", State.PASSED, 1e9, "")])
    assert all_pass([Condition("evidence", State.PASSED, None, "")])


anything = st.one_of(st.just(NAN), st.floats(-10, 10), st.just(float("inf")))


@given(
    agent=st.sampled_from(AGENTS),
    decisions=st.integers(0, 10**9),
    days=st.floats(0, 1e6),
    settled=anything,
    figures=st.lists(anything, min_size=6, max_size=6),
)
def test_no_figures_whatever_come_to_a_pass(agent, decisions, days, settled, figures):
    made = type(GOOD[agent])(*[
        value if isinstance(plain, float) else 10**6
        for value, plain in zip(figures, GOOD[agent], strict=False)
    ])  # fmt: skip
    found = conditions(
        card(agent, decisions=decisions, days=days, settled_share=settled, figures=made), SOUND,
        NO_PROOF,
    )  # fmt: skip
    assert overall(found) in (State.REFUTED, State.INCONCLUSIVE)
    assert not all_pass(found)
    assert all(one.lacks for one in found if one.state is not State.PASSED)

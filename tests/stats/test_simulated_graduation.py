"""Graduation in the world of the bench: blind to the future and to luck, not to skill."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from bench import graduation_demotion as demotion
from bench import graduation_streams as streams
from bench import graduation_world as world
from bench.graduation_folding import one_by_one
from bench.graduation_streams import INDEPENDENT, PERSISTENT, SKIP_ONLY
from bench.graduation_world import CANDIDATES, TRADES, Market
from darwin.core.agents import AGENTS, GATE, META_LEARNER, PORTFOLIO

ALPHA_V = 0.05
NULLS = (INDEPENDENT, PERSISTENT, SKIP_ONLY)


def pace_of(agent: str) -> world.Pace:
    return TRADES if agent == PORTFOLIO else CANDIDATES


@cache
def drawn(agent: str, shift: float, count: int, decisions: int = 5_000) -> Market:
    return world.market(np.random.default_rng(11), count, decisions, pace_of(agent), shift)


def acts_of(agent: str, market: Market, kind: str | float, shift: float) -> np.ndarray:
    score = streams.score_of(np.random.default_rng(12), market, kind, shift)
    return streams.actions_of(agent, score, market, kind)


def promoted(agent: str, market: Market, kind: str | float, shift: float) -> np.ndarray:
    told = streams.told_of(agent, acts_of(agent, market, kind, shift), market, pace_of(agent))
    return streams.promoted_at(agent, told, streams.evidence_of(told), ALPHA_V)


@pytest.mark.parametrize("agent", AGENTS)
def test_agents_without_skill_are_seldom_promoted_in_a_market_that_loses(agent):
    market = drawn(agent, -0.10, 200)
    for kind in NULLS:
        assert (promoted(agent, market, kind, -0.10) >= 0).mean() <= 0.08  # 5 %, and two errors


def ruled(agent: str, skill: dict, utility: dict, share: float, miss: dict) -> int:
    """Block of the promotion where tests show so much at these blocks, and nothing at others."""
    log_e = np.full((3, 1, 60), -1.0)
    for test, shown in zip(log_e, (skill, utility, miss), strict=True):
        for block, e in shown.items():
            test[0, block] = np.log(e)
    nothing = np.zeros((1, 60))
    told = streams.Told(nothing, nothing, nothing, share=np.full((1, 60), share))
    at = streams.promoted_at(agent, told, streams.Evidence(*log_e), ALPHA_V)
    return int(at[0])


def test_a_rule_holds_where_all_its_tests_have_crossed_and_twenty_blocks_have_passed():
    assert ruled(GATE, {5: 26}, {30: 26}, 0.3, {}) == 30
    assert ruled(GATE, {2: 1e9}, {3: 1e9}, 0.3, {}) == 19
    assert ruled(GATE, {5: 24}, {30: 26}, 0.3, {}) == -1
    assert ruled(GATE, {5: 26}, {30: 26}, 0.5, {}) == -1
    assert ruled(GATE, {}, {30: 26}, 0.5, {35: 101}) == 35
    assert ruled(GATE, {}, {30: 26}, 0.5, {35: 99}) == -1
    assert ruled(GATE, {}, {}, 0.5, {35: 101}) == -1
    assert ruled(META_LEARNER, {5: 26}, {30: 26}, 0.9, {}) == 30
    assert ruled(META_LEARNER, {5: 26}, {30: 26}, 0.97, {}) == -1


@pytest.mark.sweep
@pytest.mark.parametrize("shift", [0.05, 0.0, -0.10])
@pytest.mark.parametrize("agent", AGENTS)
def test_agents_without_skill_are_promoted_less_often_than_the_level_says(agent, shift):
    market = drawn(agent, shift, 2_000)
    for kind in NULLS:
        assert (promoted(agent, market, kind, shift) >= 0).mean() <= ALPHA_V


@pytest.mark.parametrize("agent", AGENTS)
def test_skilled_agents_are_promoted_and_after_twenty_blocks_at_the_least(agent):
    market = drawn(agent, 0.05, 40)
    at = promoted(agent, market, 0.65, 0.05)
    assert (at >= 0).mean() >= 0.9
    assert at[at >= 0].min() >= 19


def test_skipping_by_chance_where_the_expert_loses_helps_and_is_no_skill():
    market = drawn(GATE, -0.10, 200)
    told = streams.told_of(GATE, acts_of(GATE, market, INDEPENDENT, -0.10), market, CANDIDATES)
    found = streams.evidence_of(told)
    helps = streams.held(found.utility, ALPHA_V)[:, -1]
    skilled = streams.held(found.skill, ALPHA_V)[:, -1]
    assert helps.mean() > 0.4
    assert skilled.mean() < 0.06


def test_overriding_by_chance_passes_the_checklist_looked_at_every_day():
    market = drawn(META_LEARNER, -0.10, 200)
    acts = acts_of(META_LEARNER, market, SKIP_ONLY, -0.10)
    assert streams.checklist_passes(META_LEARNER, acts, market, CANDIDATES).mean() > 0.8


@pytest.mark.parametrize("agent", AGENTS)
def test_outcomes_of_later_blocks_change_no_evidence_of_earlier_ones(agent):
    market = drawn(agent, 0.0, 10, 1_000)
    pace, acts = pace_of(agent), acts_of(agent, market, INDEPENDENT, 0.0)
    cut = 600
    other = market._replace(r=np.concatenate([market.r[:, :cut], -market.r[:, cut:]], axis=1))
    both = [streams.evidence_of(streams.told_of(agent, acts, one, pace)) for one in (market, other)]
    whole = cut // streams.per_block(pace)
    for before, after in zip(*both, strict=True):
        if before is not None:
            np.testing.assert_array_equal(before[:, :whole], after[:, :whole])
            assert not np.array_equal(before, after)


def test_a_gate_that_is_followed_decision_by_decision_comes_to_the_same():
    market = drawn(GATE, 0.05, 1)
    acts = acts_of(GATE, market, 0.60, 0.05)
    found = streams.evidence_of(streams.told_of(GATE, acts, market, CANDIDATES))
    skill, utility = one_by_one(acts[0], market)
    for process, log_e in ((skill, found.skill), (utility, found.utility)):
        assert process.log_e == pytest.approx(log_e[0, -1], abs=1e-9)
        assert process.log_max == pytest.approx(log_e.max(), abs=1e-9)


def test_the_world_is_as_it_is_described():
    for shift, earns in ((0.05, 0.06), (0.0, 0.0), (-0.10, -0.10)):
        market = drawn(GATE, shift, 200)
        assert 0.33 <= market.won.mean() <= 0.405
        assert market.r.mean() == pytest.approx(earns, abs=0.02)
        assert market.expert.mean() == pytest.approx(0.40, abs=0.01)
        score = streams.score_of(np.random.default_rng(3), market, 0.60, shift)
        assert world.auc_of(score, market.won) == pytest.approx(0.60, abs=0.005)
        gapped = (market.r < -1.0 - world.FEE_R - 1e-9).sum() / (market.r <= -1.0).sum()
        assert gapped == pytest.approx(world.GAPS, abs=0.005)


def test_a_meta_learner_whose_edge_turns_round_is_noticed_and_one_that_keeps_it_is_not():
    found = demotion.watch(13, 0.65, 40, 40, 0.01)
    assert found.promoted.all()
    everyone = np.full(40, found.true_edge)
    kept = demotion.delays(found.held, everyone, 0)[demotion.FIRST]
    assert (kept < demotion.NEVER).mean() <= 0.25
    lost, gone = (
        demotion.delays(found.lost[name], everyone, demotion.CALM)[demotion.FIRST]
        for name in (demotion.REVERSED, demotion.GONE)
    )
    assert 0 < np.median(lost) <= 600
    assert np.median(lost) < np.median(gone) <= 1_500

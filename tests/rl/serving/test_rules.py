"""Documented rules: they do what their documentation says, about as often as it says."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from darwin.bootstrap import wire
from darwin.config.load import load_config
from darwin.core.account import Account
from darwin.core.agents import AGENTS, KEEP, PASS, SKIP, TO_SKIP, TO_TAKE
from darwin.core.candidate import Candidate, CandidateTable
from darwin.core.clock import Clock
from darwin.core.decision import Verdict
from darwin.core.ports import Moment
from darwin.deciders.rules import RulesDecider
from darwin.engine.proposals import propose
from darwin.errors import ModelError
from darwin.features.catalog import NAMES
from darwin.features.pipeline import Frame
from darwin.rl.agents.pages import PAGES
from darwin.rl.serving.rules import RULES, CautiousGate, SecondOpinion, SizeByStrength

FLAT = Account(10_000.0, 0.0, 0.0, 0, 0.0)


def row(agent: str, **seen: float) -> np.ndarray:
    observation = np.zeros(len(PAGES[agent].names), np.float32)
    for name, value in seen.items():
        observation[PAGES[agent].place(name)] = value
    return observation


@cache
def judged() -> tuple[CandidateTable, tuple[str, ...], list[Verdict]]:
    """The candidates of the demonstration's market, and what its expert says of each."""
    config = Path(__file__).parents[3] / "configs" / "demo.json"
    wired = wire(load_config(config, ["market.bars=4000"]))
    session, expert = wired.session, RulesDecider()
    clock = Clock.of(session.markets)
    table = propose(session.markets, session.setups, clock, session.quiet, Frame, NAMES)
    wanted = table.features[:, [NAMES.index(name) for name in expert.needs]]
    verdicts = [
        expert.decide(Candidate(0, 0, 0, 0, side, 0, 0, 100.0, 1.0, 2.0), seen, FLAT)
        for side, seen in zip(table.side.tolist(), wanted, strict=True)
    ]
    return table, wired.playbooks, verdicts


def observed(agent: str, *, taken: bool = False) -> np.ndarray:
    """What an agent sees of all of them, or of those that the expert takes."""
    (table, playbooks, verdicts), page = judged(), PAGES[agent]
    rows = [
        [*known, *page.moment(Moment(FLAT, 10_000.0, verdict))]
        for known, verdict in zip(page.columns(table, playbooks), verdicts, strict=True)
        if verdict.take or not taken
    ]
    return np.array(rows, np.float32)


def test_every_agent_has_a_rule_that_names_itself():
    assert tuple(RULES) == AGENTS
    assert [rule.version for rule in RULES.values()] == [
        "rule.cautious-gate", "rule.second-opinion", "rule.size-by-strength",
    ]  # fmt: skip
    digests = {rule.sha256 for rule in RULES.values()}
    assert len(digests) == 3
    assert all(len(digest) == 64 for digest in digests)
    assert all(rule.model == (rule.version, rule.sha256) for rule in RULES.values())


def test_a_digest_stands_for_the_parameters():
    assert CautiousGate().sha256 == RULES["gate"].sha256
    assert CautiousGate(volume=0.7).sha256 != CautiousGate().sha256
    assert CautiousGate(volume=0.8, volatility=0.7).sha256 != CautiousGate(volume=0.7).sha256


@pytest.mark.parametrize("agent", AGENTS)
def test_rules_give_legal_advice_and_the_same_again(agent):
    rule, page = RULES[agent], PAGES[agent]
    for seen in observed(agent)[:200]:
        advice = rule.advise(seen)
        assert page.is_legal(advice.action)
        assert type(advice.action) is float
        assert (advice.probability is None) == page.is_continuous
        assert rule.advise(seen) == advice
        assert rule.strangeness(seen) == 0.0


def test_the_gate_skips_a_fifth_to_a_third():
    actions = np.array([RULES["gate"].advise(seen).action for seen in observed("gate")])
    assert len(actions) > 300
    assert 0.2 <= np.mean(actions == SKIP) <= 0.34


def test_the_second_opinion_overrides_a_twentieth_to_a_seventh_both_ways():
    page = PAGES["meta_learner"]
    seen = observed("meta_learner")
    actions = np.array([RULES["meta_learner"].advise(one).action for one in seen])
    taken = seen[:, page.place("verdict_take")] == 1.0
    overridden = [page.overrides(a, t) for a, t in zip(actions, taken.tolist(), strict=True)]
    assert 0.05 <= np.mean(overridden) <= 0.15
    assert {TO_SKIP, TO_TAKE, KEEP} == set(actions.tolist())
    assert all(taken[actions == TO_SKIP]) and not any(taken[actions == TO_TAKE])


def test_sizes_use_their_range():
    orders = observed("portfolio", taken=True)
    sizes = np.array([RULES["portfolio"].advise(seen).action for seen in orders])
    assert sizes.min() >= 0.25
    assert sizes.max() > 0.95
    assert 0.55 < sizes.mean() < 0.85


@pytest.mark.parametrize(
    ("volume", "volatility", "trend", "action"),
    [
        (1.0, 1.0, 0.3, PASS), (0.7, 1.0, 0.3, PASS), (1.0, 1.0, 0.1, PASS),
        (0.7, 0.7, 0.3, SKIP), (0.7, 1.0, 0.1, SKIP), (1.0, 0.7, 0.1, SKIP), (0.7, 0.7, 0.1, SKIP),
    ],
)  # fmt: skip
def test_two_signs_of_sleep_and_the_gate_skips(volume, volatility, trend, action):
    seen = row(
        "gate", volume_level_20_168=volume, vol_ratio_24_168=volatility, trend_strength_14=trend
    )
    assert CautiousGate().advise(seen) == (action, 1.0)


@pytest.mark.parametrize(
    ("take", "confidence", "slope", "action"),
    [
        (1, 0.52, -0.1, TO_SKIP), (1, 0.6, -0.1, KEEP), (1, 0.52, 0.1, KEEP),
        (0, 0.48, 0.3, TO_TAKE), (0, 0.48, 0.1, KEEP), (0, 0.4, 0.3, KEEP), (0, 0.48, -0.3, KEEP),
    ],
)  # fmt: skip
def test_close_verdicts_against_the_trend_are_set_aside(take, confidence, slope, action):
    seen = row("meta_learner", verdict_take=take, confidence=confidence)
    seen[PAGES["meta_learner"].place("with_side_x24_ema_slope_10_3")] = slope
    assert SecondOpinion().advise(seen).action == action


@pytest.mark.parametrize(
    ("confidence", "drawdown", "size"),
    [(0.4, 0.0, 0.25), (0.6, 0.0, 0.625), (0.9, 0.0, 1.0), (0.8, -0.1, 0.625), (0.8, -0.5, 0.25)],
)
def test_size_follows_confidence_and_dwindles_with_the_drawdown(confidence, drawdown, size):
    seen = row("portfolio", confidence=confidence, drawdown=drawdown)
    action, probability = SizeByStrength().advise(seen)
    assert action == pytest.approx(size, abs=1e-6)
    assert probability is None


@pytest.mark.parametrize("agent", AGENTS)
def test_what_is_no_number_or_no_row_of_the_page_gets_no_action(agent):
    rule = RULES[agent]
    broken = row(agent)
    broken[:] = np.nan
    assert math.isnan(rule.strangeness(broken))
    assert math.isnan(rule.advise(broken).action)
    for shape in [(1,), (1, len(broken))]:
        with pytest.raises(ModelError, match="shape"):
            rule.advise(np.zeros(shape, np.float32))


def test_rules_are_values():
    assert replace(CautiousGate(), trend=0.3) == CautiousGate(trend=0.3)

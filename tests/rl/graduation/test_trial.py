"""A version on trial: what counts, what does not, and what it takes."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import islice, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darwin.core.agents import AGENTS, GATE, META_LEARNER, PASS, PORTFOLIO, SKIP
from darwin.core.market import DAY_MS
from darwin.rl.graduation.checklist import State, Validation, all_pass, conditions, overall
from darwin.rl.graduation.contract import level_of
from darwin.rl.graduation.increments import Entry, Outcome
from darwin.rl.graduation.judged import told_by
from darwin.rl.graduation.latest import Latest
from darwin.rl.graduation.proof import proof_of
from darwin.rl.graduation.scorecard import score
from darwin.rl.graduation.trial import SKILL, UTILITY, Trial
from tests.rl.graduation.trials import START, chance, contract, curves, told, tried

SOUND = Validation(State.PASSED)
GOOD = 0.35


def judged(trial):
    card = score(trial.contract.terms.agent, told_by(trial), Latest("one", 0, risk_per_trade=0.005))
    return conditions(card, SOUND, proof_of(trial))


def state_of(trial, name):
    return next(one for one in judged(trial) if one.name == name)


@pytest.mark.parametrize("agent", AGENTS)
def test_skill_is_found_and_none_is_not(agent):
    skilled = tried(told(chance(agent, 1, 3000, GOOD)), agent=agent)
    assert skilled.tracks[SKILL].crossed is not None
    random = tried(told(chance(agent, 2, 3000, 0.0)), agent=agent)
    assert random.tracks[SKILL].crossed is None
    assert random.tracks[SKILL].refuted is None
    wrong = tried(told(chance(agent, 3, 3000, -GOOD)), agent=agent)
    assert wrong.tracks[SKILL].refuted is not None
    assert overall(judged(wrong)) is State.REFUTED


@settings(max_examples=30, deadline=None)
@given(
    agent=st.sampled_from(AGENTS), seed=st.integers(0, 99), cut=st.integers(1, 400),
)  # fmt: skip
def test_what_comes_later_changes_nothing_of_what_was_scored(agent, seed, cut):
    facts = told(chance(agent, seed, 300, 0.2))
    whole, part = curves(tried(facts, agent=agent)), curves(tried(facts[:cut], agent=agent))
    for name, points in part.items():
        assert points == whole[name][: len(points)]


@settings(max_examples=30, deadline=None)
@given(
    agent=st.sampled_from(AGENTS),
    seed=st.integers(0, 99),
    cuts=st.lists(st.integers(0, 600), max_size=5),
)
def test_a_restart_anywhere_and_telling_all_again_gives_the_same(agent, seed, cuts):
    facts = told(chance(agent, seed, 300, 0.2))
    trial = Trial(contract(agent))
    for cut in [*sorted(cuts), len(facts)]:
        for key, what in facts[:cut]:  # all over again, from the first
            trial.hear(key, what)
    assert curves(trial) == curves(tried(facts, agent=agent))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 99), r=st.floats(-50, 50))
def test_an_outcome_that_is_not_known_yet_moves_no_mean(seed, r):
    """A bracket of the first block ends after the third: the second cannot know of it."""
    facts = told(chance(GATE, seed, 120, 0.2))
    entries = [what for _, what in facts if isinstance(what, Entry)]
    taken = next(entry for entry in entries if entry.take == 1.0)
    known = START + 6 * DAY_MS

    def ends_with(value):
        rest = [(k, w) for k, w in facts if not (k == taken.key and isinstance(w, Outcome))]
        place = next(
            i for i, (_, w) in enumerate(rest) if isinstance(w, Entry) and w.bar_time >= known
        )
        late = [*rest[:place], (taken.key, Outcome(known, value)), *rest[place:]]
        return tried(late, life_ms=10 * DAY_MS).blocks

    first, second = ends_with(1.0), ends_with(r)
    before = [i for i, block in enumerate(first) if i > 0 and block.end_ms <= known]
    assert len(before) >= 2
    for i in before:
        assert first[i] == second[i]


def test_an_outcome_moves_the_means_once_it_is_known():
    facts = told(chance(GATE, 1, 300))
    changed = [
        (key, what._replace(r=30.0) if isinstance(what, Outcome) and i < 60 else what)
        for i, (key, what) in enumerate(facts)
    ]
    assert tried(facts).blocks[-1].told.skill != tried(changed).blocks[-1].told.skill


def test_a_block_waits_for_its_last_outcome():
    facts = told(chance(GATE, 1, 60))
    held = next(key for key, what in facts if isinstance(what, Entry))
    without = [one for one in facts if not (one[0] == held and isinstance(one[1], Outcome))]
    begun = [i for i, (_, w) in enumerate(without) if isinstance(w, Entry)]
    assert tried(without[: begun[16]]).blocks == []
    assert len(tried(facts[: begun[20]]).blocks) == 1
    assert len(tried(facts).blocks) > 0
    lost = tried(without)
    assert lost.blocks[0].lost == 1, "two lives of a bracket later nobody will tell it any more"


def test_bars_that_training_has_seen_are_no_evidence():
    facts = told(chance(GATE, 1, 300, GOOD))
    until = START + 10 * DAY_MS
    trial = tried(facts, training_end_ms=until)
    first = min(entry.bar_time for entry, _ in trial.stream.rows())
    assert first >= until + DAY_MS
    assert trial.stream.too_early > 0
    later = [(key, what) for key, what in facts if not _before(facts, key, until + DAY_MS)]
    assert curves(trial) == curves(tried(later))


def _before(facts, key, time):
    entry = next(what for k, what in facts if k == key and isinstance(what, Entry))
    return entry.bar_time < time


def test_the_same_bars_ten_times_earn_nothing():
    facts = told(chance(GATE, 1, 300, GOOD))
    once, ten = tried(facts), tried(facts * 10)
    assert curves(once) == curves(ten)
    assert ten.stream.twice > 0
    changed = [
        (key + "x", what._replace(key=key + "x") if isinstance(what, Entry) else what)
        for key, what in facts
    ]
    again = tried(facts + changed)
    assert len(again.blocks) == len(once.blocks)
    assert again.stream.late > 0


def test_a_later_version_faces_a_stricter_level_and_all_of_them_together_alpha():
    levels = [level_of(0.05, number) for number in range(1, 200)]
    assert levels[0] == pytest.approx(0.01)
    assert all(a > b for a, b in pairwise(levels))
    assert sum(levels) == pytest.approx(0.05)
    facts = told(chance(GATE, 1, 600, GOOD))
    first, second = tried(facts), tried(facts, number=2)
    assert curves(first) == curves(second)
    assert second.tracks[SKILL].log_needed > first.tracks[SKILL].log_needed


def test_nineteen_retrains_without_skill_in_a_year_do_not_promote():
    promoted = 0
    for week in range(19):
        for agent in AGENTS:
            trial = tried(told(chance(agent, 100 + week, 500)), agent=agent, number=week + 1)
            promoted += all_pass(judged(trial))
    assert promoted == 0


def test_before_the_least_decisions_nothing_promotes_even_at_e_of_a_billion():
    facts = told(chance(GATE, 1, 90, GOOD, per_day=2))
    trial = tried(facts)
    for track in trial.tracks.values():
        track.points[-1] = track.points[-1]._replace(log_e=math.log(1e9))
        track.crossed = track.points[-1]
    assert state_of(trial, "evidence of skill").state is State.PASSED
    assert not all_pass(judged(trial))
    assert state_of(trial, "decisions").state is State.INCONCLUSIVE


class TestRefused:
    """Each with its reason."""

    def always(self, action):
        return told((replace_action(entry, action), end) for entry, end in chance(GATE, 5, 2000))

    def test_a_gate_that_lets_all_pass(self):
        trial = tried(self.always(PASS))
        assert not all_pass(judged(trial))
        found = state_of(trial, "saved calls")
        assert (found.state, found.value) == (State.REFUTED, 0.0)

    def test_a_gate_that_skips_all(self):
        trial = tried(self.always(SKIP))
        assert not all_pass(judged(trial))
        assert state_of(trial, "saved calls").state is State.REFUTED
        assert state_of(trial, "miss rate").state is State.REFUTED
        assert overall(judged(trial)) is State.REFUTED

    def test_a_portfolio_that_loses_half_of_the_account(self):
        """It sizes up what loses: a return of -45 % and a Sharpe ratio far below zero."""
        trial = tried(told(chance(PORTFOLIO, 6, 1500, -1.0)), agent=PORTFOLIO)
        every = judged(trial)
        assert overall(every) is State.REFUTED
        figures = score(PORTFOLIO, told_by(trial), Latest("one", 0, risk_per_trade=0.005)).figures
        assert figures.sharpe < -1.48
        assert figures.drawdown > 0.45
        named = {one.name: one for one in every if one.state is State.REFUTED}
        assert {"shadow drawdown", "Sharpe ratio", "evidence of skill"} <= set(named)
        assert all(one.lacks for one in named.values())

    @pytest.mark.parametrize("agent", AGENTS)
    def test_the_luckiest_of_twenty_random_agents(self, agent):
        trials = [tried(told(chance(agent, 200 + seed, 1500)), agent=agent) for seed in range(20)]
        best = max(trials, key=lambda trial: trial.tracks[SKILL].log_e)
        assert best.tracks[SKILL].log_e > 0.0
        assert not all_pass(judged(best))
        found = state_of(best, "evidence of skill")
        assert found.state is State.INCONCLUSIVE
        assert "market days" in found.lacks or "does not grow" in found.lacks


def replace_action(entry, action):
    return entry._replace(action=action)


def test_where_nobody_asked_the_expert_a_gate_is_judged_on_all_candidates():
    pairs = [(e._replace(take=math.nan), o) for e, o in islice(chance(GATE, 1, 600, GOOD), 600)]
    trial = tried(told(iter(pairs)))
    assert {block.told.skill.total for block in trial.blocks} == {0.0}
    assert sum(block.told.everyone.total for block in trial.blocks) > 10.0


def test_a_meta_learner_is_judged_by_what_the_expert_said():
    facts = told(chance(META_LEARNER, 1, 1000, GOOD))
    trial = tried(facts, agent=META_LEARNER)
    assert trial.tracks[UTILITY].log_e > 0.0
    assert replace(trial.contract.terms, alpha=0.01).digest != trial.contract.terms.digest

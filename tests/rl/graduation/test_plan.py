"""What a plan says, and that it holds for agents whose trials are told decision by decision."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from darwin.core.agents import (
    AGENTS,
    GATE,
    KEEP,
    META_LEARNER,
    PASS,
    PORTFOLIO,
    SKIP,
    TO_SKIP,
    TO_TAKE,
)
from darwin.core.market import DAY_MS, HOUR_MS
from darwin.rl.graduation.checklist import COST, VALUE
from darwin.rl.graduation.contract import Contract
from darwin.rl.graduation.forecast import draw, log_es, promotions
from darwin.rl.graduation.increments import Entry, Outcome
from darwin.rl.graduation.plan import Feasible, Forecasts, plan_on
from darwin.rl.graduation.trial import MISS, Trial
from darwin.stats.binormal import separation
from darwin.stats.evidence import first_crossing
from tests.rl.graduation.desk import NOW, START
from tests.rl.graduation.planning import (
    LOST,
    SPREAD,
    TAKES,
    TP,
    USUAL,
    WINS,
    WON,
    habits,
    terms,
)

DAYS, PER_DAY = 120, 10


def quick_plan(told, **how):
    """A plan on fewer agents than the command draws."""
    return plan_on(told, streams=200, **how)


def actions(agent, score, take):
    """The lowest scores are skipped, the same share of either verdict overridden, ranks sized."""
    if agent == PORTFOLIO:
        return (np.argsort(np.argsort(score)) + 0.5) / len(score)
    found = np.full(len(score), PASS if agent == GATE else KEEP)
    if agent == GATE:
        found[score < np.quantile(score[take], USUAL[agent])] = SKIP
        return found
    found[take & (score < np.quantile(score[take], USUAL[agent]))] = TO_SKIP
    found[~take & (score > np.quantile(score[~take], 1 - USUAL[agent]))] = TO_TAKE
    return found


def trial_of(agent, auc, seed):
    """A trial told one agent's decisions over 120 days."""
    chance = np.random.default_rng(seed)
    n = DAYS * PER_DAY
    bars = np.sort(chance.integers(0, DAYS * DAY_MS // HOUR_MS, n)) * HOUR_MS
    won = chance.random(n) < WINS
    r = np.where(won, WON, LOST) + SPREAD * chance.standard_normal(n)
    take = chance.random(n) < TAKES
    score = chance.standard_normal(n) + separation(auc) * won
    trial = Trial(Contract(terms(agent), "run:one", 1, START, NOW))
    first = -(-START // DAY_MS) * DAY_MS
    for key, (bar, what, said, came) in enumerate(
        zip(bars.tolist(), actions(agent, score, take).tolist(), take.tolist(), r.tolist(),
            strict=True)
    ):  # fmt: skip
        trial.hear(str(key), Entry(str(key), first + bar, what, float(said), TP, False))
        trial.hear(str(key), Outcome(first + bar + HOUR_MS, came))
    return trial


@pytest.mark.slow
@pytest.mark.parametrize("agent", AGENTS)
def test_a_forecast_is_what_trials_come_to_that_are_told_each_decision(agent):
    auc, told = 0.64, habits(agent)
    trials = [trial_of(agent, auc, seed) for seed in range(40)]
    blocks = min(len(trial.blocks) for trial in trials)
    drawn = draw(told, auc, 1_000, blocks)
    forecast = log_es(told, drawn)
    relevant = [block.told.skill.relevant for trial in trials for block in trial.blocks]
    assert drawn.relevant == pytest.approx(np.mean(relevant), rel=0.05)
    assert set(forecast) == set(trials[0].tracks)
    for name, log_e in forecast.items():
        seen = np.array([trial.tracks[name].points[blocks - 1].log_e for trial in trials])
        error = log_e[:, -1].std() / math.sqrt(len(trials))
        assert seen.mean() == pytest.approx(log_e[:, -1].mean(), abs=4 * error), name
        assert 0.5 < seen.std() / log_e[:, -1].std() < 2.0, name


@pytest.mark.parametrize("agent", AGENTS)
def test_without_skill_hardly_any_is_promoted(agent):
    forecasts = Forecasts(habits(agent), 0.01, 182)
    assert all(forecasts.chance(0.5, rule) <= 0.01 for rule in forecasts.rules)


@pytest.mark.parametrize("agent", AGENTS)
def test_the_smallest_skill_shows_in_four_of_five_cases(agent):
    rule = quick_plan(habits(agent)).rules[0]
    assert rule.state is Feasible.FEASIBLE
    assert rule.promoted == pytest.approx(0.80, abs=0.05)
    assert rule.inconclusive == pytest.approx(1.0 - rule.promoted)
    assert 0.5 < rule.smallest_auc == rule.auc < 0.7
    assert 40.0 <= rule.median_days <= 365.0
    assert rule.median_decisions == pytest.approx(10.0 * rule.median_days)


def test_a_later_version_wants_more_skill_and_so_does_a_shorter_time():
    usual = quick_plan(habits()).rules[0].smallest_auc
    assert quick_plan(habits(), number=8).rules[0].smallest_auc > usual
    assert quick_plan(habits(), days=120).rules[0].smallest_auc > usual
    assert quick_plan(habits(per_day=40.0)).rules[0].smallest_auc < usual


def test_the_level_of_a_version_is_four_fifths_of_the_one_before():
    first, second = quick_plan(habits(), number=1), quick_plan(habits(), number=2)
    assert (first.alpha_v, second.alpha_v) == pytest.approx((0.01, 0.008))
    assert [rule.level for rule in first.rules] == pytest.approx([0.008, 0.002])


def test_blocks_that_move_together_want_more_skill():
    apart, together = habits(), habits(clustering=4.0)
    assert (
        quick_plan(together).rules[0].smallest_auc > quick_plan(apart).rules[0].smallest_auc + 0.02
    )


def test_few_misses_cannot_be_met_by_who_skips_thirty_percent():
    value, cost = quick_plan(habits()).rules
    assert (value.name, value.state) == (VALUE, Feasible.FEASIBLE)
    assert (cost.name, cost.state) == (COST, Feasible.IMPOSSIBLE)
    assert cost.bounds[0].auc == pytest.approx(0.78, abs=0.005)
    assert cost.why[0] == (
        "miss rate below 10% takes an AUC of 0.78 or more; skipping 20%, the least, 0.68"
    )
    assert cost.smallest_auc > cost.bounds[0].auc


def test_few_misses_can_be_met_by_who_ranks_that_well():
    cost = quick_plan(habits(acts=0.22), auc=0.85).rules[1]
    assert cost.state is Feasible.FEASIBLE
    assert cost.promoted > 0.8


@pytest.mark.parametrize(
    ("agent", "acts", "says"),
    [
        (GATE, 0.55, "saved calls 55.0%, and the bound is 20% to 40%"),
        (GATE, 0.05, "saved calls 5.0%, and the bound is 20% to 40%"),
        (META_LEARNER, 0.30, "agreement 70.0%, and the bound is 80% to 95%"),
        (META_LEARNER, 0.01, "agreement 99.0%, and the bound is 80% to 95%"),
    ],
)
def test_who_acts_on_too_much_or_too_little_cannot_graduate(agent, acts, says):
    rule = quick_plan(habits(agent, acts=acts)).rules[0]
    assert rule.state is Feasible.IMPOSSIBLE
    assert says in rule.why


def test_a_share_that_may_lie_outside_by_chance_is_inconclusive_and_a_chosen_one_is_not():
    few = habits(acts=0.19, decisions=100, days=10.0)
    assert quick_plan(few).rules[0].state is Feasible.INCONCLUSIVE
    assert quick_plan(few, rate=0.19).rules[0].state is Feasible.IMPOSSIBLE


def test_sizes_that_are_not_made_from_risk_keep_the_portfolio_from_graduating():
    told = habits(PORTFOLIO)
    told = replace(told, terms=terms(PORTFOLIO, risk_per_trade=None))
    (rule,) = quick_plan(told).rules
    assert rule.state is Feasible.IMPOSSIBLE
    assert "shadow drawdown" in rule.why[0]


def test_an_account_that_falls_too_far_keeps_the_portfolio_from_graduating():
    calm, wild = habits(PORTFOLIO), habits(PORTFOLIO)
    wild = replace(wild, terms=terms(PORTFOLIO, risk_per_trade=0.05))
    assert quick_plan(calm, auc=0.6).rules[0].promoted > 0.8
    assert quick_plan(wild, auc=0.6).rules[0].promoted < 0.2


def test_one_size_for_all_ranks_nothing():
    (rule,) = quick_plan(habits(PORTFOLIO, sizes=np.full(50, 0.5))).rules
    assert rule.state is Feasible.IMPOSSIBLE
    assert rule.why[0] == "it gives one size to all, which ranks nothing"


def test_a_horizon_of_too_few_blocks_promotes_nobody_whatever_the_skill():
    value = quick_plan(habits(), days=30, auc=0.9).rules[0]
    assert value.state is Feasible.INCONCLUSIVE
    assert value.inconclusive == 1.0
    assert value.why == ("30 days hold 15 blocks; 20 are the least, 40 days",)


def test_skipping_takes_more_skill_to_pay_where_trades_win():
    rich = tuple(replace(side, wins=0.60) for side in habits().sides)
    usual, found = quick_plan(habits(), auc=0.6), quick_plan(habits(sides=rich), auc=0.6)
    assert usual.pays_from == 0.5  # its expert loses money, so that any skip saves some
    assert 0.6 < found.pays_from < 0.9
    assert found.rules[0].worth_r < 0.0 < usual.rules[0].worth_r


def test_skill_that_does_not_pay_is_shown_and_promotes_nobody():
    rich = habits(sides=tuple(replace(side, wins=0.75) for side in habits().sides))
    drawn = draw(rich, 0.62, 200, 182)
    crossed = {
        name: (e.max(axis=1) > math.log(125)).mean() for name, e in log_es(rich, drawn).items()
    }
    assert crossed["skill"] > 0.5
    assert crossed["utility"] == 0.0
    assert quick_plan(rich, auc=0.62).rules[0].promoted == 0.0


@pytest.mark.parametrize("agent", AGENTS)
def test_a_promotion_waits_for_the_last_of_its_tests(agent):
    told = habits(agent)
    drawn = draw(told, 0.65, 100, 150)
    crossed = [first_crossing(e, 0.008) for name, e in log_es(told, drawn).items() if name != MISS]
    at = promotions(told, drawn, 0.01, (VALUE,))[VALUE]
    last, first = np.maximum(*crossed), np.minimum(*crossed)
    both = first >= 0
    assert (last > first)[both].any()
    assert both.any()
    np.testing.assert_array_equal(at[both], np.maximum(last[both], 19))
    assert (at[~both] == -1).all()


def test_an_agent_that_never_overrides_one_kind_of_verdict_can_be_planned_for():
    skips, takes = habits(META_LEARNER).sides
    told = habits(META_LEARNER, acts=0.06, sides=(skips, replace(takes, acts=0.0)))
    assert quick_plan(told).rules[0].state is Feasible.FEASIBLE


def test_the_same_habits_give_the_same_plan():
    assert quick_plan(habits()).rules == quick_plan(habits()).rules

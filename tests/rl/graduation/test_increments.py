"""What a trial makes of each decision is what the arrays of `stats.increments` make of them."""

from __future__ import annotations

import numpy as np
import pytest

from darwin.core.agents import GATE, META_LEARNER, PORTFOLIO, SKIP, TO_SKIP, TO_TAKE
from darwin.core.market import DAY_MS
from darwin.stats import increments as arrays
from tests.rl.graduation.trials import chance, contract, told, tried

COST, TP = contract().terms.call_cost_r, 2.0


@pytest.fixture(params=[0, 1, 2])
def seed(request):
    return request.param


def columns(agent, seed, gaps=True):
    """Decisions as arrays in the order of a trial, and the trial that was told of them."""
    pairs = list(chance(agent, seed, 800, 0.3))
    if gaps:  # some fall through their stops, some win more than the target
        pairs = [
            (entry, outcome._replace(r=outcome.r * (1.0 + 4.0 * (i % 17 == 0))))
            for i, (entry, outcome) in enumerate(pairs)
        ]
    trial = tried(told(iter(pairs)), agent=agent)
    pairs.sort(key=lambda pair: (pair[0].bar_time, pair[0].key))
    time = np.array([entry.bar_time for entry, _ in pairs])
    known = np.searchsorted(time, [outcome.known_ms for _, outcome in pairs], side="left")
    r = np.array([outcome.r for _, outcome in pairs])
    action = np.array([entry.action for entry, _ in pairs])
    take = np.array([entry.take for entry, _ in pairs])
    block = time // (2 * DAY_MS)
    return trial, time, np.maximum(known, np.arange(len(time)) + 1), r, action, take, block


def sums(values, block, trial):
    return arrays.sums_by_block(values, block)[: len(trial.blocks)]


def test_of_the_gate(seed):
    trial, _, known, r, action, take, block = columns(GATE, seed)
    skip, rw = (action == SKIP).astype(float), arrays.clipped(r, TP)
    s = arrays.running_mean(skip, arrays.SKIP_PRIOR, counts=take == 1.0)
    m = arrays.running_mean(rw, arrays.OUTCOME_PRIOR, known, counts=take == 1.0)
    skill = sums(arrays.gate_skill(take, skip, s, m, rw), block, trial)
    utility = sums(arrays.gate_utility(take, skip, r, COST), block, trial)
    assert len(skill) > 30
    assert [one.told.skill.total for one in trial.blocks] == pytest.approx(skill.tolist())
    assert [one.told.utility.total for one in trial.blocks] == pytest.approx(utility.tolist())
    taken = sums(take, block, trial)
    assert [one.told.skill.relevant for one in trial.blocks] == taken.tolist()


def test_of_the_meta_learner(seed):
    trial, _, known, r, action, take, block = columns(META_LEARNER, seed)
    override = np.where(take == 1.0, action == TO_SKIP, action == TO_TAKE).astype(float)
    rw, g = arrays.clipped(r, TP), arrays.direction(take)
    o, m = np.empty(len(r)), np.empty(len(r))
    for said in (0.0, 1.0):
        mine = take == said
        o[mine] = arrays.running_mean(override, arrays.OVERRIDE_PRIOR, counts=mine)[mine]
        m[mine] = arrays.running_mean(rw, arrays.OUTCOME_PRIOR, known, counts=mine)[mine]
    skill = sums(arrays.meta_learner_skill(override, o, g, m, rw), block, trial)
    utility = sums(arrays.meta_learner_utility(override, g, r, TP), block, trial)
    assert [one.told.skill.total for one in trial.blocks] == pytest.approx(skill.tolist())
    assert [one.told.utility.total for one in trial.blocks] == pytest.approx(utility.tolist())


def test_of_the_portfolio(seed):
    trial, _, known, r, w, _, block = columns(PORTFOLIO, seed)
    rw = arrays.clipped(r, TP)
    w_mean = arrays.running_mean(w, arrays.SIZE_PRIOR)
    m = arrays.running_mean(rw, arrays.OUTCOME_PRIOR, known)
    skill = sums(arrays.portfolio_selectivity(w, w_mean, m, rw), block, trial)
    assert [one.told.skill.total for one in trial.blocks] == pytest.approx(skill.tolist())
    first = np.array(trial.blocks[0].told.pairs)
    assert first == pytest.approx(np.column_stack([w * rw, rw])[: len(first)])

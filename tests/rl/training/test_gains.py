"""Gains are what they are called: against a rival that is reckoned here by brute force."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from darwin.core.agents import GATE, META_LEARNER, PORTFOLIO
from darwin.rl.training.gains import blocks_of, gains, learned_gain
from tests.rl.training.test_worlds import made_rows

DRAWS = 4000


@pytest.mark.parametrize("agent", [GATE, META_LEARNER, PORTFOLIO])
def test_the_rival_is_as_busy_at_random(agent: str) -> None:
    rows, rng = made_rows(agent, n=120), np.random.default_rng(4)
    if agent == PORTFOLIO:
        actions = rng.random(len(rows))
        drawn = [float((rng.permutation(actions) * rows.r).mean()) for _ in range(DRAWS)]
        own = float((actions * rows.r).mean())
    else:
        actions = rng.integers(0, len(rows.page.actions), len(rows)).astype(float)
        kinds = rows.take if agent == META_LEARNER else np.zeros(len(rows), dtype=bool)

        def blind() -> np.ndarray:
            mixed = actions.copy()
            for kind in (False, True):
                mixed[kinds == kind] = rng.permutation(mixed[kinds == kind])
            return mixed

        def paid(codes: np.ndarray) -> float:
            return float(rows.rewards[np.arange(len(rows)), codes.astype(int)].mean())

        drawn, own = [paid(blind()) for _ in range(DRAWS)], paid(actions)
    noise = np.std(drawn) / np.sqrt(DRAWS)
    assert learned_gain(rows, actions) == pytest.approx(own - np.mean(drawn), abs=5 * noise)


@pytest.mark.parametrize("agent", [GATE, META_LEARNER])
def test_who_does_the_same_to_all_has_learned_nothing(agent: str) -> None:
    rows = made_rows(agent, n=2000)
    for code in range(len(rows.page.actions)):
        assert learned_gain(rows, np.full(len(rows), float(code))) == pytest.approx(0.0, abs=1e-12)


def test_an_interval_holds_the_gain_and_is_not_known_of_a_few_blocks() -> None:
    rows = made_rows(GATE, n=2000)
    actions = (rows.r > 0).astype(float)
    found = gains(rows, actions)
    assert 0.0 < found.learned.low < found.learned.value < found.learned.high
    assert found.departures == pytest.approx(float((actions == 0).mean()))
    few = gains(rows.select(np.arange(100)), actions[:100])
    assert np.isnan([few.learned.low, few.learned.high, few.decisive.low, few.decisive.high]).all()


def test_at_random_the_interval_holds_zero_as_often_as_it_claims() -> None:
    held = decided = 0
    for seed in range(100):
        rows = made_rows(GATE, n=1500, seed=seed)
        actions = (np.random.default_rng(seed + 1000).random(len(rows)) < 0.7).astype(float)
        found = gains(rows, actions)
        held += found.learned.low <= 0.0 <= found.learned.high
        decided += found.decisive.low <= 0.0 <= found.decisive.high
    assert 88 <= held <= 100
    assert max(held, 96) <= decided <= 100, "the one that a verdict goes by, 99 of 100"


@pytest.mark.parametrize("agent", [GATE, META_LEARNER, PORTFOLIO])
def test_the_interval_of_a_verdict_is_the_reported_one_at_99_percent(agent: str) -> None:
    rows = made_rows(agent, n=1500)
    found = gains(rows, (rows.r > 0).astype(float))
    assert found.decisive.value == found.learned.value
    wide, narrow = (one.high - one.low for one in (found.decisive, found.learned))
    freedom = blocks_of(rows).max()
    due = stats.t.ppf(0.995, freedom) / stats.t.ppf(0.975, freedom)
    assert wide / narrow == pytest.approx(due, rel=1e-6)

"""The books that know nothing: what each decides, and that none looks ahead."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from darwin.allocation import strategies
from darwin.allocation.minimum_variance import long_only_minimum_variance, minimum_variance
from darwin.allocation.strategies import Plan
from darwin.core.rebalance import BookState
from darwin.trading.book import walk
from tests.benchmark.panels import null_panel, panel_of

ROWS = np.arange(30, 299, 7)
EACH = {
    "buy_and_hold": strategies.buy_and_hold,
    "equal_weight": strategies.equal_weight,
    "flat": strategies.flat,
    "ma_crossover": strategies.ma_crossover(5, 20),
    "least_variance": strategies.least_variance(60, 0.1),
    "least_variance_with_shorts": strategies.least_variance(60, 0.0, long_only=False),
}


def plan(strategy, panel, rows=ROWS):
    return strategy(panel, rows, BookState.start(panel.assets))


@pytest.mark.parametrize("name", EACH)
def test_no_decision_changes_when_the_future_arrives(name):
    panel = null_panel(3, 300)
    whole = plan(EACH[name], panel)
    for seen in range(1, len(ROWS)):
        rows = ROWS[:seen]
        early = plan(EACH[name], panel.slice(0, int(rows[-1]) + 1), rows)
        assert_array_equal(early.rows, whole.rows[: len(early.rows)])
        assert_array_equal(early.targets, whole.targets[: len(early.targets)])
        assert (whole.rows[len(early.rows) :] > rows[-1]).all()


def test_a_crossover_of_fewer_bars_than_its_slow_mean_holds_nothing():
    panel = null_panel(3, 15)
    done = plan(strategies.ma_crossover(5, 20), panel, np.arange(2, 12))
    assert not done.targets.any()


def test_chance_does_not_look_at_prices():
    panel, other = null_panel(3, 300), null_panel(4, 300)
    for make in (
        strategies.random_weights,
        lambda rng: strategies.matched(plan(strategies.equal_weight, panel), rng),
    ):
        one, two = (plan(make(np.random.default_rng(1)), p) for p in (panel, other))
        assert_array_equal(one.rows, two.rows)
        assert_array_equal(one.targets, two.targets)


def test_buy_and_hold_trades_once_and_becomes_the_mean_of_all_prices():
    panel = null_panel(5, 200, 3)
    done = plan(strategies.buy_and_hold, panel)
    walked = walk(panel, done.rows, done.targets, 0.0)
    assert_allclose(walked.value[-1], (panel.close[-1] / panel.open[31]).mean())
    assert_allclose(walked.turnover, [1.0])


def test_the_crossover_holds_what_rises_and_decides_only_at_a_change():
    up, down = np.linspace(100, 200, 100), np.linspace(200, 100, 100)
    turns = np.concatenate([up[:50], up[49] - np.arange(50.0)])
    done = plan(
        strategies.ma_crossover(5, 20), panel_of(np.column_stack([up, down, turns])),
        np.arange(10, 99),
    )  # fmt: skip
    assert_array_equal(done.targets[0], [0, 0, 0])  # until there are 20 closes
    assert done.rows[1] == 19
    assert_allclose(done.targets[1], [1 / 3, 0, 1 / 3])
    assert_allclose(done.targets[-1], [1 / 3, 0, 0])
    assert len(done.rows) == 3


def test_least_variance_takes_the_weights_of_its_window():
    panel = null_panel(6, 300)
    returns = np.diff(panel.close[100:161], axis=0) / panel.close[100:160]
    cov = np.cov(returns, rowvar=False)
    rows = np.array([160])
    assert_allclose(
        plan(strategies.least_variance(60), panel, rows).targets[0],
        long_only_minimum_variance(cov), atol=1e-12,
    )  # fmt: skip
    assert_allclose(
        plan(strategies.least_variance(60, long_only=False), panel, rows).targets[0],
        minimum_variance(cov), atol=1e-12,
    )  # fmt: skip
    early = plan(strategies.least_variance(60), panel, np.array([59]))
    assert_allclose(early.targets[0], np.full(4, 0.25))


def test_random_weights_are_weights():
    drawn = plan(strategies.random_weights(np.random.default_rng(0)), null_panel(1, 300)).targets
    assert drawn.min() >= 0.0
    assert drawn.sum(axis=1).max() <= 1.0
    assert len(np.unique(drawn)) == drawn.size
    sides = plan(strategies.random_weights(np.random.default_rng(0)), null_panel(1, 300, 1)).targets
    assert set(sides.ravel()) == {-1.0, 0.0, 1.0}


def busy(panel):
    """An agent that decides at two rows in three, long and short, and mostly in the first asset."""
    rng = np.random.default_rng(9)
    rows = ROWS[np.arange(len(ROWS)) % 3 != 1]
    return Plan(rows, rng.uniform(-0.2, 0.3, (len(rows), panel.assets)) + np.eye(1, panel.assets))


@pytest.mark.parametrize("seed", range(5))
def test_what_is_matched_is_as_busy_and_as_exposed(seed):
    panel = null_panel(2, 300)
    own = busy(panel)
    other = plan(strategies.matched(own, np.random.default_rng(seed)), panel)
    assert len(own.rows) <= len(other.rows) <= len(own.rows) + 1
    assert np.isin(other.rows, ROWS).all() and (np.diff(other.rows) > 0).all()
    extra = len(other.rows) - len(own.rows)
    kept = other.targets[extra:]
    for figure in (lambda w: w.sum(axis=1), lambda w: np.abs(w).max(axis=1)):
        assert_allclose(np.sort(figure(kept)), np.sort(figure(own.targets)))
    calm = panel_of(np.full((300, 4), 100.0))  # prices that stand move no weight

    def traded(p):
        return np.sort(np.abs(np.diff(p.targets, axis=0)).sum(axis=1))

    cycle = Plan(own.rows, np.vstack([own.targets[1:], own.targets[:1]]))
    rounds = np.sort(np.abs(cycle.targets - own.targets).sum(axis=1))
    assert np.isin(traded(other).round(9), rounds.round(9)).all()
    assert walk(calm, other.rows, other.targets, 0.0).value[-1] == pytest.approx(1.0)
    assert not np.array_equal(other.targets, own.targets)


def test_what_never_changes_is_matched_by_another_asset_held_as_long():
    panel = null_panel(2, 300)
    hold = Plan(ROWS[:1], np.eye(1, 4))
    held = [
        plan(strategies.matched(hold, np.random.default_rng(seed)), panel) for seed in range(20)
    ]
    assert all(one.rows[0] == ROWS[0] for one in held)
    assert {int(one.targets[0].argmax()) for one in held} == {0, 1, 2, 3}

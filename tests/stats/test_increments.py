"""What a decision adds to the evidence, by hand; running means that know no future."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darwin.stats.increments import (
    RunningMean,
    clipped,
    direction,
    gate_skill,
    gate_utility,
    meta_learner_skill,
    meta_learner_utility,
    portfolio_selectivity,
    running_mean,
    sums_by_block,
)

seeds = st.integers(0, 2**32 - 1)


def of(*values: float) -> np.ndarray:
    return np.array(values)


def test_outcomes_count_from_three_r_lost_to_the_take_profit():
    np.testing.assert_array_equal(clipped(of(-7.0, -1.0, 1.5, 9.0), 2.0), [-3.0, -1.0, 1.5, 2.0])
    np.testing.assert_array_equal(clipped(of(9.0, 9.0), of(2.0, 10.0)), [2.0, 9.0])


def test_the_gate_is_skilled_where_it_skips_what_is_worse_than_usual():
    take, skip = of(1, 1, 1, 1, 0), of(1, 1, 0, 0, 1)
    rw = of(-1.0, 2.0, -1.0, 2.0, -1.0)
    found = gate_skill(take, skip, np.full(5, 0.3), np.full(5, 0.1), rw)
    np.testing.assert_allclose(found, [0.7 * 1.1, -0.7 * 1.9, -0.3 * 1.1, 0.3 * 1.9, 0.0])


def test_a_skip_saves_a_loss_of_three_r_at_most_and_costs_a_missed_win_in_full():
    take, skip = of(1, 1, 1, 0), of(1, 1, 0, 1)
    found = gate_utility(take, skip, of(-8.0, 9.0, -8.0, 5.0), 0.002)
    np.testing.assert_allclose(found, [3.012, 0.012 - 9.0, 0.01, 0.012])


def test_the_portfolio_is_selective_where_it_sizes_up_what_is_better_than_usual():
    found = portfolio_selectivity(of(1.0, 0.0), of(0.5, 0.5), of(0.1, 0.1), of(2.0, 2.0))
    np.testing.assert_allclose(found, [0.95, -0.95])


def test_overriding_a_take_bets_against_the_trade_and_overriding_a_skip_on_it():
    g = direction(of(1, 0, 1, 0))
    np.testing.assert_array_equal(g, [-1, 1, -1, 1])
    override, o, m = of(1, 1, 0, 0), np.full(4, 0.1), of(0.1, -0.2, 0.1, -0.2)
    found = meta_learner_skill(override, o, g, m, of(-1.0, 2.0, -1.0, 2.0))
    np.testing.assert_allclose(found, [0.9 * 1.1, 0.9 * 2.2, -0.1 * 1.1, -0.1 * 2.2])


def test_an_override_is_paid_up_to_the_clip_and_pays_in_full():
    override, take = of(1, 1, 1, 1, 0), of(1, 1, 0, 0, 1)
    r = of(-8.0, 9.0, -8.0, 9.0, -8.0)
    found = meta_learner_utility(override, direction(take), r, 2.0)
    np.testing.assert_allclose(found, [3.0, -9.0, -8.0, 2.0, 0.0])


def test_blocks_sum_what_lies_in_them():
    values = np.arange(12.0).reshape(2, 6)
    block = np.array([3, 3, 4, 7, 7, 7])
    np.testing.assert_array_equal(sums_by_block(values, block), [[1, 2, 12], [13, 8, 30]])
    assert sums_by_block(np.zeros((2, 0)), np.zeros(0, dtype=np.int64)).shape == (2, 0)
    with pytest.raises(ValueError, match="ascend"):
        sums_by_block(values, block[::-1])


def test_a_running_mean_by_hand():
    values, known = of(1.0, 0.0, 1.0, 5.0), np.array([2, 2, 4, 4])
    found = running_mean(values, 0.3, known)
    np.testing.assert_allclose(found, [0.3, 0.3, (6 + 1) / 22, (6 + 1) / 22])
    np.testing.assert_allclose(running_mean(values, 0.3)[:3], [0.3, 7 / 21, 7 / 22])


def test_what_does_not_count_does_not_enter_and_may_be_unknown():
    values = of(1.0, math.nan, 0.0, 1.0)
    found = running_mean(values, 0.5, counts=of(1, 0, 1, 1).astype(bool))
    np.testing.assert_allclose(found, [0.5, 11 / 21, 11 / 21, 11 / 22])


@st.composite
def streams(draw):
    rng = np.random.default_rng(draw(seeds))
    n = draw(st.integers(1, 60))
    values = rng.normal(size=n)
    return values, np.arange(n) + rng.integers(1, 30, n), rng.random(n) < 0.6


@given(streams())
def test_decision_by_decision_it_is_the_same_as_over_arrays(stream):
    values, known, counts = stream
    mean = RunningMean(0.1)
    streamed = []
    for i in range(len(values)):
        streamed.append(mean.at(i))
        if counts[i]:
            mean.add(values[i], i, int(known[i]))
    np.testing.assert_array_equal(running_mean(values, 0.1, known, counts), streamed)


@given(streams(), st.data())
def test_outcomes_that_are_not_known_yet_change_nothing(stream, data):
    values, known, counts = stream
    i = data.draw(st.integers(0, len(values) - 1))
    before = running_mean(values, 0.1, known, counts)
    other = np.where(known > i, 1e9, values)
    np.testing.assert_array_equal(running_mean(other, 0.1, known, counts)[: i + 1], before[: i + 1])


@given(streams())
def test_many_streams_at_once_are_each_as_alone(stream):
    values, known, counts = stream
    together = running_mean(np.stack([values, -values]), 0.0, known, counts)
    np.testing.assert_array_equal(together[0], running_mean(values, 0.0, known, counts))
    np.testing.assert_array_equal(together[1], -together[0])


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_what_is_no_number_is_refused_by_name(wrong):
    bad, good = of(0.0, wrong), of(0.0, 1.0)
    with pytest.raises(ValueError, match=r"r at \[1\] is"):
        clipped(bad, 2.0)
    for column in ("take", "skip", "s", "m", "rw"):
        told = dict.fromkeys(("take", "skip", "s", "m", "rw"), good) | {column: bad}
        with pytest.raises(ValueError, match=rf"{column} at \[1\] is"):
            gate_skill(**told)
    with pytest.raises(ValueError, match=r"r at \[1\] is"):
        gate_utility(good, good, bad, 0.002)
    with pytest.raises(ValueError, match=r"rw at \[1\] is"):
        portfolio_selectivity(good, good, good, bad)
    with pytest.raises(ValueError, match=r"rw at \[1\] is"):
        meta_learner_skill(good, good, direction(good), good, bad)
    with pytest.raises(ValueError, match=r"r at \[1\] is"):
        meta_learner_utility(good, direction(good), bad, 2.0)
    with pytest.raises(ValueError, match=r"values at \[1\] is"):
        running_mean(bad, 0.0)
    with pytest.raises(ValueError, match="value of decision 4 is"):
        RunningMean(0.0).add(wrong, 4)


def test_an_outcome_cannot_be_known_at_its_own_decision():
    with pytest.raises(ValueError, match="known_from"):
        running_mean(of(1.0, 2.0), 0.0, np.array([1, 1]))
    with pytest.raises(ValueError, match="known_from is 4"):
        RunningMean(0.0).add(1.0, 4, 4)

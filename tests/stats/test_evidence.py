"""Evidence that may be looked at as often as one likes: by hand, against itself, by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from darwin.stats.evidence import (
    EProcess,
    Horizon,
    MissTest,
    first_crossing,
    half_normal,
    log_normal_cdf,
    miss_stake_of,
    stake_of,
)
from darwin.stats.evidence_arrays import (
    log_e_of_misses,
    log_e_over_blocks,
    log_mixture_over_blocks,
    lower_bound,
    stakes_of,
)

TWO_DAYS = Horizon(2.0)
seeds = st.integers(0, 2**32 - 1)


def market(seed: int, streams: int, blocks: int, mean: float = 0.0) -> np.ndarray:
    """Sums of blocks that spread as skipping a third of eight trades does, with some gaps."""
    rng = np.random.default_rng(seed)
    gaps = -3.0 * (rng.random((streams, blocks)) < 0.05)
    return rng.standard_t(4, (streams, blocks)) * 1.4 + gaps + 0.15 + mean


def told_block_by_block(sums: np.ndarray, relevant: np.ndarray, sd: np.ndarray) -> list[float]:
    process = EProcess(TWO_DAYS)
    return [process.add(*block) for block in zip(sums, relevant, sd, strict=True)]


def test_three_blocks_by_hand():
    process = EProcess(Horizon(2.0))
    found = [process.add(total, 4.0, 1.4) for total in (1.0, -2.0, 3.0)]
    stake = 0.95 / 6.0  # 3·√4
    caps = (math.inf, 0.6 / 1.0, 0.6 / 2.0)
    wealth = [1.0] * 4
    expected = []
    for total, cap in zip((1.0, -2.0, 3.0), caps, strict=True):
        wealth = [w * (1 + min(stake, cap) / 2**j * total) for j, w in enumerate(wealth)]
        expected.append(math.log(sum(wealth) / 4 / 2))  # no half-normal mixture before 20 blocks
    assert found == pytest.approx(expected, abs=1e-14)
    assert process.log_mix == pytest.approx(expected[-1] + math.log(2.0))
    assert (process.blocks, process.log_max) == (3, max(found))
    assert process.add(-3.0, 4.0) < process.log_max == max(found)


def test_a_large_sum_caps_the_next_stake_and_a_ruinous_one_leaves_a_fiftieth():
    process = EProcess(TWO_DAYS)
    process.add(-100.0, 1.0)
    assert process.log_mix == pytest.approx(math.log(0.02))
    process.add(50.0, 1.0)  # of 0.95/3 only 0.6/100 is staked
    halves = [0.02 * (1 + 0.006 / 2**j * 50.0) for j in range(4)]
    assert process.log_mix == pytest.approx(math.log(sum(halves) / 4))


@given(seeds)
def test_from_the_twentieth_block_on_the_half_normal_mixture_joins(seed):
    sums = market(seed, 1, 30, 0.5)[0]
    log_e = np.array(told_block_by_block(sums, np.full(30, 8.0), np.full(30, 1.4)))
    mixture = log_mixture_over_blocks(sums, stakes_of(np.full(30, 8.0)))
    np.testing.assert_allclose(log_e[:19], mixture[:19] - math.log(2.0), atol=1e-12)
    for k in (20, 30):
        s, v = sums[:k].sum(), (sums[:k] ** 2).sum()
        v0 = v / k * 75.0 / 8.8
        late = 2 * math.sqrt(v0 / (v + v0)) * math.exp(s**2 / (2 * (v + v0)))
        late *= stats.norm.cdf(s / math.sqrt(v + v0))
        expected = math.log((math.exp(mixture[k - 1]) + late) / 2)
        assert log_e[k - 1] == pytest.approx(expected, abs=1e-12)


@given(seeds, st.integers(1, 60), st.floats(-2.0, 2.0))
def test_block_by_block_it_is_the_same_as_over_arrays(seed, blocks, mean):
    rng = np.random.default_rng(seed)
    sums = market(seed, 3, blocks, mean)
    relevant, sd = rng.uniform(0.5, 20.0, (3, blocks)), rng.uniform(0.3, 3.0, (3, blocks))
    arrays = log_e_over_blocks(sums, relevant, TWO_DAYS, sd)
    for stream in range(3):
        streamed = told_block_by_block(sums[stream], relevant[stream], sd[stream])
        np.testing.assert_allclose(arrays[stream], streamed, rtol=0, atol=1e-12)


@given(seeds, st.integers(1, 59))
def test_e_of_a_block_does_not_change_when_later_ones_arrive(seed, k):
    sums = market(seed, 2, 60)
    whole = log_e_over_blocks(sums, 8.0, TWO_DAYS)
    np.testing.assert_array_equal(log_e_over_blocks(sums[:, :k], 8.0, TWO_DAYS), whole[:, :k])


@given(seeds, st.floats(0.01, 100.0))
def test_the_unit_of_outcomes_does_not_matter_once_their_spread_is_told(seed, unit):
    sums = market(seed, 1, 40, 0.3)
    usual = log_e_over_blocks(sums, 8.0, TWO_DAYS, 1.4)
    scaled = log_e_over_blocks(sums * unit, 8.0, TWO_DAYS, 1.4 * unit)
    np.testing.assert_allclose(scaled, usual, atol=1e-9)


def test_four_times_the_relevant_decisions_halve_the_stake():
    assert stake_of(1.0) == pytest.approx(0.95 / 3)
    assert stake_of(4.0) == pytest.approx(stake_of(1.0) / 2)
    assert stake_of(1.0, 2.8) == pytest.approx(stake_of(1.0) / 2)


def test_the_half_normal_mixture_is_sharpest_after_150_days_and_twenty_blocks_at_least():
    assert Horizon(2.0).blocks == 75.0
    assert Horizon(10.0).blocks == 20.0
    assert half_normal(30.0, 100.0, 19, TWO_DAYS) == -math.inf
    assert half_normal(30.0, 0.0, 100, TWO_DAYS) == -math.inf
    assert half_normal(30.0, 100.0, 20, TWO_DAYS) > 0.0


@given(st.floats(-300.0, 40.0))
def test_the_normal_distribution_is_right_far_out(z):
    assert log_normal_cdf(z) == pytest.approx(stats.norm.logcdf(z), rel=1e-12, abs=1e-15)


def test_a_stream_of_nothing_but_gains_and_one_of_nothing_but_losses_stay_finite():
    always = np.full((1, 3_000), 5.0)
    assert np.isfinite(log_e_over_blocks(np.vstack([always, -always]), 1.0, TWO_DAYS)).all()


@given(seeds, st.integers(1, 60))
def test_misses_block_by_block_are_the_same_as_over_arrays(seed, blocks):
    rng = np.random.default_rng(seed)
    winners = rng.integers(0, 8, blocks).astype(float)
    missed = rng.binomial(winners.astype(int), 0.05).astype(float)
    expected = rng.uniform(1.0, 6.0, blocks)
    test = MissTest()
    streamed = [test.add(*block) for block in zip(missed, winners, expected, strict=True)]
    arrays = log_e_of_misses(missed, winners, expected)
    np.testing.assert_allclose(arrays, streamed, rtol=0, atol=1e-12)
    assert test.blocks == blocks


def test_a_missed_winner_costs_nine_times_what_one_that_was_kept_brings():
    kept, missed = MissTest(), MissTest()
    assert miss_stake_of(4.0) == pytest.approx(0.95 / 0.9 / 4.0)
    stakes = [0.95 / 0.9 / 4.0 / 2**j for j in range(4)]
    assert kept.add(0, 4, 4.0) == pytest.approx(
        math.log(sum(1 + 0.1 * 4 * stake for stake in stakes) / 4)
    )
    assert missed.add(4, 4, 4.0) == pytest.approx(
        math.log(sum(1 - 0.9 * 4 * stake for stake in stakes) / 4)
    )


def test_misses_cross_where_few_are_missed_and_the_other_way_where_many_are():
    rng = np.random.default_rng(1)
    few, many = rng.binomial(4, 0.04, 800), rng.binomial(4, 0.3, 800)
    fewer, more = MissTest(), MissTest(sign=-1.0)
    for count in few:
        fewer.add(int(count), 4, 4.0)
    for count in many:
        more.add(int(count), 4, 4.0)
    assert fewer.log_max > math.log(100.0)
    assert more.log_max > math.log(100.0)
    wrong = MissTest()
    for count in many:
        wrong.add(int(count), 4, 4.0)
    assert wrong.log_max < math.log(20.0)


def test_a_crossing_is_the_first_block_at_the_level_and_holds():
    log_e = np.log([[1.0, 19.9, 20.1, 3.0], [1.0, 2.0, 3.0, 4.0], [25.0, 1.0, 1.0, 1.0]])
    np.testing.assert_array_equal(first_crossing(log_e, 0.05), [2, -1, 0])
    assert first_crossing(np.zeros((2, 0)), 0.05).tolist() == [-1, -1]


def test_the_lower_bound_is_where_e_stops_crossing():
    sums = market(5, 1, 250, 1.0)[0]
    bound = lower_bound(sums, 8.0, TWO_DAYS, 0.05)
    fine = 1e-6
    below, above = (
        first_crossing(log_e_over_blocks(sums - mean, 8.0, TWO_DAYS), 0.05)
        for mean in (bound - fine, bound + fine)
    )
    assert below >= 0 > above
    assert 0.0 < bound < sums.mean()


def test_a_stricter_level_and_fewer_blocks_give_a_lower_bound():
    sums = market(6, 1, 300, 1.0)[0]
    bounds = [lower_bound(sums, 8.0, TWO_DAYS, level) for level in (0.2, 0.05, 0.008)]
    assert bounds == sorted(bounds, reverse=True)
    assert lower_bound(sums[:30], 8.0, TWO_DAYS, 0.05) < bounds[1]
    assert lower_bound(sums[:0], 8.0, TWO_DAYS, 0.05) == -math.inf
    assert math.isfinite(lower_bound(np.zeros(3), 8.0, TWO_DAYS, 0.05))


def test_the_lower_bound_lies_below_the_mean_that_is_true():
    sums = market(7, 200, 120)
    above = sum(lower_bound(one, 8.0, TWO_DAYS, 0.05) > 0.0 for one in sums)
    assert above <= 10


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_refused_by_name_and_nothing_is_learned(wrong):
    process, misses = EProcess(TWO_DAYS), MissTest()
    with pytest.raises(ValueError, match="block_sum is"):
        process.add(wrong, 8.0)
    with pytest.raises(ValueError, match="relevant_per_block is"):
        process.add(1.0, wrong)
    with pytest.raises(ValueError, match="sd is"):
        process.add(1.0, 8.0, wrong)
    assert (process.blocks, process.log_e) == (0, -math.log(2.0))
    assert process.add(1.0, 8.0) == EProcess(TWO_DAYS).add(1.0, 8.0)
    with pytest.raises(ValueError, match="winners is"):
        misses.add(0, wrong, 4.0)
    with pytest.raises(ValueError, match="missed is"):
        misses.add(math.nan, 4, 4.0)
    assert misses.blocks == 0
    sums = np.zeros((2, 3))
    sums[1, 2] = wrong
    with pytest.raises(ValueError, match=r"block_sums at \[1, 2\] is"):
        log_e_over_blocks(sums, 8.0, TWO_DAYS)
    with pytest.raises(ValueError, match="block_days is"):
        Horizon(wrong)


@pytest.mark.parametrize("wrong", [0.0, -1.0])
def test_a_scale_that_is_not_above_zero_is_refused(wrong):
    with pytest.raises(ValueError, match="relevant_per_block is"):
        EProcess(TWO_DAYS).add(1.0, wrong)
    with pytest.raises(ValueError, match=r"relevant_per_block at \[1\] is"):
        log_e_over_blocks(np.zeros(2), np.array([1.0, wrong]), TWO_DAYS)
    with pytest.raises(ValueError, match="level is"):
        first_crossing(np.zeros((1, 2)), wrong)
    with pytest.raises(ValueError, match="bound is"):
        MissTest(wrong)


def test_more_misses_than_winners_are_refused():
    with pytest.raises(ValueError, match="missed is 3 of 2"):
        MissTest().add(3, 2, 4.0)
    with pytest.raises(ValueError, match="missed is no count"):
        log_e_of_misses(np.array([3.0]), np.array([2.0]), 4.0)


def test_without_an_edge_e_seldom_crosses_however_often_one_looks():
    sums = market(8, 2_000, 250)
    crossed = (first_crossing(log_e_over_blocks(sums, 8.0, TWO_DAYS), 0.05) >= 0).mean()
    assert crossed <= 0.05
    naive = np.cumsum(sums, axis=1) / np.sqrt(np.cumsum(sums**2, axis=1))
    assert (naive[:, 19:].max(axis=1) > 1.645).mean() > 0.15, "a t-test every day is fooled"


@pytest.mark.sweep
@pytest.mark.parametrize("level", [0.2, 0.05, 0.01])
@pytest.mark.parametrize("seed", range(4))
def test_without_an_edge_it_holds_its_level_over_long_streams(seed, level):
    sums = market(100 + seed, 4_000, 1_000)
    crossed = (first_crossing(log_e_over_blocks(sums, 8.0, TWO_DAYS), level) >= 0).mean()
    assert crossed <= level


def test_an_edge_crosses_and_the_larger_one_sooner():
    small, large = (
        first_crossing(log_e_over_blocks(market(9, 300, 250, mean), 8.0, TWO_DAYS), 0.04)
        for mean in (0.5, 1.0)
    )
    assert (small >= 0).mean() > 0.6
    assert (large >= 0).mean() > 0.99
    assert np.median(large) < np.median(small[small >= 0])

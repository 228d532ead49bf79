"""The stationary bootstrap: its law, its stretches, and how often its intervals hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from arch.bootstrap import optimal_block_length
from hypothesis import given
from hypothesis import strategies as st

from darwin.stats.stationary import mean_stretch, middle, resampled_sums


def remembering(n: int, memory: float, seed: int) -> np.ndarray:
    """A first-order autoregression that has forgotten its start."""
    shock = np.random.default_rng(seed).normal(size=n + 60)
    series = np.zeros(n + 60)
    for t in range(1, n + 60):
        series[t] = memory * series[t - 1] + shock[t]
    return series[60:]


def politis_and_romano(series: np.ndarray, stretch: float) -> float:
    """The variance of a drawn sum as their paper has it, through circular autocovariances."""
    n, p = len(series), 1.0 / stretch
    deviation = series - series.mean()
    total = 0.0
    for k in range(-(n - 1), n):
        circular = float(deviation @ np.roll(deviation, k)) / n
        total += (1 - abs(k) / n) * (1 - p) ** abs(k) * circular
    return n * total


@pytest.mark.parametrize("stretch", [1.0, 3.0, 12.0])
def test_what_is_drawn_varies_as_politis_and_romano_have_it(stretch):
    series = remembering(60, 0.6, 1)
    drawn = resampled_sums(series[:, None], stretch, np.random.default_rng(3), 20_000)[:, 0]
    error = math.sqrt(politis_and_romano(series, stretch) / 20_000)
    assert drawn.mean() == pytest.approx(series.sum(), abs=4 * error)
    assert drawn.var() == pytest.approx(politis_and_romano(series, stretch), rel=0.05)


@given(st.integers(1, 40), st.floats(1.0, 20.0), st.integers(0, 2**32 - 1))
def test_every_draw_is_as_long_as_the_series_and_keeps_its_columns_together(n, stretch, seed):
    value = np.random.default_rng(seed).normal(size=n)
    rows = np.column_stack([np.ones(n), value, -2.0 * value])
    drawn = resampled_sums(rows, stretch, np.random.default_rng(seed), 50)
    assert drawn.shape == (50, 3)
    assert drawn[:, 0].tolist() == [n] * 50
    assert drawn[:, 2] == pytest.approx(-2.0 * drawn[:, 1], abs=1e-9)


def test_a_stretch_that_never_ends_is_the_whole_series_over_and_over():
    rows = np.arange(30.0)[:, None]
    drawn = resampled_sums(rows, 1e9, np.random.default_rng(1), 40)
    assert drawn[:, 0].tolist() == [rows.sum()] * 40


def test_the_same_generator_draws_the_same_and_none_depends_on_memory_but_its_own(monkeypatch):
    rows = remembering(50, 0.3, 2)[:, None]
    whole = resampled_sums(rows, 3.0, np.random.default_rng(1), 70)
    assert resampled_sums(rows, 3.0, np.random.default_rng(1), 70).tolist() == whole.tolist()
    monkeypatch.setattr("darwin.stats.stationary._MOST_AT_ONCE", 1_000)
    pieces = resampled_sums(rows, 3.0, np.random.default_rng(1), 70)
    assert pieces.shape == whole.shape
    assert pieces.std() == pytest.approx(whole.std(), rel=0.5)


@pytest.mark.parametrize("n", [120, 600])
@pytest.mark.parametrize("memory", [0.0, 0.4])
def test_the_mean_stretch_is_that_of_another_library(n, memory):
    for seed in range(40):
        series = remembering(n, memory, seed)
        other = float(optimal_block_length(series)["stationary"].iloc[0])
        assert mean_stretch(series) == pytest.approx(max(other, 1.0))


@pytest.mark.parametrize("n", [120, 600])
def test_where_memory_is_long_it_is_about_that_of_another_library(n):
    """Which divides the autocovariance at a lag by the variance of those days alone."""
    series = [remembering(n, 0.8, seed) for seed in range(40)]
    other = [float(optimal_block_length(one)["stationary"].iloc[0]) for one in series]
    assert np.mean([mean_stretch(one) for one in series]) == pytest.approx(np.mean(other), rel=0.1)


@given(st.lists(st.floats(-1e6, 1e6), max_size=60))
def test_a_mean_stretch_is_always_one_that_can_be_drawn(values):
    stretch = mean_stretch(np.array(values))
    assert 1.0 <= stretch <= max(1.0, math.ceil(len(values) / 3))


def test_more_memory_wants_longer_stretches_and_a_factor_changes_none():
    forgetful, faithful = (remembering(1_000, memory, 4) for memory in (0.1, 0.8))
    assert mean_stretch(forgetful) < mean_stretch(faithful)
    assert mean_stretch(1e-7 * faithful) == pytest.approx(mean_stretch(faithful))


@pytest.mark.parametrize("memory", [0.0, 0.3])
def test_the_interval_of_a_sum_holds_the_truth_about_as_often_as_it_claims(memory):
    rng, held = np.random.default_rng(5), 0
    for seed in range(300):
        series = remembering(250, memory, seed)
        drawn = resampled_sums(series[:, None], mean_stretch(series), rng, 400)[:, 0]
        held += middle(float(series.sum()), drawn).low <= 0.0 <= middle(0.0, drawn).high
    assert 0.88 <= held / 300 <= 0.98


def test_without_stretches_memory_would_be_taken_for_certainty():
    rng, held = np.random.default_rng(5), 0
    for seed in range(200):
        series = remembering(250, 0.8, seed)
        drawn = resampled_sums(series[:, None], 1.0, rng, 400)[:, 0]
        held += middle(0.0, drawn).low <= 0.0 <= middle(0.0, drawn).high
    assert held / 200 < 0.7


def test_what_has_no_figure_has_no_interval():
    assert all(map(math.isnan, middle(math.nan, np.ones(10))))
    value, low, high = middle(1.0, np.array([np.nan] * 2 + [1.0] * 8))
    assert value == 1.0
    assert math.isnan(low)
    assert math.isnan(high)

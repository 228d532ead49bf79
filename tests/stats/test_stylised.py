"""Stylised facts against what theory says of processes with known answers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from darwin.stats.stylised import (
    auc,
    autocorrelation,
    dfa_exponent,
    excess_kurtosis,
    median_range_over_move,
)


def noise(n: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(n)


def test_kurtosis_agrees_with_scipy():
    returns = np.random.default_rng(1).standard_t(5, 10_000)
    assert excess_kurtosis(returns) == pytest.approx(stats.kurtosis(returns), rel=1e-12)


def test_kurtosis_without_the_ten_largest_ignores_ten_outliers_of_either_sign():
    returns = noise(5_000)
    spiked = np.concatenate([returns, [50.0] * 5, [-60.0] * 5])
    assert excess_kurtosis(spiked) > 100.0
    assert excess_kurtosis(spiked, leave_out_largest=10) == pytest.approx(
        stats.kurtosis(returns), rel=1e-12
    )


def test_autocorrelation_of_an_autoregression_decays_with_its_rate():
    shocks, value = noise(200_000), np.zeros(200_000)
    for t in range(1, len(value)):
        value[t] = 0.8 * value[t - 1] + shocks[t]
    np.testing.assert_allclose(autocorrelation(value, (1, 2, 5)), [0.8, 0.8**2, 0.8**5], atol=0.015)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_dfa_is_a_half_without_memory_and_three_halves_for_a_random_walk(seed):
    assert dfa_exponent(noise(50_000, seed)) == pytest.approx(0.5, abs=0.03)
    assert dfa_exponent(np.cumsum(noise(50_000, seed))) == pytest.approx(1.5, abs=0.05)


def test_dfa_sees_persistence():
    shocks = noise(50_000)
    persistent = np.convolve(shocks, np.ones(50), "valid")
    assert dfa_exponent(persistent) > 0.6


def test_range_over_move_leaves_out_bars_that_did_not_move():
    low, returns = np.ones(4), np.array([0.1, -0.2, 0.0, 0.4])
    high = np.exp([0.2, 0.6, 5.0, 0.4])
    assert median_range_over_move(high, low, returns) == pytest.approx(2.0)


def test_auc_is_the_share_of_ordered_pairs_with_ties_counted_half():
    rng = np.random.default_rng(4)
    score, label = rng.integers(0, 6, 300).astype(float), rng.random(300) < 0.4
    pairs = score[label][:, None] - score[~label][None, :]
    assert auc(score, label) == pytest.approx(np.mean((pairs > 0) + 0.5 * (pairs == 0)))


def test_auc_of_one_class_is_nan():
    assert np.isnan(auc(np.arange(3.0), np.ones(3, dtype=bool)))

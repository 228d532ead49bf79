"""Least variance against its closed form, its conditions, and an optimiser that knows neither."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.optimize import minimize

from darwin.allocation.minimum_variance import (
    long_only_minimum_variance,
    minimum_variance,
    shrunk,
)
from darwin.errors import ConfigError


def covariance(seed: int, n: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    factors = rng.standard_normal((n, n + 2)) * rng.uniform(0.2, 3.0, (n, 1))
    factors[:, 0] += rng.uniform(0, 4)  # most move together, so that shorts are wanted
    return factors @ factors.T * 1e-5


covariances = st.builds(covariance, st.integers(0, 10_000), st.integers(1, 8))


def test_two_assets_by_hand():
    # variances 4 and 9, covariance 2: (9 - 2, 4 - 2) / 9
    assert_allclose(minimum_variance(np.array([[4.0, 2.0], [2.0, 9.0]])), [7 / 9, 2 / 9])


def test_uncorrelated_assets_weigh_one_over_their_variance():
    assert_allclose(minimum_variance(np.diag([1.0, 2.0, 4.0])), np.array([4, 2, 1]) / 7)


@given(covariances)
def test_the_closed_form_is_the_inverse_times_ones(cov):
    ones = np.linalg.inv(cov) @ np.ones(len(cov))
    assert_allclose(minimum_variance(cov), ones / ones.sum(), rtol=1e-6, atol=1e-9)


@given(covariances)
def test_without_shorts_no_other_long_book_moves_less(cov):
    w = long_only_minimum_variance(cov)
    assert w.min() >= 0.0
    assert_allclose(w.sum(), 1.0)
    pull = cov @ w  # the same for all that are held, no less for the others
    least = w @ cov @ w
    assert_allclose(pull[w > 1e-9], least, rtol=1e-6)
    assert (pull >= least * (1 - 1e-6)).all()


@pytest.mark.parametrize("seed", range(8))
def test_without_shorts_it_is_what_an_optimiser_finds(seed):
    cov = covariance(seed, 6)
    size = np.trace(cov)
    found = minimize(
        lambda w: w @ cov @ w / size, np.full(6, 1 / 6), method="SLSQP", bounds=[(0, 1)] * 6,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1}, options={"ftol": 1e-14},
    )  # fmt: skip
    assert_allclose(long_only_minimum_variance(cov), found.x, atol=2e-4)


def test_where_no_short_is_wanted_both_are_the_same():
    cov = np.diag([1.0, 2.0, 4.0]) + 0.1
    assert_allclose(long_only_minimum_variance(cov), minimum_variance(cov))


def test_all_shrinkage_makes_equal_weights():
    assert_allclose(minimum_variance(shrunk(covariance(1, 5), 1.0)), np.full(5, 0.2))
    assert_allclose(shrunk(np.diag([1.0, 3.0]), 0.5), np.diag([1.5, 2.5]))


@pytest.mark.parametrize("solve", [minimum_variance, long_only_minimum_variance])
@pytest.mark.parametrize("cov", [np.zeros((2, 2)), np.array([[1.0, 0.9], [0.9, -1.0]])])
def test_what_has_no_least_variance_is_refused(solve, cov):
    with pytest.raises(ConfigError, match="not positive definite"):
        solve(cov)

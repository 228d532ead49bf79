"""The Kelly criterion, against tables worked out by hand and against log wealth itself."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from darwin.allocation.kelly import Kelly, moments
from darwin.errors import ConfigError, DataError

FULL = Kelly(fraction=1.0, cap=100.0, gross=100.0, shrinkage=0.0)


@pytest.mark.parametrize(
    ("mean", "variance", "fraction", "cap", "share"),
    [
        (0.05, 0.09, 1.0, 100.0, 5 / 9),  # 0.05 / 0.09
        (0.05, 0.09, 0.5, 100.0, 5 / 18),  # half of it
        (0.05, 0.09, 0.5, 0.2, 0.2),  # the cap
        (0.10, 0.04, 1.0, 1.0, 1.0),  # 0.10 / 0.04 = 2.5, capped
        (0.10, 0.04, 1.0, 100.0, 2.5),
        (0.10, 0.04, 0.25, 100.0, 0.625),  # 2.5 / 4
        (0.0, 0.04, 1.0, 1.0, 0.0),  # no edge
        (-0.10, 0.04, 1.0, 1.0, 0.0),  # a negative one
        (math.nan, 0.04, 1.0, 1.0, 0.0),
        (math.inf, 0.04, 1.0, 1.0, 0.0),
        (0.10, 0.0, 1.0, 1.0, 0.0),  # a variance of nothing is not known
        (0.10, -0.04, 1.0, 1.0, 0.0),
        (0.10, math.nan, 1.0, 1.0, 0.0),
        (0.10, math.inf, 1.0, 1.0, 0.0),
        (1e300, 1e-300, 1.0, 1.0, 1.0),  # overflows, and is capped
    ],
)
def test_one_asset_gets_what_the_table_says(
    mean: float, variance: float, fraction: float, cap: float, share: float
) -> None:
    rule = Kelly(fraction=fraction, cap=cap, gross=100.0)
    assert rule.share(mean, variance) == pytest.approx(share, rel=1e-15)


def test_the_full_share_is_where_log_wealth_grows_fastest() -> None:
    mean, variance = 0.004, 0.04
    shares = np.linspace(0.0, 0.3, 3001)
    up, down = mean + math.sqrt(variance), mean - math.sqrt(variance)
    growth = 0.5 * np.log1p(shares * up) + 0.5 * np.log1p(shares * down)
    assert FULL.share(mean, variance) == pytest.approx(shares[growth.argmax()], abs=2e-3)


TWO = np.array([[0.04, 0.018], [0.018, 0.09]])  # sd 0.2 and 0.3, correlation 0.3


def test_two_assets_get_what_the_inverse_says() -> None:
    # det = 0.04·0.09 − 0.018² = 0.003276
    # (0.09·0.06 − 0.018·0.08) / det = 0.00396 / 0.003276
    # (0.04·0.08 − 0.018·0.06) / det = 0.00212 / 0.003276
    shares = FULL.shares(np.array([0.06, 0.08]), TWO)
    assert_allclose(shares, [0.00396 / 0.003276, 0.00212 / 0.003276], rtol=1e-12)


def test_without_correlation_each_asset_stands_alone() -> None:
    mean = np.array([0.02, 0.05, 0.01])
    variance = np.array([0.04, 0.09, 0.01])
    assert_allclose(FULL.shares(mean, np.diag(variance)), mean / variance, rtol=1e-12)


def test_shrinkage_shrinks_correlations_and_no_variance() -> None:
    mean = np.array([0.06, 0.08])
    all_of_it = Kelly(fraction=1.0, cap=100.0, gross=100.0, shrinkage=1.0)
    assert_allclose(all_of_it.shares(mean, TWO), [1.5, 8 / 9], rtol=1e-12)
    half = Kelly(fraction=1.0, cap=100.0, gross=100.0, shrinkage=0.5)
    # off the diagonal 0.009: det = 0.0036 − 0.000081 = 0.003519
    assert_allclose(half.shares(mean, TWO), [0.00468 / 0.003519, 0.00266 / 0.003519], rtol=1e-12)


def test_caps_cut_each_asset_and_then_all_together() -> None:
    rule = Kelly(fraction=1.0, cap=1.0, gross=1.2, shrinkage=0.0)
    # 2.5 and 0.5 → cut to 1.0 and 0.5 → times 1.2 / 1.5
    shares = rule.shares(np.array([0.1, 0.02]), np.diag([0.04, 0.04]))
    assert_allclose(shares, [0.8, 0.4], rtol=1e-12)


@pytest.mark.parametrize("bad", [-0.05, 0.0, math.nan, -math.inf, math.inf])
def test_an_edge_that_is_not_known_to_be_positive_gets_nothing(bad: float) -> None:
    shares = FULL.shares(np.array([0.06, bad]), TWO)
    assert_allclose(shares, [1.5, 0.0], rtol=1e-12)  # 0.06 / 0.04: as if it were not there


def test_an_asset_that_would_be_sold_short_gets_nothing() -> None:
    twins = np.array([[0.04, 0.057], [0.057, 0.09]])  # correlation 0.95
    shares = FULL.shares(np.array([0.06, 0.02]), twins)
    assert_allclose(shares, [1.5, 0.0], rtol=1e-12)


@given(
    st.lists(st.floats(-0.3, 0.3), min_size=1, max_size=6),
    st.floats(0.01, 1.0),
    st.floats(0.1, 3.0),
    st.integers(0, 2**32 - 1),
)
def test_shares_are_never_negative_nor_beyond_the_caps(
    means: list[float], fraction: float, gross: float, seed: int
) -> None:
    n = len(means)
    root = np.random.default_rng(seed).normal(size=(n, n + 2))
    rule = Kelly(fraction=fraction, cap=1.0, gross=gross)
    mean = np.array(means)
    shares = rule.shares(mean, root @ root.T / 100)
    assert (shares >= 0.0).all() and (shares <= 1.0).all()
    assert shares.sum() <= gross * (1 + 1e-12)
    assert (shares[mean <= 0.0] == 0.0).all()


def test_all_edges_negative_is_all_cash() -> None:
    assert_array_equal(Kelly().shares(np.array([-0.1, -0.2]), TWO), [0.0, 0.0])


def test_moments_are_those_of_a_sample() -> None:
    returns = np.random.default_rng(1).normal(size=(50, 3))
    mean, covariance = moments(returns)
    assert_allclose(mean, returns.mean(axis=0))
    assert_allclose(covariance, np.cov(returns.T))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(DataError, match="covariance of"):
        FULL.shares(np.zeros(2), np.zeros((3, 3)))
    with pytest.raises(DataError, match="no inverse"):
        FULL.shares(np.array([0.1, 0.1]), np.full((2, 2), 0.04))
    with pytest.raises(DataError, match="no variance"):
        moments(np.zeros((1, 2)))
    with pytest.raises(ConfigError, match="fraction"):
        Kelly(fraction=1.5)
    with pytest.raises(ConfigError, match="cap"):
        Kelly(cap=math.nan)

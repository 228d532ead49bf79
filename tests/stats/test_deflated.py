"""Sharpe ratios that pay for being looked for: held against scipy and against brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from darwin.stats.deflated import (
    FEWEST_DAYS,
    daily_sharpe,
    daily_sums,
    deflated,
    effective_days,
    expected_maximum,
    probabilistic,
)

DAY_MS = 86_400_000
SURE = 0.95


def noise(seed: int, *shape: int) -> np.ndarray:
    """Days without any skill, with heavier tails than the normal distribution has."""
    return np.random.default_rng(seed).standard_t(5, shape)


@given(st.integers(0, 2**32 - 1), st.integers(FEWEST_DAYS, 300), st.floats(-0.3, 0.3))
def test_it_is_the_closed_form(seed, days, benchmark):
    sums = np.random.default_rng(seed).gamma(2.0, 1.0, days) - 1.7
    ratio = sums.mean() / sums.std(ddof=1)
    spread = 1 - stats.skew(sums) * ratio + (stats.kurtosis(sums, fisher=False) - 1) / 4 * ratio**2
    expected = stats.norm.cdf((ratio - benchmark) * np.sqrt((days - 1) / spread))
    found = daily_sharpe(sums)
    assert found.per_day == pytest.approx(ratio)
    assert found.annualised == pytest.approx(ratio * math.sqrt(365))
    assert (found.days, found.effective_days) == (days, days)
    assert probabilistic(found, benchmark) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("trials", [2, 5, 30, 300])
def test_the_expected_maximum_is_about_that_of_so_many_draws(trials):
    drawn = np.random.default_rng(3).normal(0.0, 0.2, (20_000, trials)).max(axis=1)
    found = expected_maximum(trials, 0.2**2)
    assert found == pytest.approx(drawn.mean(), rel=0.1)
    euler = 0.5772156649015329
    z = stats.norm.ppf
    exact = (1 - euler) * z(1 - 1 / trials) + euler * z(1 - 1 / (trials * math.e))
    assert found == pytest.approx(0.2 * exact)


@pytest.mark.parametrize("trials", [1, 2, 10, 50])
def test_the_best_of_trials_without_skill_is_seldom_sure(trials):
    fooled = sure = 0
    for study in range(400):
        series = noise(study, trials, 120)
        ratios = series.mean(axis=1) / series.std(axis=1, ddof=1)
        best = daily_sharpe(series[ratios.argmax()])
        variance = float(ratios.var(ddof=1)) if trials > 1 else 0.0
        fooled += probabilistic(best) > SURE
        sure += deflated(best, trials, variance) > SURE
    assert sure <= (0.05 + 2 * math.sqrt(0.05 * 0.95 / 400)) * 400
    if trials >= 10:
        assert fooled > 100, "without deflation it would be fooled"


def test_skill_is_seen_through_many_trials():
    skilled = noise(1, 250) + 0.5
    assert deflated(daily_sharpe(skilled), 50, 1 / 250) > SURE


def test_more_trials_and_trials_that_differ_more_make_it_less_sure():
    found = daily_sharpe(noise(2, 200) + 0.2)
    by_count = [deflated(found, trials, 0.01) for trials in (1, 2, 5, 20, 100)]
    by_variance = [deflated(found, 10, variance) for variance in (0.0, 1e-4, 1e-3, 1e-2)]
    for sure in (by_count, by_variance):
        assert sure == sorted(sure, reverse=True)
        assert sure[0] > sure[-1] + 0.2


def test_one_trial_and_trials_that_do_not_differ_deflate_nothing():
    found = daily_sharpe(noise(2, 200) + 0.2)
    assert deflated(found, 1, 0.04) == deflated(found, 40, 0.0) == probabilistic(found)
    assert deflated(found, 1, math.nan) == probabilistic(found)
    assert math.isnan(expected_maximum(2, math.nan)) and math.isnan(deflated(found, 2, math.nan))
    with pytest.raises(ValueError, match="one trial at least"):
        deflated(found, 0, 0.04)


@pytest.mark.parametrize(
    "sums", [np.zeros(0), noise(4, FEWEST_DAYS - 1), np.zeros(50), np.full(50, -0.25)]
)
def test_of_few_days_and_of_such_that_do_not_vary_nothing_is_said(sums):
    found = daily_sharpe(sums, lags=2)
    assert found.days == len(sums)
    assert math.isnan(found.per_day)
    assert math.isnan(found.annualised)
    assert math.isnan(deflated(found, 3, 0.01))
    assert not math.isnan(deflated(daily_sharpe(noise(4, FEWEST_DAYS)), 3, 0.01))


def test_a_coin_that_always_pays_the_same_two_sums_has_a_probability_or_none():
    even = daily_sharpe(np.tile([1.0, -1.0], 20))
    assert probabilistic(even) == pytest.approx(0.5)
    lucky = daily_sharpe(np.array([1.0] * 39 + [-1.0]))
    assert math.isnan(probabilistic(lucky)) or 0.0 <= probabilistic(lucky) <= 1.0


def test_decisions_of_one_day_are_one_observation():
    day = np.arange(60)
    values = noise(5, 60)
    once = daily_sharpe(daily_sums(values, day * DAY_MS + 1))
    hourly = daily_sums(np.repeat(values / 24, 24), np.arange(1, 60 * 24 + 1) * (DAY_MS // 24))
    assert daily_sharpe(hourly) == pytest.approx(once)
    assert once.days == 60


def test_days_without_a_decision_count_and_midnight_ends_a_day():
    time = np.array([3 * DAY_MS, 3 * DAY_MS + 1, 7 * DAY_MS])
    np.testing.assert_array_equal(daily_sums(np.array([1.0, 2.0, 4.0]), time), [1, 2, 0, 0, 4])
    assert len(daily_sums(np.zeros(0), np.zeros(0, dtype=np.int64))) == 0


def test_days_that_hang_together_count_as_fewer_and_are_not_taken_for_skill():
    sure = blind = alone = 0
    for study in range(400):
        shocks = np.random.default_rng(study).normal(size=205)
        over_six_days = np.convolve(shocks, np.ones(6), "valid")
        sure += probabilistic(daily_sharpe(over_six_days, lags=12)) > SURE
        blind += probabilistic(daily_sharpe(over_six_days)) > SURE
        alone += probabilistic(daily_sharpe(shocks, lags=2)) > SURE
    assert blind > 80, "each shock is counted six times"
    assert sure < 45
    assert 8 <= alone <= 33


@given(st.integers(0, 2**32 - 1), st.integers(2, 80), st.integers(0, 100))
def test_there_are_never_more_effective_days_than_days(seed, days, lags):
    sums = np.random.default_rng(seed).normal(size=days)
    assert 0.0 < effective_days(sums, lags) <= days

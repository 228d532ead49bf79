"""Figures of performance against values worked out by hand and by scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats

from darwin.core.market import DAY_MS, HOUR_MS
from darwin.errors import ConfigError
from darwin.stats import performance as perf
from darwin.stats.intervals import grouped_mean, student_quantile

START = int(np.datetime64("2024-01-01", "ms").astype(np.int64))


def closes_every_hour(count: int) -> np.ndarray:
    return START + HOUR_MS * np.arange(1, count + 1)


def test_the_mark_at_midnight_belongs_to_the_day_that_ends_there() -> None:
    days = perf.utc_days(closes_every_hour(48), "continuous")
    assert days.last.tolist() == [23, 47]
    assert days.per_year == 365


def test_a_day_without_marks_repeats_the_one_before_in_a_continuous_market() -> None:
    closed = START + DAY_MS * np.array([1, 2, 5])
    assert perf.utc_days(closed, "continuous").last.tolist() == [0, 1, 1, 1, 2]


def test_a_session_market_counts_its_own_trading_days() -> None:
    weekdays = np.array([d for d in range(1, 3653) if d % 7 not in (0, 1)])
    days = perf.utc_days(START + DAY_MS * weekdays, "sessions")
    assert len(days.day) == len(weekdays)
    assert days.per_year == pytest.approx(5 / 7 * 365.25, rel=1e-3)


def test_an_unknown_calendar_is_refused() -> None:
    with pytest.raises(ConfigError, match="'lunar' is no calendar"):
        perf.utc_days(closes_every_hour(3), "lunar")


def test_returns_sharpe_and_sortino_are_those_of_the_hand() -> None:
    returns = perf.simple_returns(np.array([101.0, 99.99, 102.9897]), 100.0)
    assert_allclose(returns, [0.01, -0.01, 0.03])
    mean, sd = 0.01, math.sqrt(((0.0) ** 2 + 0.02**2 + 0.02**2) / 2)
    assert perf.volatility(returns, 365) == pytest.approx(sd * math.sqrt(365))
    assert perf.sharpe_ratio(returns, 365) == pytest.approx(mean / sd * math.sqrt(365))
    downside = math.sqrt(0.01**2 / 3)
    assert perf.sortino_ratio(returns, 365) == pytest.approx(mean / downside * math.sqrt(365))


def test_sharpe_agrees_with_scipys_t_statistic() -> None:
    returns = np.random.default_rng(1).normal(0.001, 0.02, 500)
    t = stats.ttest_1samp(returns, 0.0).statistic
    assert perf.sharpe_ratio(returns, 365) == pytest.approx(t / math.sqrt(500) * math.sqrt(365))


def test_what_cannot_be_said_is_nan() -> None:
    nothing, flat = np.array([]), np.zeros(10)
    ruined = perf.simple_returns(np.array([50.0, -1.0, 20.0]), 100.0)
    for ratio in (perf.sharpe_ratio, perf.sortino_ratio):
        assert all(math.isnan(float(ratio(x, 365))) for x in (nothing, flat, flat[:1], ruined))
    assert math.isnan(perf.win_rate(nothing))
    assert math.isnan(perf.profit_factor(np.array([1.0, 2.0])))
    assert math.isnan(perf.calmar_ratio(0.1, 0.0))
    assert math.isnan(perf.cagr(100, 110, 29 * DAY_MS))
    assert perf.longest_losing_streak(nothing) == 0


def test_the_deepest_drawdown_has_its_peak_trough_and_recovery() -> None:
    equity = np.array([100.0, 120.0, 90.0, 96.0, 120.0, 119.0])
    assert perf.max_drawdown(equity, 100.0) == (-0.25, 1, 2, 4)
    assert perf.max_drawdown(equity[:4], 100.0) == (-0.25, 1, 2, None)


def test_a_fall_from_the_start_has_its_peak_before_the_first_mark() -> None:
    assert perf.max_drawdown(np.array([90.0, 99.0]), 100.0) == (pytest.approx(-0.1), -1, 0, None)
    assert perf.max_drawdown(np.array([100.0, 101.0]), 100.0) == (0.0, -1, -1, None)


@given(st.lists(st.floats(1, 1000), min_size=1, max_size=60))
def test_a_drawdown_is_what_the_definition_says(values: list[float]) -> None:
    path = [100.0, *values]
    worst = min(path[j] / max(path[: j + 1]) - 1 for j in range(len(path)))
    assert perf.max_drawdown(np.array(values), 100.0).depth == pytest.approx(worst)


def test_cagr_doubles_in_a_year() -> None:
    assert perf.cagr(100, 200, 365.25 * DAY_MS) == pytest.approx(1.0)
    assert perf.cagr(100, 121, 2 * 365.25 * DAY_MS) == pytest.approx(0.1)
    assert perf.cagr(100, -5, 365 * DAY_MS) == -1.0


def test_trades_are_counted_as_the_desk_counts_them() -> None:
    pnl = np.array([5.0, -1.0, -2.0, 0.0, -1.0, -1.0, -1.0, 3.0])
    assert perf.win_rate(pnl) == 0.25
    assert perf.profit_factor(pnl) == pytest.approx(8 / 6)
    assert perf.longest_losing_streak(pnl) == 3


def test_monthly_returns_compound_to_the_whole() -> None:
    closed = closes_every_hour(24 * 100)
    equity = 100 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.01, len(closed))))
    months = perf.monthly_returns(closed, equity, 100.0)
    assert [(m.year, m.month) for m in months] == [(2024, 1), (2024, 2), (2024, 3), (2024, 4)]
    assert math.prod(1 + m.value for m in months) == pytest.approx(equity[-1] / 100)
    assert months[0].value == pytest.approx(equity[24 * 31 - 1] / 100 - 1)


@pytest.mark.parametrize("freedom", [9, 15, 60, 500])
def test_students_quantile_is_scipys(freedom: int) -> None:
    assert student_quantile(0.975, freedom) == pytest.approx(stats.t.ppf(0.975, freedom), abs=1e-4)


def test_with_one_value_per_group_the_interval_is_the_textbooks() -> None:
    values = np.random.default_rng(3).normal(0.2, 1, 40)
    found = grouped_mean(values, np.arange(40))
    low, high = stats.t.interval(0.95, 39, values.mean(), stats.sem(values))
    assert (found.low, found.high) == (pytest.approx(low, 1e-4), pytest.approx(high, 1e-4))


def test_values_that_repeat_within_a_group_add_no_certainty() -> None:
    values = np.random.default_rng(3).normal(0.2, 1, 40)
    once = grouped_mean(values, np.arange(40))
    tenfold = grouped_mean(np.repeat(values, 10), np.repeat(np.arange(40), 10))
    assert_allclose(tenfold, once)


def test_few_groups_give_a_mean_but_no_interval() -> None:
    found = grouped_mean(np.ones(90), np.arange(90) % 9)
    assert (found.mean, found.groups) == (1.0, 9)
    assert math.isnan(found.low) and math.isnan(found.high)


def test_the_interval_holds_the_mean_as_often_as_it_claims() -> None:
    rng = np.random.default_rng(11)
    group = np.repeat(np.arange(30), 8)
    held = 0
    for _ in range(400):
        shared = np.repeat(rng.normal(0, 1, 30), 8)
        found = grouped_mean(shared + rng.normal(0, 1, 240), group)
        held += found.low <= 0 <= found.high
    assert 0.92 <= held / 400 <= 0.98

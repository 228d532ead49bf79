"""Leverage by a volatility target, against a table worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darwin.allocation.leverage import VolatilityTarget, realised_volatility
from darwin.core.market import DAY_MS, HOUR_MS
from darwin.errors import ConfigError


@pytest.mark.parametrize(
    ("volatility", "target", "floor", "cap", "leverage"),
    [
        (0.3, 0.2, 0.0, 1.0, 2 / 3),  # 0.2 / 0.3
        (0.2, 0.2, 0.0, 1.0, 1.0),
        (0.1, 0.2, 0.0, 1.0, 1.0),  # 2, capped
        (0.1, 0.2, 0.0, 3.0, 2.0),
        (0.05, 0.2, 0.0, 3.0, 3.0),  # 4, capped
        (0.8, 0.2, 0.0, 1.0, 0.25),
        (0.8, 0.2, 0.4, 1.0, 0.4),  # 0.25, raised to the floor
        (0.0, 0.2, 0.0, 1.5, 1.5),  # nothing moves: the cap
        (5e-324, 0.2, 0.0, 1.5, 1.5),
        (math.nan, 0.2, 0.4, 1.0, 0.0),  # not known: nothing, below the floor too
        (math.inf, 0.2, 0.4, 1.0, 0.0),
        (-0.3, 0.2, 0.0, 1.0, 0.0),
    ],
)
def test_leverage_is_what_the_table_says(
    volatility: float, target: float, floor: float, cap: float, leverage: float
) -> None:
    assert VolatilityTarget(target, floor, cap).leverage(volatility) == pytest.approx(leverage)


@given(st.floats(0.0, 1e300), st.floats(0.0, 1e300))
def test_more_volatility_never_means_more_leverage(one: float, other: float) -> None:
    rule = VolatilityTarget(0.2, 0.1, 2.0)
    low, high = sorted((one, other))
    assert 2.0 >= rule.leverage(low) >= rule.leverage(high) >= 0.1


def test_volatility_is_that_of_a_year_by_the_time_that_passed() -> None:
    # four moves of ±1 % in four days: variance 4 × 0.0001 in 4/365 years
    close = 100.0 * np.cumprod([1.0, 1.01, 0.99, 1.01, 0.99])
    time = DAY_MS * np.arange(5)
    assert realised_volatility(time, close) == pytest.approx(0.01 * math.sqrt(365), rel=1e-12)
    assert realised_volatility(time * 4, close) == pytest.approx(0.005 * math.sqrt(365), rel=1e-12)


def test_volatility_of_a_random_walk_is_found() -> None:
    rng = np.random.default_rng(3)
    close = np.exp(np.cumsum(rng.normal(0.0, 0.6 / math.sqrt(8760), 20_000)))
    assert realised_volatility(HOUR_MS * np.arange(20_000), close) == pytest.approx(0.6, rel=0.02)


def test_what_is_not_known_is_nan() -> None:
    assert math.isnan(realised_volatility(np.array([0]), np.array([1.0])))
    assert math.isnan(realised_volatility(np.array([0, 1, 2]), np.array([np.nan, 1.0, 1.0])))


@pytest.mark.parametrize("bad", [{"target": 0.0}, {"target": math.nan}, {"floor": 2.0}, {"cap": 0}])
def test_figures_that_cannot_be_meant_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(bad))):
        VolatilityTarget(**bad)

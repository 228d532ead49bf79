"""The hedge, against a table worked out by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darwin.allocation import HedgingStrategy
from darwin.errors import ConfigError, DataError


@pytest.mark.parametrize(
    ("drawdown", "threshold", "part", "cap", "ratio"),
    [
        (0.0, 0.05, 0.5, 1.0, 0.0),
        (0.02, 0.05, 0.5, 1.0, 0.0),
        (0.05, 0.05, 0.5, 1.0, 0.0),  # not beyond it yet
        (0.06, 0.05, 0.5, 1.0, 0.005),  # half of 0.01
        (0.15, 0.05, 0.5, 1.0, 0.05),  # half of 0.10
        (0.15, 0.10, 0.5, 1.0, 0.025),
        (0.15, 0.05, 4.0, 1.0, 0.4),
        (0.50, 0.05, 4.0, 1.0, 1.0),  # 1.8, capped
        (0.50, 0.05, 4.0, 0.8, 0.8),
        (1.0, 0.05, 0.5, 1.0, 0.475),
        (1.0, 1.0, 0.5, 1.0, 0.0),
    ],
)
def test_the_ratio_is_what_the_table_says(
    drawdown: float, threshold: float, part: float, cap: float, ratio: float
) -> None:
    assert HedgingStrategy(threshold, part, cap).ratio(drawdown) == pytest.approx(ratio, abs=1e-15)


def test_a_hedge_says_how_much_of_the_exposure_to_sell() -> None:
    hedge = HedgingStrategy().hedge(0.15, 0.8)
    assert hedge["active"] and hedge.active
    assert hedge["exposure"] == pytest.approx(0.04)  # 0.05 × 0.8
    assert (hedge["drawdown"], hedge["threshold"]) == (0.15, 0.05)
    assert not HedgingStrategy().hedge(0.05, 0.8).active


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.floats(0.0, 5.0))
def test_a_deeper_loss_never_means_a_smaller_hedge(one: float, other: float, part: float) -> None:
    rule = HedgingStrategy(0.05, part, 0.9)
    low, high = sorted((one, other))
    assert 0.0 <= rule.ratio(low) <= rule.ratio(high) <= 0.9


@pytest.mark.parametrize("bad", [-0.02, 2.0, math.nan, math.inf])
def test_a_drawdown_that_cannot_be_is_refused(bad: float) -> None:
    with pytest.raises(DataError, match="drawdown"):
        HedgingStrategy().ratio(bad)


@pytest.mark.parametrize(("name", "bad"), [("threshold", 1.5), ("part_of_excess", -1), ("cap", 2)])
def test_figures_that_cannot_be_meant_are_refused(name: str, bad: float) -> None:
    with pytest.raises(ConfigError, match=name):
        HedgingStrategy(**{name: bad})

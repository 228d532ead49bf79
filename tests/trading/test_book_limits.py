"""What a book may never hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darwin.core.decision import Reason
from darwin.trading.book_limits import BookLimits

weights = st.lists(st.floats(-2, 2), min_size=1, max_size=5).map(np.array)


@given(weights, st.floats(0.05, 1), st.floats(0.1, 2))
def test_what_is_left_is_within_all_limits(
    target: np.ndarray, max_weight: float, max_gross: float
) -> None:
    limits = BookLimits(max_weight, max_gross)
    allowed, cut = limits.within(target, np.zeros(len(target)), 1_000.0, None)
    assert np.abs(allowed).max() <= max_weight
    assert np.abs(allowed).sum() <= max_gross * (1 + 1e-8)
    assert (allowed * target >= 0.0).all()  # nothing is turned round
    assert (cut == "") == np.array_equal(allowed, target)


@given(weights)
def test_without_limits_all_stands(target: np.ndarray) -> None:
    allowed, cut = BookLimits(None, None).within(target, target, 1_000.0, None)
    assert allowed.tolist() == target.tolist()
    assert cut == ""


@pytest.mark.parametrize("reason", [Reason.DRAWDOWN, Reason.HALTED])
def test_after_a_fall_all_is_cash(reason: Reason) -> None:
    allowed, cut = BookLimits().within(np.array([0.5, -0.2]), np.array([0.5, 0.0]), 1.0, reason)
    assert allowed.tolist() == [0.0, 0.0]
    assert cut == "drawdown"


def test_after_the_loss_of_a_day_nothing_becomes_larger() -> None:
    target, held = np.array([0.5, -0.2, 0.3, 0.1]), np.array([0.4, 0.2, -0.1, 0.3])
    allowed, cut = BookLimits().within(target, held, 1.0, Reason.DAILY_LOSS)
    assert allowed.tolist() == [0.4, 0.0, 0.0, 0.1]
    assert cut == "no larger position"


def test_dollars_of_one_position_shrink_with_the_book() -> None:
    limits = BookLimits(max_position_usd=100.0)
    rich, _ = limits.within(np.array([0.5]), np.zeros(1), 1_000.0, None)
    poor, _ = limits.within(np.array([0.5]), np.zeros(1), 100.0, None)
    assert (rich.tolist(), poor.tolist()) == ([0.1], [0.5])


def test_weights_that_sum_to_one_but_for_rounding_pass_a_limit_of_one() -> None:
    target = np.full(3, 1 / 3) + 1e-10
    allowed, cut = BookLimits().within(target, np.zeros(3), 1.0, None)
    assert (allowed.tolist(), cut) == (target.tolist(), "")

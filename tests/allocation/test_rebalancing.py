"""Weights come only from what is valid: limits, turnover, policies that fail, trainers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from darwin.allocation import Kelly, PortfolioManager, VolatilityTarget, WeightLimits
from darwin.allocation.rebalancing import asks
from darwin.core.panel import Panel
from darwin.core.rebalance import BookAdvice, BookState
from darwin.errors import ConfigError, DataError, ModelError

MARKET = {"volatility": 0.3, "trend": 0.05}
HELD = {"btc": 0.5, "eth": 0.3}


def always(answer: Any) -> Callable[[Any, Any], Any]:
    return lambda market, portfolio: answer


def test_without_a_policy_each_asset_weighs_the_same_and_the_answer_says_so() -> None:
    told = PortfolioManager().rebalance(MARKET, HELD)
    assert told.weights == {"btc": 0.5, "eth": 0.5}
    assert (told.decided_by, told.reason) == ("equal weight", "")
    assert told.turnover == pytest.approx(0.2) and told.cash == 0.0


def test_equal_weights_keep_to_the_limits_too() -> None:
    told = PortfolioManager(limits=WeightLimits(most=0.3)).rebalance(MARKET, HELD)
    assert told.weights == {"btc": 0.3, "eth": 0.3} and told.cash == pytest.approx(0.4)
    told = PortfolioManager(limits=WeightLimits(gross=0.5)).rebalance(MARKET, {"btc": 0.2, "x": 0})
    assert told.weights == {"btc": 0.25, "x": 0.25}


@pytest.mark.parametrize(
    "answer", [{"eth": 0.6, "btc": 0.1}, [0.1, 0.6], np.array([0.1, 0.6], dtype=np.float32)]
)
def test_a_policy_may_answer_by_symbol_or_in_order(answer: Any) -> None:
    told = PortfolioManager(always(answer)).rebalance(MARKET, HELD)
    assert told.decided_by == "policy"
    assert list(told.weights) == ["btc", "eth"]
    assert_allclose(list(told.weights.values()), [0.1, 0.6], rtol=1e-6)
    assert told.cash == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ([0.5, math.nan], "weight of eth is nan"),
        ([math.inf, 0.1], "weight of btc is inf"),
        ([0.9, 0.9], "exceed 1"),
        ([-0.1, 0.5], "not within 0 to 1"),
        ([1.1, 0.0], "not within 0 to 1"),
        ([0.5], "shape (1,) for 2"),
        ([[0.5, 0.5]], "shape (1, 2) for 2"),
        ({"btc": 0.5}, "weights of btc, not of btc, eth"),
        ({"btc": 0.5, "sol": 0.5}, "not of btc, eth"),
        (None, "no numbers"),
        ("half", "no numbers"),
        (["0.5", "0.5"], "no numbers"),
        ([True, False], "no numbers"),
        ([0.5 + 0j, 0.5], "no numbers"),
        ([0.5, [0.5]], "ValueError"),
    ],
)
def test_what_is_not_valid_never_becomes_weights(answer: Any, why: str) -> None:
    manager = PortfolioManager(always(answer))
    for times in (1, 2):
        told = manager.rebalance(MARKET, HELD)
        assert told.weights == HELD
        assert told.decided_by == "present weights" and why in told.reason
        assert told.turnover == 0.0 and manager.fallbacks == times


@pytest.mark.parametrize(
    "error", [ModelError("damaged"), ValueError("x"), ZeroDivisionError("y"), RuntimeError("z")]
)
def test_a_policy_that_raises_leaves_the_present_weights(error: Exception) -> None:
    def policy(market: Any, portfolio: Any) -> Any:
        raise error

    told = PortfolioManager(policy).rebalance(MARKET, HELD)
    assert told.weights == HELD and type(error).__name__ in told.reason


def test_a_stop_of_the_process_goes_through() -> None:
    def policy(market: Any, portfolio: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        PortfolioManager(policy).rebalance(MARKET, HELD)


def test_the_largest_turnover_stops_the_change_on_its_way() -> None:
    # from 0.5, 0.3 to 0.1, 0.7 is a turnover of 0.8; 0.2 of it is a quarter of the way
    manager = PortfolioManager(always([0.1, 0.7]), limits=WeightLimits(max_turnover=0.2))
    told = manager.rebalance(MARKET, HELD)
    assert_allclose(list(told.weights.values()), [0.4, 0.4], rtol=1e-12)
    assert told.turnover == pytest.approx(0.2)
    assert told.reason == "cut to the largest turnover" and told.decided_by == "policy"


WEIGHTS = st.lists(st.floats(0.0, 1.0), min_size=2, max_size=2).map(
    lambda pair: [pair[0], pair[1] * (1.0 - pair[0])]
)


@given(WEIGHTS, WEIGHTS, st.floats(0.0, 2.0))
def test_a_cut_change_is_valid_and_on_the_line(
    present: list[float], target: list[float], most: float
) -> None:
    limits = WeightLimits(max_turnover=most)
    book = dict(zip("ab", present, strict=True))
    told = PortfolioManager(always(target), limits=limits).rebalance(MARKET, book)
    moved = np.array(list(told.weights.values())) - present
    whole = np.array(target) - present
    assert limits.objection(told.weights) == ""
    assert np.abs(moved).sum() <= most + 1e-12
    assert_allclose(moved[0] * whole[1], moved[1] * whole[0], atol=1e-12)
    assert (moved * whole >= -1e-12).all()


def test_a_weight_that_drifted_above_its_limit_may_be_held() -> None:
    manager = PortfolioManager(always([0.4, 0.4]), limits=WeightLimits(most=0.4))
    assert manager.rebalance(MARKET, HELD).weights == {"btc": 0.4, "eth": 0.4}


@pytest.mark.parametrize(
    ("held", "what"), [({"btc": -0.2}, "held short"), ({"btc": 0.8, "eth": 0.3}, "exceed 1")]
)
def test_present_weights_that_cannot_be_are_refused(held: dict[str, float], what: str) -> None:
    with pytest.raises(DataError, match=what):
        PortfolioManager().rebalance(MARKET, held)


def test_shorts_and_margin_are_allowed_where_the_limits_say_so() -> None:
    limits = WeightLimits(least=-1.0, most=1.5, gross=2.0)
    told = PortfolioManager(always([1.5, -0.5]), limits=limits).rebalance(
        MARKET, {"a": -0.5, "b": 1}
    )
    assert told.weights == {"a": 1.5, "b": -0.5} and told.cash == 0.0


def test_training_is_handed_in_and_its_policy_asked_from_then_on() -> None:
    asked: list[dict[str, Any]] = []

    def trainer(**settings: Any) -> Callable[[Any, Any], Any]:
        asked.append(settings)
        return always([0.2, 0.2])

    manager = PortfolioManager(trainer=trainer)
    policy = manager.train(episodes=3, seed=1)
    assert asked == [{"episodes": 3, "seed": 1}] and manager.policy is policy
    assert manager.rebalance(MARKET, HELD).decided_by == "policy"


def test_without_a_trainer_nothing_is_trained() -> None:
    with pytest.raises(ConfigError, match="no trainer"):
        PortfolioManager().train(episodes=1)
    manager = PortfolioManager(trainer=lambda **settings: None)  # type: ignore[arg-type,return-value]
    with pytest.raises(ConfigError, match="no policy"):
        manager.train()
    assert manager.policy is None


def test_leverage_and_kelly_are_those_of_their_rules() -> None:
    manager = PortfolioManager(
        leverage=VolatilityTarget(0.2, cap=2.0), kelly=Kelly(0.1, 50.0, 100.0, 0.0)
    )
    assert manager.compute_leverage(0.4) == 0.5
    returns = np.array([[0.01, 0.02], [0.03, -0.02], [-0.01, 0.03]])  # means 0.01
    covariance = np.cov(returns.T)
    assert_allclose(
        manager.apply_kelly(returns),
        0.1 * np.linalg.solve(covariance, returns.mean(axis=0)),
        rtol=1e-9,
    )


class Halves:
    """A page of two assets whose actions are weights, and a policy that says what it was shown."""

    name, assets, schema, warmup = "allocator", 2, "0" * 64, 0

    def __init__(self, action: tuple[float, ...]) -> None:
        self.action, self.seen = action, np.zeros(0, dtype=np.float32)

    def columns(self, panel: Panel) -> Any:
        raise NotImplementedError

    def moment(self, book: BookState) -> tuple[float, ...]:
        return (*book.weights, book.drawdown)

    def is_legal(self, action: tuple[float, ...]) -> bool:
        return len(action) == 3 and abs(sum(action) - 1.0) < 1e-6

    def target(self, action: tuple[float, ...]) -> Any:
        return np.array(action[:2])

    def baseline(self, book: BookState) -> Any:
        return np.full(2, 0.5)

    def strangeness(self, observation: Any) -> float:
        return 0.0

    def advise(self, observation: Any) -> BookAdvice:
        self.seen = observation
        return BookAdvice(self.action, None)


def test_a_model_of_a_book_is_a_policy() -> None:
    model = Halves((0.2, 0.3, 0.5))
    policy = asks(model, model, lambda: np.array([7.0], dtype=np.float32))
    told = PortfolioManager(policy).rebalance(MARKET, HELD | {"current_drawdown": 0.25})
    assert told.weights == {"btc": 0.2, "eth": 0.3} and told.decided_by == "policy"
    assert_allclose(model.seen, [7.0, 0.5, 0.3, -0.25], rtol=1e-6)


@pytest.mark.parametrize("action", [(0.5, 0.5), (0.9, 0.9, 0.9)])
def test_an_illegal_action_of_a_model_leaves_the_present_weights(action: tuple[float, ...]) -> None:
    model = Halves(action)
    told = PortfolioManager(asks(model, model, lambda: np.zeros(1, np.float32))).rebalance(
        MARKET, HELD
    )
    assert told.weights == HELD and "illegal action" in told.reason


def test_a_model_of_other_assets_leaves_the_present_weights() -> None:
    model = Halves((0.2, 0.3, 0.5))
    told = PortfolioManager(asks(model, model, lambda: np.zeros(1, np.float32))).rebalance(
        MARKET, {"btc": 0.5}
    )
    assert told.weights == {"btc": 0.5} and "a page of 2" in told.reason

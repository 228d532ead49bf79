"""The risk manager: the example of the guide, figures by hand, and a thousand strange states."""

from __future__ import annotations

import asyncio
import math
import subprocess
import sys
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darwin.allocation import (
    HedgingStrategy,
    Kelly,
    MarketState,
    PortfolioManager,
    PortfolioState,
    PositionSizer,
    RiskDecisions,
    RiskManager,
    VolatilityTarget,
    WeightLimits,
)
from darwin.errors import DataError

MARKET = {"volatility": 0.3, "trend": 0.05}
HELD = {"btc": 0.5, "eth": 0.3, "current_drawdown": 0.02}
DAY = 0.3 / math.sqrt(365)


def test_the_example_of_the_guide_gets_all_its_fields() -> None:
    risk_manager = RiskManager()

    async def example() -> tuple[Any, Any, Any, Any]:
        decisions = await risk_manager.manage_risk(MARKET, HELD)
        return (
            decisions["rebalance_weights"], decisions["leverage"], decisions["hedge"],
            decisions["position_sizes"],
        )  # fmt: skip

    weights, leverage, hedge, sizes = asyncio.run(example())
    assert weights == {"btc": 0.5, "eth": 0.5}
    assert leverage == pytest.approx(2 / 3)
    assert hedge["ratio"] == 0.0 and not hedge["active"]
    # 0.5 × 2/3 = 0.333 is more than 1 % of risk allows at two days' volatility: 0.01 / 0.0314
    assert sizes["btc"]["fraction"] == pytest.approx(0.01 / (2 * DAY))
    assert sizes["eth"].clipped_by == "risk" and sizes["eth"].units is None


def test_decisions_are_read_both_ways() -> None:
    told = RiskManager().manage(MARKET, HELD)
    assert told == asyncio.run(RiskManager().manage_risk(MARKET, HELD))
    assert list(told) == [
        "rebalance_weights", "leverage", "hedge", "position_sizes", "decided_by", "reason",
    ]  # fmt: skip
    assert all(told[name] is getattr(told, name) for name in told)
    assert dict(**told)["leverage"] == told.leverage
    with pytest.raises(KeyError, match="there are rebalance_weights"):
        told["sizes"]
    with pytest.raises(AttributeError):
        told.leverage = 3.0  # type: ignore[misc]


def test_typed_states_are_the_same_as_plain_ones() -> None:
    typed = RiskManager().manage(
        MarketState(0.3, 0.05), PortfolioState({"btc": 0.5, "eth": 0.3}, 0.02)
    )
    assert typed == RiskManager().manage(MARKET, HELD)
    assert typed == RiskManager().manage(MARKET, HELD | {"cash": 0.2})
    numpy = {"volatility": np.float32(0.3), "trend": np.int64(0)}
    assert RiskManager().manage(numpy, HELD).leverage == pytest.approx(2 / 3)


def test_figures_follow_from_the_rules_as_reckoned_by_hand() -> None:
    manager = RiskManager(
        PortfolioManager(lambda market, book: {"btc": 0.6, "eth": 0.4}),
        hedging=HedgingStrategy(0.05, 0.5),
        sizer=PositionSizer(0.01, 2.0),
        leverage=VolatilityTarget(0.15),
    )
    market = MarketState(0.3, prices={"btc": 100.0, "eth": 10.0}, atr={"btc": 1.0, "eth": 0.5})
    book = PortfolioState({"btc": 0.5, "eth": 0.3}, current_drawdown=0.15, equity=10_000.0)
    told = manager.manage(market, book)
    assert told.leverage == 0.5
    # btc: 0.6 × 0.5 = 0.3 of equity, within 0.01 / (2 × 0.01) = 0.5: 30 units
    btc, eth = told.position_sizes["btc"], told.position_sizes["eth"]
    assert btc.units == pytest.approx(30.0) and btc.clipped_by == ""
    assert btc.risk == pytest.approx(0.3 * 0.02) and btc.stop_distance == pytest.approx(2.0)
    # eth: 0.4 × 0.5 = 0.2, above 0.01 / (2 × 0.05) = 0.1: 100 units
    assert eth.units == pytest.approx(100.0) and eth.clipped_by == "risk"
    assert eth.risk == pytest.approx(0.01)
    # half of 0.15 − 0.05, of 0.3 + 0.1
    assert told.hedge.ratio == pytest.approx(0.05)
    assert told.hedge.exposure == pytest.approx(0.02)
    assert told.decided_by == "policy"


@pytest.mark.parametrize(
    ("trend", "leverage"),
    [(0.09, 0.5), (0.018, 0.1), (0.0, 0.0), (-0.05, 0.0)],  # half of trend / 0.09, at most 2/3
)
def test_with_kelly_no_leverage_without_an_edge(trend: float, leverage: float) -> None:
    manager = RiskManager(kelly=Kelly(0.5))
    told = manager.manage({"volatility": 0.3, "trend": trend}, HELD)
    assert told.leverage == pytest.approx(leverage)


def test_a_policy_that_fails_keeps_the_weights_and_the_rest_goes_on() -> None:
    told = RiskManager(PortfolioManager(lambda market, book: [math.nan, 1.0])).manage(MARKET, HELD)
    assert told.rebalance_weights == {"btc": 0.5, "eth": 0.3}
    assert told.decided_by == "present weights" and "nan" in told.reason
    assert told.leverage == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("market", "held", "what"),
    [
        ({"volatility": math.nan}, HELD, "market_state.volatility is nan"),
        ({"volatility": -0.3}, HELD, "market_state.volatility is -0.3"),
        ({"volatility": math.inf}, HELD, "volatility is inf"),
        ({"volatility": "0.3"}, HELD, "no number"),
        ({"volatility": True}, HELD, "no number"),
        ({"volatility": None}, HELD, "no number"),
        ({"volatility": Decimal("0.3")}, HELD, "no number"),
        ({"volatility": [0.3]}, HELD, "no number"),
        ({"trend": 0.05}, HELD, "lacks 'volatility'"),
        (MARKET | {"trend": math.nan}, HELD, "market_state.trend"),
        (MARKET | {"volatilty": 0.3}, HELD, "no 'volatilty'.*did you mean 'volatility'"),
        (MARKET | {"prices": {"btc": 0.0}}, HELD, r"prices\['btc'\] is 0.0"),
        (MARKET | {"atr": {"btc": math.nan}}, HELD, r"atr\['btc'\] is nan"),
        (MARKET | {"atr": 3.0}, HELD, "market_state.atr is a float"),
        (None, HELD, "market_state is a NoneType"),
        ([0.3], HELD, "market_state is a list"),
        (MARKET, None, "portfolio is a NoneType"),
        (MARKET, {}, "no assets"),
        (MARKET, {"current_drawdown": 0.02}, "no assets"),
        (MARKET, HELD | {"current_drawdown": 2.0}, r"portfolio\['current_drawdown'\] is 2.0"),
        (MARKET, HELD | {"current_drawdown": -0.02}, "current_drawdown"),
        (MARKET, HELD | {"current_drawdown": math.nan}, "current_drawdown"),
        (MARKET, HELD | {"btc": math.nan}, r"portfolio\['btc'\] is nan"),
        (MARKET, HELD | {"btc": 1.5}, "exceed 1"),
        (MARKET, HELD | {"btc": -0.5}, "held short"),
        (MARKET, HELD | {"equity": 0.0}, "equity"),
        (MARKET, HELD | {"cash": 0.5}, "weights leave 0.2, but cash is 0.5"),
        (MARKET, HELD | {3: 0.1}, "3 is no symbol"),
        (MARKET, HELD | {" ": 0.1}, "is no symbol"),
    ],
)
def test_a_state_that_cannot_be_is_one_clear_error(market: Any, held: Any, what: str) -> None:
    with pytest.raises(DataError, match=what) as told:
        RiskManager().manage(market, held)
    assert told.value.mend and told.value.where
    assert len(told.value.lines()) == 3


@pytest.mark.parametrize("figure", ["prices", "atr"])
def test_a_mistyped_symbol_does_not_go_unnoticed(figure: str) -> None:
    with pytest.raises(DataError, match=f"{figure} has 'bct'.* no 'btc'"):
        RiskManager().manage(MARKET | {figure: {"bct": 1.0, "eth": 2.0}}, HELD)
    more_than_held = {name: 1.0 for name in (*HELD, "sol") if not name.startswith("current")}
    RiskManager().manage(MARKET | {figure: more_than_held}, HELD)


def test_a_state_that_was_checked_does_not_change_any_more() -> None:
    weights, prices = {"btc": 0.5}, {"btc": 100.0}
    book, market = PortfolioState(weights), MarketState(0.3, prices=prices)
    weights["btc"] = math.nan
    prices["btc"] = -1.0
    assert RiskManager().manage(market, book).rebalance_weights == {"btc": 1.0}
    assert (book.weights["btc"], market.prices["btc"]) == (0.5, 100.0)
    with pytest.raises(TypeError):
        book.weights["btc"] = 2.0  # type: ignore[index]


def test_a_symbol_called_like_a_figure_is_refused() -> None:
    with pytest.raises(DataError, match="a symbol is called 'current_drawdown'"):
        PortfolioState({"btc": 0.5, "current_drawdown": 0.02})


STRANGE = (
    0.0, -0.0, 1.0, -1.0, 0.5, 0.02, 2.0, 1e-12, 5e-324, 1e15, 1e300, math.nan, math.inf,
    -math.inf, None, "0.3", True, [], {}, np.float64(0.3), np.float32("nan"), np.int64(1), 10**400,
    0.3 + 0j,
)  # fmt: skip
SYMBOLS = ("btc", "eth", "sol", "cash", "equity", "current_drawdown", "", 7, None)


def strange_state(rng: np.random.Generator) -> tuple[Any, Any]:
    """Now and then possible, mostly not."""

    def value(least: float, most: float) -> Any:
        if rng.random() < 0.9:
            return float(rng.uniform(least, most))
        return STRANGE[rng.integers(len(STRANGE))]

    market: dict[Any, Any] = {"volatility": value(0.0, 2.0), "trend": value(-1.0, 1.0)}
    assets = [s for s in SYMBOLS if rng.random() < 0.3] or ["btc"]
    if rng.random() < 0.7:
        assets = [f"a{at}" for at in range(rng.integers(1, 12))]
    market["prices"] = {s: value(1e-6, 1e6) for s in assets if rng.random() < 0.3}
    market["atr"] = {s: value(1e-6, 1e3) for s in assets if rng.random() < 0.3}
    held: dict[Any, Any] = {s: value(0.0, 1.0 / len(assets)) for s in assets}
    held["current_drawdown"] = value(0.0, 1.0)
    if rng.random() < 0.5:
        held["equity"] = value(1.0, 1e9)
    return market, held


def require_bounded(told: RiskDecisions, cap: float) -> None:
    weights = list(told.rebalance_weights.values())
    assert all(0.0 <= weight <= 1.0 + 1e-6 for weight in weights) and sum(weights) <= 1.0 + 1e-6
    assert 0.0 <= told.leverage <= cap
    assert 0.0 <= told.hedge.ratio <= 1.0 and 0.0 <= told.hedge.exposure <= cap * (1 + 1e-6)
    for size in told.position_sizes.values():
        assert 0.0 <= size.fraction <= cap * (1 + 1e-6)
        assert 0.0 <= size.risk <= 0.05 * (1 + 1e-9)
        assert size.units is None or 0.0 <= size.units < math.inf
        assert size.stop_distance is None or 0.0 <= size.stop_distance < math.inf


@pytest.mark.parametrize("seed", range(4))
def test_a_thousand_strange_states_are_bounded_or_one_clear_error(seed: int) -> None:
    rng = np.random.default_rng(seed)
    manager = RiskManager(
        PortfolioManager(leverage=VolatilityTarget(0.3, cap=1.5)),
        sizer=PositionSizer(0.2, lot=0.01),
    )
    decided = 0
    for _ in range(1_000):
        market, held = strange_state(rng)
        try:
            told = manager.manage(market, held)
        except DataError as error:
            assert error.what and error.where and error.mend
            continue
        require_bounded(told, 1.5)
        decided += 1
    assert 200 < decided < 900


FINITE = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from(STRANGE)


@settings(max_examples=300)
@given(FINITE, FINITE, st.dictionaries(st.sampled_from(SYMBOLS), FINITE, max_size=5))
def test_any_state_is_bounded_or_one_clear_error(vol: Any, trend: Any, held: Any) -> None:
    try:
        told = RiskManager(kelly=Kelly()).manage({"volatility": vol, "trend": trend}, held)
    except DataError:
        return
    require_bounded(told, 1.0)


@given(st.lists(FINITE, max_size=3) | FINITE)
def test_whatever_a_policy_gives_the_weights_are_valid(answer: Any) -> None:
    limits = WeightLimits(max_turnover=0.3)
    manager = RiskManager(PortfolioManager(lambda market, book: answer, limits=limits))
    require_bounded(manager.manage(MARKET, HELD), 1.0)


def test_the_library_imports_no_learning_and_no_file_formats() -> None:
    heavy = ("torch", "gymnasium", "polars", "pydantic", "sqlalchemy")
    code = (
        f"import sys, darwin.allocation;print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

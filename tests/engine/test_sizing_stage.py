"""The risk manager as the sizing stage of a run: figures by hand, fed as replayed, limits last."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darwin.allocation.atr_sizing import MOST_RISK, PositionSizer
from darwin.allocation.hedging import HedgingStrategy
from darwin.allocation.leverage import VolatilityTarget
from darwin.allocation.sizing_stage import SizingStage
from darwin.config import risk
from darwin.core.account import Account
from darwin.core.decision import Reason
from darwin.core.market import HOUR_MS, Bars
from darwin.core.stake import Stake
from darwin.engine.session import Session
from darwin.testing.builders import make_bars
from darwin.trading.limits import Limits
from darwin.trading.sizing import Sizing, full_size
from tests.engine.live_runs import fed, whimsical
from tests.engine.test_live import DEAR, TIGHT, assert_same_run, chunk_sizes, three_markets
from tests.engine.worlds import NO_LIMITS, session_over

YEAR_HOURS = 8760
FREE_SIZES = Sizing("risk_manager", max_positions=None, max_exposure_fraction=None, min_order_usd=0)
STAGE = SizingStage(PositionSizer(0.02), VolatilityTarget(0.5), HedgingStrategy(0.01, 4.0), bars=24)


def managed(*markets: Bars, stage: SizingStage = STAGE, **terms: Any) -> Session:
    """A session whose entries a risk manager sizes."""
    terms = {"sizing": FREE_SIZES, "limits": NO_LIMITS, "warmup": stage.bars} | terms
    session = session_over(*markets, **terms)
    return replace(session, rules=replace(session.rules, risk=stage))


def test_each_order_has_the_size_reckoned_by_hand() -> None:
    bars = make_bars(600, volatility=0.012, seed=4)
    result = managed(bars, equity=10_000.0, costs=DEAR, rate=0.1).run()
    assert len(result.orders) > 30
    levers, hedges = set(), set()
    for order in result.orders:
        at = int(np.searchsorted(bars.time, order.bar_time))
        moved = bars.close[at - 23 : at + 1] / bars.close[at - 24 : at] - 1.0
        volatility = math.sqrt(np.square(moved).sum() / 24 * YEAR_HOURS)
        leverage = min(0.5 / volatility, 1.0)
        equity = result.equity.equity[: at + 1]
        drawdown = 1.0 - equity[-1] / max(equity.max(), 10_000.0)
        hedge = min(4.0 * max(drawdown - 0.01, 0.0), 1.0)
        stop = result.candidates.stop_distance[order.row]
        units = equity[-1] * 0.02 / stop * leverage * (1.0 - hedge)
        assert order.units == pytest.approx(units, rel=1e-9)
        told = f"volatility {volatility:.4f}, leverage {leverage:.4f}, hedge {hedge:.4f}"
        assert order.clipped_by == f"risk manager: {told}"
        levers.add(round(leverage, 4))
        hedges.add(round(hedge, 4))
    assert min(levers) < 0.5 and max(levers) <= 1.0
    assert 0.0 in hedges and max(hedges) > 0.02


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    bars=st.integers(2, 30),
    part=st.sampled_from([0.5, 20.0]),
    rate=st.sampled_from([0.1, 0.5]),
    sizes=chunk_sizes,
)
def test_fed_in_chunks_it_sizes_as_in_the_replay(
    seed: int, bars: int, part: float, rate: float, sizes: list[int]
) -> None:
    stage = SizingStage(
        PositionSizer(0.02), VolatilityTarget(2.0, 0.1, 1.5), HedgingStrategy(0.005, part), bars
    )
    sizing = replace(FREE_SIZES, max_exposure_fraction=2.0, min_order_usd=2_000.0)
    session = managed(
        *three_markets(seed), stage=stage, sizing=sizing, limits=TIGHT, equity=10_000.0,
        costs=DEAR, warmup=5,
    )  # fmt: skip
    assert_same_run(whimsical(session, seed, rate), sizes)


def test_fed_bar_by_bar_every_order_is_the_same() -> None:
    session = whimsical(managed(*three_markets(3), equity=10_000.0), 3, 0.3)
    journal = assert_same_run(session, [1])
    orders = journal.of("orders")
    assert len(orders) > 10
    assert all(order.clipped_by.startswith("risk manager: volatility") for order in orders)
    assert [order.units for order in fed(session, [7])[1].of("orders")] == [o.units for o in orders]


def test_without_enough_bars_nothing_is_known_and_nothing_ordered() -> None:
    result = managed(make_bars(60), warmup=0, rate=0.9).run()
    early = result.candidates.bar < 24
    assert early.any() and set(result.reasons[early]) == {Reason.RISK_MANAGER}
    assert result.orders and min(order.bar_time for order in result.orders) == (
        result.candidates.bar_time[~early].min()
    )


def test_a_hedge_of_everything_ends_with_its_own_reason() -> None:
    stage = replace(STAGE, hedging=HedgingStrategy(0.01, 1000.0))
    result = managed(make_bars(600, seed=4), stage=stage, equity=10_000.0, costs=DEAR).run()
    funnel = result.funnel()
    assert funnel["risk manager"] > 0
    assert Reason.RISK_MANAGER.stage == "sizing"


FLAT = Account(10_000.0, 0.0, 0.0, 0, 0.0)


def sized(stake: Stake, **caps: Any) -> tuple[float, str, Reason | None]:
    rule = replace(FREE_SIZES, **caps)
    return tuple(full_size(rule, FLAT, 100.0, 2.0, 0.0, 0.0, None, stake))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("stake", "caps", "units", "told", "objection"),
    [
        (Stake(20.0, 50.0, "why"), {}, 20.0, "why", None),
        (Stake(20.0, 50.0, "why"), {"max_order_usd": 500.0}, 5.0, "why; order cap", None),
        (Stake(200.0, 50.0, "why"), {"max_exposure_fraction": 1.0}, 100.0, "why; exposure", None),
        (Stake(0.05, 50.0, "why"), {"min_order_usd": 10.0}, 0.0, "why", Reason.RISK_MANAGER),
        (Stake(0.05, 0.06, "why"), {"min_order_usd": 10.0}, 0.0, "why", Reason.MINIMUM_ORDER),
        (Stake(0.0, 50.0, "why"), {}, 0.0, "why", Reason.RISK_MANAGER),
        (Stake(math.nan, math.nan, "why"), {}, 0.0, "why", Reason.MINIMUM_ORDER),
    ],
)
def test_caps_clip_what_is_wanted_and_are_named_after_the_figures(
    stake: Stake, caps: dict[str, float], units: float, told: str, objection: Reason | None
) -> None:
    assert sized(stake, **caps) == (units, told, objection)


def test_hard_limits_still_speak_last() -> None:
    bars = make_bars(600, seed=4)
    limits = replace(NO_LIMITS, max_orders_per_day=1)
    result = managed(bars, limits=limits, rate=0.5).run()
    assert result.funnel()["orders per day"] > 0
    tight = managed(bars, limits=Limits(max_drawdown_fraction=0.001), costs=DEAR, rate=0.5).run()
    assert tight.funnel()["drawdown"] > 0


def test_on_margin_a_quiet_market_is_levered_up() -> None:
    stage = replace(STAGE, leverage=VolatilityTarget(0.5, cap=3.0))
    time, close = HOUR_MS * np.arange(25), np.full(25, 100.0)
    stake = stage.stake(FLAT, 2.0, time, close)
    assert (stake.full, stake.units) == (100.0, 300.0)
    assert "volatility 0.0000, leverage 3.0000, hedge 0.0000" in stake.told


@pytest.mark.parametrize("drawdown", [0.0, -0.005, -0.2, -1.5])
def test_any_drawdown_of_an_account_is_understood(drawdown: float) -> None:
    stake = STAGE.stake(
        FLAT._replace(drawdown=drawdown), 2.0, HOUR_MS * np.arange(25), np.full(25, 100.0)
    )
    hedge = float(re.search(r"hedge ([\d.]+)", stake.told)[1])  # type: ignore[index]
    assert hedge == pytest.approx(min(4.0 * max(-drawdown - 0.01, 0.0), 1.0))


def test_the_config_and_the_sizer_know_the_same_most_risk() -> None:
    assert risk.MOST_RISK == MOST_RISK

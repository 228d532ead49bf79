"""What must not change, or must change one way only, when costs or prices do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from darwin.core.candidate import Exits, Trailing
from darwin.core.market import Bars
from darwin.core.trade import Status
from darwin.trading.brackets import resolve
from darwin.trading.costs import FREE, Costs
from darwin.trading.sizing import Sizing
from tests.engine.worlds import grid_bars, play

EXITS = st.builds(
    Exits,
    stop_atr=st.sampled_from([0.5, 1.0]),
    target_atr=st.sampled_from([None, 1.0, 2.0]),
    time_stop_bars=st.sampled_from([None, 3, 10]),
    trailing=st.sampled_from([None, Trailing(1.0, 1.0)]),
    anchor=st.sampled_from(["signal", "fill"]),
)
BPS = st.floats(0, 500)


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 1_000),
    exits=EXITS,
    rates=st.tuples(BPS, BPS, BPS, BPS),
    extra=st.tuples(BPS, BPS, BPS, BPS),
)
def test_higher_costs_never_raise_a_candidates_r(seed, exits, rates, extra):
    bars = grid_bars(120, seed)
    table = play(bars, exits=exits, seed=seed, rate=1.0).candidates
    cheap = resolve(table, bars, Costs(*rates)).r
    dear = resolve(table, bars, Costs(*(a + b for a, b in zip(rates, extra, strict=True)))).r
    known = ~np.isnan(cheap)
    assert known.any()
    assert (dear[known] <= cheap[known] + 1e-9).all()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1_000), exits=EXITS, rate=BPS, extra=BPS)
def test_higher_costs_never_raise_the_profit_of_fixed_units(seed, exits, rate, extra):
    bars = grid_bars(120, seed)
    cheap = play(bars, exits=exits, seed=seed, costs=Costs(rate, rate, rate, rate))
    more = rate + extra
    dear = play(bars, exits=exits, seed=seed, costs=Costs(more, more, more, more))
    assert dear.equity.equity[-1] <= cheap.equity.equity[-1] + 1e-6


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1_000), exits=EXITS, power=st.integers(-6, 6))
def test_scaling_prices_by_a_power_of_two_changes_no_r(seed, exits, power):
    bars = grid_bars(150, seed, funding=True)
    scale = 2.0**power
    sizing = Sizing(min_order_usd=0.0)
    plain = play(bars, exits=exits, seed=seed, costs=Costs(), sizing=sizing)
    scaled_bars = _map_prices(bars, lambda price: price * scale)
    scaled = play(
        scaled_bars, exits=exits, seed=seed, costs=Costs(), sizing=sizing, atr=2.0 * scale
    )
    assert_array_equal(plain.outcomes.r, scaled.outcomes.r)
    assert [trade.r for trade in plain.trades] == [trade.r for trade in scaled.trades]
    assert_array_equal(plain.equity.equity, scaled.equity.equity)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1_000), exits=EXITS)
def test_mirroring_prices_and_sides_mirrors_the_ledger(seed, exits):
    bars = grid_bars(150, seed)
    result = play(bars, exits=exits, seed=seed, rate=0.4)
    mirrored_bars = _map_prices(bars, lambda price: 1024.0 - price)
    mirrored_bars = replace(mirrored_bars, high=mirrored_bars.low, low=mirrored_bars.high)
    # the same candidates on the other side; one side at a time keeps the order of events
    table = result.candidates
    mirrored = replace(table, side=-table.side, close=1024.0 - table.close)
    plain, other = resolve(table, bars, FREE), resolve(mirrored, mirrored_bars, FREE)
    assert_array_equal(plain.status, other.status)
    assert_array_equal(plain.exit_bar, other.exit_bar)
    assert_array_equal(plain.exit_reason, other.exit_reason)
    assert_array_equal(plain.exit_price, 1024.0 - other.exit_price)
    assert_array_equal(plain.r, other.r)
    assert (plain.status == Status.RESOLVED).any()


def _map_prices(bars: Bars, change) -> Bars:
    return replace(
        bars,
        open=change(bars.open),
        high=change(bars.high),
        low=change(bars.low),
        close=change(bars.close),
    )


@pytest.mark.parametrize("tick", [0.5, 0.3])
def test_tick_rounding_never_tightens_a_bracket(tick):
    bars = grid_bars(150, 4)
    table = play(bars, exits=Exits(1.1, 1.7, 10), rate=1.0).candidates
    free, rounded = resolve(table, bars, FREE), resolve(table, bars, FREE, tick)
    both = ~np.isnan(free.stop_price) & ~np.isnan(rounded.stop_price)
    side = table.side[both]
    assert (side * (free.stop_price[both] - rounded.stop_price[both]) >= -1e-9).all()
    assert (side * (rounded.target_price[both] - free.target_price[both]) >= -1e-9).all()
    steps = rounded.stop_price[both] / tick
    assert np.allclose(steps, np.round(steps), atol=1e-9)


def test_levels_that_are_on_the_grid_of_ticks_stay_where_they_are():
    bars = _map_prices(grid_bars(150, 4, step=1.0), lambda price: np.round(price * 0.1, 1))
    table = play(bars, exits=Exits(1.0, 2.0, 10), rate=1.0, atr=0.5).candidates
    free, rounded = resolve(table, bars, FREE), resolve(table, bars, FREE, 0.1)
    for name in ("stop_price", "target_price"):
        exact, on_grid = np.round(getattr(free, name), 9), getattr(rounded, name)
        assert_array_equal(np.round(exact, 1), on_grid, err_msg=name)

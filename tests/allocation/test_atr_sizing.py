"""Sizes by ATR, against a table worked out by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darwin.allocation import PositionSizer
from darwin.core.account import Account
from darwin.errors import ConfigError, DataError
from darwin.trading.sizing import Sizing, full_size


@pytest.mark.parametrize(
    ("rule", "equity", "price", "atr", "units", "risk", "clipped_by"),
    [
        # 10,000 × 1 % / (1 × 2) = 50 units, worth half of equity
        (PositionSizer(), 10_000.0, 100.0, 1.0, 50.0, 0.01, ""),
        # 10,000 × 2 % / (4 × 2.5) = 20
        (PositionSizer(0.02, 2.5), 10_000.0, 100.0, 4.0, 20.0, 0.02, ""),
        # 20 % of equity is cut to 5 %: 500 / (4 × 2.5) = 50
        (PositionSizer(0.20, 2.5), 10_000.0, 100.0, 4.0, 50.0, 0.05, "risk cap"),
        # 100 / (0.5 × 2) = 100 units are all of equity; a smaller ATR does not make them more
        (PositionSizer(), 10_000.0, 100.0, 0.5, 100.0, 0.01, ""),
        (PositionSizer(), 10_000.0, 100.0, 0.25, 100.0, 0.005, "max position"),
        (PositionSizer(max_position=0.2), 10_000.0, 100.0, 1.0, 20.0, 0.004, "max position"),
        # 100 / 3 = 33.33, in lots of 0.5: 33; they risk 33 × 3 / 10,000
        (PositionSizer(atr_multiple=1.0, lot=0.5), 10_000.0, 100.0, 3.0, 33.0, 0.0099, "lot"),
        (PositionSizer(lot=0.1), 10_000.0, 100.0, 1.0, 50.0, 0.01, ""),
        (PositionSizer(lot=100.0), 10_000.0, 100.0, 1.0, 0.0, 0.0, "lot"),
        (PositionSizer(), 0.0, 100.0, 1.0, 0.0, 0.0, ""),
        (PositionSizer(), -50.0, 100.0, 1.0, 0.0, 0.0, ""),
    ],
)
def test_the_size_is_what_the_table_says(
    rule: PositionSizer, equity: float, price: float, atr: float,
    units: float, risk: float, clipped_by: str,
) -> None:  # fmt: skip
    size = rule.size(equity, price, atr)
    assert size.units == pytest.approx(units, rel=1e-12, abs=1e-12)
    assert size.risk == pytest.approx(risk, rel=1e-12, abs=1e-12)
    assert size["clipped_by"] == clipped_by
    assert size.stop_distance == rule.atr_multiple * atr
    if equity > 0.0:
        assert size.fraction == pytest.approx(units * price / equity, rel=1e-12)


@given(
    st.floats(0.0001, 1.0), st.floats(0.01, 100.0), st.floats(1.0, 1e9), st.floats(1e-6, 1e6),
    st.floats(1e-6, 1e6), st.none() | st.floats(1e-6, 10.0),
)  # fmt: skip
def test_no_position_risks_more_than_five_percent(
    risk: float, multiple: float, equity: float, price: float, atr: float, lot: float | None
) -> None:
    size = PositionSizer(risk, multiple, 2.0, lot).size(equity, price, atr)
    assert size.units is not None and size.units >= 0.0
    lost = size.units * atr * multiple
    assert lost <= min(risk, 0.05) * equity * (1 + 1e-9)
    assert size.units * price <= 2.0 * equity * (1 + 1e-9)


def test_it_sizes_as_a_run_does_at_the_stop_of_a_bracket() -> None:
    account = Account(10_000.0, 0.0, 0.0, 0, 0.0)
    run = full_size(Sizing(risk_per_trade=0.01), account, 100.0, 2.4, 0.0, 0.0, None)
    rule = PositionSizer(0.01, atr_multiple=1.2)
    assert rule.size(10_000.0, 100.0, 2.0).units == pytest.approx(run.units, rel=1e-12)
    assert rule.units_to_stop(10_000.0, 2.4) == run.units


@pytest.mark.parametrize(
    ("equity", "price", "atr", "what"),
    [
        (10_000.0, 0.0, 1.0, "price"), (10_000.0, math.nan, 1.0, "price"),
        (10_000.0, 100.0, 0.0, "ATR"), (10_000.0, 100.0, -1.0, "ATR"),
        (10_000.0, 100.0, math.inf, "ATR"), (math.nan, 100.0, 1.0, "equity"),
    ],
)  # fmt: skip
def test_what_cannot_be_sized_is_refused(
    equity: float, price: float, atr: float, what: str
) -> None:
    with pytest.raises(DataError, match=what):
        PositionSizer().size(equity, price, atr)


@pytest.mark.parametrize(
    ("name", "bad"),
    [("risk_per_trade", 0.0), ("risk_per_trade", 1.5), ("atr_multiple", 0), ("lot", math.nan)],
)
def test_figures_that_cannot_be_meant_are_refused(name: str, bad: float) -> None:
    with pytest.raises(ConfigError, match=name):
        PositionSizer(**{name: bad})

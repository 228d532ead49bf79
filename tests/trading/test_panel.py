"""Panels: which instants they join, what holding gives, and when funding falls due."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from darwin.core.market import HOUR_MS, Bars, Funding
from darwin.core.panel import Panel
from darwin.errors import DataError
from darwin.testing.builders import make_bars


def without(bars: Bars, *rows: int) -> Bars:
    """The same bars with some missing."""
    keep = np.delete(np.arange(len(bars)), rows)
    names = ("time", "open", "high", "low", "close", "volume")
    return replace(bars, **{name: getattr(bars, name)[keep] for name in names})


ONE, TWO = make_bars(10, symbol="AA/USDT", seed=1), make_bars(10, symbol="BB/USDT", seed=2)


def test_a_panel_has_the_columns_of_its_markets_in_their_order() -> None:
    panel = Panel.of([TWO, ONE])
    assert panel.symbols == ("BB/USDT", "AA/USDT")
    assert (len(panel), panel.assets) == (10, 2)
    for name in ("open", "high", "low", "close"):
        assert_array_equal(getattr(panel, name), np.column_stack([getattr(TWO, name),
                                                                  getattr(ONE, name)]))  # fmt: skip
    assert_array_equal(panel.funding, np.zeros((10, 2)))


def test_only_instants_that_all_have_are_joined() -> None:
    later = replace(TWO, time=TWO.time + 2 * HOUR_MS)
    panel = Panel.of([without(ONE, 4, 5), without(later, 0)])
    assert_array_equal(panel.time, ONE.time[[3, 6, 7, 8, 9]])
    assert_array_equal(panel.close[:, 0], ONE.close[[3, 6, 7, 8, 9]])
    assert_array_equal(panel.close[:, 1], TWO.close[[1, 4, 5, 6, 7]])


@pytest.mark.parametrize(
    ("markets", "what"),
    [
        ([], "no assets"),
        ([ONE, make_bars(10, symbol="BB/USDT", timeframe="4h")], "bars of 1h, 4h in one panel"),
        ([ONE, make_bars(10, symbol="BB/USDT", start="2025-01-01")], "have 0 bars in common"),
        ([ONE, replace(TWO, time=TWO.time + 9 * HOUR_MS)], "have 1 bars in common"),
    ],
)
def test_what_cannot_be_joined_is_refused(markets: list[Bars], what: str) -> None:
    with pytest.raises(DataError, match=what) as told:
        Panel.of(markets)
    assert told.value.mend


def test_returns_go_from_close_to_close() -> None:
    panel = Panel.of([make_bars(close=[100.0, 110.0, 99.0]), make_bars(close=[50.0, 50.0, 75.0])])
    assert_allclose(panel.returns(), [[0.1, 0.0], [-0.1, 0.5]])


def test_a_slice_is_the_same_instants() -> None:
    whole = Panel.of([ONE, TWO])
    part = whole.slice(3, 7)
    assert_array_equal(part.time, whole.time[3:7])
    assert_array_equal(part.open, whole.open[3:7])
    assert len(part) == 4 and part.close.base is not None


def test_holding_goes_over_the_gap_and_then_from_open_to_close() -> None:
    panel = Panel.of([ONE, TWO])
    gap, body, carry = panel.holding(np.array([0, 4]), 3)
    assert_allclose(gap, panel.open[[1, 5]] / panel.close[[0, 4]])
    assert_allclose(body, panel.close[[3, 7]] / panel.open[[1, 5]])
    assert_allclose(gap * body, panel.close[[3, 7]] / panel.close[[0, 4]])
    assert_array_equal(carry, np.zeros((2, 2)))


def test_holding_beyond_the_last_instant_is_refused() -> None:
    panel = Panel.of([ONE, TWO])
    panel.holding(np.array([6]), 3)
    with pytest.raises(IndexError):
        panel.holding(np.array([7]), 3)


def funded(*due: tuple[float, float]) -> Panel:
    """A panel of five hours, with funding due at so many hours after the first open."""
    bars = make_bars(close=[100.0] * 5)
    hours, rates = zip(*due, strict=True)
    time = bars.time[0] + (np.array(hours) * HOUR_MS).astype(np.int64)
    return Panel.of([replace(bars, funding=Funding(time, np.array(rates)))])


@pytest.mark.parametrize(
    ("hour", "row"),
    [
        (0.5, 0),  # within the first bar
        (1.0, 0),  # at its close, which is the next open
        (1.0 + 1e-6, 1),
        (3.0, 2),
        (5.0, 4),  # at the last close
    ],
)
def test_funding_falls_due_in_the_bar_up_to_and_with_its_close(hour: float, row: int) -> None:
    expected = np.zeros(5)
    expected[row] = 0.001
    assert_array_equal(funded((hour, 0.001)).funding[:, 0], expected)


def test_funding_outside_of_the_panel_is_nobodys() -> None:
    panel = funded((-3.0, 0.1), (0.0, 0.2), (5.5, 0.4))  # at 0: the close of the bar before
    assert_array_equal(panel.funding, np.zeros((5, 1)))


def test_all_that_falls_due_in_one_bar_adds_up() -> None:
    assert_allclose(funded((1.25, 0.001), (1.5, 0.002), (2.0, -0.004)).funding[1, 0], -0.001)


def test_funding_that_falls_into_a_gap_is_due_at_the_next_close() -> None:
    bars = make_bars(close=[100.0] * 6)
    paid = replace(bars, funding=Funding(bars.time[3:4] + HOUR_MS // 2, np.array([0.001])))
    panel = Panel.of([paid, without(replace(bars, symbol="BB/USDT"), 2, 3)])
    assert_array_equal(panel.time, bars.time[[0, 1, 4, 5]])
    assert_array_equal(panel.funding[:, 0], [0.0, 0.0, 0.001, 0.0])


def test_carry_is_what_a_long_pays_over_its_value_at_the_open() -> None:
    close = [100.0, 100.0, 200.0, 50.0]
    bars = make_bars(close=close)
    due = Funding(bars.time + HOUR_MS, np.array([0.5, 0.01, 0.01, 0.04]))
    panel = Panel.of([replace(bars, funding=due)])
    carry = panel.holding(np.array([0]), 3).carry
    # 1 × 0.01 + 2 × 0.01 + 0.5 × 0.04; what was due at the decision's own close is not paid
    assert_allclose(carry, [[0.05]])


def test_a_row_does_not_change_when_the_future_arrives() -> None:
    whole = Panel.of([replace(ONE, funding=Funding(ONE.time[::3] + 7, np.full(4, 0.001))), TWO])
    for until in range(3, 10):
        part = Panel.of([
            replace(without(ONE, *range(until, 10)),
                    funding=Funding(ONE.time[::3] + 7, np.full(4, 0.001))),
            without(TWO, *range(until, 10)),
        ])  # fmt: skip
        assert_array_equal(part.funding, whole.funding[:until])
        assert_array_equal(part.close, whole.close[:until])

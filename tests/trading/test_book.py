"""The book of an allocation: closed forms, drift, costs, funding, ruin, and no look-ahead."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from darwin.core.market import FloatArray
from darwin.core.panel import Panel
from darwin.testing.builders import make_bars
from darwin.trading.book import Walk, drift, step, walk


def panel_of(
    assets: int, bars: int, seed: int, volatility: float = 0.02, funding_rate: float | None = None
) -> Panel:
    """Random walks whose opens are not the closes before them."""
    names = [f"{chr(65 + at)}{chr(65 + at)}/USDT" for at in range(assets)]
    markets = [
        make_bars(bars, symbol=name, seed=100 * seed + at, volatility=volatility,
                  funding_rate=funding_rate)
        for at, name in enumerate(names)
    ]  # fmt: skip
    whole = Panel.of(markets)
    gaps = np.random.default_rng(seed).normal(0.0, volatility / 4, whole.open.shape)
    return Panel(
        whole.symbols, whole.timeframe, whole.time, whole.open * np.exp(gaps),
        whole.high, whole.low, whole.close, whole.funding,
    )  # fmt: skip


def some_targets(panel: Panel, count: int, seed: int) -> FloatArray:
    """Weights of `count` decisions, with cash."""
    shares = np.random.default_rng(seed).dirichlet(np.ones(panel.assets + 1), count)
    return np.ascontiguousarray(shares[:, :-1])


def flat_panel(close: FloatArray, funding: FloatArray | None = None) -> Panel:
    """Bars that open at the close before them, of prices (t, n)."""
    whole = panel_of(close.shape[1], len(close), 0)
    opens = np.vstack([close[:1], close[:-1]])
    paid = np.zeros_like(close) if funding is None else funding
    return Panel(
        whole.symbols, whole.timeframe, whole.time, opens,
        np.maximum(opens, close), np.minimum(opens, close), close, paid,
    )  # fmt: skip


seeds = st.integers(0, 10_000)


@given(seeds, st.integers(1, 6), st.integers(3, 80))
def test_costless_constant_weights_reproduce_the_closed_form(
    seed: int, assets: int, bars: int
) -> None:
    panel = panel_of(assets, bars, seed)
    weights = some_targets(panel, 1, seed)[0]
    rows = np.arange(bars - 1)
    told = walk(panel, rows, np.tile(weights, (len(rows), 1)), 0.0)
    # what is held over a gap are the weights that drifted through the bar before it
    value, held = 1.0, np.zeros(assets)
    wealth = [value]
    for t in range(bars - 1):
        gap, body = panel.open[t + 1] / panel.close[t], panel.close[t + 1] / panel.open[t + 1]
        value *= 1.0 + float(held @ (gap - 1.0))
        factor = 1.0 + float(weights @ (body - 1.0))
        value *= factor
        held = weights * body / factor
        wealth.append(value)
    assert_allclose(told.value, wealth, rtol=1e-9)


@given(seeds, st.integers(1, 6))
def test_without_gaps_wealth_is_the_product_of_portfolio_returns(seed: int, assets: int) -> None:
    panel = flat_panel(panel_of(assets, 60, seed).close)
    weights = some_targets(panel, 1, seed)[0]
    told = walk(panel, np.arange(59), np.tile(weights, (59, 1)), 0.0)
    product = np.cumprod(1.0 + panel.returns() @ weights)
    assert_allclose(told.value[1:], product, rtol=1e-9)


@given(seeds, st.integers(1, 5))
def test_weights_held_without_trading_are_shares_of_what_each_became(
    seed: int, assets: int
) -> None:
    panel = panel_of(assets, 40, seed)
    weights = some_targets(panel, 1, seed)
    told = walk(panel, np.array([0]), weights, 0.0)
    grown = weights[0] * panel.close / panel.open[1]
    cash = 1.0 - weights[0].sum()
    assert_allclose(told.value[1:], (grown.sum(axis=1) + cash)[1:], rtol=1e-9)
    assert_allclose(told.weights[1:], grown[1:] / told.value[1:, None], rtol=1e-9, atol=1e-15)


def test_weights_drift_towards_what_rose() -> None:
    # half in an asset that doubles: 1.0 of 1.5
    book, after = drift(np.array([[0.5, 0.25]]), np.array([[2.0, 1.0]]))
    assert_allclose(book, [1.5])
    assert_allclose(after, [[1.0 / 1.5, 0.25 / 1.5]])


def test_a_short_gains_what_falls_and_its_weight_shrinks() -> None:
    # 1 + 1 short at −0.5: the price halves, so the book has 1.25 and the short is worth −0.25
    book, after = drift(np.array([[-0.5]]), np.array([[0.5]]))
    assert_allclose(book, [1.25])
    assert_allclose(after, [[-0.2]])


def stepped(panel: Panel, rows: FloatArray, targets: FloatArray, cost: float) -> Walk:
    """The same as `walk`, one `step` for each decision; only the ends of holdings are told."""
    value, weights, turnover, paid = [1.0], np.zeros((1, panel.assets)), [], []
    ends = np.append(rows[1:], len(panel) - 1)
    for row, end, target in zip(rows, ends, targets, strict=True):
        gap, body, carry = panel.holding(np.array([row]), int(end - row))
        moved = step(weights, target[None], gap, body, carry, cost)
        value.append(value[-1] * moved.growth.item())
        weights = moved.weights
        turnover.append(moved.turnover.item())
        paid.append(moved.cost.item())
    return Walk(np.array(value), weights, np.array(turnover), np.array(paid))


@given(seeds, st.integers(1, 5), st.integers(1, 7), st.floats(0.0, 0.01))
def test_step_by_step_is_what_the_walk_gives(
    seed: int, assets: int, every: int, cost: float
) -> None:
    panel = panel_of(assets, 50, seed, funding_rate=1e-4)
    rows = np.arange(0, 49, every)
    targets = some_targets(panel, len(rows), seed)
    one, other = walk(panel, rows, targets, cost), stepped(panel, rows, targets, cost)
    assert_allclose(one.value[np.append(rows, 49)], other.value, rtol=1e-12)
    assert_allclose(one.weights[49], other.weights[0], rtol=1e-12, atol=1e-15)
    assert_allclose(one.turnover, other.turnover, rtol=1e-9, atol=1e-12)
    assert_allclose(one.cost, other.cost, rtol=1e-9, atol=1e-14)


@given(seeds, st.integers(2, 6), st.integers(2, 9))
def test_many_books_at_once_give_the_bits_of_each_alone(seed: int, books: int, assets: int) -> None:
    rng = np.random.default_rng(seed)
    weights, target = rng.normal(0.0, 0.5, (2, books, assets))
    gap, body = np.exp(rng.normal(0.0, 0.3, (2, books, assets)))
    carry = rng.normal(0.0, 0.01, (books, assets))
    together = step(weights, target, gap, body, carry, 0.002)
    for at in range(books):
        only = slice(at, at + 1)
        alone = step(weights[only], target[only], gap[only], body[only], carry[only], 0.002)
        for whole, one in zip(together, alone, strict=True):
            assert_array_equal(whole[only], one)


@given(seeds, st.integers(1, 5), st.lists(st.floats(0.0, 0.02), min_size=2, max_size=5))
def test_a_higher_cost_never_makes_a_book_richer(
    seed: int, assets: int, rates: list[float]
) -> None:
    panel = panel_of(assets, 40, seed)
    rows = np.arange(0, 39, 2)
    targets = some_targets(panel, len(rows), seed)
    walks = [walk(panel, rows, targets, rate) for rate in sorted(rates)]
    for cheap, dear in pairwise(walks):
        assert (dear.value <= cheap.value).all()
        assert (dear.cost >= cheap.cost).all()


@given(seeds, st.integers(1, 5), st.floats(0.0, 0.02))
def test_what_is_traded_is_what_costs(seed: int, assets: int, rate: float) -> None:
    panel = panel_of(assets, 40, seed)
    rows = np.arange(0, 39, 3)
    told = walk(panel, rows, some_targets(panel, len(rows), seed), rate)
    assert_array_equal(told.cost, np.minimum(rate * told.turnover, 1.0))
    assert (told.turnover >= 0.0).all()


def test_the_first_trade_turns_over_all_that_it_buys() -> None:
    panel = panel_of(2, 10, 1)
    told = walk(panel, np.array([3]), np.array([[0.25, 0.5]]), 0.01)
    assert told.turnover[0] == 0.75 and told.cost[0] == 0.0075
    assert_array_equal(told.value[:4], np.ones(4))  # until then all is cash
    assert_array_equal(told.weights[:4], np.zeros((4, 2)))
    body = panel.close[4] / panel.open[4]
    assert told.value[4] == pytest.approx(
        (1 - 0.0075) * (1 + 0.25 * (body[0] - 1) + 0.5 * (body[1] - 1))
    )


def test_holding_what_is_held_costs_nothing() -> None:
    panel = flat_panel(np.full((10, 2), 100.0))
    told = walk(panel, np.arange(9), np.tile([0.4, 0.6], (9, 1)), 0.01)
    assert_array_equal(told.turnover, [1.0] + [0.0] * 8)
    assert_allclose(told.value, [1.0] + [0.99] * 9)


@pytest.mark.parametrize(("weight", "rate", "wealth"), [
    (1.0, 0.01, 0.99), (-1.0, 0.01, 1.01), (1.0, -0.01, 1.01), (-1.0, -0.01, 0.99),
    (0.5, 0.01, 0.995), (0.0, 0.01, 1.0),
])  # fmt: skip
def test_longs_pay_a_positive_rate_and_shorts_receive_it(
    weight: float, rate: float, wealth: float
) -> None:
    funding = np.zeros((4, 1))
    funding[2] = rate
    told = walk(
        flat_panel(np.full((4, 1), 50.0), funding), np.array([0]), np.array([[weight]]), 0.0
    )
    assert_allclose(told.value, [1.0, 1.0, wealth, wealth], rtol=1e-12)


def test_funding_is_charged_on_what_the_holding_is_worth_then() -> None:
    close = np.array([[100.0], [100.0], [200.0], [200.0]])
    funding = np.array([[0.0], [0.0], [0.01], [0.01]])
    told = walk(flat_panel(close, funding), np.array([0]), np.array([[0.5]]), 0.0)
    # 0.5 becomes 1.0; 1 % of it is paid at each of two closes, from cash
    assert_allclose(told.value, [1.0, 1.0, 1.49, 1.48], rtol=1e-12)


def test_funding_before_the_first_trade_costs_nothing() -> None:
    funding = np.full((6, 1), 0.01)
    told = walk(flat_panel(np.full((6, 1), 50.0), funding), np.array([2]), np.array([[1.0]]), 0.0)
    assert_allclose(told.value, [1.0, 1.0, 1.0, 0.99, 0.98, 0.97], rtol=1e-12)


def test_a_book_that_is_ruined_stays_so() -> None:
    close = np.array([[100.0], [100.0], [250.0], [100.0], [50.0], [50.0]])
    panel = flat_panel(close)
    for rows in ([0], [0, 3], [0, 1, 2, 3, 4]):
        told = walk(panel, np.array(rows), np.full((len(rows), 1), -1.0), 0.0)
        assert_array_equal(told.value, [1.0, 1.0, 0.0, 0.0, 0.0, 0.0])
        assert_array_equal(told.weights[2:], np.zeros((4, 1)))
    moved = step(np.array([[-1.0]]), np.array([[1.0]]), *np.array([[[2.5]], [[3.0]]]), 0.0, 0.0)
    assert moved.growth.item() == 0.0 and moved.weights.item() == 0.0


def test_a_cost_of_everything_is_ruin_and_no_more() -> None:
    panel = flat_panel(np.full((4, 2), 100.0))
    told = walk(panel, np.array([0]), np.array([[1.0, 1.0]]), 0.9)
    assert told.cost[0] == 1.0
    assert_array_equal(told.value[1:], np.zeros(3))
    same = np.ones((1, 2))
    moved = step(np.zeros((1, 2)), same, same, same, 0.0, 0.9)
    assert (moved.cost.item(), moved.growth.item(), moved.turnover.item()) == (1.0, 0.0, 2.0)


def test_a_decision_at_the_last_close_is_never_carried_out() -> None:
    panel = panel_of(2, 10, 1)
    told = walk(panel, np.array([2, 9]), np.array([[0.5, 0.5], [0.0, 1.0]]), 0.01)
    alone = walk(panel, np.array([2]), np.array([[0.5, 0.5]]), 0.01)
    assert_array_equal(told.value, alone.value)
    assert told.turnover[1] == told.cost[1] == 0.0


@given(seeds, st.integers(1, 4), st.integers(2, 49))
def test_a_value_does_not_change_when_the_future_arrives(
    seed: int, assets: int, until: int
) -> None:
    panel = panel_of(assets, 50, seed, funding_rate=1e-4)
    rows = np.arange(0, 50, 3)
    targets = some_targets(panel, len(rows), seed)
    whole = walk(panel, rows, targets, 0.001)
    known = rows < until
    part = walk(panel.slice(0, until), rows[known], targets[known], 0.001)
    assert_array_equal(part.value, whole.value[:until])
    assert_array_equal(part.weights, whole.weights[:until])


def test_a_decision_gains_nothing_from_the_close_it_is_made_at() -> None:
    close = np.array([[100.0], [300.0], [300.0], [300.0]])
    told = walk(flat_panel(close), np.array([1]), np.array([[1.0]]), 0.0)
    assert_array_equal(told.value, np.ones(4))

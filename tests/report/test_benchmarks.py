"""Benchmarks are honest: by hand where there is no chance, in the mean where there is."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from darwin.engine.benchmarks import benchmarks, buy_and_hold, ma_crossover
from darwin.engine.report_draws import place, random_entries, random_matched
from darwin.engine.report_facts import Sampling
from darwin.engine.result import RunResult
from darwin.testing.builders import Setup, make_bars, make_result
from darwin.trading.costs import FREE, Costs, funding_paid_until

DEAR = Costs(maker_bps=5, taker_bps=20, half_spread_bps=5, slippage_bps=5)


def sampling(result: RunResult) -> Sampling:
    return Sampling.of(result, "continuous")


def test_buy_and_hold_is_what_the_hand_works_out() -> None:
    bars = make_bars(300)
    result = make_result(bars, costs=DEAR)
    found = buy_and_hold(result, sampling(result))
    units = 10_000 / (bars.open[51] * 1.001 * 1.002)
    assert found.total_return == pytest.approx(units * bars.close[-1] * 0.999 * 0.998 / 10_000 - 1)
    assert_allclose(found.equity[:51], 10_000)
    assert_allclose(found.equity[51:-1], units * bars.close[51:-1])


def test_buy_and_hold_splits_equally_and_pays_funding() -> None:
    first, second = make_bars(200, funding_rate=1e-3), make_bars(200, symbol="ETH/USDT", seed=5)
    result = make_result(first, second, costs=FREE)
    paid = funding_paid_until(first)
    assert paid is not None
    worth = 5_000 * (first.close[-1] - (paid[-1] - paid[51])) / first.open[51]
    worth += 5_000 * second.close[-1] / second.open[51]
    found = buy_and_hold(result, sampling(result))
    assert found.total_return == pytest.approx(worth / 10_000 - 1)


def test_a_symbol_that_starts_later_waits_in_cash() -> None:
    early, late = make_bars(200), make_bars(100, symbol="ETH/USDT", start="2024-01-05")
    result = make_result(early, late, costs=FREE)
    found = buy_and_hold(result, sampling(result))
    before = 5_000 + 5_000 * early.close[100] / early.open[51]
    assert found.equity[100] == pytest.approx(before)


def test_the_crossover_trades_the_open_after_its_signal() -> None:
    close = np.concatenate([np.full(30, 100.0), np.arange(101.0, 121.0), np.full(30, 90.0)])
    bars = make_bars(close=close)
    result = make_result(bars, costs=DEAR, setup=Setup(warmup_bars=20))
    found = ma_crossover(result, sampling(result), fast=2, slow=10)
    bought, sold = bars.open[31], bars.open[51]
    assert (bought, sold) == (101, 90)
    back = sold * 0.999 * 0.998 / (bought * 1.001 * 1.002)
    assert found.trades == 1
    assert found.total_return == pytest.approx(back - 1)


@pytest.mark.parametrize("cut", [120, 180, 240])
def test_the_crossover_does_not_see_the_future(cut: int) -> None:
    bars = make_bars(300)
    whole, head = make_result(bars), make_result(bars.slice(0, cut))
    before = ma_crossover(head, sampling(head), 5, 20).equity
    after = ma_crossover(whole, sampling(whole), 5, 20).equity
    assert_allclose(before[:-1], after[: cut - 1])


def test_random_placements_stay_inside_and_never_overlap() -> None:
    slots = np.array([5, 1, 9, 3])
    order, entry = place(slots, 10, 40, 500, np.random.default_rng(0))
    leave = entry + slots[order]
    assert entry.min() == 10 and leave.max() == 40
    assert np.all(entry[:, 1:] >= leave[:, :-1])


def test_trades_that_do_not_fit_side_by_side_still_fit_inside() -> None:
    slots = np.full(20, 9)
    order, entry = place(slots, 10, 40, 200, np.random.default_rng(0))
    assert entry.min() >= 10 and (entry + slots[order]).max() <= 40


def test_on_a_martingale_random_entries_earn_minus_their_costs() -> None:
    matched, flipped, costs = [], [], []
    for seed in range(30):
        result = make_result(make_bars(1500, seed=seed), costs=DEAR)
        cost = sum(trade.fees_usd + trade.slippage_usd for trade in result.trades)
        costs.append(cost / result.starting_equity_usd)
        for found, play in ((matched, random_matched), (flipped, random_entries)):
            drawn = play(result, sampling(result), 60, np.random.default_rng(seed)).draws
            assert drawn is not None
            found.append(drawn.mean())
    excess = np.array(matched) + np.array(costs)
    error = excess.std(ddof=1) / np.sqrt(len(excess))
    assert abs(excess.mean()) < 4 * error
    assert error < np.mean(costs) / 10, "the costs would be told from nothing"
    assert np.mean(flipped) < -0.8 * np.mean(costs)


def test_random_matched_of_a_run_of_one_bar_trades_books_each_price_move() -> None:
    bars = make_bars(400)
    result = make_result(bars, costs=FREE, setup=Setup(time_stop_bars=1, stop=0.5, target=0.5))
    found = random_matched(result, sampling(result), 1, np.random.default_rng(9))
    order, entry = place(
        np.full(len(result.trades), 2), 51, 400, 1, np.random.default_rng(9)
    )  # the same chance, drawn again
    assert all(trade.exit.instant - trade.entry.instant == 1 for trade in result.trades)
    earned = 0.0
    for which, bar in zip(order[0], entry[0], strict=True):
        trade = result.trades[which]
        notional = trade.units * trade.entry.mid_price
        earned += trade.side * notional * (bars.open[bar + 1] / bars.open[bar] - 1)
    assert found.total_return == pytest.approx(earned / result.starting_equity_usd)
    assert found.equity[-1] == pytest.approx(result.starting_equity_usd + earned)


def test_higher_costs_never_help_a_benchmark() -> None:
    bars = make_bars(800)
    cheap, dear = (
        benchmarks(result, sampling(result), draws=20)
        for result in (make_result(bars, costs=FREE), make_result(bars, costs=DEAR))
    )
    for less, more in zip(dear[:2], cheap[:2], strict=True):
        assert less.total_return < more.total_return


def test_the_same_seed_draws_the_same_and_another_does_not() -> None:
    result = make_result()
    draws = [
        benchmarks(result, sampling(result), seed, draws=10)[2].total_return for seed in (1, 1, 2)
    ]
    assert draws[0] == draws[1] != draws[2]


def test_without_trades_chance_stays_in_cash() -> None:
    result = make_result(make_bars(60), setup=Setup(warmup_bars=59))
    for found in benchmarks(result, sampling(result), draws=5)[2:]:
        assert found.total_return == 0 and found.trades == 0
        assert np.isnan(found.sharpe_ratio)


def test_the_share_beaten_counts_the_draws_below() -> None:
    result = make_result()
    found = random_matched(result, sampling(result), 50, np.random.default_rng(0))
    assert found.draws is not None
    assert found.beaten_share(np.inf) == 1 and found.beaten_share(-np.inf) == 0
    assert found.beaten_share(float(np.median(found.draws))) == pytest.approx(0.5, abs=0.02)

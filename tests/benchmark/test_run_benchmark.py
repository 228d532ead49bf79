"""A run of candidates beside its rivals: its figures, who wins, and what is left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from darwin.allocation.benchmark_settings import BenchmarkSettings
from darwin.core.market import Bars
from darwin.engine.report import Report, report
from darwin.engine.result import RunResult
from darwin.report.run_benchmark import THIS_RUN, RunBenchmark, run_benchmark, run_tree
from darwin.testing.builders import Setup, make_bars, make_result
from darwin.trading.costs import FREE, Costs

QUICK = BenchmarkSettings(windows=3, draws=300, lookback=100)
DEAR = Costs(maker_bps=5, taker_bps=20, half_spread_bps=5, slippage_bps=5)
RATE = 1.002 * 1.001 - 1  # what changing a book costs there
RIVALS = ["buy_and_hold", "ma_crossover", "random_matched", "random"]
BOTH = ["equal_weight", "minimum_variance"]


def judged(*markets: Bars, settings: BenchmarkSettings = QUICK, **more: object) -> RunBenchmark:
    return run_benchmark(reported(make_result(*markets, **more)), settings)


def reported(result: RunResult) -> Report:
    return report(result, "one")


def two(count: int = 1000, **more: object) -> tuple[Bars, Bars]:
    return make_bars(count, **more), make_bars(count, symbol="ETH/USDT", seed=5, **more)


def test_every_figure_that_metrics_json_tells_as_well_is_the_same():
    told = judged(*two(), costs=DEAR)
    metrics, strategies = told.report.metrics, run_tree(told)["strategies"]
    assert list(strategies) == [THIS_RUN, *RIVALS, *BOTH]
    for name, of in [(THIS_RUN, metrics), *metrics["benchmarks"].items()]:
        for figure in ("total_return", "sharpe_ratio", "max_drawdown"):
            assert strategies[name][figure]["value"] == pytest.approx(of[figure], rel=1e-9), name
            assert strategies[name][figure]["low"] <= strategies[name][figure]["high"]
    assert strategies["random"]["books"] == metrics["benchmarks"]["random"]["draws"] == 200
    assert run_tree(told)["benchmarks"] == metrics["benchmarks"]


def test_windows_follow_each_other_and_make_the_whole():
    told = judged(*two(1010))
    tree = run_tree(told)
    assert [one["days"] for one in tree["windows"]] == [14, 14, 15]
    assert tree["windows"][0]["from"] == tree["test"]["from"] == "2024-01-01T00:00:00Z"
    assert tree["windows"][0]["to"] == tree["windows"][1]["from"]
    assert tree["windows"][-1]["to"] == tree["test"]["to"]
    for name in (THIS_RUN, "buy_and_hold", *BOTH):
        parts = [1 + one["strategies"][name]["total_return"] for one in tree["windows"]]
        assert np.prod(parts) - 1 == pytest.approx(
            tree["strategies"][name]["total_return"]["value"]
        )


def test_more_windows_than_days_are_as_many_as_there_are_days():
    told = judged(make_bars(72), settings=replace(QUICK, windows=50))
    assert [one["days"] for one in run_tree(told)["windows"]] == [1, 1, 1]


@pytest.mark.parametrize("markets", [(make_bars(300),), (make_bars(300), make_bars(
    40, symbol="ETH/USDT", start="2024-01-05"))])  # fmt: skip
def test_where_one_symbol_can_be_traded_the_two_that_want_more_are_left_out_and_named(markets):
    tree = run_tree(judged(*markets))
    assert list(tree["strategies"]) == [THIS_RUN, *RIVALS]
    assert list(tree["left_out"]) == BOTH
    assert all("two symbols" in why and "buy & hold" in why for why in tree["left_out"].values())
    assert run_tree(judged(*two(300)))["left_out"] == {}


def test_where_prices_stand_equal_weight_pays_for_one_trade_in_and_one_out():
    still = [100.0] * 289
    told = judged(*two(289, close=still), costs=DEAR, settings=replace(QUICK, lookback=1000))
    (book,) = [one for one in told.books if one.name == "equal_weight"]
    assert book.value[:52].tolist() == [1.0] * 52  # the warm-up of 50 bars, and the start
    assert_allclose(book.value[52:-1], 1 - RATE)
    assert book.value[-1] == pytest.approx((1 - RATE) ** 2)
    assert book.days.turnover.sum() == pytest.approx(2.0)
    assert book.days.exposed.tolist() == [[False, False, *[True] * 10, False]]  # closes 51 to 287


def test_where_prices_stand_least_variance_is_left_out_and_the_others_stay():
    told = judged(*two(300, close=[100.0] * 300), costs=DEAR)
    assert [one.name for one in told.books] == [THIS_RUN, *RIVALS, "equal_weight"]
    assert "no symbol has moved" in run_tree(told)["left_out"]["minimum_variance"]


def test_least_variance_knows_the_bars_of_the_warm_up_and_holds_what_moves_less():
    calm = make_bars(400, volatility=0.0001)
    wild = make_bars(400, symbol="ETH/USDT", seed=5, volatility=0.02)
    told = judged(
        calm, wild, costs=FREE, setup=Setup(warmup_bars=120),
        settings=replace(QUICK, shrinkage=0.0),
    )  # fmt: skip
    (book,) = [one for one in told.books if one.name == "minimum_variance"]
    assert book.value[121] == 1.0
    assert_allclose(book.value[122:], calm.close[121:] / calm.open[121], rtol=2e-3)


def test_a_symbol_that_begins_later_makes_the_weights_wait():
    early = make_bars(300)
    late = make_bars(200, symbol="ETH/USDT", start="2024-01-04", seed=5)
    told = judged(early, late, costs=FREE)
    (book,) = [one for one in told.books if one.name == "equal_weight"]
    assert (book.value[: 72 + 52] == 1.0).all() and book.value[72 + 52] != 1.0


def test_buy_and_hold_trades_twice_and_is_held_until_the_last_bar():
    bars = make_bars(289)
    told = judged(bars, costs=FREE)
    hold = told.books[1].days
    worth = 1 / bars.open[51] * bars.close[-1]
    before = 1 / bars.open[51] * bars.close[287]  # at the end of day 12 of 13, at midnight
    assert hold.turnover.sum() == pytest.approx(1 + worth / before)
    assert hold.exposed.tolist() == [[False, False, *[True] * 10, False]]


def test_a_run_is_as_busy_as_its_trades():
    result = make_result(make_bars(300), costs=FREE)
    told = run_benchmark(reported(result), QUICK)
    traded = np.zeros(13)
    for trade in result.trades:
        for fill in (trade.entry, trade.exit):
            traded[fill.instant // 24] += trade.units * fill.mid_price
    ends = np.concatenate([[10_000.0], result.equity.equity[23:-1:24]])
    assert_allclose(told.books[0].days.turnover[0], traded / ends)


@pytest.mark.parametrize(("bars_held", "held"), [(1, 1), (30, 30)])
def test_chance_trades_and_holds_as_much_as_the_run(bars_held, held):
    still = make_bars(timeframe="1d", close=[100.0] * 290)
    setup = Setup(
        time_stop_bars=bars_held, stop=0.5, target=0.5, every_bars=60, least_confidence=0.0
    )
    result = make_result(still, costs=FREE, setup=setup)
    found = judged(still, costs=FREE, setup=setup).books[3].days
    notional = sum(trade.units * 100.0 for trade in result.trades)
    assert len(result.trades) > 2
    assert_allclose(found.turnover.sum(axis=1), 2 * notional / 10_000)
    assert (found.exposed.sum(axis=1) == held * len(result.trades)).all()


def test_a_draw_that_loses_more_than_all_ends_with_nothing():
    result = make_result(make_bars(1500), costs=FREE, setup=Setup(risk_per_trade=0.5))
    told = run_benchmark(reported(replace(result, starting_equity_usd=500.0)), QUICK)
    draws = next(one for one in told.report.benchmarks if one.name == "random")
    found = told.books[4].days
    assert draws.draws is not None and draws.draws.min() < -1
    gone = draws.draws < -1
    assert (np.prod(found.growth, axis=1)[gone] == 0.0).all()
    low = told.judgement.standing("random").figures.max_drawdown.value
    assert low < -0.5
    last = found.growth.cumprod(axis=1)[:, -2] == 0.0
    assert last.any() and not found.exposed[last, -1].any()


def test_without_trades_no_win_rate_is_told():
    told = judged(make_bars(800), setup=Setup(warmup_bars=799))
    for name in (THIS_RUN, "random_matched", "random"):
        one = run_tree(told)["strategies"][name]
        assert one["win_rate"] == {"value": None, "low": None, "high": None}
        assert one["turnover"]["value"] == one["total_return"]["value"] == 0.0
    assert run_tree(told)["winner"] is None


def test_too_few_days_have_no_interval_and_no_winner():
    tree = run_tree(judged(make_bars(200)))
    assert tree["winner"] is None and "too few" in tree["why"]
    assert tree["strategies"][THIS_RUN]["total_return"]["low"] is None
    assert tree["verdict"] == "undecided"


def in_a_null_world(seed: int) -> RunBenchmark:
    first, second = make_bars(6000, seed=seed), make_bars(6000, symbol="ETH/USDT", seed=seed + 100)
    return judged(first, second, costs=FREE, seed=seed)


def test_where_nothing_can_be_known_no_run_wins():
    for seed in range(3):
        tree = run_tree(in_a_null_world(seed))
        assert (tree["judged"], tree["winner"]) == (THIS_RUN, None)
        assert tree["verdict"] != "passed"


@pytest.mark.sweep
def test_of_twenty_null_worlds_at_most_one_has_a_winner():
    won = [told.judgement.winner for told in map(in_a_null_world, range(20))]
    assert sum(name is not None for name in won) <= 1


def test_the_same_seed_gives_the_same_tree():
    one, other = (run_tree(judged(*two(600))) for _ in range(2))
    assert one == other
    different = run_tree(judged(*two(600), settings=replace(QUICK, seed=1)))
    assert different["strategies"] != one["strategies"]

"""The loop against a second engine, and the promises of its order of events."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from darwin.core.candidate import Exits, Trailing
from darwin.core.decision import Reason
from darwin.core.trade import Exit, Status
from darwin.engine.result import RunResult
from darwin.trading.brackets import advance, opened_brackets
from darwin.trading.costs import Costs
from tests.engine.reference_loop import reference_trades
from tests.engine.worlds import ONE_UNIT, TakeAll, grid_bars, play, session_over

DEAR = Costs(maker_bps=2, taker_bps=5, half_spread_bps=1, slippage_bps=1)

exits_of_all_kinds = st.builds(
    Exits,
    stop_atr=st.sampled_from([0.5, 1.0, 2.0]),
    target_atr=st.sampled_from([None, 0.5, 1.0, 3.0]),
    time_stop_bars=st.sampled_from([None, 1, 2, 5, 20]),
    trailing=st.sampled_from([None, Trailing(0.0, 0.5), Trailing(1.0, 1.0), Trailing(0.5, 2.0)]),
    anchor=st.sampled_from(["signal", "fill"]),
)


def assert_same_trades(result: RunResult, costs: Costs, per_symbol: int = 1) -> None:
    expected, funnel = reference_trades(result, costs, 1.0, per_symbol)
    by_row = {trade["row"]: trade for trade in expected}
    assert {trade.row for trade in result.trades} == set(by_row)
    for trade in result.trades:
        other = by_row[trade.row]
        assert trade.entry.mid_price == other["entry"]
        assert trade.exit.mid_price == other["exit"]
        assert Exit(trade.exit.reason).text == other["why"]
        assert (trade.entry.time, trade.exit.time) == (other["entry_time"], other["exit_time"])
        assert trade.net_pnl_usd == pytest.approx(other["net"], abs=1e-9)
    assert result.funnel() == funnel


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000), exits=exits_of_all_kinds, costs=st.sampled_from([DEAR, Costs()])
)
def test_it_trades_as_a_plain_bar_by_bar_loop_does(seed, exits, costs):
    bars = grid_bars(160, seed, funding=seed % 2 == 0)
    assert_same_trades(play(bars, exits=exits, seed=seed, costs=costs), costs)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    exits=st.lists(exits_of_all_kinds, min_size=1, max_size=3),
    per_symbol=st.integers(1, 3),
)
def test_several_symbols_playbooks_and_positions_agree_with_it_too(seed, exits, per_symbol):
    markets = [grid_bars(90, seed + k, symbol=f"S{k}A/USDT", funding=k == 1) for k in range(3)]
    result = play(*markets, exits=exits, seed=seed, costs=DEAR, positions_per_symbol=per_symbol)
    assert_same_trades(result, DEAR, per_symbol)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    exits=st.lists(exits_of_all_kinds, min_size=1, max_size=2),
    least=st.sampled_from([0.0, 125.0]),
    equity=st.sampled_from([1e6, 1e12]),
)
def test_the_short_cut_gives_what_the_step_gives(seed, exits, least, equity):
    markets = [grid_bars(120, seed + k, symbol=f"S{k}A/USDT", funding=k == 0) for k in range(2)]
    sizing = type(ONE_UNIT)(**{**_as_dict(ONE_UNIT), "min_order_usd": least})
    walked, cut = (
        play(
            *markets,
            exits=exits,
            seed=seed,
            costs=DEAR,
            sizing=sizing,
            decider=TakeAll(blind),
            equity=equity,
        )
        for blind in (True, False)
    )
    assert_array_equal(walked.reasons, cut.reasons)
    for name in ("orders", "cancels", "fills", "trades"):
        assert list(getattr(walked, name)) == list(getattr(cut, name)), name
    for field in fields(walked.equity):
        assert_array_equal(getattr(walked.equity, field.name), getattr(cut.equity, field.name))
    for name in ("asked", "take", "confidence", "cost_usd"):
        assert_array_equal(getattr(walked.verdicts, name), getattr(cut.verdicts, name))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), exits=exits_of_all_kinds)
def test_the_ledgers_r_is_the_outcomes_r(seed, exits):
    result = play(grid_bars(200, seed, funding=True), exits=exits, seed=seed, costs=DEAR)
    for trade in result.trades:
        if trade.exit.reason != Exit.END_OF_RUN:
            assert trade.r == pytest.approx(result.outcomes.r[trade.row], abs=1e-9)
            assert trade.r == pytest.approx(trade.net_pnl_usd / trade.risk_usd, abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), exits=exits_of_all_kinds)
def test_the_ledger_balances(seed, exits):
    result = play(grid_bars(150, seed, funding=True), exits=exits, seed=seed, costs=DEAR)
    earned = sum(trade.net_pnl_usd for trade in result.trades)
    assert result.equity.equity[-1] - result.starting_equity_usd == pytest.approx(earned, abs=1e-6)
    assert result.equity.positions[-1] == 0
    for t in result.trades:
        costs = t.fees_usd + t.slippage_usd + t.funding_usd
        assert t.net_pnl_usd == pytest.approx(t.gross_usd - costs, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), cut=st.integers(20, 199), exits=exits_of_all_kinds)
def test_cutting_the_data_changes_nothing_before_the_cut(seed, cut, exits):
    bars = grid_bars(200, seed, funding=True)
    whole = play(bars, exits=exits, seed=seed, costs=DEAR, rate=1.0)
    part = play(bars.slice(0, cut), exits=exits, seed=seed, costs=DEAR, rate=1.0)
    kept = np.flatnonzero(whole.candidates.bar < cut)
    assert_array_equal(whole.candidates.id[kept], part.candidates.id)
    known = part.outcomes.status == Status.RESOLVED
    for name in ("exit_price", "exit_bar", "exit_reason", "r", "stop_price"):
        before, after = getattr(part.outcomes, name), getattr(whole.outcomes, name)[kept]
        assert_array_equal(before[known], after[known], err_msg=name)
    end = int(bars.time[cut - 1])
    settled = [f for f in part.fills if f.reason != Exit.END_OF_RUN]
    assert settled == [f for f in whole.fills if f.time <= end]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), exits=exits_of_all_kinds)
def test_a_bracket_walked_bar_by_bar_ends_as_it_does_in_blocks(seed, exits):
    bars = grid_bars(80, seed)
    result = play(bars, exits=exits, seed=seed)
    table, outcomes = result.candidates, result.outcomes
    for row in np.flatnonzero(outcomes.status == Status.RESOLVED):
        one = np.array([row])
        entry, stop, target = (
            getattr(outcomes, name)[one] for name in ("entry_price", "stop_price", "target_price")
        )
        state = opened_brackets(table, one, entry, stop, target)
        side = int(table.side[row])
        best, worst = (bars.high, bars.low) if side > 0 else (-bars.low, -bars.high)
        for bar in range(outcomes.entry_bar[row], len(bars)):
            prices = (np.array([[column[bar]]]) for column in (side * bars.open, best, worst))
            ends = advance(state, *prices, np.array([[True]]))
            if ends.offset[0] == 0:
                break
        assert bar == outcomes.exit_bar[row]
        assert side * ends.price[0] == outcomes.exit_price[row]
        for name in ("reason", "phase"):
            assert getattr(ends, name)[0] == getattr(outcomes, f"exit_{name}")[row]
        assert ends.ambiguous[0] == outcomes.ambiguous[row]


def test_a_session_gives_the_same_result_when_it_is_run_again():
    session = session_over(grid_bars(200, 9), exits=Exits(1.0, 2.0, 8), costs=DEAR)
    first, again = session.run(), session.run()
    assert first.fills
    assert list(first.fills) == list(again.fills)
    assert_array_equal(first.reasons, again.reasons)
    assert_array_equal(first.equity.equity, again.equity.equity)


def test_an_outcome_whose_bars_are_not_known_is_never_guessed():
    bars = grid_bars(50, 3, gaps=False)
    result = play(bars, exits=Exits(50.0, 50.0, None), rate=1.0)
    assert (result.outcomes.status == Status.UNRESOLVED).all()
    assert np.isnan(result.outcomes.r).all()
    assert [Exit(trade.exit.reason) for trade in result.trades] == [Exit.END_OF_RUN]
    assert result.trades[0].exit.mid_price == bars.close[-1]


def test_a_position_whose_time_stop_fills_next_still_blocks_its_symbol():
    bars = grid_bars(40, 1, gaps=False)
    result = play(bars, exits=Exits(50.0, None, 3), rate=1.0)
    first = result.trades[0]
    signal = result.candidates.bar[first.row]
    blocked = np.isin(result.candidates.bar, [signal + 1, signal + 2, signal + 3])
    assert (result.reasons[blocked] == Reason.POSITION_OPEN).all()
    assert result.trades[1].entry.time == first.exit.time + bars.timeframe.ms


def test_the_funnel_adds_up_and_every_candidate_has_one_reason():
    result = play(grid_bars(300, 5), seed=5)
    assert sum(result.funnel().values()) == len(result.candidates)
    assert (result.reasons >= 0).all()


def test_nothing_arises_until_warmed_up_nor_after_a_long_gap():
    bars = grid_bars(300, 8)
    result = play(bars, rate=1.0, warmup=20)
    missing = np.diff(bars.time) // bars.timeframe.ms - 1
    restarts = [0, *(np.flatnonzero(missing > 24) + 1)]
    assert len(restarts) > 1
    quiet = {bar for start in restarts for bar in range(start, start + 20)}
    assert quiet.isdisjoint(result.candidates.bar.tolist())
    assert set(range(300)) - quiet == set(result.candidates.bar.tolist())


def _as_dict(sizing):
    return {field.name: getattr(sizing, field.name) for field in fields(sizing)}

"""The fabricated run balances, so that what reads it is tested on books that are right."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from darwin.core.decision import Reason
from darwin.core.trade import Exit, Status
from darwin.engine.result import RunResult
from darwin.testing.builders import Setup, make_bars, make_result


@pytest.fixture(
    params=[
        make_result,
        lambda: make_result(make_bars(funding_rate=1e-4), playbooks=("a", "b")),
        lambda: make_result(
            make_bars(400), make_bars(300, symbol="ETH/USDT", start="2024-01-03", seed=2)
        ),
    ],
    ids=["one", "funding", "two symbols"],
)
def result(request: pytest.FixtureRequest) -> RunResult:
    made: RunResult = request.param()
    return made


def test_bars_are_bars() -> None:
    bars = make_bars(2000)
    assert np.all(bars.low <= np.minimum(bars.open, bars.close))
    assert np.all(bars.high >= np.maximum(bars.open, bars.close))
    assert np.all(np.diff(bars.time) == bars.timeframe.ms)


def test_given_closes_are_kept() -> None:
    assert_array_equal(make_bars(close=[1.0, 2.0, 3.0]).close, [1.0, 2.0, 3.0])


def test_equity_ends_where_the_trades_lead(result: RunResult) -> None:
    net = sum(trade.net_pnl_usd for trade in result.trades)
    assert result.equity.equity[-1] == pytest.approx(result.starting_equity_usd + net)
    assert result.equity.positions[-1] == 0


def test_every_trade_is_gross_less_its_costs(result: RunResult) -> None:
    assert result.trades
    for t in result.trades:
        costs = t.fees_usd + t.slippage_usd + t.funding_usd
        assert t.net_pnl_usd == pytest.approx(t.gross_usd - costs)
        moved = t.side * (t.exit.price - t.entry.price) * t.units
        assert t.net_pnl_usd == pytest.approx(moved - t.fees_usd - t.funding_usd)
        assert t.r == pytest.approx(t.net_pnl_usd / t.risk_usd)


def test_a_taken_candidates_trade_has_the_r_of_its_outcome(result: RunResult) -> None:
    natural = [t for t in result.trades if t.exit.reason != Exit.END_OF_RUN]
    assert_allclose([t.r for t in natural], result.outcomes.r[[t.row for t in natural]])
    assert np.all(result.outcomes.status[[t.row for t in natural]] == Status.RESOLVED)


def test_candidates_stand_in_total_order_with_one_reason_each(result: RunResult) -> None:
    table = result.candidates
    keys = list(zip(table.bar_time, table.symbol, table.playbook, -table.side, strict=True))
    assert keys == sorted(keys)
    assert len(result.reasons) == len(table) == sum(result.funnel().values())
    assert int((result.reasons == Reason.TAKEN).sum()) == len(result.trades)


def test_a_run_may_have_no_candidate_at_all() -> None:
    empty = make_result(make_bars(30), setup=Setup(warmup_bars=50))
    assert len(empty.candidates) == 0 and not empty.trades

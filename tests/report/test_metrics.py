"""The figures of a report: complete, consistent with the run, deterministic, fit for JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from darwin.core.candidate import id_text
from darwin.core.decision import Reason
from darwin.core.trade import Exit, Status
from darwin.engine.report import metrics, report
from darwin.engine.report_rows import EQUITY_COLUMNS, TRADE_COLUMNS, equity_lines, trades_rows
from darwin.engine.result import RunResult, SafetyEvent
from darwin.errors import IntegrityError
from darwin.testing.builders import Setup, make_bars, make_result
from darwin.trading.costs import FREE, Costs

PROMISED = {
    *("run_id", "bars", "candidates", "trades", "net_pnl_usd", "total_return", "cagr"),
    *("volatility_ann", "sharpe_ratio", "sortino_ratio", "max_drawdown", "win_rate"),
    *("profit_factor", "mean_r", "exposure", "turnover", "fees_usd", "funnel", "benchmarks"),
    "agents",
}
BROKE = SafetyEvent(1_704_500_000_000, "reducing", "drawdown 25.3 % exceeds 25 %")


@pytest.fixture(scope="module")
def result() -> RunResult:
    return make_result(make_bars(6000), playbooks=("breakout", "pullback"))


@pytest.fixture(scope="module")
def m(result: RunResult) -> dict[str, Any]:
    return metrics(result, "some-run")


def test_all_promised_keys_stand_at_the_top(m: dict[str, Any]) -> None:
    assert set(m) >= PROMISED
    assert m["run_id"] == "some-run" and m["agents"] == {}
    assert set(m["benchmarks"]) == {"buy_and_hold", "ma_crossover", "random_matched", "random"}
    for rival in m["benchmarks"].values():
        assert {"total_return", "sharpe_ratio", "max_drawdown"} <= set(rival)


def test_the_money_adds_up(result: RunResult, m: dict[str, Any]) -> None:
    costs = m["fees_usd"] + m["slippage_usd"] + m["funding_usd"]
    assert m["net_pnl_usd"] == pytest.approx(m["gross_pnl_usd"] - costs)
    assert m["final_equity_usd"] == pytest.approx(10_000 + m["net_pnl_usd"])
    assert m["unexplained_usd"] == pytest.approx(0, abs=1e-6)
    assert sum(row["net_pnl_usd"] for row in m["by_setup"]) == pytest.approx(m["net_pnl_usd"])
    assert m["total_return"] == pytest.approx(m["net_pnl_usd"] / 10_000)


def test_books_that_do_not_balance_are_told(result: RunResult) -> None:
    cooked = replace(result, equity=replace(result.equity, equity=result.equity.equity + 5))
    assert metrics(cooked, "x")["unexplained_usd"] == pytest.approx(5)


def test_break_even_is_the_cost_at_which_nothing_is_left() -> None:
    bars = make_bars(3000, seed=6)
    free = make_result(bars, costs=FREE, setup=Setup(risk_per_trade=0.0001))
    even = metrics(free, "x")["break_even_bps_per_side"]
    assert even > 0
    charged = make_result(bars, costs=Costs(even, even, 0, 0), setup=Setup(risk_per_trade=0.0001))
    assert metrics(charged, "x")["net_pnl_usd"] == pytest.approx(0, abs=0.02)


def test_the_funnel_adds_up_to_the_candidates(m: dict[str, Any]) -> None:
    assert sum(m["funnel"].values()) == m["candidates"] == 595
    assert m["funnel"]["taken"] == m["trades"] == sum(row["taken"] for row in m["by_setup"])


def test_a_funnel_that_does_not_add_up_is_refused(result: RunResult) -> None:
    with pytest.raises(IntegrityError, match="the funnel counts 594 candidates of 595"):
        metrics(replace(result, reasons=result.reasons[:-1]), "x")


def test_mean_r_of_a_setup_counts_every_resolved_outcome(
    result: RunResult, m: dict[str, Any]
) -> None:
    row = next(r for r in m["by_setup"] if (r["playbook"], r["side"]) == ("pullback", "short"))
    mine = (result.candidates.playbook == 1) & (result.candidates.side == -1)
    mine &= result.outcomes.status == Status.RESOLVED
    assert row["mean_r_all"] == pytest.approx(result.outcomes.r[mine].mean())
    taken = mine & (result.reasons == Reason.TAKEN)
    assert row["mean_r_taken"] == pytest.approx(result.outcomes.r[taken].mean())
    assert taken.sum() < mine.sum()


def test_trades_closed_by_the_end_of_the_run_are_no_evidence() -> None:
    result = make_result(setup=Setup(time_stop_bars=200, stop=0.4, target=0.4))
    assert result.trades[-1].exit.reason == Exit.END_OF_RUN
    figures = metrics(result, "x")
    assert figures["mean_r_interval"]["trades"] == figures["trades"] - 1
    assert figures["mean_r"] == pytest.approx(np.mean([trade.r for trade in result.trades]))


def test_where_no_answer_came_the_expert_has_no_opinion(
    result: RunResult, m: dict[str, Any]
) -> None:
    verdicts = result.verdicts
    silent = np.flatnonzero(verdicts.asked)[::3].tolist()
    take, confidence = verdicts.take.copy(), verdicts.confidence.copy()
    take[silent], confidence[silent] = False, 0.0
    why = {row: (f"no answer: {('deadline', 'breaker open')[row % 2]}",) for row in silent}
    failed = replace(verdicts, take=take, confidence=confidence, flags={**verdicts.flags, **why})
    unasked = verdicts.asked.copy()
    unasked[silent] = False
    others = {row: said for row, said in verdicts.flags.items() if row not in why}
    never = metrics(replace(result, verdicts=replace(verdicts, asked=unasked, flags=others)), "x")[
        "expert"
    ]
    told = metrics(replace(result, verdicts=failed), "x")["expert"]
    same = ("take_share", "judged", "mean_r_take", "mean_r_skip", "auc", "brier", "calibration")
    assert {name: told[name] for name in same} == {name: never[name] for name in same}
    assert (told["calls"], told["answered"]) == (m["expert"]["calls"], never["calls"])
    assert set(told["no_answer"]) == {"breaker open", "deadline"}
    assert sum(told["no_answer"].values()) == len(silent)


def test_calibration_holds_every_judged_candidate_taken_or_not(
    result: RunResult, m: dict[str, Any]
) -> None:
    judged = result.verdicts.asked & (result.outcomes.status == Status.RESOLVED)
    rows = m["expert"]["calibration"]
    assert sum(row["candidates"] for row in rows) == judged.sum() > m["trades"]
    inside = judged & (result.verdicts.confidence >= 0.4) & (result.verdicts.confidence < 0.5)
    row = next(row for row in rows if row["from"] == 0.4)
    assert row["mean_r"] == pytest.approx(result.outcomes.r[inside].mean())
    assert row["win_share"] == pytest.approx(np.mean(result.outcomes.r[inside] > 0))


def test_an_expert_that_knows_has_an_auc_of_one(result: RunResult) -> None:
    won = result.outcomes.r > 0
    clever = replace(result.verdicts, confidence=np.where(won, 0.9, 0.1))
    figures = metrics(replace(result, verdicts=clever), "x")["expert"]
    assert figures["auc"] == 1.0 and figures["brier"] == pytest.approx(0.01)
    blind = replace(result.verdicts, confidence=np.full(len(won), 0.5))
    assert metrics(replace(result, verdicts=blind), "x")["expert"]["auc"] == 0.5


def test_the_same_run_gives_the_same_bytes(m: dict[str, Any]) -> None:
    again = make_result(make_bars(6000), playbooks=("breakout", "pullback"))
    assert json.dumps(metrics(again, "some-run")) == json.dumps(m)


@pytest.mark.parametrize("count", [1, 2, 30, 51, 52, 60, 100])
def test_a_run_of_hardly_anything_still_gives_json_without_nan(count: int) -> None:
    figures = metrics(make_result(make_bars(count)), "x")
    assert "NaN" not in json.dumps(figures, allow_nan=False)
    assert figures["cagr"] is None
    if not figures["trades"]:
        assert figures["win_rate"] is None and figures["mean_r"] is None
        assert figures["benchmarks"]["random_matched"]["beaten_share"] is None


def test_without_losses_the_profit_factor_is_null() -> None:
    result = make_result(make_bars(2000), costs=FREE)
    winners = tuple(t for t in result.trades if t.net_pnl_usd > 0)
    assert winners
    assert metrics(replace(result, trades=winners), "x")["profit_factor"] is None


def test_a_ruined_account_has_no_sharpe_but_a_report(result: RunResult) -> None:
    ruined = replace(result.equity, equity=result.equity.equity - 20_000)
    figures = metrics(replace(result, equity=ruined), "x")
    assert figures["sharpe_ratio"] is None and figures["cagr"] == -1
    json.dumps(figures, allow_nan=False)


def test_sharpe_states_its_sampling(m: dict[str, Any]) -> None:
    assert m["sampling"]["annualisation_days"] == 365 and m["sampling"]["returns"] == 250
    session = metrics(make_result(make_bars(600, timeframe="1d")), "x", calendar="sessions")
    assert session["sampling"]["annualisation_days"] == pytest.approx(365.25)
    assert session["data"][0]["gaps"] is None


def test_gaps_are_counted() -> None:
    bars = make_bars(100)
    keep = np.r_[0:40, 45:70, 71:100]
    cut = replace(
        bars,
        **{name: getattr(bars, name)[keep] for name in ("time", "open", "high", "low", "close")},
        volume=bars.volume[keep],
    )
    row = metrics(make_result(cut), "x")["data"][0]
    assert (row["gaps"], row["missing_bars"], row["longest_gap_bars"]) == (2, 6, 5)


def test_a_stopped_run_says_so_first_and_a_synthetic_market_next() -> None:
    result = make_result(make_bars(symbol="BTC/USDT:SYNTH"), safety_events=[BROKE])
    figures = metrics(result, "x")
    assert figures["stopped"]["date"] == "2024-01-06"
    assert figures["verdict"][0].startswith("The run stopped trading on 2024-01-06: reducing")
    assert "SYNTHETIC" in figures["verdict"][1]
    assert figures["synthetic"] is True


def test_a_run_that_resumed_was_not_stopped() -> None:
    resumed = SafetyEvent(BROKE.time + 1, "resumed", "after 2 days")
    assert metrics(make_result(safety_events=[BROKE, resumed]), "x")["stopped"] is None
    again = SafetyEvent(BROKE.time + 86_400_000, "halted", "order storm")
    figures = metrics(make_result(safety_events=[BROKE, resumed, again]), "x")
    assert figures["stopped"] == {"date": "2024-01-07", "kind": "halted", "detail": "order storm"}


def test_a_small_sample_is_called_too_small() -> None:
    result = make_result(setup=Setup(every_bars=26))
    said = metrics(result, "x")["verdict"]
    assert said[0] == f"{len(result.trades)} trades: too few to tell."
    short = metrics(make_result(), "x")["verdict"]
    assert short[0] == "Too short to tell: the 35 trades fall into 1 block of 500 bars."


def test_the_verdict_follows_the_interval_and_the_draws(result: RunResult) -> None:
    r = np.where(np.arange(len(result.trades)) % 2, 1.4, -1.0)
    lucky = [t._replace(r=float(x), net_pnl_usd=200 * x) for t, x in zip(result.trades, r)]  # noqa: B905
    figures = metrics(replace(result, trades=tuple(lucky)), "x")
    assert figures["mean_r_interval"]["low"] > 0
    assert figures["benchmarks"]["random_matched"]["beaten_share"] == 1
    assert figures["verdict"][0] == "The trades earned more than chance explains, on this data."
    unlucky = [t._replace(r=-t.r) for t in lucky]
    said = metrics(replace(result, trades=tuple(unlucky)), "x")["verdict"]
    assert said[0] == "The trades lose money after costs, more surely than chance explains."
    even = [t._replace(r=float(1 - 2 * (n % 2))) for n, t in enumerate(lucky)]
    said = metrics(replace(result, trades=tuple(even)), "x")["verdict"]
    assert said[0] == "No edge can be told from chance."


def test_notes_and_digests_are_passed_on(result: RunResult) -> None:
    made = report(result, "x", digests={"BTC/USDT": "ab" * 32}, notes=("Two bars were dropped.",))
    assert made.metrics["assumptions"][-1] == "Two bars were dropped."
    assert made.metrics["data"][0]["sha256"] == "ab" * 32


def test_a_row_of_trades_csv_tells_the_whole_trade(result: RunResult) -> None:
    rows = [dict(zip(TRADE_COLUMNS, row, strict=True)) for row in trades_rows(result)]
    assert len(rows) == len(result.trades)
    row, trade = rows[0], result.trades[0]
    assert row["candidate_id"] == id_text(trade.candidate_id)
    assert row["entry_time"] == str(np.datetime64(trade.entry.time, "ms"))[:19] + "Z"
    assert row["side"] in ("long", "short") and row["playbook"] in ("breakout", "pullback")
    assert row["net_pnl_usd"] == trade.net_pnl_usd and row["r"] == trade.r


def test_a_row_of_equity_csv_is_one_mark(result: RunResult) -> None:
    lines = "".join(equity_lines(result)).splitlines()
    rows = [dict(zip(EQUITY_COLUMNS, line.split(","), strict=True)) for line in lines]
    assert len(rows) == 6000
    assert rows[0] == {
        "time": "2024-01-01T01:00:00Z",
        "equity": "10000.0",
        "drawdown": "0.0",
        "exposure": "0.0",
        "positions": "0",
    }
    assert min(float(row["drawdown"]) for row in rows) == metrics(result, "x")["max_drawdown"]

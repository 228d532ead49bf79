"""`darwin run` on real bars, from outside: complete, repeatable, true to its counterfactuals."""

from __future__ import annotations

import csv
import json
import sqlite3
import subprocess
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.run.command import Desk

pytestmark = pytest.mark.slow

FIVE = ["BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "BTCUSDT_PERP"]
THE_SAME_TWICE = ("trades.csv", "metrics.json", "equity.csv", "report.html")
COMPLETE = (*THE_SAME_TWICE, "manifest.json", "config.json", "run.log")


@pytest.fixture
def desk(tmp_path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def run(desk, market_dir):
    """Run the three playbooks over real bars; what is given goes into the block `market`."""

    def go(artifacts: str = "artifacts", **market: Any) -> subprocess.CompletedProcess[str]:
        tree = {
            "run_id": "real",
            "market": {"provider": "files", "path": str(market_dir), "timeframe": "1h"} | market,
            "portfolio": {"risk_per_trade": 0.0025},
            "limits": {"max_drawdown_fraction": None},
            "playbooks": [{"name": "breakout"}, {"name": "pullback"}, {"name": "mean_reversion"}],
            "decider": {"provider": "rules"},
            "artifacts_dir": artifacts,
        }
        (desk.folder / "config.json").write_text(json.dumps(tree))
        return desk.darwin("run", "config.json", DARWIN__ARTIFACTS_DIR=artifacts)

    return go


@pytest.mark.parametrize(
    ("symbols", "bars", "least"),
    [
        pytest.param(["BTCUSDT"], 70_356, 1_000, id="bitcoin"),
        pytest.param(
            FIVE,
            70_356 + 2 * 49_648 + 14_616 + 49_680,
            5_000,
            id="five together",
            marks=pytest.mark.sweep,
        ),
    ],
)
def test_a_run_is_complete_repeatable_and_true_to_its_outcomes(desk, run, symbols, bars, least):
    for artifacts in ("one", "two"):
        done = run(artifacts, symbols=symbols)
        assert done.returncode == 0, done.stderr
    one, two = (desk.run_dir("real", artifacts) for artifacts in ("one", "two"))
    for name in COMPLETE:
        assert (one / name).stat().st_size > 0, name
    for name in THE_SAME_TWICE:
        assert (one / name).read_bytes() == (two / name).read_bytes(), name
    metrics = json.loads((one / "metrics.json").read_text())
    assert metrics["bars"] == bars
    assert metrics["synthetic"] is False
    assert metrics["trades"] == metrics["funnel"]["taken"] > least
    assert sum(metrics["funnel"].values()) == metrics["candidates"]
    assert {book["symbol"] for book in trades_of(one)} == set(symbols)
    assert_every_trade_has_its_outcome(one)


def test_funding_is_charged_where_asked_for_and_missed_aloud_where_not(desk, run):
    perpetual = {"symbols": ["BTCUSDT_PERP"], "start": "2022-10-01", "end": "2024-01-01"}
    without = run("without", **perpetual)
    charged = run("charged", **perpetual, funding=True)
    assert (without.returncode, charged.returncode) == (0, 0), without.stderr + charged.stderr
    assert "Funding is not charged" in without.stdout + without.stderr
    assert "Funding is not charged" not in charged.stdout + charged.stderr
    assert "covers only a part" in charged.stdout + charged.stderr
    free, paid = (trades_of(desk.run_dir("real", name)) for name in ("without", "charged"))
    assert {float(trade["funding_usd"]) for trade in free} == {0.0}
    held_over_a_payment = [trade for trade in paid if pays(trade) and trade["entry_time"] >= "2023"]
    assert len(held_over_a_payment) > 50
    for trade in held_over_a_payment:
        assert float(trade["funding_usd"]) != 0.0, trade
    before = [trade for trade in paid if trade["exit_time"] < "2023"]
    assert before
    assert {float(trade["funding_usd"]) for trade in before} == {0.0}
    assert_every_trade_has_its_outcome(desk.run_dir("real", "charged"))


def pays(trade: dict[str, str]) -> bool:
    """Whether 00:00, 08:00 or 16:00 UTC lies after its entry bar and not after its exit bar."""
    entered, left = (hours_since_2020(trade[name]) for name in ("entry_time", "exit_time"))
    return left // 8 > entered // 8


def hours_since_2020(text: str) -> int:
    passed = datetime.fromisoformat(text) - datetime(2020, 1, 1, tzinfo=UTC)
    return int(passed.total_seconds()) // 3600


def test_a_session_market_runs_on_its_own_calendar(desk, run):
    overnight = run("continuous", symbols=["AAPL"], max_gap_bars=8)
    sessions = run("sessions", symbols=["AAPL"], max_gap_bars=8, calendar="sessions")
    assert sessions.returncode == 0, sessions.stderr
    metrics = json.loads((desk.run_dir("real", "sessions") / "metrics.json").read_text())
    assert metrics["bars"] == 2_903
    assert metrics["trades"] > 20
    assert sum(metrics["funnel"].values()) == metrics["candidates"]
    assert_every_trade_has_its_outcome(desk.run_dir("real", "sessions"))
    assert overnight.returncode == 0, overnight.stderr  # every night is a gap: never warmed up
    metrics = json.loads((desk.run_dir("real", "continuous") / "metrics.json").read_text())
    assert (metrics["candidates"], metrics["trades"]) == (0, 0)


def test_a_market_without_volume_runs(desk, run):
    done = run(symbols=["GBPUSD_BID"], timeframe="1m", max_gap_bars=3_000)
    assert done.returncode == 0, done.stderr
    metrics = desk.metrics("real")
    assert metrics["bars"] == 30_117
    assert metrics["trades"] > 100
    assert sum(metrics["funnel"].values()) == metrics["candidates"]
    assert_every_trade_has_its_outcome(desk.run_dir("real"))


def test_bars_that_contradict_themselves_are_refused_by_row(desk, run):
    done = run(symbols=["SPY"], timeframe="1d")
    assert done.returncode == 3
    assert "SPY-1d.parquet" in done.stderr
    assert "row 1807, column 'low'" in done.stderr
    assert len(done.stderr.splitlines()) <= 3
    assert "Traceback" not in done.stderr
    assert not (desk.run_dir("real") / "metrics.json").exists()


def trades_of(folder: Path) -> list[dict[str, str]]:
    """The trades in one run's folder."""
    with (folder / "trades.csv").open() as file:
        return list(csv.DictReader(file))


def assert_every_trade_has_its_outcome(folder: Path) -> None:
    """For every taken candidate without forced exit: the ledger's R is the outcome's, to 1e-9."""
    database = folder.parent.parent / "rl_state" / "agent_state.sqlite"
    with closing(sqlite3.connect(database)) as facts:
        taken = dict(
            facts.execute(
                "SELECT candidate_id, r FROM outcomes JOIN endings USING (run_id, candidate_id) "
                "WHERE reason = 'taken'"
            )
        )
    trades = trades_of(folder)
    assert {trade["candidate_id"] for trade in trades} == set(taken)
    free = [trade for trade in trades if trade["exit_reason"] != "end_of_run"]
    assert len(trades) - len(free) <= 10
    for trade in free:
        assert float(trade["r"]) == pytest.approx(taken[trade["candidate_id"]], abs=1e-9)

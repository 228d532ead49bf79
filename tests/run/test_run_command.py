"""`darwin run` from outside: what it writes, repeats and refuses."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.run.command import clean_environment

ROOT = Path(__file__).resolve().parent.parent.parent
FILES = ("trades.csv", "metrics.json", "equity.csv", "report.html")
CONTRACT_KEYS = (
    "run_id", "bars", "candidates", "trades", "net_pnl_usd", "total_return", "cagr",
    "volatility_ann", "sharpe_ratio", "sortino_ratio", "max_drawdown", "win_rate",
    "profit_factor", "mean_r", "exposure", "turnover", "fees_usd", "funnel", "benchmarks", "agents",
)  # fmt: skip
pytestmark = pytest.mark.slow


def test_it_leaves_every_file_of_the_contract(finished):
    folder = finished.run_dir()
    for name in (*FILES, "manifest.json", "config.json", "run.log"):
        assert (folder / name).stat().st_size > 0, name
    metrics = finished.metrics()
    assert set(CONTRACT_KEYS) <= set(metrics)
    assert metrics["bars"] == 6000
    assert metrics["synthetic"] is True
    assert json.loads((folder / "manifest.json").read_text())["synthetic"] is True
    assert metrics["symbols"] == ["BTC/USDT:SYNTH", "ETH/USDT:SYNTH"]


def test_files_metrics_and_database_tell_the_same(finished):
    metrics, trades = finished.metrics(), finished.trades()
    assert metrics["trades"] == len(trades) == metrics["funnel"]["taken"] > 50
    assert sum(metrics["funnel"].values()) == metrics["candidates"]
    net = sum(float(trade["net_pnl_usd"]) for trade in trades)
    assert metrics["net_pnl_usd"] == pytest.approx(net, abs=1e-6)
    for trade in trades:
        r = float(trade["net_pnl_usd"]) / float(trade["risk_usd"])
        assert float(trade["r"]) == pytest.approx(r, abs=1e-12)
    path = finished.folder / "artifacts" / "rl_state" / "agent_state.sqlite"
    with sqlite3.connect(path) as database:
        ask = lambda text: database.execute(text).fetchone()[0]  # noqa: E731
        assert ask("SELECT COUNT(*) FROM candidates") == metrics["candidates"]
        assert ask("SELECT COUNT(*) FROM candidates WHERE reason = 'taken'") == len(trades)
        assert ask("SELECT COUNT(*) FROM outcomes") == metrics["candidates"]
        assert ask("SELECT COUNT(*) FROM fills") == 2 * len(trades)
        by_candidate = dict(database.execute("SELECT candidate_id, r FROM outcomes"))
    database.close()
    for trade in trades:
        if trade["exit_reason"] != "end_of_run":
            outcome = by_candidate[trade["candidate_id"]]
            assert float(trade["r"]) == pytest.approx(outcome, abs=1e-9)


def test_the_same_inputs_give_the_same_bytes_whatever_the_surroundings(finished, desk):
    config = finished.folder / "config.json"
    done = desk.darwin("run", str(config), PYTHONHASHSEED="7", TZ="Asia/Kathmandu", LC_ALL="C")
    assert done.returncode == 0, done.stderr
    for name in FILES:
        assert (desk.run_dir() / name).read_bytes() == (finished.run_dir() / name).read_bytes()


def test_a_finished_run_is_not_run_again(finished):
    before = (finished.run_dir() / "metrics.json").stat().st_mtime_ns
    done = finished.darwin("run", "config.json")
    assert (done.returncode, "finished already" in done.stdout) == (0, True)
    assert (finished.run_dir() / "metrics.json").stat().st_mtime_ns == before


def test_lost_report_files_of_a_finished_run_are_made_again(desk):
    config = desk.config()
    assert desk.darwin("run", config).returncode == 0
    lost = desk.run_dir() / "trades.csv"
    kept = lost.read_bytes()
    lost.unlink()
    assert desk.darwin("run", config).returncode == 0
    assert lost.read_bytes() == kept


def test_a_finished_run_refuses_another_config_and_names_the_key(finished):
    done = finished.darwin("run", "config.json", "--set", "costs.taker_bps=9")
    assert done.returncode == 2
    assert "costs.taker_bps" in done.stderr
    assert len(done.stderr.splitlines()) <= 3


def test_json_prints_the_metrics_and_nothing_else(finished):
    done = finished.darwin("run", "config.json", "--json")
    assert json.loads(done.stdout) == finished.metrics()


def test_a_killed_run_wants_resume_and_then_gives_the_same(finished, desk):
    config = desk.config()
    process = desk.begin(config)
    database = desk.folder / "artifacts" / "rl_state" / "agent_state.sqlite"
    process.kill()
    process.communicate()
    assert database.exists()
    refused = desk.darwin("run", config)
    assert (refused.returncode, "--resume" in refused.stderr) == (2, True)
    other = desk.darwin("run", config, "--resume", "--set", "market.seed=4")
    assert (other.returncode, "market.seed" in other.stderr) == (2, True)
    assert desk.darwin("run", config, "--resume").returncode == 0
    for name in FILES:
        assert (desk.run_dir() / name).read_bytes() == (finished.run_dir() / name).read_bytes()


@pytest.mark.parametrize(
    ("signal_", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_stops_it_with_its_own_code(desk, signal_, code):
    config = desk.config(market={"bars": 60_000})
    process = desk.begin(config)
    process.send_signal(signal_)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code, said
    assert len(said.splitlines()) <= 3
    assert "Traceback" not in said


def test_an_interrupt_in_the_middle_of_an_exec_keeps_its_code(desk):
    """The interpreter remembers a KeyboardInterrupt out of `exec`, caught or not."""
    (desk.folder / "rule.py").write_text(
        "import os, signal\nexec('os.kill(os.getpid(), signal.SIGINT); [0 for _ in range(9)]')\n"
    )
    config = desk.config(playbooks=[{"name": "rule:Rule"}])
    done = desk.darwin("run", config, PYTHONPATH=str(desk.folder))
    assert (done.returncode, done.stderr) == (130, "stopped\n")


def test_two_processes_on_one_run_have_one_winner(desk):
    config = desk.config(market={"bars": 60_000})
    first = desk.begin(config)
    second = desk.darwin("run", config)
    assert second.returncode == 5
    assert "another process" in second.stderr
    first.communicate()
    assert first.returncode == 0


def test_recorded_verdicts_give_the_same_run_again(finished, desk):
    path = finished.folder / "artifacts"
    done = finished.darwin(
        "run", "config.json", "--set", "run_id=again",
        "--set", 'decider={"provider": "recorded", "run_id": "small"}',
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert finished.trades("again") == finished.trades("small")
    assert path.is_dir()


def test_a_recorded_run_over_other_bars_is_refused(finished):
    done = finished.darwin(
        "run", "config.json", "--set", "run_id=other", "--set", "market.seed=4",
        "--set", 'decider={"provider": "recorded", "run_id": "small"}',
    )  # fmt: skip
    assert done.returncode == 3
    assert "decider.unknown" in done.stderr


def test_the_report_can_be_written_anew(finished):
    page = finished.run_dir() / "report.html"
    kept = page.read_bytes()
    page.write_text("spoilt")
    done = finished.darwin("report", "small")
    assert done.returncode == 0, done.stderr
    assert page.read_bytes() == kept


def test_benchmark_tells_the_rivals(finished):
    done = finished.darwin("benchmark", "config.json", "--json")
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)["benchmarks"]) == set(finished.metrics()["benchmarks"])


def test_why_tells_the_whole_way_of_a_candidate(finished):
    trade = finished.trades()[0]
    done = finished.darwin("why", trade["candidate_id"], "--run", "small")
    assert done.returncode == 0, done.stderr
    assert "taken" in done.stdout
    assert trade["exit_reason"].replace("_", " ") in done.stdout.replace("_", " ")


@pytest.mark.parametrize("config", sorted(path.name for path in (ROOT / "configs").glob("*.json")))
def test_every_config_that_ships_runs(config, desk):
    """Those with learned agents say that this version has none, and run without them."""
    path, name = ROOT / "configs" / config, config.removesuffix(".json")
    tree = json.loads(path.read_text())
    words: list[str] = []
    if tree["market"]["provider"] == "files":
        made = desk.darwin("data", "synth", "--bars", "6000", "--symbols", "BTC/USDT", "-o", "data")
        assert made.returncode == 0, made.stderr
        written = desk.folder / "data" / "BTCUSDT_SYNTH-1h.parquet"
        written.rename(desk.folder / "data" / "BTCUSDT-1h.parquet")
    if tree.get("rl", {}).get("enabled"):
        refused = desk.darwin("run", str(path))
        assert refused.returncode == 2, name
        assert "rl.enabled" in refused.stderr
        words = ["--set", "rl.enabled=false"]
    done = desk.darwin("run", str(path), *words)
    assert done.returncode == 0, done.stderr
    assert desk.metrics(tree["run_id"])["trades"] > 0


@pytest.mark.parametrize(
    ("change", "code", "word"),
    [
        ({"market": {"provider": "synthetik"}}, 2, "did you mean 'synthetic'"),
        ({"playbooks": [{"name": "breakot"}]}, 2, "did you mean 'breakout'"),
        ({"playbooks": [{"name": "breakout", "params": {"lookbak": 3}}]}, 2, "lookback"),
        ({"playbooks": [{"name": "breakout", "params": {"lookback": 0}}]}, 2, "lookback"),
        ({"playbooks": [{"name": "breakout", "params": {"sides": []}}]}, 2, "sides"),
        ({"decider": {"provider": "rules", "take_al": True}}, 2, "take_all"),
        ({"decider": {"provider": "os:system"}}, 2, "no decider"),
        ({"decider": {"provider": "recorded", "run_id": "x", "verdicts": {}}}, 2, "verdicts"),
        ({"playbooks": [{"name": "os:system"}]}, 2, "no playbook"),
        ({"market": {"provider": "builtins:str"}}, 2, "no provider"),
        ({"market": {"symbols": ["A/B"]}}, 2, "market.symbols[0]"),
        ({"market": {"lot_size": 1e-310}}, 2, "market.lot_size"),
        ({"market": {"start": "1500-01-01"}}, 2, "market.start"),
        ({"market": {"provider": "files", "path": "nowhere"}}, 3, "nowhere"),
        ({"market": {"bars": 100}}, 3, "warm-up"),
        ({"rl": {"enabled": True}}, 2, "rl"),
    ],
)
def test_what_cannot_be_run_is_refused_in_three_lines(desk, change, code, word):
    done = desk.darwin("run", desk.config(**change))
    assert done.returncode == code, done.stderr
    assert word in done.stderr
    assert len(done.stderr.splitlines()) <= 3
    assert "Traceback" not in done.stderr
    assert not (desk.run_dir() / "metrics.json").exists()


def test_the_check_of_a_config_refuses_what_a_run_would(desk):
    config = desk.config(decider={"provider": "recorded", "run_id": "x", "verdicts": {}})
    checked = desk.darwin("config", "check", config)
    assert (checked.returncode, checked.stderr) == (2, desk.darwin("run", config).stderr)


def test_a_folder_that_cannot_be_written_is_a_storage_fault(desk):
    (desk.folder / "artifacts").write_text("a file where a folder should be")
    done = desk.darwin("run", desk.config())
    assert done.returncode == 4
    assert len(done.stderr.splitlines()) <= 3


def test_gaps_that_silence_most_bars_are_pointed_out(desk):
    made = desk.darwin("data", "synth", "--bars", "3000", "--symbols", "BTC/USDT", "-o", ".")
    assert made.returncode == 0, made.stderr
    whole = desk.folder / "BTCUSDT_SYNTH-1h.csv"
    desk.darwin("data", "convert", "BTCUSDT_SYNTH-1h.parquet", whole.name)
    lines = whole.read_text().splitlines(keepends=True)
    (desk.folder / "BTCUSDT_SYNTH-1h.parquet").unlink()
    kept = [line for i, line in enumerate(lines) if i == 0 or i % 300 > 30]
    whole.write_text("".join(kept))
    market = {"provider": "files", "path": ".", "symbols": ["BTCUSDT_SYNTH"]}
    config = desk.config(market={**market, "warmup_bars": 400})
    done = desk.darwin("run", config)
    assert done.returncode == 0, done.stderr
    assert "market.calendar" in done.stderr
    calm = desk.darwin("run", config, "--set", "market.calendar=sessions", "--set", "run_id=calm")
    assert "market.calendar" not in calm.stderr
    assert desk.metrics("calm")["synthetic"] is True


def test_keys_that_the_provider_does_not_read_are_pointed_out(desk):
    done = desk.darwin("run", desk.config(market={"end": "2021-01-01"}))
    assert done.returncode == 0
    assert "does not read market.end" in done.stderr


def test_a_full_device_under_its_output_is_a_storage_fault(finished):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "darwin.cli.main", "run", "config.json", "--json"],
            cwd=finished.folder,
            env=clean_environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 4, done.stderr
    assert "mend: " in done.stderr
    assert len(done.stderr.splitlines()) <= 3

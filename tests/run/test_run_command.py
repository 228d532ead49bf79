"""`darwin run` from outside: what it writes, repeats and refuses."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.run.command import Desk, checkpoint, clean_environment

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
    ask = lambda text: finished.ask(text + " WHERE run_id = 'small'")  # noqa: E731
    assert ask("SELECT COUNT(*) FROM candidates") == [(metrics["candidates"],)]
    assert ask("SELECT SUM(reason = 'taken') FROM endings") == [(len(trades),)]
    assert ask("SELECT COUNT(*) FROM outcomes") == [(metrics["candidates"],)]
    assert ask("SELECT COUNT(*) FROM fills") == [(2 * len(trades),)]
    by_candidate = dict(ask("SELECT candidate_id, r FROM outcomes"))
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


def test_lost_report_files_of_a_finished_run_are_made_again_and_no_fact_is_touched(desk):
    config = desk.config()
    assert desk.darwin("run", config).returncode == 0
    kept = {path.name: path.read_bytes() for path in desk.run_dir().iterdir()}
    stored = everything(desk)
    for lost in (("trades.csv",), ("manifest.json", "metrics.json"), (*FILES, "config.json")):
        for name in lost:
            (desk.run_dir() / name).unlink()
        done = desk.darwin("run", config)
        assert done.returncode == 0, done.stderr
        for name in (*FILES, "manifest.json", "config.json"):
            assert (desk.run_dir() / name).read_bytes() == kept[name], name
    assert everything(desk) == stored


def test_what_a_kill_has_left_of_writing_the_report_is_cleared(desk):
    config = desk.config()
    assert desk.darwin("run", config).returncode == 0
    before = sorted(path.name for path in desk.run_dir().iterdir())
    (desk.run_dir() / ".report.html.6xg3i1t3").write_text("half")
    (desk.run_dir() / "report.html").unlink()
    (desk.run_dir() / ".mine").write_text("not Darwin's")
    assert desk.darwin("run", config).returncode == 0
    assert sorted(path.name for path in desk.run_dir().iterdir()) == sorted([".mine", *before])


def test_report_files_are_not_made_again_from_facts_that_were_changed(desk):
    config = desk.config()
    assert desk.darwin("run", config).returncode == 0
    (desk.run_dir() / "trades.csv").unlink()
    [(seq,)] = desk.ask("SELECT seq FROM fills LIMIT 1 OFFSET 5")
    path = desk.folder / "artifacts" / "rl_state" / "agent_state.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE fills SET price = price * 1.0001 WHERE seq = ?", [seq])
        database.commit()
    done = desk.darwin("run", config)
    assert (done.returncode, done.stdout) == (4, "")
    assert f"fact {seq:,} is a row of fills" in done.stderr
    assert len(done.stderr.splitlines()) == 3
    assert not (desk.run_dir() / "trades.csv").exists()


def everything(desk) -> list[str]:
    """The whole database as statements."""
    path = desk.folder / "artifacts" / "rl_state" / "agent_state.sqlite"
    with closing(sqlite3.connect(path)) as database:
        return list(database.iterdump())


def test_a_finished_run_refuses_another_config_and_names_the_key(finished):
    done = finished.darwin("run", "config.json", "--set", "costs.taker_bps=9")
    assert done.returncode == 2
    assert "costs.taker_bps" in done.stderr
    assert len(done.stderr.splitlines()) <= 3


def test_json_prints_the_metrics_and_nothing_else(finished):
    done = finished.darwin("run", "config.json", "--json")
    assert json.loads(done.stdout) == finished.metrics()


BIG = {"market": {"bars": 60_000}}


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    """A run of several checkpoints that nobody disturbed, and what it said on stderr."""
    desk = Desk(tmp_path_factory.mktemp("big"))
    done = desk.darwin("run", desk.config(**BIG))
    assert done.returncode == 0, done.stderr
    return desk, done.stderr


def test_it_announces_the_checkpoints_that_it_has_committed(big):
    desk, said = big
    kept = [n for (n,) in desk.ask("SELECT facts FROM checkpoints ORDER BY id")]
    announced = [line for line in said.splitlines() if "checkpoint" in line]
    assert announced == [f"checkpoint seq={n}" for n in kept]
    logged = map(checkpoint, (desk.run_dir() / "run.log").read_text().splitlines())
    assert [n for n in logged if n is not None] == kept
    assert len(kept) > 1
    assert kept == sorted(set(kept))
    assert kept[-1] == desk.export().count("\n")


def test_a_terminal_is_not_filled_with_checkpoints(desk):
    ours, theirs = os.openpty()
    with os.fdopen(ours, "rb", buffering=0) as screen:
        done = subprocess.run(
            [sys.executable, "-m", "darwin.cli.main", "run", desk.config()],
            cwd=desk.folder,
            env=clean_environment(TERM="xterm"),
            stdout=subprocess.DEVNULL,
            stderr=theirs,
            check=False,
        )
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # the end of a terminal
            while part := screen.read(65_536):
                shown += part
    assert done.returncode == 0
    assert b"small" in shown
    assert b"checkpoint" not in shown
    assert "checkpoint seq=" in (desk.run_dir() / "run.log").read_text()


def test_the_report_names_the_head_of_the_chain_and_all_that_made_the_run(finished):
    told = finished.metrics()["run"]
    manifest = json.loads((finished.run_dir() / "manifest.json").read_text())
    assert set(told) == {
        "mode", "code_version", "config_digest", "data_digest", "facts", "head", "resumes",
        "storage_events", "bar_events",
    }  # fmt: skip
    [(mode, config, data, code)] = finished.ask(
        "SELECT mode, config_digest, data_digest, code_version FROM runs WHERE run_id = 'small'"
    )
    for tree in (told, manifest):
        assert (tree["mode"], tree["code_version"]) == (mode, code)
        assert (tree["config_digest"], tree["data_digest"]) == (config, data)
        assert (tree["facts"], tree["head"]) == (told["facts"], told["head"])
    [(facts, head)] = finished.ask(
        "SELECT facts, lower(hex(head)) FROM checkpoints WHERE run_id = 'small'"
        " ORDER BY id DESC LIMIT 1"
    )
    assert (told["facts"], told["head"]) == (facts, head)
    assert facts == finished.export().count("\n")
    assert (told["resumes"], told["storage_events"]) == ([], [])
    assert mode == "replay"


@pytest.mark.sweep
def test_a_killed_run_wants_resume_and_then_gives_the_same(big, desk):
    whole = big[0]
    config = desk.config(**BIG)
    acknowledged = desk.killed(config)
    [(kept,)] = desk.ask("SELECT max(facts) FROM checkpoints")
    assert kept >= acknowledged > 0
    refused = desk.darwin("run", config)
    assert refused.returncode == 2
    assert refused.stderr.splitlines() == [
        f"error: run 'small' was begun and is not finished: {kept:,} facts are kept",
        "  at: artifacts/rl_state/agent_state.sqlite",
        "  mend: go on with --resume, or give this one another run_id",
    ]
    other = desk.darwin("run", config, "--resume", "--set", "market.seed=4")
    assert (other.returncode, "market.seed" in other.stderr) == (2, True)
    facts = whole.export()
    unfinished = desk.darwin("ledger", "export", "small")
    assert facts.startswith(unfinished.stdout)
    assert unfinished.stdout.count("\n") == kept

    resumed = desk.darwin("run", config, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    announced = [n for n in map(checkpoint, resumed.stderr.splitlines()) if n is not None]
    assert announced == [n for (n,) in desk.ask("SELECT facts FROM checkpoints") if n > kept]
    assert desk.export() == facts
    for name in ("trades.csv", "equity.csv", "manifest.json"):
        assert (desk.run_dir() / name).read_bytes() == (whole.run_dir() / name).read_bytes(), name
    [event] = desk.metrics()["run"]["resumes"]
    assert (event["kind"], event["facts"]) == ("resumed", kept)
    assert undisturbed(desk.metrics()) == undisturbed(whole.metrics())
    assert desk.darwin("run", config).returncode == 0


def undisturbed(metrics):
    """The metrics without what was noted of the recording, and the sentence made of it."""
    return metrics | {"verdict": [], "run": metrics["run"] | {"resumes": [], "storage_events": []}}


@pytest.mark.sweep
def test_runs_that_share_a_database_do_not_notice_each_other(big, desk):
    config = desk.config(**BIG)
    both = [
        subprocess.Popen(
            [sys.executable, "-m", "darwin.cli.main", "run", config, "--set", f"run_id={name}"],
            cwd=desk.folder,
            env=clean_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("left", "right")
    ]
    for process in both:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    facts = big[0].export()
    for name in ("left", "right"):
        assert desk.export(name) == facts
    assert desk.metrics("left")["run"]["head"] != desk.metrics("right")["run"]["head"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--speed", "60"), "--feed"),
        (("--accept-code",), "--resume"),
        (("--feed", "--speed", "0"), "speed"),
        (("--feed", "--speed", "nan"), "no speed"),
        (("--feed", "--speed", "inf"), "no speed"),
    ],
)
def test_an_option_without_the_one_it_belongs_to_is_refused(desk, words, said):
    done = desk.darwin("run", desk.config(), *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) <= 3
    assert not (desk.folder / "artifacts").exists()


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
    """In the demonstration rules stand for models; elsewhere no model was deployed yet."""
    path = ROOT / "configs" / config
    tree = json.loads(path.read_text())
    if tree["market"]["provider"] == "files":
        made = desk.darwin("data", "synth", "--bars", "6000", "--symbols", "BTC/USDT", "-o", "data")
        assert made.returncode == 0, made.stderr
        written = desk.folder / "data" / "BTCUSDT_SYNTH-1h.parquet"
        written.rename(desk.folder / "data" / "BTCUSDT-1h.parquet")
    done = desk.darwin("run", str(path))
    assert done.returncode == 0, done.stderr
    assert desk.metrics(tree["run_id"])["trades"] > 0
    told = "SELECT DISTINCT agent_name, mode, reason FROM agent_decisions ORDER BY agent_name"
    reason = "observe" if config == "demo.json" else "no model"
    agents = ("gate", "meta_learner", "portfolio")
    assert desk.ask(told) == [(agent, "observe", reason) for agent in agents]


def agent(**keys):
    """An `rl` block with a gate."""
    return {"enabled": True, "gate_agent": {"name": "gate", **keys}}


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
        ({"rl": agent(policy="cautious-gat")}, 2, "did you mean 'cautious-gate'"),
        ({"rl": agent(policy="second-opinion")}, 2, "rl.gate_agent.policy"),
        ({"rl": agent(policy="os:system")}, 2, "rl.gate_agent.policy"),
        ({"rl": agent(policy="cautious-gate", params={"volum": 1})}, 2, "did you mean 'volume'"),
        ({"rl": agent(model_path="artifacts/rl_models/gate/v1")}, 2, "rl.gate_agent.model_path"),
    ],
)
def test_what_cannot_be_run_is_refused_in_three_lines(desk, change, code, word):
    done = desk.darwin("run", desk.config(**change))
    assert done.returncode == code, done.stderr
    assert word in done.stderr
    assert len(done.stderr.splitlines()) <= 3
    assert "Traceback" not in done.stderr
    assert not (desk.run_dir() / "metrics.json").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"decider": {"provider": "recorded", "run_id": "x", "verdicts": {}}},
        {"rl": agent(policy="cautious-gat")},
        {"rl": agent(policy="second-opinion")},
        {"rl": agent(policy="cautious-gate", params={"volum": 1})},
    ],
    ids=str,
)
def test_the_check_of_a_config_refuses_what_a_run_would(desk, change):
    config = desk.config(**change)
    checked = desk.darwin("config", "check", config)
    assert (checked.returncode, checked.stderr) == (2, desk.darwin("run", config).stderr)


@pytest.mark.parametrize("agents", [{}, {"rl": agent(policy="cautious-gate")}], ids=str)
@pytest.mark.parametrize("how", [(), ("--feed",)], ids=str)
def test_a_run_that_is_over_leaves_all_it_has_kept_in_the_one_file(desk, agents, how):
    """So that a copy of the database alone is a copy of the run."""
    done = desk.darwin("run", desk.config(market={"bars": 600}, **agents), *how)
    assert done.returncode == 0, done.stderr
    state = desk.folder / "artifacts" / "rl_state"
    assert [path.name for path in state.glob("*.sqlite*")] == ["agent_state.sqlite"]


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

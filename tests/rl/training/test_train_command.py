"""`darwin rl train`: from recorded candidates to a model that watches, and never half of one."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from darwin.core.agents import AGENTS
from tests.run.agents import models, rules
from tests.run.command import Desk, clean_environment
from tests.store.conftest import darwin as darwin  # noqa: PLC0414  a fixture

pytest.importorskip("stable_baselines3")
torch = pytest.importorskip("torch")
pytestmark = pytest.mark.slow

Call = Callable[..., tuple[int, str, str]]
ROOM: dict[str, Any] = {
    "portfolio": {"risk_per_trade": 0.0025, "positions_per_symbol": 20, "max_positions": 60,
                  "max_exposure_fraction": None},
    "limits": {"max_drawdown_fraction": None, "max_daily_loss_fraction": None,
               "max_orders_per_day": None, "max_position_usd": None},
    "decider": {"provider": "rules", "take_all": True},
    "playbooks": [{"name": "breakout"}, {"name": "mean_reversion"}, {"name": "pullback"}],
}  # fmt: skip
BESIDE = ("version", "place", "trained")
"""What `--json` prints beside the report."""
QUICK = ("--allow-small", "--total-timesteps", "40960", "--eval-freq", "8192", "--seeds", "1",
         "--by", "Ada", "--reason", "a test")  # fmt: skip


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A deployment with a planted and a null run, seen by three agents.

    The null run trades for nothing: costs weigh more where the stop is near, which can be learned.
    """
    desk = Desk(tmp_path_factory.mktemp("kept"))
    free = dict.fromkeys(("maker_bps", "taker_bps", "half_spread_bps", "slippage_bps"), 0)
    for run_id, edge, costs in (("planted", 0.5, {}), ("blank", 0.0, free)):
        market = {"bars": 10_000, "edge": edge, "symbols": ["BTC/USDT", "ETH/USDT", "SOL/USDT"]}
        desk.config(run_id=run_id, market=market, rl=rules(), costs=costs, **ROOM)
        done = desk.darwin("run", "config.json")
        assert done.returncode == 0, done.stderr
    return desk


@pytest.fixture(scope="module")
def trained(kept: Desk) -> dict[str, dict[str, Any]]:
    """What training each page told; its models are in the registry."""
    told = {}
    for agent in AGENTS:
        done = train(kept, agent, "--tensorboard-log", f"curves/{agent}", "--json", canaries=True)
        assert done.returncode == 0, done.stderr
        told[agent] = json.loads(done.stdout)
    return told


def train(
    desk: Desk, agent: str, *more: str, runs: str = "planted", canaries: bool = False
) -> subprocess.CompletedProcess[str]:
    """Train by the command; canaries take a second or two, which most tests here do without."""
    quick = QUICK if canaries else (*QUICK, "--skip-canaries")
    return desk.darwin("rl", "train", agent, "--run-ids", runs, *quick, *more)


def weights(desk: Desk, agent: str) -> bytes:
    """Of the version that serves."""
    folder = desk.folder / "artifacts" / "rl_models" / agent / "current"
    return (folder / "weights.safetensors").read_bytes()


def reports(desk: Desk, done: subprocess.CompletedProcess[str]) -> tuple[bytes, bytes]:
    """The page that a training says it wrote, and the figures beside it."""
    said = next(line for line in done.stdout.splitlines() if line.startswith("report: "))
    page = desk.folder / said.removeprefix("report: ").partition(",")[0]
    assert page.name == "report.html"
    return page.read_bytes(), page.with_name("report.json").read_bytes()


def versions(desk: Desk, agent: str) -> list[tuple[str, str]]:
    found = desk.ask(
        f"SELECT kind, version FROM model_events WHERE agent_name = '{agent}' ORDER BY id"
    )
    return [(kind, version) for kind, version in found]


@pytest.mark.parametrize("agent", AGENTS)
def test_each_page_learns_what_was_planted_and_its_model_only_watches(
    agent: str, kept: Desk, trained: dict[str, dict[str, Any]]
) -> None:
    told = trained[agent]
    gain = told["test"]["learned_gain_r"]
    assert told["learned"]
    assert 0.0 < gain["low"] < gain["value"] < gain["high"]
    assert told["verdict"].startswith("Learned: ")
    assert ("deployed", told["version"]) in versions(kept, agent)
    assert kept.ask("SELECT count(*) FROM graduation_events") == [(0,)]
    assert told["rows"]["train"] > told["rows"]["test"] > 300
    assert {one["passed"] for one in told["canaries"]} == {True}


@pytest.mark.parametrize("agent", AGENTS)
def test_tensorboard_has_the_curves(
    agent: str, kept: Desk, trained: dict[str, dict[str, Any]]
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(kept.folder / "curves" / agent / "seed_0"))
    events.Reload()
    tags = set(events.Tags()["scalars"])
    assert {"eval/learned_gain_r", "eval/supervised_gain_r", "rollout/mean_reward_r"} <= tags
    assert {"train/loss", "train/policy_gradient_loss"} <= tags
    curve = [(one.step, one.value) for one in events.Scalars("eval/learned_gain_r")]
    said = [(one["steps"], one["learned_gain"]) for one in trained[agent]["curves"]["0"]]
    assert [step for step, _ in curve] == [step for step, _ in said]
    assert [value for _, value in curve] == pytest.approx([value for _, value in said], rel=1e-5)


def test_the_report_beside_its_figures_names_candidates_whose_story_can_be_told(
    kept: Desk, trained: dict[str, dict[str, Any]]
) -> None:
    of_gate = kept.folder / "artifacts" / "rl_training" / "gate"
    told = {key: one for key, one in trained["gate"].items() if key not in BESIDE}
    found = [path for path in of_gate.glob("*/report.json") if json.loads(path.read_text()) == told]
    page = found[0].with_name("report.html").read_text("utf-8")
    call = told["changes"]["best_calls"][0]
    assert call["candidate_id"] in page
    done = kept.darwin("why", call["candidate_id"], "--json")
    assert done.returncode == 0, done.stderr
    story = json.loads(done.stdout)
    assert story["candidate"]["symbol"] == call["symbol"]
    assert story["outcome"]["r"] == call["r"]
    shown = kept.darwin("rl", "models", "show", "gate", trained["gate"]["version"], "--json")
    assert told["model_sha256"] in shown.stdout and told["model_sha256"] in page


def test_a_run_that_uses_the_model_is_verified_decision_by_decision(
    kept: Desk, trained: dict[str, dict[str, Any]]
) -> None:
    kept.config(run_id="used", market={"bars": 1500, "seed": 9}, rl=models(), **ROOM)
    assert kept.darwin("run", "config.json").returncode == 0
    assert kept.ask(
        "SELECT DISTINCT agent_name, model_version FROM agent_decisions WHERE run_id = 'used'"
        " ORDER BY agent_name"
    ) == [(agent, trained[agent]["version"]) for agent in sorted(AGENTS)]
    done = kept.darwin("verify", "used", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    decided = kept.ask("SELECT count(*) FROM agent_decisions WHERE run_id = 'used'")[0][0]
    assert told["recomputed"] == decided > 300


@pytest.mark.sweep
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    kept: Desk, trained: dict[str, dict[str, Any]]
) -> None:
    before = weights(kept, "gate"), reports(kept, train(kept, "gate"))
    assert (weights(kept, "gate"), reports(kept, train(kept, "gate"))) == before
    other = reports(kept, train(kept, "gate", "--seed", "1"))
    assert weights(kept, "gate") != before[0]
    assert other != before[1]


def test_a_training_that_is_killed_leaves_no_model_and_goes_on_to_the_same_weights(
    kept: Desk, trained: dict[str, dict[str, Any]]
) -> None:
    assert train(kept, "portfolio").returncode == 0
    before, known = weights(kept, "portfolio"), versions(kept, "portfolio")
    process = subprocess.Popen(
        [sys.executable, "-m", "darwin.cli.main", "rl", "train", "portfolio", "--run-ids",
         "planted", *QUICK, "--skip-canaries"],
        cwd=kept.folder, env=clean_environment(), stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    with process.stderr as said:
        for _ in range(3):
            next(said)
        process.kill()
    assert process.wait() == -signal.SIGKILL
    assert versions(kept, "portfolio") == known
    assert weights(kept, "portfolio") == before
    done = train(kept, "portfolio", "--resume")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("\n") == 3, "the others were made before"
    assert weights(kept, "portfolio") == before
    assert "is this very model (serving): it is not handed over again" in done.stderr
    assert versions(kept, "portfolio") == known


@pytest.mark.sweep
def test_a_finished_training_that_is_taken_up_does_not_displace_a_newer_version(
    kept: Desk, trained: dict[str, dict[str, Any]]
) -> None:
    assert train(kept, "gate").returncode == 0
    done = train(kept, "gate", "--seed", "1")
    assert done.returncode == 0, done.stderr
    known = versions(kept, "gate")
    newest = weights(kept, "gate")
    done = train(kept, "gate", "--resume", "--json")
    assert done.returncode == 0, done.stderr
    assert "is this very model (archived): it is not handed over again" in done.stderr
    assert json.loads(done.stdout)["version"] is not None
    assert versions(kept, "gate") == known
    assert weights(kept, "gate") == newest


@pytest.mark.sweep
def test_a_training_leaves_nothing_among_the_temporary_files(kept: Desk, tmp_path: Path) -> None:
    done = kept.darwin(
        "rl", "train", "gate", "--run-ids", "planted", *QUICK, TMPDIR=str(tmp_path),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith("SB3")] == []


def test_the_checklists_command_works_as_it_stands(kept: Desk) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "darwin.rl.cli.train_agent", "gate", "--run-ids", "planted",
         "--output-dir", "artifacts/rl_models/gate", "--total-timesteps", "8192",
         "--eval-freq", "4096", "--tensorboard-log", "./tensorboard_logs/gate", "--allow-small"],
        cwd=kept.folder, env=clean_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert list((kept.folder / "tensorboard_logs" / "gate" / "seed_2").glob("events.*"))
    deployed = [version for kind, version in versions(kept, "gate") if kind == "deployed"]
    assert deployed[-1] in done.stdout


@pytest.mark.sweep
def test_a_budget_of_calls_patience_and_runs_of_another_database(kept: Desk) -> None:
    state = kept.folder / "artifacts" / "rl_state" / "agent_state.sqlite"
    (kept.folder / "other.sqlite").write_bytes(state.read_bytes())
    done = train(
        kept, "gate", "--calls", "20", "--stretch", "50", "--patience", "1",
        "--db", "other.sqlite", "--more-db", str(state), "--output-dir", "other/gate", "--json",
    )  # fmt: skip
    assert done.returncode in (0, 10), done.stderr
    told = json.loads(done.stdout)
    gains = [one["learned_gain"] for one in told["curves"]["0"]]
    best = gains.index(max(gains))
    assert len(gains) - best <= 2, "it stops at the first look without a gain"
    assert told["learned"] == (told["version"] is not None)


@pytest.mark.sweep
@pytest.mark.parametrize("algo", [("gate", "a2c"), ("meta_learner", "dqn"), ("portfolio", "sac")])
def test_other_algorithms_hand_over_models_too(algo: tuple[str, str], kept: Desk) -> None:
    done = train(kept, algo[0], "--algo", algo[1], "--total-timesteps", "8192", "--json")
    assert done.returncode in (0, 10), done.stderr
    told = json.loads(done.stdout)
    assert told["algo"] == algo[1]
    assert (told["version"] is not None) == told["learned"]


def test_where_nothing_is_to_be_learned_it_says_so_and_hands_over_nothing(kept: Desk) -> None:
    known = versions(kept, "gate")
    done = train(kept, "gate", runs="blank")
    assert done.returncode == 10, done.stdout + done.stderr
    assert "Nothing learnable found: the learned gain is " in done.stdout
    page, figures = reports(kept, done)
    assert b"Nothing learnable found: the learned gain is " in page
    assert not json.loads(figures)["learned"]
    assert versions(kept, "gate") == known


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("gate", "--run-ids", "plantet"), 2, "did you mean 'planted'?"),
        (("gate", "--run-ids", "planted,planted"), 2, "a list of different runs"),
        (("gate", "--run-ids", ""), 2, "a list of different runs"),
        (("gate", "--run-ids", "planted", "--algo", "sac"), 2, "use ppo, a2c, dqn"),
        (("portfolio", "--run-ids", "planted", "--algo", "dqn"), 2, "use ppo, a2c, sac"),
        (("gate", "--run-ids", "planted", "--algo", "q"), 2, "use ppo, a2c, dqn"),
        (("gate", "--run-ids", "planted", "--total-timesteps", "0"), 2, "0 is not in the range"),
        (("gate", "--run-ids", "planted", "--test-from", "1999-01-01"), 2, "a day within the runs"),
        (("gate", "--run-ids", "planted", "--test-from", "soon"), 2, "write 2024-01-01"),
        (("gate", "--run-ids", "planted", "--output-dir", "models/other"), 2, "models/other/gate"),
        (("gate", "--run-ids", "planted", "--resume", "--seed", "77"), 2, "no such training"),
        (("gate", "--run-ids", "planted", "--calls", "100"), 2, "fewer than 100"),
        (("portfolio", "--run-ids", "planted", "--calls", "1"), 2, "the gate alone"),
        pytest.param(
            ("gate", "--run-ids", "planted", "--device", "cuda"),
            2,
            "write --device cpu",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="torch finds a CUDA device"),
        ),
        (("meta_learner", "--run-ids", "short"), 2, "are too few to train meta_learner on"),
        (("gate", "--run-ids", "short", "--db", "nowhere.sqlite"), 4, "nowhere.sqlite"),
    ],
    ids=lambda one: " ".join(one[2:]) if isinstance(one, tuple) else "",
)
def test_what_cannot_be_meant_is_refused_in_three_lines(
    words: tuple[str, ...],
    code: int,
    said: str,
    kept: Desk,
    darwin: Call,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if "short" in words and not kept.run_dir("short").exists():
        kept.config(run_id="short", market={"bars": 800}, rl=rules(), **ROOM)
        assert kept.darwin("run", "config.json").returncode == 0
    monkeypatch.chdir(kept.folder)
    ended, out, err = darwin("rl", "train", *words, "--by", "Ada", "--reason", "a test")
    assert ended == code, err
    assert said in err
    assert 0 < len(err.splitlines()) <= 3
    assert out == ""

"""`darwin lifecycle`: from the first candidate to agents that act, stopped anywhere and gone on."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from darwin.core.agents import AGENTS
from tests.conftest import ROOT
from tests.run.command import Desk, clean_environment

pytest.importorskip("stable_baselines3")
pytestmark = pytest.mark.slow

PLANTED = ROOT / "configs" / "planted.json"
QUICK = ("--timesteps", "40960", "--seeds", "1", "--skip-canaries", "--by", "Ada")
LEARNS = ("--train-share", "0.55", *QUICK)
IDLE = ("--timesteps", "2048", "--seeds", "1", "--skip-canaries", "--allow-small", "--by", "Ada")


def world(desk: Desk, **market: Any) -> str:
    """The planted world, smaller, its agents told to observe; gives the name of its config."""
    tree = json.loads(PLANTED.read_text("utf-8"))
    symbols = ["BTC/USDT", "ETH/USDT", "SOL/USDT", "BNB/USDT", "XRP/USDT"]
    tree["run_id"] = "small"
    tree["market"] |= {"symbols": symbols, "bars": 8000, "seed": 3} | market
    for agent in AGENTS:
        tree["rl"][f"{agent}_agent"]["mode"] = "observe"
    (desk.folder / "life.json").write_text(json.dumps(tree), "utf-8")
    return "life.json"


def live(desk: Desk, *words: str) -> subprocess.CompletedProcess[str]:
    return desk.darwin("lifecycle", "life.json", *words)


@pytest.fixture(scope="module")
def led(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A finished life that tests only read; what it said stands beside it."""
    desk = Desk(tmp_path_factory.mktemp("led"))
    world(desk)
    done = live(desk, *LEARNS, "--json")
    assert done.returncode == 0, done.stderr
    (desk.folder / "said.json").write_text(done.stdout, "utf-8")
    (desk.folder / "progress.txt").write_text(done.stderr, "utf-8")
    return desk


def said(desk: Desk) -> dict[str, Any]:
    tree: dict[str, Any] = json.loads((desk.folder / "said.json").read_text("utf-8"))
    return tree


def acts(desk: Desk, kind: str) -> list[tuple[str, dict[str, Any]]]:
    return [
        (name, act)
        for name, agent in said(desk)["lived"]["agents"].items()
        for act in agent["acts"]
        if act["kind"] == kind
    ]


def test_a_life_collects_trains_and_promotes_in_one_command(led: Desk) -> None:
    progress = (led.folder / "progress.txt").read_text("utf-8")
    phases = [line for line in progress.splitlines() if line.startswith("phase ")]
    assert phases == [
        "phase 1 of 3, collect: run 'small-collect'",
        *(f"phase 2 of 3, train: {agent}" for agent in AGENTS),
        "phase 3 of 3, observe, graduate, stages: run 'small'",
    ]
    assert acts(led, "promoted")
    assert max(act["stage"] for _, act in acts(led, "staged")) > 0.05
    assert led.ask("SELECT run_id FROM runs ORDER BY number") == [("small-collect",), ("small",)]


def test_what_it_tells_of_agents_is_what_stands_in_the_logs(led: Desk) -> None:
    promoted = led.ask(
        "SELECT agent_name, reason FROM graduation_events WHERE scope = 'run:small' AND kind ="
        " 'promoted' ORDER BY agent_name"
    )
    assert promoted == sorted((name, act["reason"]) for name, act in acts(led, "promoted"))
    stages = led.ask("SELECT agent_name, stage FROM rollout_events WHERE scope = 'run:small'")
    assert sorted(stages) == sorted((name, act["stage"]) for name, act in acts(led, "staged"))
    assert led.ask("SELECT count(*) FROM graduation_events WHERE scope = 'deployment'") == [(0,)]


def test_each_promotion_has_a_dossier_that_verifies(led: Desk) -> None:
    dossiers = [
        (name, path)
        for name, agent in said(led)["lived"]["agents"].items()
        for path in agent["dossiers"]
    ]
    turned = len(acts(led, "promoted")) + len(acts(led, "demoted"))
    assert len(dossiers) == turned > 0
    for _, path in dossiers:
        told = led.darwin("rl", "dossier", "verify", str(Path(path).with_suffix(".json")))
        assert told.returncode == 0, told.stderr


def test_agents_have_no_say_while_it_collects(led: Desk) -> None:
    of_collect = "FROM agent_decisions WHERE run_id = 'small-collect'"
    assert led.ask(f"SELECT DISTINCT reason, action {of_collect}") == [("disabled", None)]
    [(least,)] = led.ask(f"SELECT count(*) {of_collect} AND observation IS NOT NULL")
    assert least > 1000


def test_no_bar_of_the_training_is_evidence(led: Desk) -> None:
    until = said(led)["collected"]["train_until"]
    assert led.ask(
        "SELECT count(*) FROM candidates WHERE run_id = 'small-collect' AND bar_time >="
        f" unixepoch('{until}') * 1000"
    ) == [(0,)]
    day = "2020-07-03"  # training ends on the second of July, a day of embargo follows
    assert until.startswith("2020-07-02")
    for agent in AGENTS:
        done = led.darwin("rl", "status", agent, "--run", "small", "--json")
        trial = json.loads(done.stdout)["trial"]
        assert led.ask(f"SELECT date({trial['since_ms']} / 1000, 'unixepoch')")[0][0] >= day
        assert trial["scope"] == "run:small"
        assert trial["too_early"] > 0


def test_the_twin_is_the_same_run_without_agents(led: Desk, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    world(desk)
    done = desk.darwin("run", "life.json", "--set", "rl.enabled=false", "--json")
    assert done.returncode == 0, done.stderr
    against = said(led)["lived"]["against_twin"]
    assert against["twin_final_equity_usd"] == json.loads(done.stdout)["final_equity_usd"]
    assert against["final_equity_usd"] == led.metrics()["final_equity_usd"]
    assert against["daily_lead"]["low"] < against["daily_lead"]["mean"]
    assert against["daily_lead"]["mean"] < against["daily_lead"]["high"]


def test_a_finished_life_is_told_again_and_not_led_again(led: Desk) -> None:
    counts = "SELECT (SELECT count(*) FROM model_events), (SELECT count(*) FROM run_events)"
    before = led.ask(counts)
    again = live(led, *LEARNS, "--json")
    assert (again.returncode, json.loads(again.stdout)) == (0, said(led))
    assert "phase" not in again.stderr
    assert led.ask(counts) == before


def test_a_person_reads_what_came_of_it(led: Desk) -> None:
    done = live(led, *LEARNS)
    assert done.returncode == 0
    for name, act in acts(led, "promoted"):
        assert f"{act['bar_time'][:10]} promoted: {act['reason']}" in done.stdout
        agent = said(led)["lived"]["agents"][name]
        if agent["promoted"]:
            assert f"{name}: acts on {agent['stage']:.0%} of the capital" in done.stdout
    assert "95 % interval" in done.stdout
    assert done.stdout.splitlines()[-1] == "report: artifacts/runs/small/report.html"
    assert (led.run_dir() / "report.html").is_file()


@pytest.mark.sweep
def test_it_says_where_the_door_asked_no_model(led: Desk, tmp_path: Path) -> None:
    whole = "SELECT reason, count(*) FROM agent_decisions WHERE run_id = 'small'"
    reasons = dict(led.ask(f"{whole} AND agent_name = 'gate' GROUP BY 1"))
    assert said(led)["lived"]["agents"]["gate"]["reasons"] == reasons
    shutil.copytree(led.folder, tmp_path / "copy", symlinks=True)
    copy = Desk(tmp_path / "copy")
    record = copy.run_dir() / "lifecycle.json"
    tree = json.loads(record.read_text("utf-8"))
    tree["lived"]["agents"]["gate"]["reasons"] = {"observe": 5, "out of range": 1007}
    record.write_text(json.dumps(tree), "utf-8")
    told = live(copy, *LEARNS).stdout
    assert "the door asked no model in 1,007 of 1,012 cases: out of range" in told


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("--timesteps", "2048"), "timesteps (40960 then, 2048 now)"),
        (("--seeds", "2"), "seeds (1 then, 2 now)"),
        (("--train-share", "0.5"), "train-until"),
        (("--set", "costs.taker_bps=5"), "config (costs.taker_bps)"),
    ],
)
def test_another_life_of_the_same_name_is_refused(
    words: tuple[str, ...], what: str, led: Desk
) -> None:
    done = live(led, *LEARNS, *words, "--resume")
    assert done.returncode == 2
    assert what in done.stderr
    assert len(done.stderr.splitlines()) <= 3


@pytest.mark.sweep
def test_torch_is_loaded_by_the_training_alone(led: Desk, tmp_path: Path) -> None:
    """And a life that was killed before it told its end tells the same one."""
    shutil.copytree(led.folder, tmp_path / "copy")
    copy = Desk(tmp_path / "copy")
    record = copy.run_dir() / "lifecycle.json"
    tree = json.loads(record.read_text("utf-8"))
    del tree["lived"]
    record.write_text(json.dumps(tree), "utf-8")
    words = ["darwin", "lifecycle", "life.json", *LEARNS, "--resume", "--json"]
    code = (
        f"import sys; sys.argv = {words!r}\n"
        "from darwin.cli.main import darwin\nfrom darwin.rl.cli.door import come_through\n"
        "code = come_through(darwin)\nprint(code, *sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=copy.folder, env=clean_environment(),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    told, _, last = done.stdout.rstrip().rpartition("\n")
    assert json.loads(told) == said(led)
    modules = last.split()
    assert modules[0] == "0"
    assert not {"torch", "stable_baselines3", "gymnasium"} & set(modules)


@pytest.mark.sweep
def test_a_model_is_not_handed_over_twice(led: Desk, tmp_path: Path) -> None:
    """Where a life was killed after the hand-over and before it could write that down."""
    shutil.copytree(led.folder, tmp_path / "copy", symlinks=True)
    copy = Desk(tmp_path / "copy")
    record = copy.run_dir() / "lifecycle.json"
    tree = json.loads(record.read_text("utf-8"))
    [last] = [name for name, told in tree["trained"].items() if told["version"]][-1:]
    del tree["lived"], tree["trained"][last]
    record.write_text(json.dumps(tree), "utf-8")
    events = "SELECT agent_name, kind, version FROM model_events ORDER BY id"
    before = copy.ask(events)
    done = live(copy, *LEARNS, "--resume", "--json")
    assert done.returncode == 0, done.stderr
    assert f"phase 2 of 3, train: {last}" in done.stderr
    assert copy.ask(events) == before
    assert json.loads(done.stdout)["trained"] == said(led)["trained"]


@pytest.mark.sweep
def test_a_life_killed_in_each_phase_goes_on_where_it_was(led: Desk, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    world(desk)
    killed_at(desk, "checkpoint seq=")
    assert desk.ask("SELECT run_id FROM runs") == [("small-collect",)]
    unfinished = live(desk, *LEARNS)
    assert unfinished.returncode == 2
    assert "--resume" in unfinished.stderr
    killed_at(desk, "seed 0: ", "--resume")
    taught = killed_at(desk, "checkpoint seq=", "--resume", after="phase 3")
    assert not any(line.startswith("phase 1") for line in taught)
    ended = live(desk, *LEARNS, "--resume", "--json")
    assert ended.returncode == 0, ended.stderr
    assert "phase 1" not in ended.stderr
    assert "phase 2" not in ended.stderr
    deployed = "SELECT agent_name, count(*) FROM model_events WHERE kind = 'deployed' GROUP BY 1"
    assert desk.ask(deployed) == [(agent, 1) for agent in sorted(AGENTS)]
    told = json.loads(ended.stdout)
    assert told["lived"]["against_twin"] == said(led)["lived"]["against_twin"]
    assert traded(desk) == traded(led)


def killed_at(desk: Desk, word: str, *more: str, after: str = "") -> list[str]:
    """Kill a life outright at the first line that holds `word`; gives what it said till then.

    Where `after` is given, lines before one that begins with it do not count. A second life of the
    same name is turned away meanwhile.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "darwin.cli.main", "lifecycle", "life.json", *LEARNS, *more],
        cwd=desk.folder, env=clean_environment(), stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    heard, counts = [], not after
    with process.stderr as lines:
        for line in lines:
            heard.append(line)
            counts = counts or line.startswith(after)
            if counts and word in line:
                break
        else:
            pytest.fail(f"it never said {word!r}:\n{''.join(heard)}")
        process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    return heard


def traded(desk: Desk) -> str:
    done = desk.darwin("ledger", "export", "small", "--only", "orders,fills,outcomes")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.sweep
def test_a_second_process_is_turned_away(desk: Desk) -> None:
    world(desk, bars=2000, symbols=["BTC/USDT"])
    process = subprocess.Popen(
        [sys.executable, "-m", "darwin.cli.main", "lifecycle", "life.json", *IDLE],
        cwd=desk.folder, env=clean_environment(), stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    with process.stderr as lines:
        assert "phase 1" in next(lines)
        second = live(desk, *IDLE, "--resume")
        process.kill()
    process.wait()
    assert second.returncode == 5
    assert "run 'small' is held by another process" in second.stderr


@pytest.mark.sweep
def test_that_nothing_graduates_is_a_result(desk: Desk) -> None:
    world(desk, edge=0.0, bars=5000, symbols=["BTC/USDT", "ETH/USDT"])
    done = live(desk, *IDLE, "--json")
    assert done.returncode == 0, done.stderr
    tree = json.loads(done.stdout)
    assert [one["version"] for one in tree["trained"].values()] == [None, None, None]
    assert all(one["acts"] == [] for one in tree["lived"]["agents"].values())
    assert tree["lived"]["against_twin"] is None
    told = live(desk, *IDLE)
    assert "gate: had no model, so it took no part" in told.stdout
    assert "no order was changed by them" in told.stdout


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--set", "rl.enabled=false"), "rl has no learned agents to train"),
        (("--set", "rl=null"), "rl has no learned agents to train"),
        (("--set", "rl.gate_agent=null"), "rl.gate_agent is missing"),
        (("--set", "rl.gate_agent.enabled=false"), "rl.gate_agent.enabled"),
        (("--set", "rl.portfolio_agent.policy=size-by-strength"), "rl.portfolio_agent.policy"),
        (("--set", f"run_id={'x' * 60}"), "run_id"),
        (("--train-share", "1"), "--train-share"),
        (("--train-share", "nan"), "--train-share"),
        (("--train-until", "soon"), "--train-until"),
        (("--train-until", "2031-01-01"), "training cannot end on 2031-01-01"),
        (("--train-until", "2020-03-01", "--train-share", "0.5"), "--train-share"),
        (("--timesteps", "0"), "--timesteps"),
        (("--set", "market.seed=x"), "market.seed"),
    ],
)
def test_a_life_that_cannot_be_meant_is_refused_before_anything_is_done(
    words: tuple[str, ...], named: str, desk: Desk
) -> None:
    world(desk, bars=2000, symbols=["BTC/USDT"])
    done = live(desk, *IDLE, *words)
    assert done.returncode == 2
    assert named in done.stderr
    assert len(done.stderr.splitlines()) <= 3
    assert "Traceback" not in done.stderr
    assert not (desk.folder / "artifacts").exists()


def test_a_run_of_the_same_name_is_no_life(desk: Desk) -> None:
    world(desk, bars=2000, symbols=["BTC/USDT"])
    assert desk.darwin("run", "life.json").returncode == 0
    done = live(desk, *IDLE)
    assert done.returncode == 2
    assert "run 'small' is on record already" in done.stderr


def test_a_damaged_record_is_told_and_kept(desk: Desk) -> None:
    world(desk, bars=2000, symbols=["BTC/USDT"])
    desk.run_dir().mkdir(parents=True)
    (desk.run_dir() / "lifecycle.json").write_text("{", "utf-8")
    done = live(desk, *IDLE, "--resume")
    assert done.returncode == 4
    assert "lifecycle.json" in done.stderr
    assert (desk.run_dir() / "lifecycle.json").read_text("utf-8") == "{"


@pytest.mark.sweep
def test_training_can_end_on_a_day(desk: Desk) -> None:
    world(desk, bars=5000, symbols=["BTC/USDT", "ETH/USDT"])
    done = live(desk, *IDLE, "--train-until", "2020-04-01", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["collected"]["train_until"] == "2020-04-01T00:00:00Z"
    last = "SELECT max(bar_time) < unixepoch('2020-04-01') * 1000 FROM candidates"
    assert desk.ask(f"{last} WHERE run_id = 'small-collect'") == [(1,)]


@pytest.mark.sweep
def test_a_life_on_files_ends_its_training_by_their_dates(desk: Desk) -> None:
    words = ("--bars", "5000", "--symbols", "BTC/USDT,ETH/USDT", "-o", "data")
    made = desk.darwin("data", "synth", *words)
    assert made.returncode == 0, made.stderr
    symbols = ["BTC/USDT:SYNTH", "ETH/USDT:SYNTH"]
    tree = json.loads(PLANTED.read_text("utf-8"))
    tree["market"] = {
        "provider": "files", "path": "data", "symbols": symbols, "timeframe": "1h",
    }  # fmt: skip
    (desk.folder / "life.json").write_text(json.dumps(tree | {"run_id": "small"}), "utf-8")
    done = live(desk, *IDLE, "--json")
    assert done.returncode == 0, done.stderr
    collected = json.loads(done.stdout)["collected"]
    assert collected["bars"] == 2 * 2000


@pytest.mark.sweep
@pytest.mark.parametrize("seed", [902, 912])
def test_the_planted_world_ends_with_agents_that_act_and_pay(seed: int, desk: Desk) -> None:
    """It does on most seeds: on 911 the account falls so deep that the door asks no model."""
    done = desk.darwin(
        "lifecycle", str(PLANTED), "--set", f"market.seed={seed}", "--by", "Ada", "--json"
    )
    assert done.returncode == 0, done.stderr
    lived = json.loads(done.stdout)["lived"]
    acting = [agent for agent in lived["agents"].values() if agent["promoted"]]
    assert acting
    assert max(agent["stage"] for agent in acting) > 0.05
    assert (
        lived["against_twin"]["final_equity_usd"] > lived["against_twin"]["twin_final_equity_usd"]
    )
    assert lived["against_twin"]["daily_lead"]["low"] > 0.0

"""Learned agents from outside: watching, acting, promoted, demoted, killed."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from darwin.bootstrap.agents import agents_of
from darwin.config.load import load_config
from darwin.core.agents import AGENTS
from tests.run.agents import (
    demote,
    deploy,
    kill_file,
    models,
    promote,
    reasons,
    rules,
    traded,
)  # fmt: skip
from tests.run.command import Desk, clean_environment

pytestmark = pytest.mark.slow

MARKET = Path(__file__).resolve().parents[2].parent / "shared" / "market"
REAL = {"provider": "files", "path": str(MARKET), "symbols": ["BTCUSDT", "ETHUSDT"],
        "timeframe": "1h", "start": "2021-01-01", "end": "2021-09-01"}  # fmt: skip


def run(
    desk: Desk, run_id: str, *more: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    done = desk.darwin("run", "config.json", "--set", f"run_id={run_id}", *more, **environment)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(params=["synthetic", pytest.param("real", marks=pytest.mark.sweep)])
def market(request: pytest.FixtureRequest) -> dict[str, object]:
    if request.param == "synthetic":
        return {}
    if not MARKET.is_dir():
        pytest.skip("no real market data at hand")
    return {"market": REAL}


def test_absent_observing_killed_or_disabled_agents_leave_every_order_as_it_is(
    desk: Desk, market: dict[str, object]
) -> None:
    desk.config(**market)
    run(desk, "absent")
    desk.config(**market, rl=rules("observe"))
    run(desk, "observing")
    run(desk, "off", "--set", "rl.enabled=false")
    run(desk, "each-off", *(f"--set=rl.{name}_agent.enabled=false" for name in AGENTS))
    desk.config(**market, rl=rules("active"))
    promote(desk, *AGENTS, stage=1.0)
    run(desk, "killed", DARWIN_RL_DISABLED="1")
    run(desk, "acting")
    same = traded(desk, "absent")
    for run_id in ("observing", "off", "each-off", "killed"):
        assert traded(desk, run_id) == same, run_id
    assert traded(desk, "acting") != same
    assert {reason for _, reason in reasons(desk, "observing")} == {"observe"}
    assert {reason for _, reason in reasons(desk, "killed")} == {"killed"}
    assert {reason for _, reason in reasons(desk, "each-off")} == {"disabled"}
    assert not reasons(desk, "off")
    for run_id in ("observing", "killed", "acting"):
        assert desk.darwin("verify", run_id).returncode == 0
        assert desk.darwin("replay", run_id).returncode == 0


def test_the_checklists_query_counts_three_agents(desk: Desk) -> None:
    desk.config(rl=rules())
    run(desk, "small")
    counted = desk.ask("SELECT agent_name, COUNT(*) FROM agent_decisions GROUP BY agent_name;")
    assert [name for name, _ in counted] == sorted(AGENTS)
    [(asked,)] = desk.ask("SELECT count(*) FROM candidates WHERE coalesce(stage, '') != 'account'")
    [(judged,)] = desk.ask("SELECT count(*) FROM verdicts")
    assert dict(counted)["gate"] == asked
    assert dict(counted)["meta_learner"] == judged


def test_active_in_the_config_alone_makes_nothing_act_and_one_warning_says_what_to_do(
    desk: Desk,
) -> None:
    desk.config()
    run(desk, "absent")
    desk.config(rl=rules("active", agents=["gate"]))
    done = run(desk, "active")
    assert traded(desk, "active") == traded(desk, "absent")
    assert set(reasons(desk, "active")) == {("gate", "observe")}
    [warning] = [line for line in done.stderr.splitlines() if line.startswith("warning:")]
    assert "`darwin rl promote gate`" in warning


def test_after_a_promotion_one_per_cent_of_the_order_obeys_and_at_full_capital_all_of_it(
    desk: Desk,
) -> None:
    free = {"min_order_usd": 0, "max_exposure_fraction": None}
    desk.config(portfolio=free)
    run(desk, "absent")
    desk.config(portfolio=free, rl=rules("active", agents=["portfolio"]))
    promote(desk, "portfolio")
    run(desk, "one")
    assert set(reasons(desk, "one")) == {("portfolio", "active")}
    first = (
        "SELECT o.units, d.action, d.final_action FROM orders o JOIN agent_decisions d USING"
        " (run_id, candidate_id) WHERE run_id = 'one' ORDER BY o.id LIMIT 1"
    )
    [(units, action, final)] = desk.ask(first)
    [(full,)] = desk.ask("SELECT units FROM orders WHERE run_id = 'absent' ORDER BY id LIMIT 1")
    assert final == 0.01 * action + 0.99
    assert units == pytest.approx(full * final, rel=1e-12)
    assert units < full


_OUTSIDER = """
from darwin.core.agents import Advice

class Mine:
    def __init__(self, skip: bool = False):
        self.skip = skip

    def strangeness(self, observation):
        return 0.0

    def advise(self, observation):
        return Advice(0.0 if self.skip else 1.0, None)
"""


@pytest.mark.parametrize("change", ["params", "code"])
def test_a_promotion_is_of_the_very_rule_with_its_parameters_and_its_code(
    change: str, desk: Desk
) -> None:
    def once(run_id: str, skip: bool) -> None:
        agent = {"name": "gate", "mode": "active", "policy": "mine:Mine", "params": {"skip": skip}}
        desk.config(rl={"enabled": True, "gate_agent": agent})
        done = desk.darwin(
            "run", "config.json", "--set", f"run_id={run_id}", PYTHONPATH=str(desk.folder)
        )
        assert done.returncode == 0, done.stderr

    (desk.folder / "mine.py").write_text(_OUTSIDER)
    once("first", skip=False)
    assert desk.darwin(
        "rl", "promote", "gate", "--by", "Ada", "--reason", "a test", "--override"
    ).returncode == 0  # fmt: skip
    once("promoted", skip=False)
    assert set(reasons(desk, "promoted")) == {("gate", "active")}
    if change == "code":
        (desk.folder / "mine.py").write_text(_OUTSIDER.replace("self.skip else", "True else"))
    once("other", skip=change == "params")
    assert set(reasons(desk, "other")) == {("gate", "observe")}


@pytest.mark.sweep
def test_at_full_capital_whole_decisions_differ_and_after_a_demotion_none_does(desk: Desk) -> None:
    desk.config()
    run(desk, "absent")
    desk.config(rl=rules("active", agents=["gate"]))
    promote(desk, "gate", stage=1.0)
    run(desk, "whole")
    [(skipped,)] = desk.ask(
        "SELECT count(*) FROM candidates WHERE run_id = 'whole' AND reason = 'gate skip'"
    )
    assert skipped > 20
    assert traded(desk, "whole") != traded(desk, "absent")
    demote(desk, "gate")
    run(desk, "demoted")
    assert set(reasons(desk, "demoted")) == {("gate", "observe")}
    assert traded(desk, "demoted") == traded(desk, "absent")


def feed(desk: Desk, run_id: str, speed: str = "1800000", *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "darwin.cli.main", "run", "config.json", "--feed", "--speed", speed,
         "--set", f"run_id={run_id}", *more],
        cwd=desk.folder,
        env=clean_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


def decided(desk: Desk, run_id: str) -> int:
    """How many decisions of the gate are kept so far."""
    if not (desk.folder / "artifacts" / "rl_state" / "agent_state.sqlite").exists():
        return 0
    return int(desk.ask(f"SELECT count(*) FROM agent_decisions WHERE run_id = '{run_id}'")[0][0])


def wait_for(desk: Desk, run_id: str, least: int, process: subprocess.Popen[str]) -> int:
    while (seen := decided(desk, run_id)) < least:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    return seen


def finish(process: subprocess.Popen[str]) -> None:
    said = process.communicate(timeout=240)[1]
    assert process.returncode == 0, said


@pytest.mark.parametrize("trial", range(1))
@pytest.mark.parametrize("source", ["file", pytest.param("command", marks=pytest.mark.sweep)])
def test_after_a_flip_in_the_middle_of_a_feed_nothing_acts_until_a_named_act(
    source: str, trial: int, desk: Desk
) -> None:
    """All that was decided when the flip is known to have happened may have been active."""
    _flip(source, trial, desk)


@pytest.mark.sweep
@pytest.mark.parametrize("trial", range(1, 20))
@pytest.mark.parametrize("source", ["file", "command"])
def test_after_a_flip_at_any_moment_nothing_acts(source: str, trial: int, desk: Desk) -> None:
    _flip(source, trial, desk)


def _flip(source: str, trial: int, desk: Desk) -> None:
    desk.config(market={"bars": 1500}, rl=rules("active", agents=["gate"]))
    promote(desk, "gate", stage=0.5)
    process = feed(desk, "fed")
    wait_for(desk, "fed", 5 + 7 * trial, process)
    if source == "file":
        kill_file(desk).write_text("stop")
    else:
        done = desk.darwin("kill", "on", "--by", "Ada", "--reason", "a test")
        assert done.returncode == 0, done.stderr
    flipped = decided(desk, "fed")
    finish(process)
    rows = desk.ask("SELECT reason FROM agent_decisions WHERE run_id = 'fed' ORDER BY id")
    after = [reason for (reason,) in rows[flipped + 1 :]]  # one may have been on its way
    assert len(after) > 20
    assert set(after) == {"killed"}
    assert "active" in {reason for (reason,) in rows[:flipped]}
    assert desk.darwin("verify", "fed").returncode == 0
    assert desk.darwin("replay", "fed").returncode == 0
    run(desk, "again")  # latched: another run, another process
    assert {reason for _, reason in reasons(desk, "again")} == {"killed"}
    if source == "file":
        kill_file(desk).unlink()
    else:
        done = desk.darwin("kill", "off", "--by", "Ada", "--reason", "all clear")
        assert done.returncode == 0, done.stderr
    run(desk, "released")
    assert "killed" not in {reason for _, reason in reasons(desk, "released")}


@pytest.mark.parametrize(
    ("value", "killed"),
    [
        ("1", True), ("true", True), ("TRUE", True), ("yes", True), (" On ", True), ("on", True),
        ("2", True), ("disabled", True), ("nein", True), ("-1", True), ("0", False), ("", False),
        ("false", False), ("No", False), (" off ", False), ("OFF", False),
    ],
)  # fmt: skip
def test_the_variable_kills_unless_it_says_no(value: str, killed: bool, desk: Desk) -> None:
    desk.config(market={"bars": 500}, rl=rules("active", agents=["gate"]))
    promote(desk, "gate", stage=1.0)
    done = run(desk, "small", DARWIN_RL_DISABLED=value)
    assert (set(reasons(desk)) == {("gate", "killed")}) == killed
    odd = value in ("2", "disabled", "nein", "-1")
    assert ("warning: DARWIN_RL_DISABLED" in done.stderr) == odd


def test_killed_at_the_start_no_model_is_read(desk: Desk) -> None:
    """A damaged model that acts stops the start; killed, it is not even looked at."""
    desk.config(market={"bars": 600}, rl=models("active", agents=["gate"]))
    version = deploy(desk, "gate")
    done = desk.darwin("rl", "promote", "gate", "--by", "Ada", "--reason", "a test", "--override")
    assert done.returncode == 0, done.stderr
    folder = desk.folder / "artifacts" / "rl_models" / "gate" / "versions" / version
    weights = folder / "weights.safetensors"
    weights.chmod(0o644)
    flipped = bytearray(weights.read_bytes())
    flipped[-3] ^= 1
    weights.write_bytes(flipped)
    refused = desk.darwin("run", "config.json")
    assert refused.returncode == 3, refused.stderr
    assert len(refused.stderr.splitlines()) <= 3
    assert "rollback" in refused.stderr
    run(desk, "killed", DARWIN_RL_DISABLED="1")
    assert set(reasons(desk, "killed")) == {("gate", "killed")}
    run(desk, "baseline", "--set", "rl.on_model_error=baseline")
    assert set(reasons(desk, "baseline")) == {("gate", "no model")}


def test_an_observing_agent_without_a_model_is_off_and_the_run_goes_on(desk: Desk) -> None:
    desk.config()
    run(desk, "absent")
    desk.config(rl=models("observe"))
    run(desk, "none")
    assert {reason for _, reason in reasons(desk, "none")} == {"no model"}
    assert traded(desk, "none") == traded(desk, "absent")
    assert desk.ask("SELECT kind FROM alerts WHERE agent_name IS NOT NULL") == []


def folder_of(desk: Desk, version: str) -> Path:
    return desk.folder / "artifacts" / "rl_models" / "gate" / "versions" / version


def flip(desk: Desk, version: str) -> None:
    """Damage one bit of its weights."""
    weights = folder_of(desk, version) / "weights.safetensors"
    weights.chmod(0o644)
    flipped = bytearray(weights.read_bytes())
    flipped[-3] ^= 1
    weights.write_bytes(flipped)


def remove_agent(desk: Desk, version: str) -> None:
    shutil.rmtree(folder_of(desk, version).parent.parent)


def remove_all(desk: Desk, version: str) -> None:
    shutil.rmtree(folder_of(desk, version).parent.parent.parent)


def lead_outside(desk: Desk, version: str) -> None:
    folder = folder_of(desk, version)
    folder.rename(desk.folder / "elsewhere")
    folder.symlink_to(desk.folder / "elsewhere")


def lead_the_agent_elsewhere(desk: Desk, version: str) -> None:
    home = folder_of(desk, version).parent.parent
    home.rename(home.with_name("other"))
    home.symlink_to("other")


LOSSES = [
    flip,
    remove_all,
    *(
        pytest.param(lose, marks=pytest.mark.sweep)
        for lose in (remove_agent, lead_outside, lead_the_agent_elsewhere)
    ),
]


@pytest.mark.parametrize("lose", LOSSES)
@pytest.mark.parametrize("named", [pytest.param(False, marks=pytest.mark.sweep), True])
def test_an_observing_agent_whose_model_is_refused_is_off_with_one_alert(
    lose: Callable[[Desk, str], None], named: bool, desk: Desk
) -> None:
    block = models("observe", agents=["gate"])
    if named:
        block["gate_agent"]["model_path"] = "artifacts/rl_models/gate/current"
    desk.config(market={"bars": 800}, rl=block)
    version = deploy(desk, "gate")
    lose(desk, version)
    done = run(desk, "small")
    assert set(reasons(desk)) == {("gate", "no model")}
    [(kind, detail)] = desk.ask("SELECT kind, detail FROM alerts WHERE agent_name = 'gate'")
    assert kind == "model refused"
    assert detail.startswith(f"version {version} is refused: ")
    [warning] = [line for line in done.stderr.splitlines() if line.startswith("warning:")]
    assert "the gate agent is off" in warning
    assert version in warning
    assert desk.darwin("replay", "small").returncode == 0


@pytest.mark.parametrize(
    "lose",
    [flip, *(pytest.param(one, marks=pytest.mark.sweep) for one in (remove_agent, lead_outside))],
)
def test_an_active_agent_whose_model_is_refused_stops_the_run(
    lose: Callable[[Desk, str], None], desk: Desk
) -> None:
    desk.config(market={"bars": 800}, rl=models("active", agents=["gate"]))
    version = deploy(desk, "gate")
    done = desk.darwin("rl", "promote", "gate", "--by", "Ada", "--reason", "a test", "--override")
    assert done.returncode == 0, done.stderr
    lose(desk, version)
    done = desk.darwin("run", "config.json")
    assert (done.returncode, "mend:" in done.stderr) == (3, True)
    run(desk, "baseline", "--set", "rl.on_model_error=baseline")
    assert set(reasons(desk, "baseline")) == {("gate", "no model")}


@pytest.mark.sweep
def test_a_resumed_run_says_what_its_decisions_want_and_goes_on_with_it(desk: Desk) -> None:
    desk.config(market={"bars": 1500}, rl=models("observe", agents=["gate"]))
    version = deploy(desk, "gate")
    process = feed(desk, "fed")
    wait_for(desk, "fed", 10, process)
    process.kill()
    process.communicate()
    flip(desk, version)
    resume = ("run", "config.json", "--feed", "--set", "run_id=fed", "--resume")
    done = desk.darwin(*resume)
    assert done.returncode == 3
    for said in ("'fed'", version, "bring that version back from a copy", "another run_id"):
        assert said in done.stderr
    run(desk, "another")
    flip(desk, version)
    assert desk.darwin(*resume).returncode == 0
    assert desk.darwin("verify", "fed").returncode == 0
    flip(desk, version)
    assert "another run_id" in desk.darwin("replay", "fed").stderr


@pytest.mark.sweep
def test_a_model_that_nothing_was_decided_with_is_off_when_the_run_is_resumed(desk: Desk) -> None:
    """Its standing is journaled, but the kill switch was on: no decision hangs on it."""
    desk.config(market={"bars": 1500}, rl=models("observe", agents=["gate"]))
    version = deploy(desk, "gate")
    kill_file(desk).write_text("stop")
    process = feed(desk, "fed")
    wait_for(desk, "fed", 10, process)
    process.kill()
    process.communicate()
    flip(desk, version)
    kill_file(desk).unlink()
    done = desk.darwin("run", "config.json", "--feed", "--set", "run_id=fed", "--resume")
    assert done.returncode == 0, done.stderr
    assert {reason for _, reason in reasons(desk, "fed")} == {"killed", "no model"}
    assert desk.ask("SELECT kind FROM alerts WHERE agent_name = 'gate'") == [("model refused",)]
    assert desk.darwin("verify", "fed").returncode == 0
    assert desk.darwin("replay", "fed").returncode == 0


@pytest.mark.sweep
def test_a_rollback_reaches_a_feed_at_its_next_decision(desk: Desk) -> None:
    desk.config(market={"bars": 1500}, rl=models("observe", agents=["gate"]))
    old = deploy(desk, "gate", seed=1)
    new = deploy(desk, "gate", seed=2)
    process = feed(desk, "fed")
    wait_for(desk, "fed", 10, process)
    done = desk.darwin(
        "rl", "rollback", "gate", "--version", old, "--by", "Ada", "--reason", "a test"
    )
    assert done.returncode == 0, done.stderr
    seen = decided(desk, "fed")
    finish(process)
    versions = [
        version for (version,) in desk.ask("SELECT model_version FROM agent_decisions ORDER BY id")
    ]
    assert set(versions[:10]) == {new}
    assert set(versions[seen + 1 :]) == {old}
    assert len(versions[seen + 1 :]) > 20
    assert desk.darwin("verify", "fed").returncode == 0
    assert desk.darwin("replay", "fed").returncode == 0


@pytest.mark.sweep
def test_a_demotion_reaches_a_feed_at_its_next_decision(desk: Desk) -> None:
    desk.config(market={"bars": 1500}, rl=rules("active", agents=["gate"]))
    promote(desk, "gate", stage=1.0)
    process = feed(desk, "fed")
    wait_for(desk, "fed", 10, process)
    demote(desk, "gate")
    seen = decided(desk, "fed")
    finish(process)
    why = [reason for (reason,) in desk.ask("SELECT reason FROM agent_decisions ORDER BY id")]
    assert set(why[:10]) <= {"active", "audit"}
    assert set(why[seen + 1 :]) == {"observe"}
    assert desk.darwin("replay", "fed").returncode == 0


@pytest.mark.sweep
def test_a_stage_that_nobody_appended_stops_the_start(desk: Desk) -> None:
    desk.config(rl=rules("active", agents=["gate"]))
    promote(desk, "gate")
    with closing(sqlite3.connect(desk.folder / "artifacts/rl_state/agent_state.sqlite")) as raw:
        raw.execute(
            "INSERT INTO rollout_events VALUES (1, 'gate', 1.0, 'Eve', '', 0, NULL, NULL,"
            " '2099-01-01T00:00:00Z', zeroblob(32))"
        )
        raw.commit()
    for words in (("run", "config.json"), ("run", "config.json", "--feed", "--set", "run_id=fed"),
                  ("rl", "status", "gate"), ("rl", "rollout", "status")):  # fmt: skip
        done = desk.darwin(*words)
        assert done.returncode == 4, done.stderr
        assert "row 1 of rollout_events was changed" in done.stderr
        assert len([line for line in done.stderr.splitlines() if "checkpoint" not in line]) == 3


@pytest.mark.sweep
def test_a_run_with_acting_agents_that_is_killed_and_resumed_ends_the_same(desk: Desk) -> None:
    block = rules("active")
    desk.config(market={"bars": 6000}, rl=block)
    promote(desk, *AGENTS, stage=0.5)
    run(desk, "whole")
    desk.config("one.json", run_id="one", market={"bars": 6000}, rl=block)
    assert desk.killed("one.json") > 0
    assert desk.darwin("run", "one.json", "--resume").returncode == 0
    assert desk.export("one") == desk.export("whole")
    assert desk.darwin("verify", "one").returncode == 0


@pytest.mark.sweep
def test_verify_makes_every_decision_again_and_says_what_it_could_not(desk: Desk) -> None:
    desk.config(rl=models("observe", agents=["gate", "portfolio"]))
    deploy(desk, "gate")
    version = deploy(desk, "portfolio")
    run(desk, "small")
    told = json.loads(desk.darwin("verify", "small", "--json").stdout)
    [(advised,)] = desk.ask("SELECT count(action) FROM agent_decisions")
    assert told["recomputed"] == advised > 300
    assert told["without_model"] == 0
    folder = desk.folder / "artifacts" / "rl_models" / "portfolio" / "versions" / version
    folder.rename(folder.with_name("elsewhere"))
    told = json.loads(desk.darwin("verify", "small", "--json").stdout)
    of_portfolio = "SELECT count(action) FROM agent_decisions WHERE agent_name = 'portfolio'"
    assert told["without_model"] == desk.ask(of_portfolio)[0][0] > 50
    assert told["recomputed"] == advised - told["without_model"]


def test_a_decision_that_does_not_follow_is_named_though_the_chain_was_made_anew(
    desk: Desk,
) -> None:
    """Someone who rewrites the whole chain must also find another observation that fits."""
    from tests.run.forger import forge

    desk.config(rl=rules("observe", agents=["gate"]))
    run(desk, "small")
    (desk.run_dir() / "manifest.json").unlink()
    forge(
        desk,
        "UPDATE agent_decisions SET action = 1 - action"
        " WHERE id = (SELECT max(id) FROM agent_decisions)",
    )
    done = desk.darwin("verify", "small")
    assert done.returncode == 4
    assert "does not follow from its observation and model" in done.stderr


@pytest.mark.parametrize(("action", "differs"), [(2.0, True), (0.0, False)])
def test_a_twin_is_shown_where_an_agent_changed_an_order_and_nowhere_else(
    action: float, differs: bool, desk: Desk
) -> None:
    """Overriding skips leaves whole orders that the twin does not have; keeping changes none."""
    agent = {
        "name": "meta_learner", "mode": "active", "policy": "darwin.testing.policies:Constant",
        "params": {"action": action},
    }  # fmt: skip
    block = {"enabled": True, "meta_learner_agent": agent, "max_override_rate": 1.0}
    loaded = load_config(desk.folder / desk.config(rl=block))
    agents = agents_of(loaded.config)
    assert agents is not None
    rule = agents.policies.stand_in("meta_learner")
    assert rule is not None
    promote(desk, "meta_learner", stage=1.0, model=rule.model)
    run(desk, "small")
    twin = desk.metrics()["twin"]
    assert (twin is not None) == differs
    if differs:
        assert twin["net_pnl_usd"] != desk.metrics()["net_pnl_usd"]


def test_a_promotion_by_a_persons_word_alone_is_told_in_the_report(desk: Desk) -> None:
    config = desk.config(rl=rules("active", agents=["gate"]))
    promote(desk, "gate", stage=1.0)
    assert desk.darwin("run", config).returncode == 0
    panel = desk.metrics()["agents"]["gate"]
    said = "by Ada, without the evidence it wants"
    assert {one["basis"] for one in panel["versions"]} == {said}
    page = (desk.run_dir() / "report.html").read_text()
    assert f"gate was promoted {said}" in page
    assert f"yes, {said}" in page

"""Agents that are promoted, given capital and demoted by evidence, in runs as a user makes them."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from darwin.core.agents import AGENTS, GATE, META_LEARNER, PORTFOLIO
from darwin.core.market import DAY_MS, HOUR_MS
from tests.run.command import Desk, clean_environment
from tests.run.graduating import (
    AUTO,
    ROOM,
    START_MS,
    acts,
    desk_at,
    serve,
    status,
    turned,
    world,
    wrong_gate,
)

pytestmark = pytest.mark.slow

DATABASE = "artifacts/rl_state/agent_state.sqlite"
SEED = 4
"""A world in which all three agents of the demonstration graduate soon."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the demonstration's models are deployed, and nothing was run."""
    desk = desk_at(tmp_path_factory.mktemp("served"))
    serve(desk)
    return desk.folder


@pytest.fixture(scope="module")
def desk(served: Path, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A planted world in which these models went their way by themselves."""
    desk = Desk(tmp_path_factory.mktemp("graduated") / "desk")
    shutil.copytree(served, desk.folder, symlinks=True)
    done = desk.darwin("run", desk.config(market=world(SEED), rl=AUTO, **ROOM))
    assert done.returncode == 0, done.stderr
    return desk


def test_all_three_are_promoted_on_one_percent_and_climb(desk: Desk) -> None:
    said = acts(desk)
    for agent in AGENTS:
        mine = [what for name, what, _, _ in said if name == agent]
        assert mine[:3] == ["promoted", 0.05, 0.1]
        assert mine[1:] == sorted(mine[1:])
    assert {scope for *_, scope, _ in said} == {"run:small"}


def test_a_stage_is_climbed_after_its_dwell_in_market_time(desk: Desk) -> None:
    dwell = {"promoted": 7, 0.05: 14, 0.1: 14, 0.25: 14, 0.5: 14}
    for agent in AGENTS:
        mine = [(what, time) for name, what, _, time in acts(desk) if name == agent]
        for (before, since), (_, until) in pairwise(mine):
            assert until - since >= dwell[before] * DAY_MS


def test_a_promotion_takes_effect_with_the_decision_at_its_bar_and_not_before(desk: Desk) -> None:
    for agent in AGENTS:
        ((promoted,),) = desk.ask(
            "SELECT json_extract(detail, '$.bar_time') FROM graduation_events"
            f" WHERE agent_name = '{agent}'"
        )
        ((first,),) = desk.ask(
            "SELECT min(bar_time) FROM agent_decisions"
            f" WHERE agent_name = '{agent}' AND mode = 'active'"
        )
        assert first >= promoted
        ((before,),) = desk.ask(
            f"SELECT count(*) FROM agent_decisions WHERE agent_name = '{agent}'"
            f" AND bar_time < {promoted} AND followed"
        )
        assert before == 0


def test_each_act_tells_what_it_rests_on(desk: Desk) -> None:
    rows = desk.ask('SELECT agent_name, "by", reason, override, detail FROM graduation_events')
    for agent, by, reason, override, detail in rows:
        told = json.loads(detail)
        assert (by, override) == ("darwin", 0)
        assert "has graduated: " in reason
        crossed = [one for one in told["evidence"].values() if one["crossed_ms"]]
        assert len(crossed) >= 2
        assert told["blocks"] >= 20
        assert told["edge"] > 0.0, agent


def test_the_status_of_the_run_is_passed_and_names_its_contract(desk: Desk) -> None:
    for agent in AGENTS:
        code, tree = status(desk, agent)
        assert code == 0, tree["conditions"]
        trial = tree["trial"]
        assert (trial["scope"], trial["number"]) == ("run:small", 1)
        ((digest, terms),) = desk.ask(
            f"SELECT digest, terms FROM contracts WHERE agent_name = '{agent}'"
        )
        assert (trial["contract"], trial["terms"]) == (digest, terms)
        assert trial["alpha_v"] == pytest.approx(0.01)
        assert trial["stage"] > 0.01
        assert tree["mode"] == "observe", "a replay promotes in itself alone"


def test_a_deployment_needs_more_than_a_replay(desk: Desk) -> None:
    done = desk.darwin("rl", "rollout", "set", GATE, "5%", "--by", "Ada", "--reason", "a test")
    assert done.returncode == 2
    assert "no model of gate is promoted" in done.stderr


def test_the_run_can_be_verified_and_made_again(desk: Desk) -> None:
    assert desk.darwin("verify", "small").returncode == 0
    assert desk.darwin("replay", "small").returncode == 0


@pytest.mark.sweep
def test_killed_before_and_after_a_promotion_it_ends_byte_for_byte_the_same(
    served: Path, desk: Desk, tmp_path: Path
) -> None:
    other = Desk(tmp_path / "desk")
    shutil.copytree(served, other.folder, symlinks=True)
    config = other.config(market=world(SEED), rl=AUTO, **ROOM)
    for promoted, resume in ((0, []), (1, ["--resume"]), (2, ["--resume"])):
        process = subprocess.Popen(
            [sys.executable, "-m", "darwin.cli.main", "run", config, *resume],
            cwd=other.folder, env=clean_environment(), stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        while process.poll() is None:
            begun = other.ask("SELECT count(*) FROM contracts")[0][0]
            said = other.ask("SELECT count(*) FROM graduation_events")[0][0]
            if begun and said >= promoted:
                process.kill()
            time.sleep(0.002)
        process.wait()
    done = other.darwin("run", config, "--resume")
    assert done.returncode == 0, done.stderr
    assert acts(other) == acts(desk)
    assert other.export() == desk.export()


@pytest.mark.sweep
def test_another_replay_of_the_same_is_the_same_trial(desk: Desk) -> None:
    before = {agent: status(desk, agent)[1]["trial"] for agent in AGENTS}
    config = desk.config("twice.json", run_id="twice", market=world(SEED), rl=AUTO, **ROOM)
    assert desk.darwin("run", config).returncode == 0
    for agent in AGENTS:
        trial = status(desk, agent, "--run", "twice")[1]["trial"]
        for key in ("number", "alpha_v", "evidence", "contract", "blocks", "edge"):
            assert trial[key] == before[agent][key], key
    assert len([one for one in acts(desk) if one[2] == "run:twice"]) == len(
        [one for one in acts(desk) if one[2] == "run:small"]
    )


def test_a_forged_contract_lets_nobody_judge(desk: Desk, tmp_path: Any) -> None:
    copy = tmp_path / "forged.sqlite"
    copy.write_bytes((desk.folder / DATABASE).read_bytes())
    with closing(sqlite3.connect(copy)) as raw:
        raw.execute("UPDATE contracts SET number = 9 WHERE id = 1")
        raw.commit()
    ((agent,),) = desk.ask("SELECT agent_name FROM contracts WHERE id = 1")
    done = desk.darwin("rl", "status", agent, "--db", str(copy))
    assert done.returncode == 4
    assert "row 1 of contracts was changed" in done.stderr


class TestRefused:
    """Agents that must not act, each with the reason in words."""

    def run(self, tmp_path: Any, **changes: Any) -> Desk:
        desk = Desk(tmp_path)
        serve(desk, GATE, files=changes.pop("files"))
        config = desk.config(
            market=world(SEED), **ROOM,
            rl={"enabled": True, "gate_agent": {"name": GATE, "mode": "auto"}},
        )  # fmt: skip
        done = desk.darwin("run", config)
        assert done.returncode == 0, done.stderr
        return desk

    def test_a_perfectly_wrong_gate(self, tmp_path: Any) -> None:
        desk = self.run(tmp_path, files=wrong_gate())
        assert acts(desk) == []
        code, tree = status(desk, GATE)
        assert code == 10
        skill = next(one for one in tree["conditions"] if one["name"] == "evidence of skill")
        assert skill["state"] == "refuted"
        assert skill["lacks"] == "the opposite is shown: it leaves what wins and keeps what loses"
        assert 0.2 < tree["figures"]["saved_share"] < 0.4


@pytest.mark.parametrize("agent", [GATE, META_LEARNER, PORTFOLIO])
def test_in_a_world_without_an_edge_nobody_is_promoted(agent: str, tmp_path: Any) -> None:
    desk = Desk(tmp_path)
    serve(desk, agent)
    config = desk.config(
        market=world(11, edge=0.0), **ROOM,
        rl={"enabled": True, f"{agent}_agent": {"name": agent, "mode": "auto"}},
    )  # fmt: skip
    assert desk.darwin("run", config).returncode == 0
    assert acts(desk) == []
    code, tree = status(desk, agent)
    assert code in (10, 11)
    evidence = [one for one in tree["conditions"] if one["name"].startswith("evidence")]
    assert any(one["state"] != "passed" for one in evidence)


TURN, BARS = 0.5, 14_000


@pytest.fixture(scope="module")
def turned_desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    desk = desk_at(tmp_path_factory.mktemp("turned"))
    serve(desk, GATE, META_LEARNER)
    market = turned(desk.folder / "data", SEED, BARS, TURN)
    agents = {name: AUTO[name] for name in ("enabled", "gate_agent", "meta_learner_agent")}
    tree = {"run_id": "small", "market": market, "decider": {"provider": "rules"}}
    (desk.folder / "config.json").write_text(json.dumps(tree | ROOM | {"rl": agents}))
    done = desk.darwin("run", "config.json")
    assert done.returncode == 0, done.stderr
    return desk


class TestTurned:
    """An edge that turns midway."""

    def test_the_agents_are_demoted_and_their_capital_is_back_to_nothing(
        self, turned_desk: Desk
    ) -> None:
        turn = START_MS + int(TURN * BARS) * HOUR_MS
        for agent in (GATE, META_LEARNER):
            mine = [(what, time) for name, what, _, time in acts(turned_desk) if name == agent]
            what, demoted = mine[-1]
            assert what == "demoted"
            assert 0 < demoted - turn < 120 * DAY_MS, "days after the edge has turned"
            ((standing,),) = turned_desk.ask(
                f"SELECT detail FROM inputs WHERE agent_name = '{agent}' ORDER BY id DESC LIMIT 1"
            )
            assert json.loads(standing)["stage"] == 0.0
            assert not json.loads(standing)["promoted"]
            ((after,),) = turned_desk.ask(
                f"SELECT count(*) FROM agent_decisions WHERE agent_name = '{agent}' AND followed"
                f" AND bar_time > {demoted}"
            )
            assert after == 0

    def test_the_reason_tells_how_long_it_took(self, turned_desk: Desk) -> None:
        for (reason,) in turned_desk.ask(
            "SELECT reason FROM graduation_events WHERE kind = 'demoted'"
        ):
            assert "its skill has gone" in reason
            assert "market days after its promotion" in reason

    def test_what_follows_is_a_new_trial_at_a_stricter_level(self, turned_desk: Desk) -> None:
        rows = turned_desk.ask("SELECT number, entered FROM contracts WHERE agent_name = 'gate'")
        assert len(rows) == 2
        assert rows[1][1] > rows[0][1]

    def test_a_restart_does_not_undo_it(self, turned_desk: Desk) -> None:
        before = acts(turned_desk)
        assert turned_desk.darwin("run", "config.json", "--resume").returncode == 0
        assert turned_desk.darwin("replay", "small").returncode == 0
        assert acts(turned_desk) == before
        assert status(turned_desk, GATE)[1]["trial"]["stage"] == 0.0

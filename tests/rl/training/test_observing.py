"""Rows of a run that an agent took no part in: what the door would have shown it, bit for bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darwin.core.agents import AGENTS
from darwin.errors import DarwinError
from darwin.rl.cli.training_options import observing, rows_of
from darwin.rl.training.rows import Rows
from tests.run.agents import demote, promote, rules
from tests.run.command import Desk
from tests.store.verified import tampering

pytestmark = pytest.mark.slow
RUNS: dict[str, dict[str, Any]] = {
    "watched": {"rl": rules()},
    "alone": {"rl": None},
    "off": {"rl": {"enabled": False}},
    "gated": {"rl": rules(agents=["gate"])},
}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    desk = Desk(tmp_path_factory.mktemp("observing"))
    for run_id, told in RUNS.items():
        desk.config(run_id=run_id, market={"bars": 3000, "edge": 0.5}, **told)
        done = desk.darwin("run", "config.json")
        assert done.returncode == 0, done.stderr
    return desk


def rows(desk: Desk, agent: str, run_id: str) -> Rows:
    artifacts = desk.folder / "artifacts"
    state = artifacts / "rl_state" / "agent_state.sqlite"
    return rows_of(agent, (run_id,), (state,), True, observing(agent, str(artifacts)))


@pytest.mark.parametrize("run_id", ["alone", "off", "gated"])
@pytest.mark.parametrize("agent", AGENTS)
def test_what_would_have_been_seen_is_what_is_seen_by_an_agent_that_watches(
    agent: str, run_id: str, desk: Desk
) -> None:
    watched, made = rows(desk, agent, "watched"), rows(desk, agent, run_id)
    assert len(watched) > 20
    np.testing.assert_array_equal(made.ids, watched.ids)
    np.testing.assert_array_equal(
        made.observations.view(np.uint32), watched.observations.view(np.uint32)
    )
    assert made.digest == watched.digest


def test_an_agent_learns_from_a_run_that_it_took_no_part_in_and_canaries_find_nothing(
    desk: Desk,
) -> None:
    pytest.importorskip("stable_baselines3")
    words = ("--allow-small", "--total-timesteps", "8192", "--seeds", "1", "--json")
    done = desk.darwin("rl", "train", "gate", "--run-ids", "alone", *words)
    assert done.returncode in (0, 10), done.stderr
    told = json.loads(done.stdout)
    assert {one["passed"] for one in told["canaries"]} == {True}, told["canaries"]


@pytest.mark.sweep
def test_beside_agents_that_act_it_sees_the_account_that_they_left(tmp_path: Path) -> None:
    """The gate acted in the run, so the account that the sizing agent sees is another."""
    desk = Desk(tmp_path)
    market = {"bars": 3000, "edge": 0.5}
    desk.config(run_id="first", market=market, rl=rules())
    assert desk.darwin("run", "config.json").returncode == 0
    promote(desk, "gate", stage=1.0)
    for run_id, agents in (("acted", AGENTS), ("without", ["gate"])):
        desk.config(run_id=run_id, market=market, rl=rules("active", agents=agents))
        assert desk.darwin("run", "config.json").returncode == 0
    demote(desk, "gate")
    first, acted, made = (rows(desk, "portfolio", one) for one in ("first", "acted", "without"))
    assert made.digest == acted.digest
    assert made.digest != first.digest


def test_rows_of_two_timeframes_stand_in_the_order_of_their_decisions(desk: Desk) -> None:
    market = {"bars": 750, "edge": 0.5, "timeframe": "4h"}
    desk.config(run_id="four", market=market, rl=rules(agents=["gate"]))
    assert desk.darwin("run", "config.json").returncode == 0
    artifacts = desk.folder / "artifacts"
    state = artifacts / "rl_state" / "agent_state.sqlite"
    both = rows_of("gate", ("watched", "four"), (state,), True, observing("gate", str(artifacts)))
    assert len(both) > len(rows(desk, "gate", "watched"))
    assert (np.diff(both.decided) >= 0).all()


@pytest.mark.sweep
def test_a_changed_record_is_refused(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.config(market={"bars": 1500, "edge": 0.5}, rl=None)
    assert desk.darwin("run", "config.json").returncode == 0
    words = ("rl", "train", "gate", "--run-ids", "small", "--allow-small")
    state = tmp_path / "artifacts" / "rl_state" / "agent_state.sqlite"
    sound = state.read_bytes()
    for sql, said in (
        ("UPDATE runs SET data_digest = 'other'", "what run 'small' is made of was changed"),
        ("UPDATE outcomes SET hash = zeroblob(32) WHERE id % 7 = 3", "outcomes"),
    ):
        with tampering(state) as raw:
            raw.execute(sql)
        done = desk.darwin(*words)
        assert done.returncode == 4, done.stderr
        assert said in done.stderr
        assert len(done.stderr.splitlines()) <= 3
        state.write_bytes(sound)
    with pytest.raises(DarwinError, match="no run called 'smal'"):
        rows(desk, "gate", "smal")

"""What a promotion rests on, and where it counts: not wherever its model is asked."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from darwin.core.agents import GATE
from tests.run.command import Desk
from tests.run.graduating import AUTO, ROOM, desk_at, serve, world

pytestmark = pytest.mark.slow

DATABASE = "artifacts/rl_state/agent_state.sqlite"
PROMOTE = ("rl", "promote", GATE, "--by", "Ada", "--reason", "a test")
ACTIVE = {"enabled": True, "gate_agent": {"name": "gate", "mode": "active"}}


@pytest.fixture(scope="module")
def graduated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A replay in which the gate has passed all that it must."""
    desk = desk_at(tmp_path_factory.mktemp("graduated"))
    serve(desk, GATE)
    gate_alone = {"enabled": True, "gate_agent": AUTO["gate_agent"]}
    done = desk.darwin("run", desk.config(market=world(4), rl=gate_alone, **ROOM))
    assert done.returncode == 0, done.stderr
    return desk.folder


@pytest.fixture
def desk(graduated: Path, tmp_path: Path) -> Desk:
    """A copy of it to act upon."""
    shutil.copytree(graduated, tmp_path / "desk", symlinks=True)
    return Desk(tmp_path / "desk")


def test_who_promotes_on_a_replay_is_told_what_it_was_made_of(desk: Desk) -> None:
    done = desk.darwin(*PROMOTE)
    assert done.returncode == 0, done.stderr
    assert "evidence: run 'small', replay, bars that were generated (BTC/USDT:SYNTH" in done.stdout
    assert "note: of 1 such run that tried this version it is the latest" in done.stdout


def test_a_record_that_was_changed_promotes_nobody(desk: Desk) -> None:
    with closing(sqlite3.connect(desk.folder / DATABASE)) as raw:
        raw.execute(
            "UPDATE outcomes SET r = r + 0.1 WHERE id ="
            " (SELECT id FROM outcomes WHERE r IS NOT NULL ORDER BY id DESC LIMIT 1)"
        )
        raw.commit()
    done = desk.darwin(*PROMOTE)
    assert done.returncode == 4, done.stdout
    assert "of outcomes" in done.stderr
    assert desk.ask("SELECT count(*) FROM graduation_events WHERE scope = 'deployment'") == [(0,)]


def modes(desk: Desk, run_id: str) -> list[str]:
    return [
        mode
        for (mode,) in desk.ask(
            f"SELECT DISTINCT mode FROM agent_decisions WHERE run_id = '{run_id}'"
        )
    ]


def test_a_promotion_counts_in_the_world_that_it_was_earned_in(desk: Desk) -> None:
    assert desk.darwin(*PROMOTE).returncode == 0
    near = {"market": world(9, bars=1_500), "rl": ACTIVE, **ROOM}
    same = desk.darwin("run", desk.config("same.json", run_id="same", **near))
    assert same.returncode == 0, same.stderr
    assert modes(desk, "same") == ["active"]
    dear = desk.config("dear.json", run_id="dear", costs={"taker_bps": 9}, **near)
    done = desk.darwin("run", dear)
    assert done.returncode == 0, done.stderr
    assert modes(desk, "dear") == ["observe"]
    assert "no promotion on record that counts here" in done.stderr


def test_the_word_of_a_person_counts_wherever_the_model_serves(tmp_path: Path) -> None:
    desk = desk_at(tmp_path / "desk")
    serve(desk, GATE)
    assert desk.darwin(*PROMOTE, "--override").returncode == 0
    dear = desk.config(
        run_id="dear", costs={"taker_bps": 9}, market=world(9, bars=1_500), rl=ACTIVE, **ROOM
    )
    assert desk.darwin("run", dear).returncode == 0
    assert modes(desk, "dear") == ["active"]


def test_the_bars_of_a_file_are_no_evidence_for_the_deployment_though_fed_one_by_one(
    desk: Desk,
) -> None:
    fed = desk.config(run_id="fed", market=world(9, bars=500), rl=AUTO, **ROOM)
    assert desk.darwin("run", fed, "--feed").returncode == 0
    scopes = {scope for (scope,) in desk.ask("SELECT scope FROM contracts")}
    assert scopes == {"run:small", "run:fed"}

"""What a run is told while it goes on, and that a damaged record of agents lets nobody act."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from darwin.core.agents import Model, Standing
from darwin.core.candidate import LONG, Candidate
from darwin.core.facts import ALLOWED, KILLED, STANDING, Input
from darwin.errors import RecordError
from darwin.rl.serving.switchboard import Sources, Switchboard
from darwin.safety.switch import OFF
from darwin.store.db import connect
from darwin.store.logs import append
from darwin.store.schema import rollout_events
from darwin.store.watch import LogWatch

ASKED = Candidate(7, 0, 0, 0, LONG, 0, 0, 100.0, 2.0, 4.0)
ACTS = Standing("gate", Model("v", "a" * 64), promoted=True, stage=0.5)
DEMOTED = Standing("gate", Model("v", "a" * 64))


class Deployment:
    """What `resolve` finds: how the gate stands, or that its record was changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.finds: Standing | RecordError = ACTS
        connect(path).close()

    def resolve(self, check: bool) -> Mapping[str, Standing]:
        if isinstance(self.finds, RecordError):
            raise self.finds
        return {"gate": self.finds}

    def grow(self) -> None:
        """Something is written into a log."""
        with connect(self.path) as database, database.write() as connection:
            append(
                connection, rollout_events, agent_name="gate", stage=0.5, by="Ada", reason="",
                override=1, at="2026-01-13T09:30:00Z",
            )  # fmt: skip

    def board(self, journaled: Iterable[Input] = (), *, follows: bool = True) -> Switchboard:
        watch = LogWatch(self.path)
        sources = Sources(OFF, self.path.parent, watch)
        return Switchboard(sources, watch, self.resolve, journaled, follows=follows)


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path / "state.sqlite")


def kinds(board: Switchboard) -> list[str]:
    return [one.kind for one in board.look(ASKED)]


def test_a_record_that_is_damaged_under_a_running_feed_kills_until_it_is_sound(
    deployment: Deployment,
) -> None:
    board = deployment.board()
    board.begin()
    assert kinds(board) == [STANDING]
    deployment.finds = RecordError("was changed", table="rollout_events", seq=2)
    assert kinds(board) == []  # nothing was written, so nothing is looked at
    deployment.grow()
    [killed] = board.look(ASKED)
    assert (killed.kind, killed.by) == (KILLED, "record")
    assert "row 2 of rollout_events was changed" in killed.reason
    assert kinds(board) == []
    deployment.finds = DEMOTED
    assert kinds(board) == [STANDING, ALLOWED]
    assert kinds(board) == []


@pytest.mark.parametrize("follows", [True, False])
def test_a_damaged_record_stops_the_start(deployment: Deployment, follows: bool) -> None:
    deployment.finds = RecordError("was changed", table="rollout_events", seq=2)
    with pytest.raises(RecordError):
        deployment.board(follows=follows).begin()


def test_a_feed_taken_up_again_hears_what_was_said_meanwhile_and_a_replay_does_not(
    deployment: Deployment,
) -> None:
    before = deployment.board()
    before.begin()
    journaled = list(before.look(ASKED))
    deployment.finds = DEMOTED
    for follows, told in ((True, [STANDING]), (False, [])):
        board = deployment.board(journaled, follows=follows)
        assert board.warnings == ()
        board.begin()
        assert kinds(board) == told
        assert kinds(board) == []

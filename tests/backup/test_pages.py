"""The pages of backup and rollback keep their word: each command shown works, in its order."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest

from tests.backup.conftest import STATE, Room, keep
from tests.test_docs import DOCS, fences

VERSION = "20260113_093000"


def commands(page: str) -> list[list[str]]:
    lines = [line for fence in fences(DOCS / page) for line in fence.commands]
    return [shlex.split(line)[1:] for line in lines]


def test_what_the_page_of_backups_shows_works(room: Room) -> None:
    shutil.rmtree(room.folder / "artifacts")
    for run_id in ("btc-breakout", "later"):
        keep(room.folder / STATE, run_id)
    shown = commands("backup.md")
    assert len(shown) == 8
    for words in shown:
        room.done(*words)
    assert Path(room.folder / "facts.jsonl").read_bytes().count(b"\n") == 32


def test_what_the_page_of_rollbacks_shows_works(room: Room, versions: list[str]) -> None:
    shown = commands("rollback.md")
    assert len(shown) == 9
    for words in shown:
        if words[:3] in (["rl", "rollout", "set"], ["rl", "demote", "gate"]):
            continue  # of a promoted agent, below
        room.done(*(versions[0] if word == VERSION else word for word in words))


@pytest.mark.parametrize("act", ["rollout", "demote"])
def test_what_it_shows_for_a_promoted_agent_works(
    act: str, room: Room, versions: list[str]
) -> None:
    [words] = [words for words in commands("rollback.md") if words[1] == act]
    room.done(*words)

"""A small market that turns, and what its agents came to in it: promoted, and some demoted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.run.command import Desk
from tests.run.graduating import AUTO, ROOM, desk_at, serve, turned

SEED, BARS, TURN = 4, 5_200, 0.6


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A finished run whose agents went their way by themselves; to be looked at alone."""
    desk = desk_at(tmp_path_factory.mktemp("lived"))
    serve(desk)
    market = turned(desk.folder / "data", SEED, BARS, TURN)
    done = desk.darwin("run", desk.config(market=market | {"path": "data"}, rl=AUTO, **ROOM))
    assert done.returncode == 0, done.stderr
    (desk.folder / "said.txt").write_text(done.stderr)
    return desk


@pytest.fixture
def life(lived: Desk, tmp_path: Path) -> Desk:
    """A copy of it, to be changed."""
    folder = tmp_path / "life"
    shutil.copytree(lived.folder, folder, symlinks=True)
    return Desk(folder)


def dossiers(desk: Desk) -> list[Path]:
    """The JSON of each, by the number of its act."""
    folder = desk.folder / "artifacts" / "rl_state" / "dossiers"
    return sorted(folder.glob("*.json"), key=lambda path: int(path.stem.rpartition("-")[2]))


def read(path: Path) -> dict[str, Any]:
    """The tree of a dossier."""
    tree: dict[str, Any] = json.loads(path.read_text())
    return tree

"""Deployments to be copied, emptied and rolled back; commands are called in this process."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from darwin.engine.marks import daily_marks
from darwin.rl.graduation import acts
from darwin.rl.registry.deploy import deploy
from darwin.rl.registry.registry import Registry
from darwin.rl.serving.validation import validate_files
from darwin.store.db import connect
from darwin.store.journal import Journal
from darwin.store.runs import begin_run
from darwin.testing.models import make_model
from tests.store.conftest import darwin, facts_of, worked_out  # noqa: F401
from tests.store.verified import sound_identity

STATE = Path("artifacts") / "rl_state" / "agent_state.sqlite"
SIGNED = ("--by", "Ada", "--reason", "a test")


class Said(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def tree(self) -> Any:
        return json.loads(self.out)


class Room:
    """The working directory of a test, and commands in it."""

    def __init__(self, call: Callable[..., tuple[int, str, str]], folder: Path) -> None:
        self._call, self.folder = call, folder

    def asked(self, *words: object) -> Said:
        """Whatever comes of a command."""
        return Said(*self._call(*map(str, words)))

    def done(self, *words: object) -> Said:
        """A command that does what it is told."""
        said = self.asked(*words)
        assert said.code == 0, said.err
        return said

    def refused(self, code: int, *words: object) -> str:
        """A command that is refused, on at most three lines; gives them."""
        said = self.asked(*words)
        at = said.err.find("error: ")
        assert (said.code, at >= 0) == (code, True), said.err
        assert len(said.err[at:].splitlines()) <= 3, said.err
        return said.err[at:]

    def files(self, folder: str | Path = ".") -> dict[str, bytes]:
        """All files but those that SQLite lays beside a database; links by where they lead."""
        root = self.folder / folder
        return {
            path.relative_to(root).as_posix(): (
                str(path.readlink()).encode() if path.is_symlink() else path.read_bytes()
            )
            for path in sorted(root.rglob("*"))
            if (path.is_file() or path.is_symlink()) and not path.name.endswith(("-wal", "-shm"))
        }


def keep(path: Path, run_id: str, *, finished: bool = True, **other: Any) -> None:
    """Record the worked-out run as a replay of that name."""
    run = worked_out()
    with connect(path) as database:
        begun = begin_run(database, sound_identity(run_id, **other), at=datetime.now(UTC))
        journal = Journal(database, begun, run.playbooks)
        if finished:
            journal.append(facts_of(run))
            journal.finish(daily_marks(run.equity))


def trained(folder: Path, agent: str = "gate", seed: int = 0) -> Path:
    """The folder of a small random model."""
    folder.mkdir(parents=True)
    for name, content in make_model(agent, seed=seed).items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(scope="session")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A deployment with three finished runs, to be copied."""
    folder = tmp_path_factory.mktemp("made")
    for run_id in ("first", "second", "third"):
        keep(folder / STATE, run_id)
    run = folder / "artifacts" / "runs" / "first"
    run.mkdir(parents=True)
    (run / "run.log").write_text("run first begins\n")
    return folder / "artifacts"


@pytest.fixture(scope="session")
def _modelled(_made: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The same with two versions of the gate, the second of which serves and is promoted."""
    folder = tmp_path_factory.mktemp("modelled") / "artifacts"
    shutil.copytree(_made, folder)
    names = []
    with connect(folder.parent / STATE) as database:
        registry = Registry(folder / "rl_models", database)
        said: dict[str, Any] = {"by": "Ada", "reason": "a test"}
        for seed in (0, 1):
            given = make_model("gate", seed=seed)
            now = datetime.now(UTC)
            one = deploy(
                registry, "gate", given, **said, now=now, active=False, validate=validate_files
            )
            names.append(one.name)
        acts.promote(database, "gate", one.model, **said, at=now, override=True)
    return folder, names


@pytest.fixture
def room(darwin: Callable[..., tuple[int, str, str]], tmp_path: Path, _made: Path) -> Room:  # noqa: F811
    """A deployment with three finished runs."""
    shutil.copytree(_made, tmp_path / "artifacts")
    return Room(darwin, tmp_path)


@pytest.fixture
def versions(room: Room, _modelled: tuple[Path, list[str]]) -> list[str]:
    """Two versions of the gate in `room`, the second of which serves and is promoted."""
    made, names = _modelled
    shutil.copytree(made, room.folder / "artifacts", symlinks=True, dirs_exist_ok=True)
    return list(names)

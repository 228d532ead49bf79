"""A registry to play with: tiny models, a validator that takes all but one, a clock to hand in."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from darwin.errors import ModelError
from darwin.rl.registry.adoption import start
from darwin.rl.registry.cleanup import cleanup
from darwin.rl.registry.deploy import deploy, take_over, withdraw
from darwin.rl.registry.files import SPEC, WEIGHTS, Files
from darwin.rl.registry.registry import Registry
from darwin.rl.registry.retention import Terms
from darwin.rl.registry.rollback import pin, rollback
from darwin.rl.registry.versions import Shelf, Version
from darwin.store.db import Database, connect

NOW = datetime(2026, 1, 13, 9, 30, tzinfo=UTC)
FIRST = "20260113_093000"
BAD = b"weights of a model that is refused"


def model(what: int | str = 0) -> dict[str, bytes]:
    """Files that differ with `what`."""
    return {SPEC: b'{"agent": "gate"}', WEIGHTS: f"weights {what} ".encode() * 40}


def look(agent: str, files: Files) -> None:
    """Refuse one model, take every other."""
    if files[WEIGHTS] == BAD:
        raise ModelError("the model is refused by its validator", where=agent, mend="train anew")


class Shop:
    """The registry of a folder, one agent of which is played with; a second passes at each act."""

    def __init__(self, folder: Path, agent: str = "gate", empty: Path | None = None) -> None:
        """Open what `folder` holds; `empty` is a database to begin with, which is sooner copied."""
        self.agent, self.now = agent, NOW
        path = folder / "rl_state" / "agent_state.sqlite"
        if empty is not None and not path.exists():
            path.parent.mkdir(parents=True)
            shutil.copy(empty, path)
        self.database: Database = connect(path)
        self.registry = Registry(folder / "rl_models", self.database)
        self.home = self.registry.home(agent)

    @property
    def shelf(self) -> Shelf:
        return self.registry.shelf(self.agent)

    @property
    def serving(self) -> str | None:
        model = self.shelf.serving
        return model and model.version

    @property
    def challenger(self) -> str | None:
        model = self.shelf.challenger
        return model and model.version

    def places(self) -> dict[str, str]:
        return {one.name: str(one.place) for one in self.shelf.versions}

    def kinds(self) -> list[tuple[str, str]]:
        """What is on record, oldest first."""
        with self.database.read() as connection:
            rows = connection.exec_driver_sql("SELECT kind, version FROM model_events ORDER BY id")
            return [tuple(row) for row in rows]

    def later(self, **how: float) -> None:
        self.now += timedelta(**how)

    def _act(self) -> dict[str, object]:
        self.later(seconds=1)
        return {"by": "Ada", "reason": "a test", "now": self.now - timedelta(seconds=1)}

    def deploy(self, what: int | str | dict[str, bytes] = 0, active: bool = False) -> Version:
        given = what if isinstance(what, dict) else model(what)
        how = {"active": active, "validate": look}
        return deploy(self.registry, self.agent, given, **self._act(), **how)

    def rollback(self, version: str) -> Version:
        return rollback(self.registry, self.agent, version, **self._act())

    def pin(self, version: str, pinned: bool = True) -> Version:
        return pin(self.registry, self.agent, version, **self._act(), pinned=pinned)

    def take_over(self) -> Version:
        return take_over(self.registry, self.agent, **self._act())

    def withdraw(self) -> Version:
        return withdraw(self.registry, self.agent, **self._act())

    def cleanup(self, *terms: float) -> list[str]:
        gone = cleanup(self.registry, self.agent, **self._act(), terms=Terms(*terms))
        return [one.name for one in gone]

    def start(self) -> Shelf:
        return start(self.registry, self.agent, now=self.now, validate=look)

    def link(self) -> str:
        return str((self.home.root / "current").readlink())

    def assert_serves(self, version: str, files: dict[str, bytes] | None = None) -> None:
        """That version is what the events say, it can be loaded, and both links lead to it."""
        assert self.serving == version
        loaded = self.registry.load(self.agent, self.shelf.serving)
        if files is not None:
            assert {name: loaded[name] for name in files} == files
        assert self.link() == f"versions/{version}"
        here = self.home.root / "current.zip"
        assert here.read_bytes() == (self.home.folder(version) / "model.zip").read_bytes()

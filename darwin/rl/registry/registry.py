"""The registry of a deployment: a folder of models, and the database that says what they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias

from sqlalchemy import Connection

from darwin.core.agents import Model
from darwin.errors import LockedError, StorageError
from darwin.rl.registry import events, files, folders
from darwin.rl.registry.events import Kind, ModelEvent
from darwin.rl.registry.versions import Place, Shelf, Version, fold
from darwin.store.db import Database

Validate: TypeAlias = Callable[[str, files.Files], object]
"""Look at the files of a model of an agent; raises ModelError where it must not serve."""


@dataclass(frozen=True, slots=True)
class Registry:
    """Where models are kept. What the events say holds; folders and links follow."""

    models_dir: Path
    database: Database
    wait_s: float = 10.0  # for another process that changes something

    def home(self, agent: str) -> folders.Home:
        """The folder of an agent. Raises ConfigError for an unknown one."""
        return folders.Home.of(self.models_dir, agent)

    def shelf(self, agent: str) -> Shelf:
        """The versions of an agent. Raises IntegrityError, StorageError."""
        with self.database.read() as connection:
            return shelf_in(connection, agent)

    def load(self, agent: str, model: Model) -> dict[str, bytes]:
        """Manifest, spec and weights of a version, as they were deployed.

        Raises ModelError where they are missing or anything in the folder is not as it should be.
        """
        return files.load(self.home(agent).folder(model.version), model)

    def point(self, agent: str, serving: Model) -> None:
        """Lead the links to what serves by the events. Raises StorageError, when it serves yet."""
        try:
            folders.point(self.home(agent), serving.version)
        except StorageError as fault:
            fault.mend = (
                f"version {serving.version} serves all the same; when the folder may be written,"
                " `darwin rl models fsck --repair` leads the links to it"
            )
            raise

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep every other process from changing the models meanwhile.

        Raises LockedError where another does for longer than `wait_s`, StorageError.
        """
        from filelock import FileLock, Timeout  # noqa: PLC0415  takes a while; readers need none

        lock = FileLock(self.models_dir / ".lock", timeout=self.wait_s)
        with folders.on_disk(self.models_dir):
            self.models_dir.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(poll_interval=0.01)
            except Timeout:
                raise LockedError(
                    "another process is changing the models",
                    where=str(self.models_dir),
                    mend=f"wait for it; it was given {self.wait_s:g} s",
                ) from None
        try:
            yield
        finally:
            lock.release()


@dataclass(frozen=True, slots=True)
class Act:
    """Whose doing a change is, why and when: what every event of it tells."""

    by: str
    reason: str
    now: datetime

    def note(self, connection: Connection, agent: str, kind: Kind, version: Version) -> None:
        """Write down what happened to a version."""
        told = (version.model, version.zip_sha256, self.by, self.reason, self.now)
        events.note(connection, ModelEvent(agent, kind, *told))


def newcomer(name: str, content: files.Files, now: datetime) -> Version:
    """A version that no event knows yet, from all its files."""
    zipped = sha256(content[files.ZIP]).hexdigest()
    return Version(files.identity(name, content), zipped, Place.ARCHIVED, now)


def shelf_in(connection: Connection, agent: str) -> Shelf:
    """The versions of an agent, as a transaction sees them."""
    return fold(agent, events.events(connection))

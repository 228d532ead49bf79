"""Where the deployment lies that is served."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from darwin.rl.cli.options import Deployment, open_registry
from darwin.rl.registry.registry import Registry
from darwin.store.db import Database, connect, connect_readonly


@dataclass(frozen=True, slots=True)
class Place:
    """The folders and the database of one deployment, as its commands know them."""

    artifacts_dir: str
    db: str | None = None  # None: its usual place below the artifacts
    models_dir: str | None = None

    @property
    def deployment(self) -> Deployment:
        """Its database and its models."""
        return Deployment.of(self.artifacts_dir, self.db, self.models_dir)

    @property
    def artifacts(self) -> Path:
        """Where its files are kept."""
        return Path(self.artifacts_dir)

    @property
    def words(self) -> tuple[str, ...]:
        """What a command must be told to work on this deployment."""
        told = ["--artifacts-dir", self.artifacts_dir]
        if self.db is not None:
            told += ["--db", self.db]
        return tuple(told)

    def make(self) -> None:
        """Make the database where it is missing, and bring an older one up to date.

        Raises StorageError.
        """
        connect(self.deployment.db).close()

    @contextmanager
    def read(self) -> Iterator[Database]:
        """The database, to look at. Raises StorageError."""
        with connect_readonly(self.deployment.db) as database:
            yield database

    @contextmanager
    def write(self) -> Iterator[Database]:
        """The database, to change. Raises StorageError."""
        with connect(self.deployment.db) as database:
            yield database

    @contextmanager
    def registry(self, *, to_change: bool = False) -> Iterator[Registry]:
        """The registry of models, with its database. Raises StorageError."""
        with open_registry(self.deployment, to_change=to_change) as registry:
            yield registry


def now() -> datetime:
    """The wall clock, in UTC."""
    return datetime.now(UTC)

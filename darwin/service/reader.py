"""Reading for many at once: connections that stay open, and agents that are judged once a change.

Nothing here writes. Where another file is put in the database's place, it is opened anew.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select

from darwin.errors import StorageError
from darwin.rl.registry.registry import Registry
from darwin.service import reading
from darwin.service.place import Place
from darwin.store import schema
from darwin.store.db import Database, connect_readonly

THREADS = 32
"""Requests that are worked on at once."""
READERS = 3 * THREADS
"""Connections that may be open at once: one who judges an agent reads within what it reads."""
_AGE = 10.0  # an answer may be so many times as old as it took to make it
_OLDEST_S = 5.0
_BY_THE_CLOCK_S = 60.0  # days held, or the age of a model, grow where nothing changes
_HEADS = (
    schema.model_events, schema.graduation_events, schema.rollout_events, schema.kill_events,
    schema.contracts,
)  # fmt: skip


@dataclass(slots=True)
class _Kept:
    """What was found, of which state of the file, when, and how long that took."""

    tree: Any = None
    state: Any = None
    heads: Any = None
    at: float = 0.0
    took_s: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


class Reader:
    """A deployment as many look at it. Close it at the end."""

    def __init__(self, place: Place) -> None:
        """Open nothing yet."""
        self.place = place
        self._lock = threading.Lock()
        self._database: Database | None = None
        self._inode: tuple[int, int] | None = None
        self._kept: dict[tuple[str, str], _Kept] = {}

    def database(self) -> Database:
        """The database, to look at. Raises StorageError."""
        path = self.place.deployment.db
        try:
            stat = path.stat()
        except OSError:
            self.close()
            raise StorageError(
                "there is no database any more", where=str(path),
                mend="put a backup in its place, or start `darwin serve` again",
            ) from None  # fmt: skip
        with self._lock:
            if self._database is None or self._inode != (stat.st_dev, stat.st_ino):
                if self._database is not None:
                    self._database.close()
                self._database = connect_readonly(path, readers=READERS)
                self._inode = (stat.st_dev, stat.st_ino)
                self._kept = {}
            return self._database

    def registry(self) -> Registry:
        """The registry of models, to look at. Raises StorageError."""
        return Registry(self.place.deployment.models_dir, self.database())

    @contextmanager
    def connection(self) -> Iterator[Any]:
        """One state of the database. Raises StorageError."""
        with self.database().read() as connection:
            yield connection

    def agent_status(self, agent: str) -> dict[str, Any]:
        """An agent as it stands; judged again where the database has changed since.

        While a run writes every second, an answer may be some seconds old, ten times as long as it
        takes to make it at most; what is promoted, deployed, killed or staged shows at once.
        """
        tree: dict[str, Any] = self.once(
            ("status", agent), lambda: reading.agent_status(self.registry(), agent)
        )
        return tree

    def once(self, key: tuple[str, str], make: Callable[[], Any]) -> Any:
        """What `make` finds, made again where the database has changed; see `agent_status`."""
        database = self.database()
        with self._lock:
            kept = self._kept.setdefault(key, _Kept())
        with kept.lock:  # whoever comes meanwhile waits for the one who looks
            state, heads = _state(database), _heads(database)
            age = time.monotonic() - kept.at
            young = age < min(_AGE * kept.took_s, _OLDEST_S) and heads == kept.heads
            same = age < _BY_THE_CLOCK_S and state == kept.state
            if kept.tree is None or not (same or young):
                begun = time.monotonic()
                kept.tree = make()
                kept.at, kept.state, kept.heads = time.monotonic(), state, heads
                kept.took_s = kept.at - begun
            return kept.tree

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._database is not None:
                self._database.close()
            self._database, self._inode, self._kept = None, None, {}


def _state(database: Database) -> Any:
    """What tells one state of all that an agent is judged by from another."""
    newest = [
        select(func.max(table.c.id)).scalar_subquery()
        for table in (
            *schema.FACTS.values(), *schema.BESIDE.values(), *schema.LOGS.values(), schema.runs,
        )
        if "id" in table.c
    ]  # fmt: skip
    with database.read() as connection:
        return tuple(connection.execute(select(*newest)).one())


def _heads(database: Database) -> Any:
    query = select(*(select(func.max(table.c.id)).scalar_subquery() for table in _HEADS))
    with database.read() as connection:
        return tuple(connection.execute(query).one())

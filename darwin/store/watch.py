"""Whether anything was written into the logs of a deployment, asked before every decision."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import NamedTuple

from darwin.errors import RecordError, StorageError
from darwin.store.logs import Tail
from darwin.store.scan import as_text
from darwin.store.schema import kill_events
from darwin.store.sealed import Source

_HEADS = (
    "SELECT (SELECT max(id) FROM model_events), (SELECT max(id) FROM graduation_events),"
    " (SELECT max(id) FROM rollout_events), (SELECT max(id) FROM kill_events)"
)


UNREADABLE = (sqlite3.Error, UnicodeDecodeError, StorageError, RecordError)
"""What comes of a file that cannot be read, or is not as it was written.

The driver's complaint about one that it cannot read may be no text either.
"""


class Kill(NamedTuple):
    """The last word of a person on the kill switch."""

    on: bool
    by: str
    reason: str


class LogWatch:
    """Looks at the logs through a connection of its own; an unchanged file costs a few µs.

    Everything raises one of `UNREADABLE` where the file cannot be read; whoever asks decides what
    to make of that.
    """

    def __init__(self, path: Path) -> None:
        """Open nothing yet."""
        self._path = path
        self._raw: sqlite3.Connection | None = None
        self._file_version: int | None = None
        self._heads: tuple[int | None, ...] = ()
        self._kills = Tail(kill_events)
        self._last_kill: Kill | None = None

    def changed(self) -> bool:
        """Whether a log has grown since this was last asked; yes at the first time."""
        version = self._ask("PRAGMA data_version")[0]
        if version == self._file_version:
            return False
        heads = self._ask(_HEADS)
        self._file_version = version
        grown, self._heads = heads != self._heads, heads
        return grown

    def last_kill(self) -> Kill | None:
        """What was last said of the kill switch; None: nothing ever was. A damaged word kills.

        Each row is held against its seal, once. Raises RecordError where one was changed.
        """
        for row in self._kills.newer(Source(self._connection(), self._path)):
            self._last_kill = Kill(row["kind"] != "off", row["by"], row["reason"])
        return self._last_kill

    def close(self) -> None:
        """Let go of the file."""
        if self._raw is not None:
            self._raw.close()
            self._raw = None

    def _ask(self, query: str) -> tuple[int | None, ...]:
        found: tuple[int | None, ...] = self._connection().execute(query).fetchone()
        return found

    def _connection(self) -> sqlite3.Connection:
        if self._raw is None:
            address = self._path.absolute().as_uri() + "?mode=ro"
            self._raw = sqlite3.connect(address, uri=True, isolation_level=None)
            self._raw.text_factory = as_text
        return self._raw

"""The kill switch as persons have set it: rows of `kill_events`, the last of which holds."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection

from darwin.store import logs
from darwin.store.db import Database
from darwin.store.runs import iso_time
from darwin.store.schema import kill_events


class Said(NamedTuple):
    """One row: what a person said of the kill switch."""

    on: bool
    by: str
    reason: str
    at: str  # wall clock, ISO 8601 UTC


def last_said(connection: Connection) -> Said | None:
    """What holds; None: nothing was ever said. Raises RecordError where a row was changed."""
    said = None
    for row in logs.sound_rows_in(connection, kill_events):
        said = Said(row["kind"] != "off", row["by"], row["reason"], row["at"])
    return said


def switch_on(database: Database, *, by: str, reason: str, at: datetime) -> None:
    """Let no agent act from the next decision on. Raises StorageError."""
    with database.write() as connection:
        _append(connection, "on", by, reason, at)


def switch_off(
    database: Database, *, by: str, reason: str, at: datetime, also: bool = False
) -> Said | None:
    """Release what was switched on; gives that, None where nothing was.

    It is written down where something was, or where it is `also` about a file.
    Raises StorageError, and RecordError where the log was changed: what it says releases nothing.
    """
    with database.write() as connection:
        said = last_said(connection)
        released = said if said is not None and said.on else None
        if released is not None or also:
            _append(connection, "off", by, reason, at)
        return released


def _append(connection: Connection, kind: str, by: str, reason: str, at: datetime) -> None:
    row = {"kind": kind, "by": by, "reason": reason, "at": iso_time(at)}
    logs.append(connection, kill_events, **row)

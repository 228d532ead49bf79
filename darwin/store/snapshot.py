"""One state of the database, held while others write: what to read of it, and a copy of all of it.

SQLite's online backup copies page by page under a read transaction: whoever writes goes on, into
the write-ahead log, and none of it is in the copy. What was asked of the snapshot before is of the
same state, which is how a backup knows the models and runs that its database knows.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, select

from darwin.store.db import Database
from darwin.store.faults import damaged, explain
from darwin.store.runs import Standing, standing_of
from darwin.store.scan import raw_of
from darwin.store.schema import LOGS, runs


class Kept(NamedTuple):
    """How far a run was kept."""

    run_id: str
    mode: str  # replay or feed
    finished: bool
    facts: int
    head: str  # hash of the last of them; 64 hex digits
    config_json: str


@contextmanager
def snapshot(database: Database) -> Iterator[Connection]:
    """A transaction that sees the file as it is now, and goes on seeing it. Raises StorageError."""
    with database.read() as connection:
        connection.exec_driver_sql("SELECT count(*) FROM sqlite_master")  # from here on
        yield connection


def copy_to(connection: Connection, path: Path) -> None:
    """Copy what a snapshot sees into a new file, and wait until it is on disk.

    Raises StorageError.
    """
    with raw_of(connection) as raw:
        try:
            with closing(sqlite3.connect(path)) as target:
                raw.backup(target)
        except sqlite3.Error as fault:
            raise explain(fault, path) from fault
    with path.open("rb") as file:
        os.fsync(file.fileno())


def kept_runs(connection: Connection) -> list[Kept]:
    """Every run, in the order in which they were begun. Raises IntegrityError for a changed one."""
    found = []
    for row in connection.execute(select(runs).order_by(runs.c.number)).all():
        run = standing_of(connection, row)
        finished = run.standing is Standing.FINISHED
        place = (run.place.facts, run.place.head.hex())
        who = (run.run_id, run.identity.mode)
        found.append(Kept(*who, finished, *place, run.identity.config_json))
    return found


def heads_of_logs(connection: Connection) -> dict[str, tuple[int, str]]:
    """Of each log of the deployment how many rows it has, and the seal of the newest in hex."""
    found = {}
    for name, log in LOGS.items():
        newest = connection.execute(
            select(log.c.id, log.c.seal).order_by(log.c.id.desc()).limit(1)
        ).one_or_none()
        found[name] = (0, "") if newest is None else (int(newest.id), newest.seal.hex())
    return found


def require_whole(connection: Connection, path: Path) -> None:
    """Let SQLite read all of the file. Raises DamagedError, saying what it found first."""
    with raw_of(connection) as raw:
        try:
            said = [str(row[0]) for row in raw.execute("PRAGMA integrity_check(1)")]
        except sqlite3.Error as fault:
            raise explain(fault, path) from fault
    if said != ["ok"]:
        error = damaged(path)
        error.what = f"{error.what}: {' '.join(said[0].split())[:120]}"
        raise error

"""Old runs move into a database of their own, which is read as this one is.

A run is copied row by row under its number, so its ids, chain and seals hold there as they do
here; the logs of the deployment, which are one sequence each, are copied whole and stay here too.
Nothing is removed before the copy is proven. Then each run goes in one transaction, together with
the row that says where it went (`service_acts`, act `archive`), so that no moment and no crash
leaves it in neither file, and its name is never given to another.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import BLOB, TEXT, Column, Connection, Table, delete, func, select

from darwin.errors import StorageError
from darwin.store import logs, schema
from darwin.store.archived import ACT
from darwin.store.db import Database, connect
from darwin.store.faults import explain
from darwin.store.runs import iso_time

_ROWS = (*schema.FACTS.values(), *schema.BESIDE.values())
_DONE = 200  # of an act that was done, as the log has it


class Old(NamedTuple):
    """A run, as a candidate for an archive."""

    run_id: str
    number: int
    finished_at: str | None  # wall clock, ISO 8601 UTC
    facts: int
    bytes: int  # of what its rows hold


def old_runs(connection: Connection, before: datetime) -> list[Old]:
    """The runs that were begun before a moment, the oldest first, whether or not they may go."""
    states = schema.run_states.c
    query = (
        select(schema.runs.c.run_id, schema.runs.c.number, states.finished_at, states.facts)
        .join(schema.run_states, states.run_id == schema.runs.c.run_id)
        .where(schema.runs.c.started_at < iso_time(before))
        .order_by(schema.runs.c.number)
    )
    return [Old(*row, _bytes_of(connection, row.number)) for row in connection.execute(query)]


def kept_by_the_file(connection: Connection, run: Old, before: datetime) -> str:
    """What of this file alone stands against moving a run; empty: nothing."""
    if run.finished_at is None:
        return "it is not finished"
    if run.finished_at >= iso_time(before):
        return f"it was finished at {run.finished_at}, which is not before then"
    newest = connection.execute(select(func.max(schema.runs.c.number))).scalar()
    if run.number == newest:
        return "it was begun last, and its number must not be given again"
    acts = select(schema.acts.c.id).where(schema.acts.c.run_id == run.run_id).limit(1)
    if connection.execute(acts).first() is not None:
        return "a person released it: what persons asked of runs is one numbered log"
    return ""


def copy_runs(database: Database, moved: Sequence[Old], path: Path) -> None:
    """Make a database of these runs at `path`, with all logs. Raises StorageError."""
    connect(path).close()
    source = f"{database.path.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(path.absolute().as_uri(), uri=True)) as raw:
            raw.isolation_level = None
            raw.execute("PRAGMA foreign_keys = ON")
            raw.execute("ATTACH DATABASE ? AS live", (source,))
            raw.execute("BEGIN IMMEDIATE")
            for run in moved:
                _insert(raw, schema.runs, "number = ?", run.number)
                for table in _ROWS:
                    _insert(raw, table, "id > ? AND id <= ?", *schema.id_range(run.number))
            for log in schema.LOGS.values():
                _insert(raw, log, "1")
            raw.execute("COMMIT")
            raw.execute("DETACH DATABASE live")
            raw.execute("PRAGMA journal_mode = DELETE")  # one file, which nobody writes to again
    except sqlite3.Error as fault:
        raise explain(fault, path) from fault


def remove(
    database: Database,
    run: Old,
    file: str,
    sha256: str,
    *,
    by: str,
    reason: str,
    at: datetime,
    objection: Callable[[Connection], str],
) -> None:
    """Take a run out of the database and write down where it is, in one transaction.

    Raises StorageError where something has come to stand against it meanwhile; then it stays.
    """
    told = {
        "run_id": run.run_id, "number": run.number, "facts": run.facts,
        "file": file, "sha256": sha256,
    }  # fmt: skip
    with database.write() as connection:
        if why := objection(connection):
            raise StorageError(
                f"run '{run.run_id}' stays: {why}",
                where=str(database.path),
                mend=f"the copy in {file} is whole all the same; archive the others again",
            )
        mine = schema.id_range(run.number)
        for table in reversed(_ROWS):
            connection.execute(delete(table).where(table.c.id.between(*mine)))
        gone = delete(schema.runs).where(schema.runs.c.number == run.number)
        if connection.execute(gone).rowcount != 1:
            raise StorageError(
                f"run '{run.run_id}' is not here any more: another has moved it meanwhile",
                where=str(database.path),
                mend=f"the copy in {file} is one too many, the log of acts names the other",
            )
        logs.append(
            connection, schema.service_acts, act=ACT, by=by, role="", reason=reason,
            detail=json.dumps(told, sort_keys=True), status=_DONE, at=iso_time(at),
        )  # fmt: skip


def _insert(raw: sqlite3.Connection, table: Table, where: str, *values: int) -> None:
    columns = ", ".join(f'"{c.name}"' for c in table.c if c.computed is None)
    raw.execute(
        f"INSERT INTO main.{table.name} ({columns})"  # noqa: S608
        f" SELECT {columns} FROM live.{table.name} WHERE {where} ORDER BY rowid",
        values,
    )


def _bytes_of(connection: Connection, number: int) -> int:
    """What the rows of a run hold: texts and bytes by their length, each number as 8."""
    whole = 0
    for table in _ROWS:
        sizes = [
            func.coalesce(func.length(column), 0) if _is_long(column) else 8
            for column in table.c
            if column.computed is None
        ]
        mine = table.c.id.between(*schema.id_range(number))
        size = select(func.coalesce(func.sum(sum(sizes[1:], sizes[0])), 0)).where(mine)
        whole += int(connection.execute(size).scalar_one())
    return whole


def _is_long(column: Column[Any]) -> bool:
    return isinstance(column.type, TEXT | BLOB)

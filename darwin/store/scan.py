"""Rows as they stand in the file, read so that damage shows.

No index is asked, no text is refused, and a page that cannot be read ends a scan without an error
of its own: the rows before it are handed out, `broken` says why there are no more.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from sqlalchemy import BLOB, INTEGER, REAL, TEXT, Connection, Table

from darwin.store.db import Database
from darwin.store.faults import explain

Stored: TypeAlias = tuple[Any, ...]
"""The values of a row in the order of its table's columns; each may be of any type."""

EVERY_ROW = (-(1 << 63), (1 << 63) - 1)
"""What the ids of all rows lie above, and up to."""

_ROWS_AT_ONCE = 1_000
_SHOWN = 100
_NO_DAMAGE = {
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY, sqlite3.SQLITE_INTERRUPT,
}  # fmt: skip
_HOLDS: dict[type, tuple[type, str]] = {
    INTEGER: (int, "whole number"),
    REAL: (float, "number"),
    TEXT: (str, "text"),
    BLOB: (bytes, "bytes"),
}


@contextmanager
def as_it_stands(database: Database) -> Iterator[sqlite3.Connection]:
    """One state of the file, its texts whatever bytes they hold: what is no UTF-8 is escaped."""
    with database.read() as connection, raw_of(connection) as raw:
        yield raw


@contextmanager
def raw_of(connection: Connection) -> Iterator[sqlite3.Connection]:
    """The same of the file that a transaction is about, as that transaction sees it."""
    raw: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]
    before = raw.text_factory
    raw.text_factory = as_text
    try:
        yield raw
    finally:
        raw.text_factory = before


as_text = partial(str, encoding="utf-8", errors="surrogateescape")
"""What makes a text of whatever bytes a damaged file has: its seal tells that it is none."""


class Scan:
    """The rows of one table with ids above `first` up to `last`, in the order of the file."""

    def __init__(
        self, raw: sqlite3.Connection, path: Path, table: Table, first: int, last: int
    ) -> None:
        """Read nothing yet; `path` is named where the file refuses for another cause."""
        self.table, self.broken = table, ""
        self._raw, self._path, self._bounds = raw, path, (first, last)
        columns = ", ".join(f't."{column.name}"' for column in table.c)
        self._select = (
            f"SELECT {columns} FROM {table.name} AS t NOT INDEXED"  # noqa: S608
            " WHERE t.rowid > ? AND t.rowid <= ?"
        )

    def pages(self) -> Iterator[list[Stored]]:
        """The rows, some at a time; up to the first that cannot be read."""
        read = 0
        try:
            cursor = self._raw.execute(self._select, self._bounds)
            while rows := cursor.fetchmany(_ROWS_AT_ONCE):
                read += len(rows)
                yield rows
        except DAMAGE as fault:
            self.broken = why(fault, self._path)
            if rows := self._up_to_damage(read):
                yield rows

    def _up_to_damage(self, read: int) -> list[Stored]:
        """The rows after the first `read` ones that the driver lost as it looked ahead."""
        found: list[Stored] = []
        most = _ROWS_AT_ONCE
        while len(found) < most:
            tried = (len(found) + most + 1) // 2
            limited = f"{self._select} LIMIT {tried} OFFSET {read}"
            try:
                found = self._raw.execute(limited, self._bounds).fetchall()
            except DAMAGE:
                most = tried - 1
            else:
                if len(found) < tried:
                    break
        return found


DAMAGE = (sqlite3.Error, UnicodeDecodeError)
"""What the driver raises on a damaged file; its complaint may be no text either."""


def why(fault: sqlite3.Error | UnicodeDecodeError, path: Path) -> str:
    """Say what the driver says of a page. Raises StorageError where it is not about a page."""
    if isinstance(fault, UnicodeDecodeError):
        return "no such thing in the file"
    code = getattr(fault, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in _NO_DAMAGE or isinstance(fault, sqlite3.ProgrammingError):
        raise explain(fault, path) from fault
    return printable(str(fault))


def as_columns(table: Table, rows: Sequence[Stored]) -> Mapping[str, Sequence[Any]]:
    """Rows as columns by name."""
    return dict(zip(table.c.keys(), zip(*rows, strict=True), strict=True))


def wrong_type(table: Table, row: Stored) -> str:
    """Say which value of a row is none that its column may hold; empty where all are sound."""
    for column, value in zip(table.c, row, strict=True):
        kind, name = _HOLDS[type(column.type)]
        if value is None:
            if not column.nullable:
                return f"has nothing in {column.name}"
        elif not isinstance(value, kind):
            return f"has no {name} in {column.name}"
        elif isinstance(value, str) and not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                return f"has no UTF-8 in {column.name}"
    return ""


def printable(text: object) -> str:
    """What a damaged file says, fit for a terminal."""
    return ascii(str(text))[1:-1][:_SHOWN]

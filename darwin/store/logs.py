"""The logs of the deployment, which belong to no run: append a row, read them, prove them sound.

Rows are numbered from 1 without gap. `seal = sha256(seal of the row before + canonical line)` over
all columns but the seal, the first row hanging on nothing; see `store.chain`. A seal shows what was
changed, lost from the middle or added. That the newest rows were cut off it cannot show.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, RowMapping, Table, insert, select

from darwin.errors import RecordError
from darwin.store import chain
from darwin.store.held import require_held
from darwin.store.scan import EVERY_ROW, Scan, Stored, as_columns, raw_of, wrong_type
from darwin.store.schema import LOGS
from darwin.store.sealed import CHANGED, Source


def append(connection: Connection, table: Table, **values: object) -> int:
    """Add a row to one of `schema.LOGS` within a write transaction; gives its number.

    `values` names every column but `id` and `seal`; a late one that says nothing may be left out.
    Raises LostJobError in a worker whose job was given up (`store.held`).
    """
    require_held(connection)
    newest = connection.execute(
        select(table.c.id, table.c.seal).order_by(table.c.id.desc()).limit(1)
    ).one_or_none()
    before, seal = (0, b"") if newest is None else (newest.id, newest.seal)
    row = {"id": before + 1} | values
    lines = chain.sealed_lines(table, {name: [value] for name, value in row.items()})
    connection.execute(insert(table), row | {"seal": chain.link(seal, lines)[0]})
    return before + 1


def read(connection: Connection, table: Table, after: int = 0) -> list[RowMapping]:
    """The rows after number `after`, oldest first, as they stand; no seal is looked at."""
    rows = connection.execute(select(table).where(table.c.id > after).order_by(table.c.id))
    return list(rows.mappings())


def sound_rows(source: Source, table: Table) -> Iterator[Mapping[str, Any]]:
    """Every row, oldest first. Raises RecordError at the first that is not what was appended."""
    return Tail(table).newer(source)


def sound_rows_in(connection: Connection, table: Table) -> list[Mapping[str, Any]]:
    """The same, as a transaction sees them; the error says which file, and what to do about it."""
    return newer_in(connection, Tail(table))


def newer_in(connection: Connection, tail: Tail) -> list[Mapping[str, Any]]:
    """What `tail` was not asked for yet, as a transaction sees it; errors as above."""
    path = Path(connection.exec_driver_sql("PRAGMA database_list").all()[0][2])
    try:
        with raw_of(connection) as raw:
            return list(tail.newer(Source(raw, path)))
    except RecordError as fault:
        fault.where, fault.mend = str(path), "put a backup of the database in its place"
        raise


class Tail:
    """A log as it grows: each row is held against its seal once."""

    def __init__(self, table: Table) -> None:
        """Know no row yet."""
        self.table = table
        self._count, self._seal = 0, b""

    def newer(self, source: Source) -> Iterator[Mapping[str, Any]]:
        """The rows that nobody was given yet, oldest first.

        Raises RecordError at the first that is not what was appended, and where the newest of
        those that were given is no longer there; asked again, it looks at the same rows again.
        """
        table, given = self.table, self._count
        bounds = (given - 1, EVERY_ROW[1]) if given else EVERY_ROW
        scan, due = Scan(*source, table, *bounds), max(given, 1)
        for page in scan.pages():
            lines = chain.sealed_lines(table, as_columns(table, page))
            for row, line in zip(page, lines, strict=True):
                told = dict(zip(table.c.keys(), row, strict=True))
                known = due == given
                seal = self._seal if known else chain.link(self._seal, [line])[0]
                _require(table, row, told, due, seal)
                self._count, self._seal, due = due, seal, due + 1
                if not known:
                    yield told
        if scan.broken:
            raise RecordError(f"cannot be read ({scan.broken})", table=table.name, seq=due)
        if given and due == given:
            raise RecordError("is gone", table=table.name, seq=given)


def require_sound(source: Source) -> None:
    """Read all logs. Raises RecordError, which names the first row that is not as appended."""
    for table in LOGS.values():
        for _ in sound_rows(source, table):
            pass


def _require(table: Table, row: Stored, told: Mapping[str, Any], due: int, seal: bytes) -> None:
    number = told["id"]
    if number > due:
        raise RecordError(f"is missing, row {number:,} follows", table=table.name, seq=due)
    if number < due:
        raise RecordError("is out of its place", table=table.name, seq=number)
    if seal != told["seal"]:
        what = wrong_type(table, row) or CHANGED
        raise RecordError(what, table=table.name, seq=number)

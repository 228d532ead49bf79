"""A run's facts as lines: what the chain hashes, and what two runs are compared by."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, Table, select

from darwin.store import chain, schema
from darwin.store.db import Database
from darwin.store.runs import Begun

_ROWS_AT_ONCE = 2_000


class Line(NamedTuple):
    """One fact as it is stored."""

    seq: int
    table: str
    run_id: str
    hash: bytes
    text: bytes  # canonical JSON, without a line feed


def export_lines(database: Database, run: Begun, only: Sequence[str] = ()) -> Iterator[bytes]:
    """The canonical lines of a run's facts, in the order of events; those of `only`, if given.

    No place, no hash, no wall clock: two runs that did the same give the same bytes.
    """
    tables = [schema.FACTS[name] for name in only] if only else list(schema.FACTS.values())
    with database.read() as connection:
        for line in stored_lines(connection, run.number, tables):
            yield line.text + b"\n"


def stored_lines(
    connection: Connection, number: int, tables: Sequence[Table] = tuple(schema.FACTS.values())
) -> Iterator[Line]:
    """The facts of run `number` as stored in `tables`, in the order of their places."""
    return heapq.merge(*(_lines_of(connection, table, number) for table in tables))


def fact_rows(table: Table) -> Select[Any]:
    """Select what `as_lines` reads of a chained table, in the order of ids."""
    return select(*(c for c in table.c if c.name != "seq")).order_by(table.c.id)


def as_lines(table: Table, rows: Sequence[Row[Any]], base: int) -> list[Line]:
    """Rows of `fact_rows` as lines; `base` is the id that the run's first one follows."""
    if not rows:
        return []
    columns = dict(zip(rows[0]._fields, zip(*rows, strict=True), strict=True))
    texts = chain.lines(table, columns)
    return [
        Line(row.id - base, table.name, row.run_id, row.hash, text)
        for row, text in zip(rows, texts, strict=True)
    ]


def _lines_of(connection: Connection, table: Table, number: int) -> Iterator[Line]:
    """Read one table in the order of its ids, some rows at a time."""
    first, last = schema.id_range(number)
    after = first
    while True:
        page = fact_rows(table).where(table.c.id > after, table.c.id <= last).limit(_ROWS_AT_ONCE)
        lines = as_lines(table, connection.execute(page).all(), first)
        if not lines:
            return
        yield from lines
        after = first + lines[-1].seq

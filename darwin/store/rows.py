"""Rows as they go into the file: chained facts, and sealed rows beside the chain."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from sqlalchemy import Connection, Table, func, insert, select

from darwin.store import chain
from darwin.store.columns import Columns
from darwin.store.schema import id_range

_ROWS_AT_ONCE = 1000


def insert_facts(connection: Connection, table: Table, run_id: str, columns: Columns) -> None:
    """Insert equally long columns, `id` and `hash` among them, into a chained table."""
    _insert(connection, table, dict(columns) | {"run_id": [run_id] * len(columns["id"])})


Tail = tuple[int, bytes]
"""Id and seal of the last row that a run has in a table beside the chain."""


def add_beside(
    connection: Connection,
    table: Table,
    run_id: str,
    number: int,
    columns: Columns,
    after: Tail | None = None,
) -> Tail:
    """Append rows to a table beside the chain, numbered and sealed after those the run has.

    `after` is the last of these, for whoever knows it; returns the new last one.
    """
    before, seal = after or _newest(connection, table, number)
    count = len(next(iter(columns.values())))
    rows = dict(columns) | {"id": range(before + 1, before + 1 + count), "run_id": [run_id] * count}
    seals = chain.link(seal, chain.sealed_lines(table, rows))
    _insert(connection, table, rows | {"seal": seals})
    return before + count, seals[-1]


def newest_seal(connection: Connection, table: Table, number: int) -> bytes:
    """The seal of the last row that run `number` has beside the chain; empty without any."""
    return _newest(connection, table, number)[1]


def count_beside(
    connection: Connection, table: Table, number: int, but_for: Sequence[str] = ()
) -> int:
    """How many rows run `number` has there, `but_for` some kinds."""
    mine = [table.c.id.between(*id_range(number))]
    if but_for:
        mine.append(table.c.kind.not_in(but_for))
    return connection.execute(select(func.count()).select_from(table).where(*mine)).scalar_one()


def _newest(connection: Connection, table: Table, number: int) -> Tail:
    """Id and seal of the last row of run `number`, or what its first row follows."""
    first, last = id_range(number)
    newest = connection.execute(
        select(table.c.id, table.c.seal)
        .where(table.c.id.between(first, last))
        .order_by(table.c.id.desc())
        .limit(1)
    ).one_or_none()
    return (first, b"") if newest is None else (newest.id, newest.seal)


def _insert(connection: Connection, table: Table, columns: Columns) -> None:
    """Insert all rows; the statement is compiled once and fed with tuples, not dictionaries."""
    statement, names = _statement(connection, table, tuple(columns))
    feed = zip(*(columns[name] for name in names), strict=True)
    while rows := list(islice(feed, _ROWS_AT_ONCE)):
        connection.exec_driver_sql(statement, rows)


def _statement(
    connection: Connection, table: Table, names: tuple[str, ...]
) -> tuple[str, list[str]]:
    key = (table.name, names)
    if key not in _COMPILED:
        compiled = insert(table).compile(connection, column_keys=names)
        _COMPILED[key] = str(compiled), list(compiled.positiontup or [])
    return _COMPILED[key]


_COMPILED: dict[tuple[str, tuple[str, ...]], tuple[str, list[str]]] = {}

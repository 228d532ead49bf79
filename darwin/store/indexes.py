"""What the indexes of the file say of a run: asked for what tables have lost, and checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from darwin.errors import IntegrityError, RecordError
from darwin.store import schema
from darwin.store.scan import DAMAGE, EVERY_ROW, why
from darwin.store.sealed import Source

_TABLES = [schema.runs, *schema.FACTS.values(), *schema.BESIDE.values()]
_TOO_MUCH = "knows rows that are not there"


class Entry(NamedTuple):
    """What an index knows of a fact."""

    table: str
    candidate_id: str  # empty where the index has none


def remembers(source: Source, run_id: str) -> bool:
    """Whether anything but the rows of `runs` knows a run of that name."""
    by_name = "SELECT 1 FROM runs INDEXED BY sqlite_autoindex_runs_1 WHERE run_id = ?"
    begun = "SELECT 1 FROM run_events NOT INDEXED WHERE run_id = ?"
    return any(_ask(source, query, run_id) for query in (by_name, begun))


def put_aside(source: Source, run_id: str) -> str:
    """The table that a migration has put a run of that name aside in; empty: none."""
    old = "SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB 'before_????_runs'"
    for (name,) in _ask(source, old):
        if _ask(source, f"SELECT 1 FROM {name} WHERE run_id = ?", run_id):  # noqa: S608
            return str(name)
    return ""


def entry_of(source: Source, run_id: str, fact: int) -> Entry | None:
    """What the indexes know of the fact with id `fact`, whether or not its row can be found."""
    for table in schema.FACTS.values():
        for index, columns in _indexes(source, table.name):
            shown = "candidate_id" if "candidate_id" in columns else "''"
            query = (
                f"SELECT {shown} FROM {table.name} INDEXED BY {index}"  # noqa: S608
                " WHERE run_id = ? AND +rowid = ?"
            )
            if found := _ask(source, query, run_id, fact):
                return Entry(table.name, str(found[0][0]))
    return None


def require_agreement(source: Source, run_id: str, number: int) -> None:
    """Hold the rows of a run against the indexes of their tables, both ways.

    Raises RecordError for a row elsewhere that carries the name of the run, and for one that an
    index does not know as it is; IntegrityError for an index that knows rows that are not there,
    or cannot be read.
    """
    for table in _TABLES:
        name = table.name
        bounds = EVERY_ROW if table is schema.runs else schema.id_range(number)
        indexes = _indexes(source, name)
        for index, columns in indexes:
            _require_known(source, name, index, columns, bounds)
            if columns[0] == "run_id" and table is not schema.runs:
                _require_no_others(source, name, index, run_id, bounds)
                _require_no_more(source, name, index, run_id, bounds)
        if not any(columns[0] == "run_id" for _, columns in indexes):
            _require_no_others(source, name, None, run_id, bounds)


def _require_known(
    source: Source, table: str, index: str, columns: Sequence[str], bounds: tuple[int, int]
) -> None:
    same = " AND ".join(f'i."{column}" IS t."{column}"' for column in columns)
    query = (
        f"SELECT t.rowid FROM {table} AS t NOT INDEXED"  # noqa: S608
        " WHERE t.rowid > ? AND t.rowid <= ? AND NOT EXISTS"
        f" (SELECT 1 FROM {table} AS i INDEXED BY {index} WHERE {same} AND i.rowid = t.rowid)"
    )
    for found in _require(source, index, query, *bounds):
        seq = None if table == "runs" else found - bounds[0]
        error = RecordError(f"is not as the index {index} knows it", table=table, seq=seq)
        error.mend = _reindex(source)
        raise error


def _require_no_others(
    source: Source, table: str, index: str | None, run_id: str, bounds: tuple[int, int]
) -> None:
    how = f"INDEXED BY {index}" if index else "NOT INDEXED"
    query = (
        f"SELECT rowid FROM {table} {how}"  # noqa: S608
        " WHERE run_id = ? AND NOT (rowid > ? AND rowid <= ?)"
    )
    there = f"SELECT 1 FROM {table} NOT INDEXED WHERE rowid = ? AND run_id = ?"  # noqa: S608
    for found in _require(source, index or table, query, run_id, *bounds):
        if index and not _require(source, table, there, found, run_id):
            raise _broken(source, index, _TOO_MUCH)
        other, seq = found >> schema.SEQ_BITS, found & (1 << schema.SEQ_BITS) - 1
        what = f"of run number {other} stands under the name of this run"
        raise RecordError(what, table=table, seq=seq)


def _require_no_more(
    source: Source, table: str, index: str, run_id: str, bounds: tuple[int, int]
) -> None:
    rows = f"SELECT count(*) FROM {table} NOT INDEXED WHERE rowid > ? AND rowid <= ?"  # noqa: S608
    entries = f"SELECT count(*) FROM {table} INDEXED BY {index} WHERE run_id = ?"  # noqa: S608
    if _require(source, index, rows, *bounds) != _require(source, index, entries, run_id):
        raise _broken(source, index, _TOO_MUCH)


def _require(source: Source, index: str, query: str, *values: object) -> list[int]:
    """The first number that a query finds. Raises IntegrityError where the file cannot answer."""
    try:
        return [found for (found,) in source.raw.execute(query + " LIMIT 1", values)]
    except DAMAGE as fault:
        raise _broken(source, index, f"cannot be read ({why(fault, source.path)})") from fault


def _broken(source: Source, index: str, what: str) -> IntegrityError:
    return IntegrityError(
        f"the index {index} {what}; the rows of the run are as they were recorded",
        where=str(source.path),
        mend=_reindex(source),
    )


def _reindex(source: Source) -> str:
    return f"`sqlite3 {source.path} REINDEX` makes the indexes anew, then verify again"


def _indexes(source: Source, table: str) -> list[tuple[str, list[str]]]:
    """The indexes of a table as the file has them: name and columns."""
    names = [str(row[1]) for row in _ask(source, f"PRAGMA index_list({table})")]
    return [
        (name, [str(row[2]) for row in _ask(source, f"PRAGMA index_info({name})")])
        for name in names
        if name.isascii() and name.isidentifier()
    ]


def _ask(source: Source, query: str, *values: object) -> list[tuple[object, ...]]:
    """Rows of a query; none where the file cannot answer."""
    try:
        return source.raw.execute(query, values).fetchall()
    except DAMAGE as fault:
        why(fault, source.path)
        return []

"""The chain: one canonical line per fact, and the hash that links it to all facts before it.

`hash = sha256(prev_hash + line)`; the line is what `darwin ledger export` prints: JSON with sorted
keys, the kind of fact under `fact`, floats as Python writes them (the shortest text that reads
back as the same float), bytes in hex. The first link hangs on what makes the run this run.

The chain is not keyed: it shows what was changed, lost or added, not who rewrote all of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from json.encoder import encode_basestring_ascii
from typing import Any

from sqlalchemy import BLOB, INTEGER, REAL, TEXT, Column, Table

_LINKS = ("id", "seq", "run_id", "hash", "prev_hash")  # say where a fact stands, not what it says
_MEASURED = ("latency_us",)  # by the wall clock: no two runs agree on it


def content(table: Table) -> list[Column[Any]]:
    """The columns of a chained table that make its line, sorted by name."""
    left_out = _LINKS + _MEASURED
    return sorted((c for c in table.c if c.name not in left_out), key=lambda column: column.name)


def lines(table: Table, rows: Mapping[str, Sequence[object]]) -> list[bytes]:
    """One canonical line for each row of `table`, given as columns of plain values.

    A column that came with a later schema (`since`) is in the lines where it says something, so
    that a line of before is what it was.
    """
    return _lines(table, content(table), rows)


def sealed_lines(table: Table, rows: Mapping[str, Sequence[object]]) -> list[bytes]:
    """The same of a table beside the chain: every column but the seal itself.

    A late column that `rows` leaves out says nothing.
    """
    columns = sorted((c for c in table.c if c.name != "seal"), key=lambda column: column.name)
    return _lines(table, [c for c in columns if c.name in rows or not is_late(c)], rows)


def is_late(column: Column[Any]) -> bool:
    """Whether it came with a later schema."""
    return "since" in column.info


def _lines(
    table: Table, columns: list[Column[Any]], rows: Mapping[str, Sequence[object]]
) -> list[bytes]:
    for late in (column.name for column in columns if is_late(column)):
        silent = [value is None for value in rows[late]]
        if all(silent):
            columns = [column for column in columns if column.name != late]
        elif any(silent):
            alone = (
                {name: values[i : i + 1] for name, values in rows.items()}
                for i in range(len(silent))
            )
            return [line for row in alone for line in _lines(table, columns, row)]
    return _joined(table.name, [(c.name, _texts(c, rows[c.name])) for c in columns])


def link(head: bytes, facts: Iterable[bytes]) -> list[bytes]:
    """The hash of each line, in order, the first hanging on `head`."""
    hashes = []
    for line in facts:
        head = sha256(head + line).digest()
        hashes.append(head)
    return hashes


def genesis(identity: Mapping[str, object]) -> bytes:
    """What the first fact of a run hangs on."""
    return sha256(json.dumps(identity, sort_keys=True, separators=(",", ":")).encode()).digest()


def _joined(kind: str, parts: Sequence[tuple[str, Sequence[str]]]) -> list[bytes]:
    named = dict(parts) | {"fact": None}
    pattern = ",".join(
        f'"{name}":"{kind}"' if texts is None else f'"{name}":%s'
        for name, texts in sorted(named.items())
    )
    write = ("{" + pattern + "}").__mod__
    return [write(row).encode() for row in zip(*(texts for _, texts in sorted(parts)), strict=True)]


def _texts(column: Column[Any], values: Sequence[object]) -> list[str]:
    """Values of one column as JSON.

    A damaged file may hand out values of any type: they get a text that no sound value has.
    """
    write = _WRITERS[type(column.type)]
    try:
        if column.nullable:
            return ["null" if value is None else write(value) for value in values]
        return list(map(write, values))
    except TypeError:
        return [_odd(write, value) for value in values]


def _odd(write: Callable[[Any], str], value: object) -> str:
    if value is None:
        return "null"
    try:
        return write(value)
    except TypeError:
        return repr(value)


def _hex(value: bytes) -> str:
    return '"' + bytes.hex(value) + '"'


_WRITERS: dict[type, Callable[[Any], str]] = {
    INTEGER: repr,
    REAL: repr,
    TEXT: encode_basestring_ascii,
    BLOB: _hex,
}

"""The rows beside the chain, held against their seals."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Table

from darwin.config.compare import digest
from darwin.errors import RecordError
from darwin.store import chain, schema
from darwin.store.runs import RunIdentity, run_seal
from darwin.store.scan import EVERY_ROW, Scan, Stored, as_columns, printable, wrong_type

CHANGED = "was changed"
_RECORD = dict[str, Any]


class Source(NamedTuple):
    """Where rows are read from: an open file and its name."""

    raw: sqlite3.Connection
    path: Path


class RunRow(NamedTuple):
    """What the row of a run in `runs` says, once its seal holds."""

    identity: RunIdentity
    number: int


def run_row(source: Source, run_id: str) -> RunRow | list[str]:
    """The sound row of run `run_id`, or the names of all runs where none has that name.

    Raises RecordError when it is damaged, or may be hidden by damage.
    """
    table = schema.runs
    scan = Scan(*source, table, *EVERY_ROW)
    names, found = [], []
    for page in scan.pages():
        for row in page:
            told = dict(zip(table.c.keys(), row, strict=True))
            names.append(str(told["run_id"]))
            if told["run_id"] == run_id:
                found.append((row, told))
    if len(found) > 1:
        raise RecordError("is doubled", table=table.name)
    if found:
        return _sound(*found[0])
    if scan.broken:
        raise RecordError(f"cannot be read ({scan.broken})", table=table.name)
    return names


def _sound(row: Stored, told: _RECORD) -> RunRow:
    if what := wrong_type(schema.runs, row):
        raise RecordError(what, table="runs")
    if run_seal(told) != told["seal"]:
        raise RecordError(CHANGED, table="runs")
    identity = RunIdentity(
        told["run_id"], told["mode"], told["config_json"], told["config_digest"],
        told["data_digest"], told["code_version"], _names(told, "symbols"),
        _names(told, "feature_names"),
    )  # fmt: skip
    if digest(_json(told, "config_json")) != identity.config_digest:
        raise RecordError("holds another config than its digest says", table="runs")
    return RunRow(identity, told["number"])


def _names(told: _RECORD, column: str) -> tuple[str, ...]:
    names = _json(told, column)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RecordError(f"has no list of names in {column}", table="runs")
    return tuple(names)


def _json(told: _RECORD, column: str) -> Any:
    try:
        return json.loads(told[column])
    except ValueError:
        raise RecordError(f"has no JSON in {column}", table="runs") from None


class Sealed:
    """The rows of one table beside the chain, one after the other; `seal` is that of the last."""

    def __init__(self, source: Source, table: Table, run_id: str, number: int) -> None:
        """Read nothing yet."""
        first, last = schema.id_range(number)
        self.count, self.seal = 0, b""
        self.table, self._run_id, self._base = table, run_id, first
        self._scan = Scan(*source, table, first, last)

    def rows(self) -> Iterator[_RECORD]:
        """Each row by the names of its columns. Raises RecordError at the first that is damaged."""
        table = self.table
        names = table.c.keys()
        for page in self._scan.pages():
            lines = chain.sealed_lines(table, as_columns(table, page))
            for row, line in zip(page, lines, strict=True):
                told = dict(zip(names, row, strict=True))
                self._require(row, told, line)
                yield told

    @property
    def broken(self) -> str:
        """Why no row after the last can be read; empty where there may be none."""
        return self._scan.broken

    def lost(self, why: str) -> RecordError:
        """Say that the row after the last one cannot be read, or is missing, and why it is due."""
        what = f"cannot be read ({self.broken})" if self.broken else f"is missing: {why}"
        return self.bad(what, self.count + 1)

    def bad(self, what: str, seq: int) -> RecordError:
        """Say what is wrong with row `seq`, numbered from 1."""
        return RecordError(what, table=self.table.name, seq=seq)

    def _require(self, row: Stored, told: _RECORD, line: bytes) -> None:
        seq, due = told["id"] - self._base, self.count + 1
        if seq > due:
            raise self.bad(f"is missing, row {seq:,} follows", due)
        if seq < 1:
            raise self.bad(f"is missing, in its place stands one numbered {seq:,}", due)
        if seq < due:
            raise self.bad("is doubled or out of its place", seq)
        if told["run_id"] != self._run_id:
            raise self.bad(f"stands under run '{printable(told['run_id'])}'", seq)
        [seal] = chain.link(self.seal, [line])
        if seal != told["seal"]:
            raise self.bad(wrong_type(self.table, row) or CHANGED, seq)
        self.count, self.seal = seq, seal


def acts(source: Source, run_id: str) -> list[_RECORD]:
    """What persons asked of the run, in order.

    Raises RecordError at the first damaged act of any run: whose it was cannot be told.
    """
    table = schema.acts
    scan = Scan(*source, table, *EVERY_ROW)
    mine: list[_RECORD] = []
    due = 1
    for page in scan.pages():
        for row in page:
            told = dict(zip(table.c.keys(), row, strict=True))
            [line] = chain.sealed_lines(table, as_columns(table, [row]))
            if told["id"] != due:
                raise RecordError("is missing or out of its place", table=table.name, seq=due)
            if hashlib.sha256(line).digest() != told["seal"]:
                raise RecordError(wrong_type(table, row) or CHANGED, table=table.name, seq=due)
            due += 1
            if told["run_id"] == run_id:
                mine.append(told)
    if scan.broken:
        raise RecordError(f"cannot be read ({scan.broken})", table=table.name, seq=due)
    return mine

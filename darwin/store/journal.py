"""The journal of a run: facts in batches, each batch chained, committed and then announced.

A batch is one transaction with its checkpoint, so that no crash leaves half of one. What an
earlier attempt has kept is not written again but compared, row by row: starting and resuming
are the same path, and a run that comes out otherwise than it is recorded stops.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Table

from darwin.core.account import FEED_ALERTS, Alert, EquityMark
from darwin.core.book_facts import BookFacts
from darwin.core.facts import TABLES, Facts
from darwin.core.market import IntArray
from darwin.errors import IntegrityError
from darwin.store import chain, schema
from darwin.store.columns import Columns, Names, alert_columns, columns_of, mark_columns
from darwin.store.db import Database
from darwin.store.rows import Tail, add_beside, count_beside, insert_facts, newest_seal
from darwin.store.runs import Begun, Place, iso_time, note
from darwin.store.stored import StoredFacts

BATCH_FACTS = 20_000
"""The most facts of one transaction."""
CHECKPOINT_S = 0.5
"""How long a replay lets facts wait; the promise is a checkpoint a second at least."""
_TOLD_BESIDE: Mapping[Table, Sequence[str]] = {
    schema.equity_marks: (), schema.alerts: FEED_ALERTS,
}  # fmt: skip
"""What is kept beside the chain, without the kinds that somebody else writes."""
_SLOW_S = 0.25  # waiting longer for the database is worth an event


def _silent(told: object) -> None:
    """Announce nothing."""


_Row = TypeVar("_Row")


class _Part(NamedTuple):
    """Facts of one kind within a batch."""

    table: str
    at: list[int]  # their places in the batch
    columns: Columns


class Journal:
    """Keeps the facts of one run. Implements `core.ports.Journal`.

    With `only_compare` nothing is written: every fact must be there already.
    """

    def __init__(
        self,
        database: Database,
        run: Begun,
        playbooks: tuple[str, ...],
        *,
        announce: Callable[[int], None] = _silent,
        alert: Callable[[Alert], None] = _silent,
        only_compare: bool = False,
    ) -> None:
        """Go on with `run`; after each commit `announce` hears how many facts are acknowledged.

        `alert` hears of each alert once, when it is kept.
        """
        self._database, self._run = database, run
        self._names = Names(run.identity.symbols, playbooks)
        self._announce, self._alert, self._only_compare = announce, alert, only_compare
        self._stored = StoredFacts(database, run)
        with database.read() as connection:  # a feed may keep marks before its first fact
            self._to_skip = {
                table.name: count_beside(connection, table, run.number, others)
                for table, others in _TOLD_BESIDE.items()
            }
        self._now = Place(head=run.identity.genesis())
        self._last_checkpoint: Tail | None = None
        self._covered = run.place  # by the newest checkpoint
        self._due_at = time.monotonic() + CHECKPOINT_S

    @property
    def place(self) -> Place:
        """How far this attempt has come; all of it is acknowledged."""
        return self._now

    def due(self) -> bool:
        """Whether half a second has gone by since the last `append`."""
        return time.monotonic() >= self._due_at

    def append(self, facts: Facts | BookFacts) -> None:
        """Keep `facts`, in as many transactions as they need; all is acknowledged at the end.

        Raises StorageError when the file or disk refuses, and IntegrityError when a fact is none,
        or is not the one that an earlier attempt has kept in its place.
        """
        kind, number = facts.order()
        told = [TABLES[code] for code in np.unique(kind).tolist()]
        columns = columns_of(facts, self._names, told)
        for start in range(0, max(len(kind), 1), BATCH_FACTS):
            batch = slice(start, start + BATCH_FACTS)
            parts = _parts(columns, kind[batch], number[batch])
            self._batch(facts, parts, completes=batch.stop >= len(kind))
        self._due_at = time.monotonic() + CHECKPOINT_S

    def finish(self, marks: Sequence[EquityMark] = ()) -> None:
        """Note that the run has come to its end, with the `marks` not handed over before.

        Raises IntegrityError when an earlier attempt has kept more facts than there are now.
        """
        kept = self._run.place.facts
        if self._now.facts < kept:
            raise IntegrityError(
                f"run '{self._run.run_id}' now ends after {self._now.facts:,} facts,"
                f" {kept:,} are kept",
                where=str(self._database.path),
                mend="`darwin verify` tells whether what is kept was changed",
            )
        if self._only_compare:
            return
        with self._transaction() as connection:
            self._keep_beside(connection, self._told_beside(marks, ())[0])
            if self._now != self._covered:  # no fact came of the last bars
                self._checkpoint(connection, self._now)
            seals = {
                table.name: newest_seal(connection, table, self._run.number).hex()
                for table in (schema.checkpoints, *_TOLD_BESIDE)
            }
            if fed := newest_seal(connection, schema.bars, self._run.number):
                seals[schema.bars.name] = fed.hex()
            detail = json.dumps({"head": self._now.head.hex(), **seals}, sort_keys=True)
            self._note(connection, "finished", detail)

    def _batch(self, facts: Facts | BookFacts, parts: Sequence[_Part], *, completes: bool) -> None:
        """Chain one batch, compare what is kept of it already, keep the rest."""
        lines = _lines(parts)
        hashes = chain.link(self._now.head, lines)
        before = self._now.facts
        now = replace(self._now, facts=before + len(lines), head=(hashes or [self._now.head])[-1])
        if completes:
            digest = facts.data_digest or None
            now = replace(now, reached=facts.reached, bars=facts.bars, data_digest=digest)
        old = min(max(self._run.place.facts - before, 0), len(lines))
        self._stored.compare(before + 1, hashes[:old], lines)
        if old < len(lines) and self._only_compare:
            raise self._stored.surplus(before + old + 1, lines[old])
        beside, alerts = self._told_beside(facts.marks, facts.alerts) if completes else ({}, ())
        if old < len(lines):
            with self._transaction() as connection:
                self._keep(connection, parts, hashes, before, old)
                self._keep_beside(connection, beside)
                self._checkpoint(connection, now)
            self._covered = now
            self._announce(now.facts)
        elif beside:
            with self._transaction() as connection:
                self._keep_beside(connection, beside)
        for alert in alerts:
            self._alert(alert)
        self._now = now

    def _keep(
        self,
        connection: Connection,
        parts: Sequence[_Part],
        hashes: Sequence[bytes],
        before: int,
        old: int,
    ) -> None:
        """Write a batch, which follows `before` facts, but for its first `old` ones."""
        base = schema.id_range(self._run.number)[0] + before + 1
        for table, at, columns in parts:
            skip = sum(place < old for place in at)
            fresh: dict[str, Sequence[object]]
            fresh = {name: values[skip:] for name, values in columns.items()}
            fresh["id"] = [base + place for place in at[skip:]]
            fresh["hash"] = [hashes[place] for place in at[skip:]]
            if "prev_hash" in schema.FACTS[table].c:
                head = self._now.head
                fresh["prev_hash"] = [hashes[place - 1] if place else head for place in at[skip:]]
            insert_facts(connection, schema.FACTS[table], self._run.run_id, fresh)

    def _checkpoint(self, connection: Connection, now: Place) -> None:
        row = {
            "facts": now.facts,
            "head": now.head,
            "reached": now.reached,
            "bars": now.bars,
            "data_digest": now.data_digest,
            "at": iso_time(datetime.now(UTC)),
        }
        columns = {name: [value] for name, value in row.items()}
        self._last_checkpoint = add_beside(
            connection, schema.checkpoints, self._run.run_id, self._run.number, columns,
            self._last_checkpoint,
        )  # fmt: skip

    def _told_beside(
        self, marks: Sequence[EquityMark], alerts: Sequence[Alert]
    ) -> tuple[dict[Table, Columns], Sequence[Alert]]:
        """The next marks and alerts of the run that no earlier attempt has kept; alerts again."""
        fresh_marks = self._fresh(schema.equity_marks, marks)
        fresh_alerts = self._fresh(schema.alerts, alerts)
        told: dict[Table, Columns] = {}
        if fresh_marks:
            told[schema.equity_marks] = mark_columns(fresh_marks)
        if fresh_alerts:
            told[schema.alerts] = alert_columns(fresh_alerts)
        return told, fresh_alerts

    def _fresh(self, table: Table, rows: Sequence[_Row]) -> Sequence[_Row]:
        skip = min(self._to_skip[table.name], len(rows))
        self._to_skip[table.name] -= skip
        return () if self._only_compare else rows[skip:]

    def _keep_beside(self, connection: Connection, told: Mapping[Table, Columns]) -> None:
        for table, columns in told.items():
            add_beside(connection, table, self._run.run_id, self._run.number, columns)

    def _note(self, connection: Connection, kind: str, detail: str) -> None:
        place = max(self._run.place, self._now, key=lambda place: place.facts)
        note(connection, replace(self._run, place=place), kind, detail, datetime.now(UTC))

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """A write transaction; one that had to wait for another process leaves a note of it."""
        asked = time.monotonic()
        with self._database.write() as connection:
            waited_s = time.monotonic() - asked
            if waited_s > _SLOW_S:
                self._note(connection, "waited", f"{waited_s:.1f} s for the database")
            yield connection


def _parts(columns: dict[str, Columns], kind: NDArray[np.int8], number: IntArray) -> list[_Part]:
    """What a batch holds of each table; `kind` and `number` as `Facts.order` gives them."""
    parts = []
    for code, table in enumerate(TABLES):
        if table in columns and len(at := np.flatnonzero(kind == code)):
            rows = number[at].tolist()
            picked = {
                name: [values[row] for row in rows] for name, values in columns[table].items()
            }
            parts.append(_Part(table, at.tolist(), picked))
    return parts


def _lines(parts: Sequence[_Part]) -> list[bytes]:
    """The lines of a batch, in its order."""
    lines = [b""] * sum(len(part.at) for part in parts)
    for table, at, columns in parts:
        for place, line in zip(at, chain.lines(schema.FACTS[table], columns), strict=True):
            lines[place] = line
    return lines

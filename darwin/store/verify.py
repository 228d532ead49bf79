"""Whether a run stands in the file as it was recorded: all of it read again, nothing trusted."""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

from darwin.core.facts import RELEASE
from darwin.errors import ConfigError, IntegrityError, RecordError
from darwin.store import chain, indexes, logs, schema
from darwin.store.archived import ACT as ARCHIVE
from darwin.store.archived import archived_in
from darwin.store.db import Database
from darwin.store.layout import require_layout
from darwin.store.queries import unknown_run
from darwin.store.runs import RunIdentity
from darwin.store.scan import Scan, Stored, as_columns, as_it_stands, printable, wrong_type
from darwin.store.sealed import CHANGED, RunRow, Sealed, Source, acts, run_row

TABLES = tuple(schema.FACTS.values())
_BACKUP = "put a backup of the database in its place"


class Fold(Protocol):
    """What the facts of a run must add up to."""

    def fold(self, table: str, seq: int, row: Mapping[str, Any]) -> None:
        """Take one fact, by the names of its columns. Raises RecordError where it does not fit."""
        ...

    def close(self) -> None:
        """End a finished run. Raises RecordError if something of it is still to come."""
        ...


class Checked(NamedTuple):
    """What was read of a run and found to be as it was recorded."""

    run_id: str
    finished: bool
    facts: int
    head: str  # hash of the last of them, or what the first would hang on; 64 hex digits
    checkpoints: int
    equity_marks: int
    alerts: int
    run_events: int
    acts: int  # what persons asked of it
    manifest: bool  # whether one was there to agree


def verify(
    database: Database,
    run_id: str,
    fold: Callable[[RunIdentity], Sequence[Fold]],
    manifest: bytes | None = None,
) -> Checked:
    """Read every row of a run in one state of the file and hold it against chain and seals.

    `fold` opens the books of a run; `manifest` is the text of its manifest.json.
    Raises RecordError naming the first row that is not what was recorded, and ConfigError when
    nothing knows of such a run, or it is one that a migration has put aside.
    """
    with _named(database), as_it_stands(database) as raw:
        source = Source(raw, database.path)
        run = run_row(source, run_id)
        if isinstance(run, list):
            if put_aside := indexes.put_aside(source, run_id):
                raise ConfigError(
                    f"run '{run_id}' was recorded by an older Darwin, without a chain to verify",
                    where=f"{database.path}, {put_aside}",
                    mend="run it again under another run_id to have it recorded anew",
                )
            if any(told["act"] == ARCHIVE for told in logs.sound_rows(source, schema.service_acts)):
                with database.read() as connection:
                    if archived_in(connection, run_id):
                        raise unknown_run(database, run_id, run)
            if manifest is not None or indexes.remembers(source, run_id):
                raise RecordError("is missing or has lost its name", table="runs")
            raise unknown_run(database, run_id, run)
        reading = _Reading(source, run, fold(run.identity))
        try:
            return reading.all(manifest)
        except IntegrityError as found:
            sound = f"; the first {reading.facts:,} facts are sound" if reading.facts else ""
            found.mend = found.mend or _BACKUP + sound
            raise


@contextmanager
def _named(database: Database) -> Iterator[None]:
    """Let every error of a record say where it stands, and what helps."""
    try:
        yield
    except IntegrityError as found:
        found.where = found.where or str(database.path)
        found.mend = found.mend or _BACKUP
        raise


class _Fact(NamedTuple):
    """A chained row with its line; sorts by id."""

    id: int
    code: int  # of its table
    row: Stored
    line: bytes


class _Reading:
    """One walk through all rows of a run; `facts` counts those that are found sound."""

    def __init__(self, source: Source, run: RunRow, books: Sequence[Fold]) -> None:
        self._source, self._identity, self._books = source, run.identity, books
        self._number = run.number
        self._run_id = run.identity.run_id
        self._base, last = schema.id_range(run.number)
        self._scans = [Scan(*source, table, self._base, last) for table in TABLES]
        self.facts, self._head = 0, run.identity.genesis()
        self._inputs: list[Mapping[str, Any]] = []
        self._beside = [
            Sealed(source, table, self._run_id, run.number)
            for table in (
                schema.run_events, schema.checkpoints, schema.equity_marks, schema.alerts,
                schema.bars,
            )
        ]  # fmt: skip
        self._events, self._checkpoints, *self._others = self._beside
        self._marks, self._alerts, _ = self._others
        self._digest = run.identity.data_digest

    def all(self, manifest: bytes | None) -> Checked:
        """Read everything. Raises RecordError."""
        end = self._read_events()
        self._walk(None if end is None else int(end["facts"]))
        for sealed in self._others:
            for _ in sealed.rows():
                pass
        asked = acts(self._source, self._run_id)
        if end is not None:
            self._require_end(end)
            for books in self._books:
                books.close()
        self._require_all_read()
        self._require_asked(asked)
        if manifest is not None:
            self._require_manifest(manifest, finished=end is not None)
        logs.require_sound(self._source)
        indexes.require_agreement(self._source, self._run_id, self._number)
        require_layout(self._source)
        return Checked(
            self._run_id, end is not None, self.facts, self._head.hex(), self._checkpoints.count,
            self._marks.count, self._alerts.count, self._events.count, len(asked),
            manifest is not None,
        )  # fmt: skip

    def _read_events(self) -> Mapping[str, Any] | None:
        """Read what happened to the run; gives the event that ended it."""
        end = None
        for event in self._events.rows():
            if end is not None:
                raise self._events.bad("follows the end of the run", self._events.count)
            end = event if event["kind"] == "finished" else None
        if not self._events.count:
            raise self._events.lost("the run was never begun")
        return end

    def _require_all_read(self) -> None:
        """Raise RecordError where a page that cannot be read may hide more rows of the run."""
        unread = [(sealed.table, sealed.broken, sealed.count) for sealed in self._beside]
        unread += [(scan.table, scan.broken, self.facts) for scan in self._scans]
        for table, broken, count in unread:
            if broken:
                what = f"may follow, behind what cannot be read ({broken})"
                raise RecordError(what, table=table.name, seq=count + 1)

    def _walk(self, finished: int | None) -> None:
        """Read the chain, each checkpoint in its place; the end counts `finished` facts."""
        checkpoints = self._checkpoints.rows()
        checkpoint, passed = None, True
        facts = heapq.merge(*(self._of(code) for code in range(len(TABLES))))
        for fact in facts:
            seq = fact.id - self._base
            if seq != self.facts + 1:
                raise self._gap(fact, facts)
            if passed:
                checkpoint, passed = next(checkpoints, None), False
            if checkpoint is None and not (finished and seq <= finished):
                if self._checkpoints.broken:
                    raise self._checkpoints.lost("")
                raise self._bad(fact, "stands after the last checkpoint")
            self._take(fact)
            if checkpoint is not None and checkpoint["facts"] <= seq:
                self._require_checkpoint(checkpoint)
                passed = True
        if passed:
            checkpoint = next(checkpoints, None)
        while checkpoint is not None and checkpoint["facts"] == self.facts:  # of bars without facts
            self._require_checkpoint(checkpoint)
            checkpoint = next(checkpoints, None)
        due = checkpoint["facts"] if checkpoint is not None else finished or 0
        if self.facts < due:
            raise self._missing(due)

    def _take(self, fact: _Fact) -> None:
        """Link one fact, whose place is right, and enter it in the books."""
        table, row = TABLES[fact.code], fact.row
        [head] = chain.link(self._head, [fact.line])
        if row[_RUN_ID] != self._run_id:
            raise self._bad(fact, f"stands under run '{printable(row[_RUN_ID])}'")
        told = dict(zip(_COLUMNS[fact.code], row, strict=True))
        if row[_HASH] != head or row[_SEQ] != fact.id - self._base:
            raise self._bad(fact, wrong_type(table, row) or CHANGED)
        if told.get("prev_hash", self._head) != self._head:
            other = "has another fact before it than it says"
            raise self._bad(fact, wrong_type(table, row) or other)
        for books in self._books:
            books.fold(table.name, self.facts + 1, told)
        if table is schema.inputs:
            self._inputs.append(told)
        self.facts, self._head = self.facts + 1, head

    def _of(self, code: int) -> Iterator[_Fact]:
        """The facts of one table, in the order of the file."""
        table = TABLES[code]
        for page in self._scans[code].pages():
            lines = chain.lines(table, as_columns(table, page))
            for row, line in zip(page, lines, strict=True):
                yield _Fact(row[_ID], code, row, line)

    def _bad(self, fact: _Fact, what: str) -> RecordError:
        row = dict(zip(_COLUMNS[fact.code], fact.row, strict=True))
        table, seq = TABLES[fact.code].name, fact.id - self._base
        about = row.get("candidate_id")
        candidate_id = printable(about) if isinstance(about, str) else ""
        return RecordError(what, table=table, seq=seq, candidate_id=candidate_id)

    def _gap(self, fact: _Fact, later: Iterator[_Fact]) -> RecordError:
        """Say why another fact stands where the next one of the chain is due."""
        due, seq = self.facts + 1, fact.id - self._base
        if seq < 1:
            what = f"is missing, in its place stands one numbered {seq:,}"
            return RecordError(what, table=TABLES[fact.code].name, seq=due)
        if seq < due:
            return self._bad(fact, "is doubled or out of its place")
        if any(scan.broken for scan in self._scans):
            return self._missing(seq - 1)
        for other in (fact, *later):
            if other.row[_HASH] == chain.link(self._head, [other.line])[0]:
                return self._bad(other, f"has another number than when it was fact {due:,}")
        return self._missing(seq - 1)

    def _missing(self, last: int) -> RecordError:
        """Say that the next facts of the chain, up to `last`, are not there."""
        due = self.facts + 1
        known = indexes.entry_of(self._source, self._run_id, self._base + due)
        broken = [scan for scan in self._scans if scan.broken]
        mine = [scan for scan in broken if known is None or scan.table.name == known.table]
        if mine:
            name = mine[0].table.name
            what = f"cannot be read ({mine[0].broken})"
        else:
            name = "" if known is None else known.table
            what = f"is missing, like all up to fact {last:,}" if last > due else "is missing"
        return RecordError(
            what, table=name, seq=due, candidate_id="" if known is None else known.candidate_id
        )

    def _require_checkpoint(self, checkpoint: Mapping[str, Any]) -> None:
        """Hold the newest checkpoint against the chain, which has come as far."""
        if checkpoint["facts"] != self.facts or checkpoint["head"] != self._head:
            raise self._checkpoints.bad("has another head than the chain", self._checkpoints.count)
        self._digest = checkpoint["data_digest"] or self._digest

    def _require_end(self, end: Mapping[str, Any]) -> None:
        """Hold the last event against what it was written after."""
        try:
            told = json.loads(end["detail"])
        except ValueError:
            told = None
        if not isinstance(told, dict) or end["facts"] != self.facts:
            raise self._events.bad("does not tell where the chain ends", self._events.count)
        if told.get("head") != self._head.hex():
            raise self._events.bad("has another head than the chain", self._events.count)
        for sealed in (self._checkpoints, *self._others):
            if told.get(sealed.table.name, "") != sealed.seal.hex():
                raise sealed.lost("the last event of the run was written after it")

    def _require_asked(self, asked: list[dict[str, Any]]) -> None:
        """Each release of a feed is the act of a person, in order."""
        if self._identity.mode != "feed":
            return
        releases = [told for told in self._inputs if told["kind"] == RELEASE]
        for number, told in enumerate(releases):
            act = asked[number] if number < len(asked) else {}
            if any(told[name] != act.get(name) for name in ("kind", "by", "reason")):
                raise RecordError(
                    "is no act that a person asked for", table="inputs", seq=told["seq"]
                )

    def _require_manifest(self, text: bytes, *, finished: bool) -> None:
        """Hold the run against what was written into its folder when it was finished."""
        try:
            told = json.loads(text)
        except ValueError:
            told = None
        if not isinstance(told, dict):
            raise self._other(IntegrityError("manifest.json of the run is damaged"))
        if not finished and "head" not in told:
            return  # left by a Darwin that kept no journal
        facts = told.get("facts")
        if isinstance(facts, int) and facts > self.facts:
            raise self._other(RecordError("is missing: manifest.json has it", seq=self.facts + 1))
        if (facts, told.get("head")) != (self.facts, self._head.hex()):
            raise self._other(RecordError("is not the last one of manifest.json", seq=self.facts))
        if not finished:
            raise self._other(self._events.lost("the run has a manifest.json, so it was finished"))
        then = {name: getattr(self._identity, name) for name in _IN_MANIFEST}
        for name, value in (then | {"data_digest": self._digest}).items():
            if told.get(name) != value:
                raise self._other(
                    RecordError(f"has another {name} than manifest.json", table="runs")
                )

    @staticmethod
    def _other(error: IntegrityError) -> IntegrityError:
        error.mend = (
            "put a backup of the database in its place; if another one is meant, or this one was"
            " begun anew, `darwin report` writes the manifest anew"
        )
        return error


_IN_MANIFEST = ("run_id", "mode", "code_version", "config_digest")
_ID, _SEQ, _RUN_ID, _HASH = 0, 1, 2, -1
_COLUMNS = [table.c.keys() for table in TABLES]

"""What an earlier attempt at a run has kept, read along while the run is made again."""

from __future__ import annotations

from collections.abc import Sequence

from darwin.errors import IntegrityError
from darwin.store import schema
from darwin.store.db import Database
from darwin.store.export import Line, as_lines, fact_rows
from darwin.store.runs import Begun

_AT_ONCE = 5_000


class StoredFacts:
    """The kept facts of a run by their place, fetched a few thousand at a time."""

    def __init__(self, database: Database, run: Begun) -> None:
        self._database, self._run = database, run
        self._known: dict[int, Line] = {}

    def compare(self, first: int, hashes: Sequence[bytes], lines: Sequence[bytes]) -> None:
        """Hold the facts from place `first` on against what is kept: each row and its hash.

        Raises IntegrityError naming the first that differs or is missing.
        """
        for seq, (made, line) in enumerate(zip(hashes, lines, strict=False), start=first):
            if seq not in self._known:
                self._fetch(seq)
            kept = self._known.pop(seq, None)
            if kept is None or kept.hash != made or kept.text != line:
                raise self._difference(seq, "" if kept is None else kept.table, line)

    def surplus(self, seq: int, line: bytes) -> IntegrityError:
        """Say that the run now goes on after the last fact that is kept."""
        return self._difference(seq, "", line)

    def _fetch(self, seq: int) -> None:
        base = schema.id_range(self._run.number)[0]
        self._known = {}
        with self._database.read() as connection:
            for table in schema.FACTS.values():
                ids = table.c.id.between(base + seq, base + seq + _AT_ONCE - 1)
                rows = connection.execute(fact_rows(table).where(ids)).all()
                self._known.update({line.seq: line for line in as_lines(table, rows, base)})

    def _difference(self, seq: int, table: str, line: bytes) -> IntegrityError:
        recorded = f"a row of {table}" if table else "nothing"
        told = line.decode()
        return IntegrityError(
            f"run '{self._run.run_id}' does not come out as it is recorded: fact {seq:,}"
            f" is {recorded}, and would now be {told[:200]}{'…' if len(told) > 200 else ''}",
            where=str(self._database.path),
            mend=f"`darwin verify {self._run.run_id}` tells whether the record was changed; it was"
            f" made by code {self._run.identity.code_version}",
        )

"""Counts over all runs that only grow: each row of the record is counted once.

A table of consultations may hold millions of rows. The first look counts them all; each later one
only what the runs have added since.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, Table, func, select

from darwin.store import schema
from darwin.store.schema import SEQ_BITS

_MARK_BYTES = 6


class RunPlace(NamedTuple):
    """Where the rows of a run stand. One that was taken back may leave its number to another."""

    number: int
    mark: str  # of its row, which says when it was begun

    @property
    def name(self) -> str:
        """Both, as a key of JSON."""
        return f"{self.number}-{self.mark}"


class Tally:
    """How often each combination of some columns stands in a table of runs."""

    def __init__(self, table: Table, columns: Sequence[str]) -> None:
        """Nothing is counted yet."""
        self._table, self._columns = table, [table.c[name] for name in columns]
        self._ends: dict[RunPlace, int] = {}  # the last row that was counted
        self._counts: Counter[tuple[str, ...]] = Counter()

    def look(self, connection: Connection) -> Counter[tuple[str, ...]]:
        """Count on, within a read transaction."""
        ends = ends_of_runs(connection, self._table)
        if any(ends.get(run, 0) < end for run, end in self._ends.items()):
            self._ends, self._counts = {}, Counter()  # a run is gone, or another file lies there
        of = self._table.c.id
        added: Counter[tuple[str, ...]] = Counter()
        for run, end in ends.items():
            after = self._ends.get(run, run.number << SEQ_BITS)
            if end > after:
                query = select(*self._columns, func.count()).where(of > after, of <= end)
                for *values, count in connection.execute(query.group_by(*self._columns)):
                    added[tuple("" if one is None else str(one) for one in values)] += count
        self._ends, self._counts = ends, self._counts + added
        return self._counts


def ends_of_runs(connection: Connection, table: Table) -> dict[RunPlace, int]:
    """The last row of each run that has any in a table."""
    r = schema.runs.c
    first, after_last = r.number.op("<<")(SEQ_BITS), (r.number + 1).op("<<")(SEQ_BITS)
    mine = (table.c.id > first) & (table.c.id < after_last)
    last = select(func.max(table.c.id)).where(mine).correlate(schema.runs).scalar_subquery()
    rows = connection.execute(select(r.number, r.seal, last.label("last"))).all()
    return {
        RunPlace(row.number, row.seal[:_MARK_BYTES].hex()): row.last
        for row in rows
        if row.last is not None
    }

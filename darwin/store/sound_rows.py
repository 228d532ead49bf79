"""The facts of a run, table by table: all of them there, each value of the type it should be."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

from sqlalchemy import Connection, Table, func, select

from darwin.errors import IntegrityError, RecordError
from darwin.store import schema
from darwin.store.runs import Begun
from darwin.store.scan import wrong_type


class SoundRows:
    """Reads the columns that are asked for; whether a value was changed is not looked into."""

    def __init__(self, connection: Connection, run: Begun) -> None:
        """Read nothing yet."""
        self._connection, self._run = connection, run
        self._base, self._last = schema.id_range(run.number)

    def require_all(self) -> None:
        """Raise IntegrityError where more or fewer facts stand there than were acknowledged."""
        found = sum(
            self._connection.execute(
                select(func.count())
                .select_from(table)
                .where(table.c.id.between(self._base, self._last))
            ).scalar_one()
            for table in schema.FACTS.values()
        )
        due = self._run.place.facts
        if found != due:
            raise IntegrityError(
                f"run '{self._run.run_id}' has {found:,} facts, {due:,} were acknowledged"
            )

    def of(self, table: Table, *names: str) -> Sequence[Any]:
        """The `id` of each row and the columns called `names`, in the order of events.

        Raises RecordError for a value that its column cannot hold.
        """
        columns = [table.c.id, *(table.c[name] for name in names)]
        rows = self._connection.execute(
            select(*columns).where(table.c.id.between(self._base, self._last)).order_by(table.c.id)
        ).all()
        for column, values in zip(columns, zip(*rows, strict=True), strict=False):
            kinds = set(map(type, values)) - ({type(None)} if column.nullable else set())
            if not kinds <= {column.type.python_type}:
                self._refuse(table)
        return rows

    def about(self, known: Container[str], table: Table, *names: str) -> Sequence[Any]:
        """The same of a table whose facts are about candidates: `candidate_id` comes second.

        Raises RecordError for one that is about none of the `known` ones.
        """
        rows = self.of(table, "candidate_id", *names)
        for number, who, *_ in rows:
            if who not in known:
                raise self.bad(table, number, who, "is about no candidate of the run")
        return rows

    def bad(self, table: Table, number: int, candidate_id: str, what: str) -> RecordError:
        """Say what is wrong with the row whose id is `number`."""
        seq = number - self._base
        return RecordError(what, table=table.name, seq=seq, candidate_id=candidate_id)

    def _refuse(self, table: Table) -> None:
        """Raise RecordError for the first row with a value that its column cannot hold."""
        mine = table.c.id.between(self._base, self._last)
        for row in self._connection.execute(select(table).where(mine).order_by(table.c.id)):
            if what := wrong_type(table, tuple(row)):
                raise self.bad(table, row.id, "", what)

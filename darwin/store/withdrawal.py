"""A run that has kept nothing is taken back, so that its name is free for the mended config."""

from __future__ import annotations

from sqlalchemy import delete, select

from darwin.store import schema
from darwin.store.db import Database
from darwin.store.runs import Begun


def withdraw(database: Database, run: Begun) -> bool:
    """Take back that `run` was begun, if nothing else is on record of it; whether it was.

    What it was charged for questions stays in the log of the deployment, under its name. The
    caller holds the run's lock.
    """
    mine = schema.id_range(run.number)
    with database.write() as connection:
        for table in (*schema.FACTS.values(), *schema.BESIDE.values()):
            if table is schema.run_events:
                continue
            kept = select(table.c.id).where(table.c.id.between(*mine)).limit(1)
            if connection.execute(kept).first() is not None:
                return False
        connection.execute(delete(schema.run_events).where(schema.run_events.c.id.between(*mine)))
        connection.execute(delete(schema.runs).where(schema.runs.c.number == run.number))
        return True

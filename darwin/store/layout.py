"""Whether the tables of a file are laid out as the code that writes them has it."""

from __future__ import annotations

import re
from functools import cache

from sqlalchemy import create_engine

from darwin.errors import IntegrityError
from darwin.store.db import lay_out
from darwin.store.faults import damaged
from darwin.store.scan import DAMAGE, printable, why
from darwin.store.sealed import Source

_LAID_OUT = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
_TRIGGERS = "SELECT name FROM sqlite_master WHERE type = 'trigger' LIMIT 1"


def require_layout(source: Source) -> None:
    """Raise IntegrityError for a table, index or view whose words are not those it was made with.

    A changed word may go unnoticed by readers, as SQLite looks at constraints only to write. No
    trigger is ours: one could swallow what is written.
    """
    try:
        trigger = source.raw.execute(_TRIGGERS).fetchone()
        found = {str(name): _words(str(sql)) for name, sql in source.raw.execute(_LAID_OUT)}
    except DAMAGE as fault:
        why(fault, source.path)
        raise damaged(source.path) from fault
    if trigger is not None:
        raise IntegrityError(
            f"a trigger called {printable(trigger[0])} stands in the file, made by no Darwin",
            where=str(source.path),
            mend="find out who made it; DROP TRIGGER removes it, what it did stays done",
        )
    for name, words in _expected().items():
        if found.get(name) != words:
            raise IntegrityError(
                f"{name} is not laid out as it was made; the rows of the run are as recorded",
                where=str(source.path),
                mend="put a backup of the database in its place",
            )


@cache
def _expected() -> dict[str, frozenset[str]]:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        lay_out(connection)
        made = {name: _words(sql) for name, sql in connection.exec_driver_sql(_LAID_OUT)}
    engine.dispose()
    return made


def _words(sql: str) -> frozenset[str]:
    """The words of a statement; a migration may set them in another order."""
    return frozenset(re.split(r"[\s,()]+", sql))

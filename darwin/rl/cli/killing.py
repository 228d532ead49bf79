"""Switch all agents off, let them go on, see what holds: by the file, by the record, or both.

What a command and the service do alike. The file comes first, for it stands whatever becomes of the
rest, and whoever kills would not wait for a database.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from darwin.errors import DarwinError, StorageError
from darwin.rl.serving.kill_file import KILL_FILE, make, ours, remove
from darwin.rl.serving.switchboard import Sources
from darwin.safety.switch import OFF, VARIABLE, KillSwitch, Reading, disabled_by
from darwin.store.db import connect, connect_readonly
from darwin.store.kill_log import Said, switch_off, switch_on
from darwin.store.watch import LogWatch

_PATIENCE_S = 2.0  # with a database that another process holds


class Killed(NamedTuple):
    """What came of switching off; at least one of the two was written."""

    file: Path
    unmade: str  # why the file could not be made; empty: it is there
    unrecorded: str  # why it is not in the database; empty: it is


class Released(NamedTuple):
    """What came of letting agents go on."""

    was: Said | None  # what was on record; None: nothing was
    file: Path
    removed: bool  # the file, which `kill` had made
    now: KillSwitch  # what still holds


def kill(artifacts: Path, db: Path, *, by: str, reason: str, at: datetime) -> Killed:
    """Let no agent act, nor be asked, from the next decision on; holds over restarts.

    Raises StorageError where neither file nor record could be written: then nothing is killed.
    """
    file, unmade, unrecorded = (artifacts / KILL_FILE).absolute(), "", ""
    try:
        make(artifacts, by, reason, at)
    except OSError as caught:
        unmade = caught.strerror or type(caught).__name__
    try:
        connect_readonly(db, wait_s=_PATIENCE_S).close()  # it must be there: none is made here
        with connect(db, wait_s=_PATIENCE_S) as database:
            switch_on(database, by=by, reason=reason, at=at)
    except (DarwinError, SQLAlchemyError, sqlite3.Error, OSError, ValueError) as caught:
        unrecorded = str(caught)
    if unrecorded and unmade:
        raise StorageError(
            f"NOTHING IS KILLED: neither the database ({unrecorded}) nor the file ({unmade}) can be"
            " written",
            where=str(file),
            mend="stop the runs themselves, start them with DARWIN_RL_DISABLED=1",
        )
    return Killed(file, unmade, unrecorded)


def release(artifacts: Path, db: Path, *, by: str, reason: str, at: datetime) -> Released:
    """Release what is on record, then remove the file if `kill` alone wrote it.

    Raises StorageError where the database is missing or older, or the file cannot be removed.
    """
    connect_readonly(db).close()  # a missing or older one is refused: none is made or migrated here
    said = ours(artifacts)  # before the record: what is switched on after that stays on
    with connect(db) as database:
        was = switch_off(database, by=by, reason=reason, at=at, also=bool(said))
    file = (artifacts / KILL_FILE).absolute()
    try:
        removed = remove(artifacts, said)
    except OSError as fault:
        raise StorageError(
            f"STILL KILLED: it is released on record, but the file cannot be removed"
            f" ({fault.strerror})",
            where=str(file),
            mend="remove it by hand",
        ) from fault
    return Released(was, file, removed, look(artifacts, db))


def look(artifacts: Path, db: Path) -> KillSwitch:
    """What the sources say, as a run sees them that starts from this process."""
    with closing(LogWatch(db)) as watch:
        sources = Sources(disabled_by(os.environ.get(VARIABLE)), artifacts, watch)
        now = sources.look(grown=True)
    return replace(now, record=OFF) if _is_missing(db) else now


def readings(now: KillSwitch) -> dict[str, Reading]:
    """The sources that can be seen from here, by name."""
    return {"environment": now.environment, "file": now.file, "record": now.record}


def mend(source: str, artifacts: Path) -> str:
    """How to remove a source."""
    file = (artifacts / KILL_FILE).absolute()
    return {
        "environment": f"unset {VARIABLE} in this shell, and start anew what was started with it",
        "file": f"remove {file}, or mend what keeps it from being looked at",
        "record": "darwin kill off --by NAME --reason TEXT, or mend the database",
    }[source]


def kill_tree(now: KillSwitch) -> dict[str, object]:
    """All of it as JSON."""
    return {
        "killed": now.killed,
        "why": now.why,
        "sources": {name: reading._asdict() for name, reading in readings(now).items()},
        "warnings": list(now.warnings),
    }


def _is_missing(path: Path) -> bool:
    try:
        path.stat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False

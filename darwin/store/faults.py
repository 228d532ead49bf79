"""What SQLite and the file system can refuse, in words an operator can act on."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from darwin.errors import DamagedError, DarwinError, IntegrityError, StorageError
from darwin.store.schema import VERSION

_ANOTHER_FILE = "name another file: --db, or rl.agent_state_db in the config"
_WHAT_AND_MEND = {
    sqlite3.SQLITE_BUSY: (
        "another process keeps the database locked",
        "wait until it ends (`fuser FILE` tells who it is), then again; a run wants --resume",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "the database cannot be opened",
        "check that the folder exists and may be written to",
    ),
    sqlite3.SQLITE_CORRUPT: (
        "the database is damaged",
        "put a backup in its place, or move the file away to start anew",
    ),
    sqlite3.SQLITE_FULL: ("the disk is full", "free some space, then run again with --resume"),
    sqlite3.SQLITE_IOERR: (
        "the disk reports a fault",
        "check the disk, then run again with --resume",
    ),
    sqlite3.SQLITE_NOTADB: ("the file is not a database", _ANOTHER_FILE),
    sqlite3.SQLITE_PERM: ("the database may not be accessed", "check its permissions"),
    sqlite3.SQLITE_READONLY: (
        "the database is read-only",
        "check the permissions of the file and its folder",
    ),
}

_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def explain(fault: sqlite3.Error, path: Path) -> DarwinError | sqlite3.Error:
    """Turn what the driver raised into an error of ours; a bug of ours stays what it is.

    Constraints that refuse a row become IntegrityError, a file or disk that refuses StorageError,
    and a file that holds what nobody wrote DamagedError.
    """
    if isinstance(fault, sqlite3.IntegrityError):
        return IntegrityError(
            f"the database refuses a fact ({fault})",
            where=str(path),
            mend="nothing of the transaction was kept; report this, it should not happen",
        )
    if isinstance(fault, sqlite3.ProgrammingError):
        return fault
    code = getattr(fault, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # low byte: its family
    what, mend = _WHAT_AND_MEND.get(code, (f"the database refuses ({fault})", _ANOTHER_FILE))
    error = DamagedError if code in _DAMAGE else StorageError
    return error(what, where=str(path), mend=mend)


def damaged(path: Path) -> DamagedError:
    """Say that what the file holds cannot be what was written."""
    what, mend = _WHAT_AND_MEND[sqlite3.SQLITE_CORRUPT]
    return DamagedError(what, where=str(path), mend=mend)


def other_version(path: Path, version: str | None) -> StorageError:
    """Say why a schema `version` (None: no version at all) is not one this code can work with."""
    if version is None:
        return StorageError(
            "the file holds no database of Darwin's",
            where=str(path),
            mend=_ANOTHER_FILE,
        )
    if version > VERSION:
        return StorageError(
            f"the database has schema {version}, this Darwin knows up to {VERSION}",
            where=str(path),
            mend="use the newer Darwin that wrote it, or name another file",
        )
    return StorageError(
        f"the database has schema {version}, this Darwin reads {VERSION}",
        where=str(path),
        mend="any `darwin run` on it brings it up to date; copy the file first",
    )


def refuse_what_is_no_file(path: Path) -> None:
    """Raise StorageError when something other than a plain file stands at `path`."""
    if "\0" in str(path):
        raise StorageError(
            "the name of the database holds a NUL", where=repr(str(path)), mend=_ANOTHER_FILE
        )
    try:
        stands = path.exists()
    except OSError as fault:
        raise StorageError(
            f"the database cannot be reached ({fault.strerror})",
            where=str(path),
            mend=_ANOTHER_FILE,
        ) from fault
    if stands and not path.is_file():
        raise StorageError(
            "a folder or device stands where the database should be",
            where=str(path),
            mend=_ANOTHER_FILE,
        )

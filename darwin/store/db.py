"""One SQLite file: open it, create or migrate it, read and write it in transactions.

Only SQLAlchemy's Core is imported here; alembic waits in `migrate`, which is imported when the
file's schema is an older one.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import TracebackType

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import QueuePool

from darwin.errors import StorageError
from darwin.store.faults import damaged, explain, other_version, refuse_what_is_no_file
from darwin.store.schema import VERSION, VIEWS, metadata

WAIT_S = 5.0
"""How long a statement waits for another process to let go of the file."""
_POLL_S = 0.01

_CACHE_KIB = 16_384
"""Ids are hashes: without a cache that holds their index, 200,000 of them take twice the time."""


class Database:
    """An open database. Close it, or use it in a `with` statement."""

    def __init__(self, path: Path, engine: Engine) -> None:
        """Wrap an engine that speaks to the file at `path`."""
        self.path = path
        self._engine = engine

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that holds the write lock from its start; it is kept only if all goes well.

        Raises StorageError when the file or the disk refuses, IntegrityError when the facts do
        not fit the schema; either way nothing of the block is left.
        """
        with self._transaction("BEGIN IMMEDIATE") as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the file throughout. Raises StorageError."""
        with self._transaction("BEGIN") as connection:
            yield connection

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                connection.execution_options(begin=begin)
                with connection.begin():
                    yield connection
        except DBAPIError as fault:
            if isinstance(fault.orig, sqlite3.Error):
                raise explain(fault.orig, self.path) from fault
            raise
        except sqlite3.Error as fault:  # of whoever reads past SQLAlchemy
            raise explain(fault, self.path) from fault
        except UnicodeDecodeError as fault:  # the driver cannot even read SQLite's complaint
            raise damaged(self.path) from fault

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()

    def __enter__(self) -> Database:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def connect(path: Path, *, wait_s: float = WAIT_S) -> Database:
    """Open the database at `path` for writing; create it, and its folders, when it is missing.

    Brings an older schema up to date. Raises StorageError when the file cannot be opened or
    written, is no database of Darwin's, is newer than this code, or stays locked for `wait_s`.
    """
    refuse_what_is_no_file(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise StorageError(
            f"the folder of the database cannot be made ({fault.strerror})",
            where=str(path.parent),
            mend="name a folder you may write to: artifacts_dir in the config",
        ) from fault

    def dial() -> sqlite3.Connection:
        raw = _dial(str(path), wait_s)
        raw.execute("PRAGMA synchronous = FULL")
        raw.execute("PRAGMA foreign_keys = ON")
        raw.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        return raw

    with ExitStack() as on_failure:
        database = on_failure.enter_context(Database(path, _engine(dial)))
        with database.read() as connection:
            version = _version(connection)
        if version != VERSION:
            _bring_up_to_date(database)
        _write_ahead(path, wait_s)
        on_failure.pop_all()
    return database


def connect_readonly(path: Path, *, wait_s: float = WAIT_S, readers: int = 15) -> Database:
    """Open the database at `path` for queries alone; nothing is created or migrated.

    `readers` may read at once; whoever comes beyond that waits. Raises StorageError when it is
    missing, unreadable, no database of Darwin's, or of another schema version.
    """
    refuse_what_is_no_file(path)
    if not path.exists():
        raise StorageError(
            "there is no database yet",
            where=str(path),
            mend="run `darwin run CONFIG` first, or name the place with --artifacts-dir or --db",
        )
    address = path.absolute().as_uri() + "?mode=ro"
    if not os.access(path.parent, os.W_OK) and not path.with_name(path.name + "-wal").exists():
        address += "&immutable=1"  # SQLite could not set up its shared memory there, nor need it

    def dial() -> sqlite3.Connection:
        return _dial(address, wait_s)

    with ExitStack() as on_failure:
        database = on_failure.enter_context(Database(path, _engine(dial, readers)))
        with database.read() as connection:
            version = _version(connection)
            tables = connection.exec_driver_sql("SELECT COUNT(*) FROM sqlite_master").scalar()
        if version is None and not tables:
            raise StorageError(
                "the database is empty: whoever was to make it was stopped before that",
                where=str(path),
                mend="run `darwin run CONFIG`, with --resume if it had begun",
            )
        if version != VERSION:
            raise other_version(path, version)
        on_failure.pop_all()
    return database


def _dial(address: str, wait_s: float) -> sqlite3.Connection:
    """Open one connection that leaves all transactions to us."""
    return sqlite3.connect(
        address,
        timeout=wait_s,
        isolation_level=None,
        check_same_thread=False,
        uri=address.startswith("file:"),
    )


def _engine(dial: Callable[[], sqlite3.Connection], most: int = 15) -> Engine:
    engine = create_engine(
        "sqlite://", creator=dial, poolclass=QueuePool, pool_size=most, max_overflow=0
    )

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options()["begin"])

    return engine


def _version(connection: Connection) -> str | None:
    """Read the schema version; None where the file has no such thing, a fresh one for example."""
    try:
        version = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    except OperationalError as fault:
        if getattr(fault.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR:
            return None  # no such table
        raise
    return None if version is None else str(version)


def _bring_up_to_date(database: Database) -> None:
    """Migrate under the write lock; another process may have done it while we waited for that.

    Raises StorageError when the file is newer than this code, or holds someone else's tables.
    """
    with database.write() as connection:
        version = _version(connection)
        tables = connection.exec_driver_sql("SELECT COUNT(*) FROM sqlite_master").scalar()
        if version is None and tables:
            raise other_version(database.path, None)
        if version is not None and version > VERSION:
            raise other_version(database.path, version)
        if version is None:
            lay_out(connection)
        elif version != VERSION:
            from darwin.store.migrate import upgrade  # noqa: PLC0415  alembic takes a while

            upgrade(connection)


def lay_out(connection: Connection) -> None:
    """Make a fresh file as the newest migration would leave it (a test holds them together)."""
    metadata.create_all(connection)
    for name, query in VIEWS.items():
        connection.exec_driver_sql(f"CREATE VIEW {name} AS {query}")
    connection.exec_driver_sql(
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
        "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
    )
    connection.exec_driver_sql("INSERT INTO alembic_version VALUES (?)", (VERSION,))


def _write_ahead(path: Path, wait_s: float) -> None:
    """Let readers and the writer of the file work side by side; SQLite remembers it.

    SQLite does not wait when two processes switch at once, so it is asked until it agrees.
    """
    give_up = time.monotonic() + wait_s
    while True:
        try:
            with closing(_dial(str(path), 0.0)) as raw:
                raw.execute("PRAGMA journal_mode = WAL")
        except sqlite3.Error as fault:
            busy = getattr(fault, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() > give_up:
                raise explain(fault, path) from fault
            time.sleep(_POLL_S)
        else:
            return

"""Opening the database: made where it is missing, refused in plain words where it cannot be."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import inspect

from darwin.errors import DarwinError, IntegrityError, StorageError
from darwin.store.db import connect, connect_readonly
from darwin.store.schema import VERSION, metadata

pytestmark = pytest.mark.slow

TABLES = {
    "runs", "run_events", "checkpoints", "acts", "inputs", "candidates", "verdicts", "orders",
    "fills", "outcomes", "safety_events", "equity_marks",
}  # fmt: skip
PUT_ASIDE = "before_0002_"


def ask(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as raw:
        return raw.execute(sql).fetchall()


def tell(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as raw:
        raw.execute(sql)
        raw.commit()


def said(fault: pytest.ExceptionInfo[DarwinError]) -> str:
    lines = fault.value.lines()
    assert len(lines) == 3, lines
    return "\n".join(lines)


@contextmanager
def another_process_holds(path: Path) -> Iterator[None]:
    program = (
        "import sqlite3, sys\n"
        "raw = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "raw.execute('BEGIN IMMEDIATE')\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        yield


def test_a_missing_database_is_made_with_its_folders_and_tables(path: Path) -> None:
    connect(path).close()
    assert {name for (name,) in ask(path, "SELECT name FROM sqlite_master")} >= TABLES
    assert ask(path, "SELECT version_num FROM alembic_version") == [(VERSION,)]
    assert ask(path, "PRAGMA journal_mode") == [("wal",)]


def test_the_sqlite_command_lists_the_tables(path: Path) -> None:
    if shutil.which("sqlite3") is None:
        pytest.skip("no sqlite3 command on this machine")
    connect(path).close()
    listed = subprocess.run(
        ["sqlite3", str(path), ".tables"], check=True, capture_output=True, text=True
    )
    assert set(listed.stdout.split()) >= TABLES


def test_the_migrations_make_exactly_the_tables_the_code_describes(
    path: Path, tmp_path: Path
) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from sqlalchemy import create_engine

    from darwin.store.migrate import upgrade

    migrated = create_engine(f"sqlite:///{tmp_path / 'migrated.sqlite'}")
    with migrated.begin() as connection:
        upgrade(connection)
        seen = {"include_name": lambda name, *_: name is None or not name.startswith(PUT_ASIDE)}
        context = MigrationContext.configure(connection, opts=seen)
        assert compare_metadata(context, metadata) == []
    migrated.dispose()
    connect(path).close()

    def parts(file: Path) -> dict[object, set[str]]:
        query = "SELECT name, sql FROM sqlite_master WHERE sql NOT NULL"
        return {
            name: set(re.split(r"[\s,()]+", str(sql)))
            for name, sql in ask(file, query)
            if not str(name).startswith(PUT_ASIDE)
        }

    assert parts(path) == parts(tmp_path / "migrated.sqlite")
    assert ask(tmp_path / "migrated.sqlite", "SELECT * FROM alembic_version") == [(VERSION,)]


def test_the_newest_migration_is_the_version_of_the_code() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    import darwin.store

    folder = Path(darwin.store.__file__).parent / "migrations"
    settings = Config()
    settings.set_main_option("script_location", str(folder))
    settings.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(settings).get_heads() == [VERSION]


def test_every_table_is_strict_and_every_fact_belongs_to_a_run(path: Path) -> None:
    with connect(path) as database, database.read() as connection:
        inspector = inspect(connection)
        strict = connection.exec_driver_sql(
            "SELECT name FROM pragma_table_list WHERE strict = 1"
        ).scalars()
        assert set(strict) >= TABLES
        for table in TABLES - {"runs"}:
            parents = {key["referred_table"] for key in inspector.get_foreign_keys(table)}
            assert parents <= {"runs", "candidates"}, table
            assert parents, table


def test_connections_are_durable_and_keep_foreign_keys(path: Path) -> None:
    with connect(path) as database, database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


@pytest.mark.parametrize("fresh", [True, False])
def test_a_fresh_or_current_database_opens_without_alembic_and_without_the_orm(
    path: Path, fresh: bool
) -> None:
    if not fresh:
        connect(path).close()
    program = (
        "import sys; from pathlib import Path; from darwin.store.db import connect\n"
        "connect(Path(sys.argv[1])).close()\n"
        "print([name for name in ('alembic', 'sqlalchemy.orm', 'polars') if name in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, str(path)], check=True, capture_output=True, text=True
    )
    assert run.stdout == "[]\n"


@pytest.mark.parametrize("open_", [connect, connect_readonly])
def test_a_database_newer_than_the_code_is_refused(
    path: Path, open_: Callable[..., object]
) -> None:
    connect(path).close()
    tell(path, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StorageError) as fault:
        open_(path)
    assert "schema 9999" in said(fault)
    assert "newer Darwin" in said(fault)
    assert fault.value.exit_code == 4


def test_an_older_schema_is_not_read_before_it_is_brought_up_to_date(path: Path) -> None:
    connect(path).close()
    tell(path, "UPDATE alembic_version SET version_num = '0000'")
    with pytest.raises(StorageError) as fault:
        connect_readonly(path)
    assert "schema 0000" in said(fault)


@pytest.mark.parametrize("open_", [connect, connect_readonly])
def test_the_database_of_another_program_is_refused_and_left_alone(
    path: Path, open_: Callable[..., object]
) -> None:
    path.parent.mkdir(parents=True)
    tell(path, "CREATE TABLE songs (title TEXT)")
    before = path.read_bytes()
    with pytest.raises(StorageError) as fault:
        open_(path)
    assert "no database of Darwin's" in said(fault)
    assert path.read_bytes() == before


@pytest.mark.parametrize("open_", [connect, connect_readonly])
def test_what_is_no_database_is_refused(path: Path, open_: Callable[..., object]) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"candidate_id,symbol\n" * 500)
    with pytest.raises(StorageError) as fault:
        open_(path)
    assert "not a database" in said(fault)
    assert str(path) in said(fault)


@pytest.mark.parametrize("open_", [connect, connect_readonly])
def test_a_folder_in_its_place_is_refused(tmp_path: Path, open_: Callable[..., object]) -> None:
    with pytest.raises(StorageError) as fault:
        open_(tmp_path)
    assert "a folder" in said(fault)


def test_a_file_where_its_folder_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "artifacts").write_text("")
    with pytest.raises(StorageError) as fault:
        connect(tmp_path / "artifacts" / "state.sqlite")
    assert str(tmp_path / "artifacts") in said(fault)


@pytest.mark.parametrize("name", ["x" * 300, "nul\0nul"])
def test_an_impossible_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(StorageError) as fault:
        connect(tmp_path / name)
    assert said(fault)


def test_a_truncated_database_is_called_damaged(recorded: Path) -> None:
    os.truncate(recorded, 3 * 4096)
    with (
        pytest.raises(StorageError) as fault,
        connect_readonly(recorded) as database,
        database.read() as connection,
    ):
        connection.exec_driver_sql("SELECT COUNT(*) FROM outcomes").scalar()
    assert "damaged" in said(fault)


def test_a_schema_that_is_no_text_is_called_damaged(recorded: Path) -> None:
    raw = recorded.read_bytes()
    recorded.write_bytes(raw.replace(b"CREATE TABLE runs", b"CREATE TABLE \xba\xff\xfe\xfd"))
    with pytest.raises(StorageError) as fault:
        connect_readonly(recorded)
    assert "damaged" in said(fault)


def test_a_missing_database_is_not_made_by_a_query(path: Path) -> None:
    with pytest.raises(StorageError) as fault:
        connect_readonly(path)
    assert "no database yet" in said(fault)
    assert "darwin run" in said(fault)
    assert not path.parent.exists()


def test_a_query_connection_cannot_write(recorded: Path) -> None:
    with (
        connect_readonly(recorded) as database,
        pytest.raises(StorageError) as fault,
        database.write() as connection,
    ):
        connection.exec_driver_sql("DELETE FROM fills")
    assert "read-only" in said(fault)


def test_a_write_gives_up_when_another_process_keeps_the_lock(recorded: Path) -> None:
    with another_process_holds(recorded), connect(recorded, wait_s=0.1) as database:
        with pytest.raises(StorageError) as fault, database.write():
            pass
        with database.read() as connection:  # readers are not in the way of the writer
            assert connection.exec_driver_sql("SELECT COUNT(*) FROM runs").scalar() == 1
    assert "locked" in said(fault)
    assert fault.value.exit_code == 4


def test_a_fresh_database_that_another_process_is_making_is_waited_for(path: Path) -> None:
    path.parent.mkdir(parents=True)
    with another_process_holds(path), pytest.raises(StorageError) as fault:
        connect(path, wait_s=0.1)
    assert "locked" in said(fault)
    connect(path).close()


@pytest.mark.slow
def test_processes_that_make_the_same_database_at_once_all_succeed(path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from darwin.store.db import connect\n"
        "import alembic.command; print('ready', flush=True); sys.stdin.readline()\n"
        "connect(Path(sys.argv[1])).close()"
    )
    makers = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(3)
    ]
    for maker in makers:
        assert maker.stdout is not None
        assert maker.stdout.readline() == b"ready\n"
    for maker in makers:
        assert maker.stdin is not None
        maker.stdin.write(b"\n")
        maker.stdin.flush()
    for maker in makers:
        maker.communicate()
    assert [maker.returncode for maker in makers] == [0, 0, 0]


def test_a_broken_block_leaves_nothing(path: Path) -> None:
    insert = (
        "INSERT INTO runs VALUES"
        " ('r', 1, 'replay', '{}', 'c', 'd', '0', '[]', '[]', 't', zeroblob(32))"
    )
    with connect(path) as database:
        with pytest.raises(ZeroDivisionError), database.write() as connection:
            connection.exec_driver_sql(insert)
            raise ZeroDivisionError
        assert ask(path, "SELECT * FROM runs") == []
        with database.write() as connection:
            connection.exec_driver_sql(insert)
    assert len(ask(path, "SELECT * FROM runs")) == 1


def test_a_row_that_breaks_the_schema_is_an_integrity_error(recorded: Path) -> None:
    with (
        connect(recorded) as database,
        pytest.raises(IntegrityError) as fault,
        database.write() as connection,
    ):
        connection.exec_driver_sql(
            "INSERT INTO safety_events (run_id, time, kind, detail, hash)"
            " VALUES ('nobody', 1, 'a', 'b', zeroblob(32))"
        )
    assert "FOREIGN KEY" in said(fault)


def test_a_full_disk_is_said_and_nothing_is_kept(recorded: Path) -> None:
    with connect(recorded) as database:
        with database.read() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StorageError) as fault, database.write() as connection:
            connection.exec_driver_sql(
                "INSERT INTO safety_events (run_id, time, kind, detail, hash)"
                " VALUES ('one', 1, 'a', hex(randomblob(20000)), zeroblob(32))"
            )
    assert "disk is full" in said(fault)
    assert ask(recorded, "SELECT COUNT(*) FROM safety_events") == [(2,)]


def as_nobody(program: str, path: Path) -> list[str]:
    """The lines that `program` prints once its process may write to nothing of ours."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    become = (
        "import os, sys; from pathlib import Path; import darwin.store.migrate\n"
        "from darwin.store.db import connect, connect_readonly\n"
        "from darwin.store.queries import list_runs; from darwin.errors import StorageError\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534); folder = Path(sys.argv[1])\n"
    )
    words = [sys.executable, "-c", become + program, str(path)]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A folder everybody may read and only we may write to."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_a_folder_that_may_not_be_written_to_is_said(open_to_all: Path) -> None:
    program = (
        "for name in ('here.sqlite', 'below/there.sqlite'):\n"
        "    try: connect(folder / name)\n"
        "    except StorageError as fault: print(fault.what)\n"
    )
    assert as_nobody(program, open_to_all) == [
        "the database cannot be opened",
        "the folder of the database cannot be made (Permission denied)",
    ]


def test_a_database_in_a_folder_of_someone_else_can_be_read_but_not_written(
    open_to_all: Path, recorded: Path
) -> None:
    shutil.copy(recorded, open_to_all / "state.sqlite")
    program = (
        "with connect_readonly(folder / 'state.sqlite') as database:\n"
        "    print([run.run_id for run in list_runs(database)])\n"
        "try: connect(folder / 'state.sqlite')\n"
        "except StorageError as fault: print(fault.what)\n"
    )
    assert as_nobody(program, open_to_all) == ["['one']", "the database is read-only"]

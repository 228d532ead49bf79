"""`darwin kill`: whatever state a deployment is in, killed is killed, or it is said loudly."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from darwin.safety.switch import VARIABLE
from darwin.store.kill_log import last_said
from darwin.store.logs import sound_rows
from darwin.store.scan import as_it_stands
from darwin.store.schema import kill_events
from darwin.store.sealed import Source

WHO = ("--by", "Ada", "--reason", "a test")
KILL = Path("artifacts/KILL")


@pytest.fixture(autouse=True)
def quiet_shell(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture
def killed(darwin):
    """What `darwin kill status` says: which sources kill."""

    def ask(*words):
        code, out, _ = darwin("kill", "status", "--json", *words)
        tree = json.loads(out)
        assert code == 0
        sources = [name for name, one in tree["sources"].items() if one["killed"]]
        assert tree["killed"] == bool(sources)
        return sources

    return ask


def test_on_is_recorded_and_holds_until_a_named_act_releases_it(desk, darwin, killed):
    assert killed() == []
    code, out, err = darwin("kill", "on", *WHO)
    assert (code, err) == (0, "")
    assert out.startswith("killed")
    assert str(KILL.absolute()) in out
    assert killed() == ["file", "record"]
    code, out, _ = darwin("kill", "off", *WHO)
    assert code == 0
    assert f"removed: the file {KILL.absolute()}" in out
    assert "agents act again" in out
    assert killed() == []
    assert not KILL.exists()


def test_a_run_with_another_database_beside_the_same_artifacts_is_killed_too(desk, darwin, killed):
    other = Path("artifacts/rl_state/other.sqlite")
    shutil.copy(desk.path, other)
    darwin("kill", "on", *WHO)
    assert killed("--db", str(other)) == ["file"]
    code, out, _ = darwin("kill", "off", *WHO, "--json")
    assert (code, json.loads(out)["file_removed"]) == (0, True)
    assert killed("--db", str(other)) == []


def test_a_file_that_a_person_made_or_wrote_into_is_left_to_people(desk, darwin, killed):
    KILL.write_text("stop, says Bob\n")
    darwin("kill", "on", *WHO)
    assert KILL.read_text() == "stop, says Bob\n"
    _, out, _ = darwin("kill", "off", *WHO)
    assert f"remove {KILL.absolute()}" in out
    assert killed() == ["file"]
    KILL.unlink()
    darwin("kill", "on", *WHO)
    with KILL.open("a") as file:
        file.write("and so says Bob\n")
    darwin("kill", "off", *WHO)
    assert killed() == ["file"]


def test_a_file_made_while_nothing_could_be_recorded_is_released_on_record(
    desk, darwin, killed, monkeypatch
):
    monkeypatch.setattr("darwin.rl.cli.killing._PATIENCE_S", 0.05)
    with closing(sqlite3.connect(desk.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        darwin("kill", "on", *WHO)
        other.execute("ROLLBACK")
    assert killed() == ["file"]
    code, out, _ = darwin("kill", "off", *WHO)
    assert (code, killed()) == (0, [])
    assert "removed: the file" in out
    assert [row["kind"] for row in desk.rows("kill_events")] == ["off"]


def test_a_record_that_was_changed_kills_and_no_command_releases_it(desk, darwin, killed):
    darwin("kill", "on", *WHO)
    with closing(sqlite3.connect(desk.path)) as raw, raw:
        raw.execute("UPDATE kill_events SET kind = 'off'")
    assert killed() == ["file", "record"]
    _, out, _ = darwin("kill", "status")
    assert "row 1 of kill_events was changed" in out
    code, _, err = darwin("kill", "off", *WHO)
    assert code == 4
    assert len(err.splitlines()) == 3
    assert killed() == ["file", "record"]


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_whatever_stands_in_the_place_of_the_file_kills_and_is_not_opened(darwin, killed, kind):
    KILL.parent.mkdir()
    {"link": lambda: KILL.symlink_to("nowhere"), "pipe": lambda: os.mkfifo(KILL),
     "folder": KILL.mkdir}[kind]()  # fmt: skip
    assert killed() == ["file"]
    code, _, _ = darwin("kill", "on", *WHO)  # without a database
    assert code == 0
    assert killed() == ["file"]
    assert not Path("artifacts/nowhere").exists()


def test_where_the_file_alone_cannot_be_made_the_record_kills_and_it_is_said(
    darwin, empty_database, monkeypatch
):
    darwin("kill", "status")
    with nobody_s_folder(monkeypatch) as folder:
        state = folder / "artifacts" / "rl_state"
        state.mkdir()
        shutil.copy(empty_database, state / "agent_state.sqlite")
        give_up_rights(folder, "artifacts/rl_state", "artifacts/rl_state/agent_state.sqlite")
        code, out, err = darwin("kill", "on", *WHO)
        assert code == 4
        assert out.startswith("killed")
        assert "the file KILL was NOT made" in err
        assert len(err.splitlines()) == 3
        _, out, _ = darwin("kill", "status", "--json")
        assert json.loads(out)["sources"]["record"]["killed"] is True
        assert json.loads(out)["sources"]["file"]["killed"] is False


def test_each_act_is_one_sealed_row(desk, darwin):
    for word in ("on", "on", "off", "on"):
        darwin("kill", word, *WHO)
    assert [(row["kind"], row["by"], row["reason"]) for row in desk.rows("kill_events")] == [
        (word, "Ada", "a test") for word in ("on", "on", "off", "on")
    ]
    with as_it_stands(desk.database) as raw:
        assert len(list(sound_rows(Source(raw, desk.path), kill_events))) == 4
    with desk.database.read() as connection:
        assert last_said(connection).on is True


def test_on_needs_no_name_and_no_reason(desk, darwin, killed):
    code, _, err = darwin("kill", "on")
    assert (code, err) == (0, "")
    assert desk.rows("kill_events")[0]["by"]
    assert killed() == ["file", "record"]


@pytest.mark.parametrize("reason", ["", " ", "x" * 500, "two\nlines", "\udce9\udcff"])
def test_on_refuses_no_reason_whatever(desk, darwin, killed, reason):
    code, _, _ = darwin("kill", "on", "--reason", reason, "--by", reason)
    assert code == 0
    assert killed() == ["file", "record"]


@pytest.mark.parametrize(
    "words", [(), ("--by", "Ada"), ("--reason", "a test"), ("--by", "", "--reason", "a test")]
)
def test_off_wants_a_name_and_a_reason(desk, darwin, killed, words):
    darwin("kill", "on")
    code, _, _ = darwin("kill", "off", *words)
    assert code == 2
    assert killed() == ["file", "record"]


def test_off_says_what_still_kills_and_touches_none_of_it(desk, darwin, killed, monkeypatch):
    KILL.touch()
    darwin("kill", "on", *WHO)
    monkeypatch.setenv(VARIABLE, "yes")
    code, out, _ = darwin("kill", "off", *WHO)
    assert code == 0
    assert "released" in out
    assert "STILL KILLED" in out
    assert f"unset {VARIABLE}" in out
    assert f"remove {KILL.absolute()}" in out
    assert killed() == ["environment", "file"]


def test_off_where_nothing_is_on_writes_nothing(desk, darwin):
    code, out, _ = darwin("kill", "off", *WHO)
    assert code == 0
    assert "nothing was recorded" in out
    assert desk.rows("kill_events") == []


def test_status_tells_people_each_source_and_how_to_remove_it(desk, darwin, monkeypatch):
    code, out, _ = darwin("kill", "status")
    assert (code, out.splitlines()[0]) == (0, "not killed")
    KILL.mkdir()
    darwin("kill", "on", *WHO)
    monkeypatch.setenv(VARIABLE, "perhaps")
    code, out, err = darwin("kill", "status")
    assert code == 0
    assert out.startswith("killed: ")
    assert "switched on by Ada: a test" in out
    assert "neither yes nor no" in err
    for source in ("environment", "file", "record"):
        assert f"to remove {source}: " in out


# Where the database cannot take it


def assert_killed_by_the_file(darwin, killed, *words):
    code, out, err = darwin("kill", "on", *WHO, *words)
    assert code == 0, err
    assert str(KILL.absolute()) in out
    assert "could not be recorded" in err
    assert "Ada: a test" in KILL.read_text("utf-8")
    assert "file" in killed(*words)


def test_without_a_database_the_file_does_it_and_no_database_is_made(darwin, killed):
    assert_killed_by_the_file(darwin, killed)
    assert sorted(path.name for path in Path("artifacts").iterdir()) == ["KILL"]
    assert killed() == ["file"]


def test_while_another_process_holds_the_database_the_file_does_it(
    desk, darwin, killed, monkeypatch
):
    monkeypatch.setattr("darwin.rl.cli.killing._PATIENCE_S", 0.05)
    with closing(sqlite3.connect(desk.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert_killed_by_the_file(darwin, killed)
        other.execute("ROLLBACK")


@pytest.mark.parametrize(
    "content",
    [b"", b"not a database at all", bytes(100_000), b"SQLite format 3\0" + bytes(5000)],
)
def test_with_what_is_no_database_the_file_does_it(desk, darwin, killed, content):
    desk.database.close()
    desk.path.write_bytes(content)
    assert_killed_by_the_file(darwin, killed)
    assert desk.path.read_bytes() == content


def test_with_an_older_schema_the_file_does_it_and_nothing_is_migrated(desk, darwin, killed):
    with closing(sqlite3.connect(desk.path)) as raw, raw:
        raw.execute("UPDATE alembic_version SET version_num = '0002'")
    assert_killed_by_the_file(darwin, killed)
    with closing(sqlite3.connect(desk.path)) as raw:
        assert raw.execute("SELECT version_num FROM alembic_version").fetchone() == ("0002",)


def test_with_a_folder_in_its_place_the_file_does_it(desk, darwin, killed):
    assert_killed_by_the_file(darwin, killed, "--db", str(desk.path.parent))


@pytest.mark.parametrize("seed", range(30))
def test_whatever_is_damaged_killed_is_killed(desk, darwin, killed, seed):
    chance = random.Random(seed)
    darwin("kill", "on")
    darwin("kill", "off", *WHO)
    desk.database.close()
    content = bytearray(desk.path.read_bytes())
    for _ in range(chance.randrange(1, 12)):
        page = chance.randrange(len(content) // 4096) * 4096
        at = page + chance.choice((0, chance.randrange(4096)))
        content[at : at + 64] = chance.randbytes(64)[: len(content) - at]
    desk.path.write_bytes(content[: chance.choice((len(content), len(content) // 2))])
    for leftover in desk.path.parent.glob("*-wal"):
        leftover.unlink()
    code, out, _ = darwin("kill", "on", *WHO)
    assert code == 0
    assert out.startswith("killed")
    assert killed() != []


@contextmanager
def nobody_s_folder(monkeypatch) -> Iterator[Path]:
    """A working directory in which this process may read and not write."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        monkeypatch.chdir(folder)
        (folder / "artifacts").mkdir(mode=0o777)
        try:
            yield folder
        finally:
            if os.getuid() == 0:
                os.seteuid(0)
            for path in (folder, *folder.rglob("*")):
                path.chmod(0o700)


def give_up_rights(folder: Path, *writable: str) -> None:
    """Keep the right to read all, and to write these alone."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    for name in writable:
        (folder / name).chmod(0o777)
    if os.getuid() == 0:
        os.seteuid(65534)


def test_with_a_read_only_database_the_file_does_it(darwin, killed, empty_database, monkeypatch):
    darwin("kill", "status")  # what it imports may be out of reach in a moment
    with nobody_s_folder(monkeypatch) as folder:
        state = folder / "artifacts" / "rl_state"
        state.mkdir()
        shutil.copy(empty_database, state / "agent_state.sqlite")
        give_up_rights(folder, "artifacts")
        assert_killed_by_the_file(darwin, killed)


def test_where_neither_can_be_written_it_says_so_loudly(darwin, monkeypatch):
    darwin("kill", "status")
    with nobody_s_folder(monkeypatch) as folder:
        give_up_rights(folder)
        code, out, err = darwin("kill", "on", *WHO)
        assert (code, out) == (4, "")
        assert "NOTHING IS KILLED" in err
        assert len(err.splitlines()) <= 3


def test_a_file_in_the_place_of_the_artifacts_is_loud_as_well(darwin, killed):
    Path("artifacts").write_text("a file")
    code, _, err = darwin("kill", "on", *WHO)
    assert code == 4
    assert "NOTHING IS KILLED" in err
    assert "file" in killed()  # what cannot be looked at kills


def test_a_file_that_is_there_already_is_enough(darwin, killed):
    KILL.mkdir(parents=True)
    code, _, _ = darwin("kill", "on", *WHO)
    assert code == 0
    assert killed() == ["file"]


def test_off_without_a_database_is_exit_4(darwin):
    code, _, err = darwin("kill", "off", *WHO)
    assert code == 4
    assert "no database yet" in err


@pytest.mark.parametrize("words", [(), ("on",), ("off",), ("status",)])
def test_every_command_shows_an_example(darwin, words):
    code, out, _ = darwin("kill", *words, "--help")
    assert code == 0
    assert "Example" in out

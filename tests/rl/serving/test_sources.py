"""The kill switch as a running process reads it: what cannot be understood kills."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from darwin.rl.serving.kill_file import KILL_FILE
from darwin.rl.serving.switchboard import Sources
from darwin.safety.switch import OFF
from darwin.store.db import connect
from darwin.store.kill_log import switch_off, switch_on
from darwin.store.watch import LogWatch

WHEN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database in which the switch was thrown and released."""
    path = tmp_path / "state.sqlite"
    with connect(path) as database:
        switch_on(database, by="Ada", reason="a test", at=WHEN)
        switch_off(database, by="Ada", reason="it was one", at=WHEN)
    return path


def sources(path: Path) -> tuple[Sources, LogWatch]:
    watch = LogWatch(path)
    return Sources(OFF, path.parent, watch), watch


def test_a_released_switch_kills_nothing_and_a_thrown_one_is_seen_at_the_next_look(
    path: Path,
) -> None:
    looking, watch = sources(path)
    assert not looking.look(grown=watch.changed()).killed
    assert not watch.changed()
    with connect(path) as database:
        switch_on(database, by="Ada", reason="again", at=WHEN)
    assert watch.changed()
    switch = looking.look(grown=True)
    assert (switch.killed, switch.why) == (True, "switched on by Ada: again")


def test_the_file_kills_while_it_is_there(path: Path) -> None:
    looking, _ = sources(path)
    (path.parent / KILL_FILE).touch()
    assert looking.look(grown=False).sources == ("file",)
    (path.parent / KILL_FILE).unlink()
    (path.parent / KILL_FILE).symlink_to("nowhere")
    assert looking.look(grown=False).sources == ("file",)
    (path.parent / KILL_FILE).unlink()
    assert not looking.look(grown=False).killed


def damaged_word(path: Path) -> None:
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA ignore_check_constraints = ON")
        raw.execute("UPDATE kill_events SET kind = 'o\x1ff' WHERE id = 2")
        raw.commit()


def forged_release(path: Path) -> None:
    with connect(path) as database:
        switch_on(database, by="Ada", reason="again", at=WHEN)
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("UPDATE kill_events SET kind = 'off' WHERE id = 3")
        raw.commit()


def no_text(path: Path) -> None:
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("UPDATE kill_events SET reason = CAST(x'ff' AS TEXT) WHERE id = 2")
        raw.commit()


def no_database(path: Path) -> None:
    path.write_bytes(b"no database at all" * 400)


@pytest.mark.parametrize(
    "damage", [damaged_word, forged_release, no_text, no_database, Path.unlink]
)
def test_a_record_that_cannot_be_read_kills(path: Path, damage: Callable[[Path], object]) -> None:
    damage(path)
    looking, _ = sources(path)
    switch = looking.look(grown=True)
    assert (switch.killed, switch.sources) == (True, ("record",))


def test_a_damaged_log_is_named_and_kills_until_it_is_sound(path: Path) -> None:
    looking, watch = sources(path)
    assert not looking.look(grown=watch.changed()).killed
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("INSERT INTO kill_events VALUES (3, 'off', 'Eve', '', '', zeroblob(32))")
    switch = looking.look(grown=watch.changed())
    assert "row 3 of kill_events was changed" in switch.why
    assert looking.look(grown=False).killed
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("DELETE FROM kill_events WHERE id = 3")
    assert not looking.look(grown=False).killed


def test_the_newest_row_that_a_process_has_seen_must_stay(path: Path) -> None:
    with connect(path) as database:
        switch_on(database, by="Ada", reason="again", at=WHEN)
    looking, watch = sources(path)
    assert looking.look(grown=watch.changed()).killed
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("DELETE FROM kill_events WHERE id = 3")
    switch = looking.look(grown=watch.changed())
    assert (switch.killed, "row 3 of kill_events is gone" in switch.why) == (True, True)

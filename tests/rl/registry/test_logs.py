"""The logs of the deployment: numbered, sealed, and whatever is changed in them shows."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from hashlib import sha256

import pytest

from darwin.errors import IntegrityError, RecordError
from darwin.store.db import connect
from darwin.store.logs import Tail, append, read, require_sound, sound_rows
from darwin.store.scan import as_it_stands
from darwin.store.schema import LOGS, kill_events, rollout_events
from darwin.store.sealed import Source


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.sqlite"


@pytest.fixture
def database(path):
    with connect(path) as database:
        with database.write() as connection:
            for number in range(4):
                flip(connection, number)
        yield database


def flip(connection, number):
    kind = "off" if number % 2 else "on"
    return append(
        connection,
        kill_events,
        kind=kind,
        by="Ada",
        reason=f"é {number}",
        at="2026-01-13T09:30:00Z",
    )


def check(database):
    with as_it_stands(database) as raw:
        require_sound(Source(raw, database.path))


def tell(path, sql):
    with closing(sqlite3.connect(path)) as raw:
        raw.execute(sql)
        raw.commit()


def test_rows_are_numbered_from_one_and_read_in_order(database):
    with database.read() as connection:
        assert [row["id"] for row in read(connection, kill_events)] == [1, 2, 3, 4]
        assert [row["reason"] for row in read(connection, kill_events, after=2)] == ["é 2", "é 3"]
        assert read(connection, rollout_events) == []
    with database.write() as connection:
        assert flip(connection, 4) == 5
    check(database)


def test_an_outsider_can_reckon_the_seals(database, path):
    with closing(sqlite3.connect(path)) as raw:
        raw.row_factory = sqlite3.Row
        rows = [dict(row) for row in raw.execute("SELECT * FROM kill_events ORDER BY id")]
    seal = b""
    for row in rows:
        stored = row.pop("seal")
        line = json.dumps({"fact": "kill_events"} | row, sort_keys=True, separators=(",", ":"))
        seal = sha256(seal + line.encode()).digest()
        assert stored == seal


@pytest.mark.parametrize(
    "change, what",
    [
        ("UPDATE kill_events SET reason = 'é 9' WHERE id = 2", "row 2 of kill_events was changed"),
        ("UPDATE kill_events SET at = '' WHERE id = 4", "row 4 of kill_events was changed"),
        ("UPDATE kill_events SET seal = zeroblob(32) WHERE id = 1", "row 1 .* was changed"),
        ("UPDATE kill_events SET id = 9 WHERE id = 4", "row 4 .* is missing, row 9 follows"),
        ("DELETE FROM kill_events WHERE id = 1", "row 1 .* is missing, row 2 follows"),
        ("UPDATE kill_events SET id = 0 WHERE id = 1", "row 0 .* is out of its place"),
        (
            "INSERT INTO kill_events VALUES (5, 'on', 'Eve', '', '', zeroblob(32))",
            "row 5 of kill_events was changed",
        ),
    ],
)
def test_the_first_row_that_is_not_as_it_was_appended_is_named(database, path, change, what):
    check(database)
    tell(path, change)
    with pytest.raises(RecordError, match=what):
        check(database)


def test_a_tail_gives_each_row_once_and_looks_at_the_old_ones_no_more(database, path):
    tail = Tail(kill_events)

    def newer():
        with as_it_stands(database) as raw:
            return [row["id"] for row in tail.newer(Source(raw, path))]

    assert newer() == [1, 2, 3, 4]
    assert newer() == []
    tell(path, "UPDATE kill_events SET by = 'Eve' WHERE id = 2")
    with database.write() as connection:
        flip(connection, 4)
    assert newer() == [5]
    tell(path, "INSERT INTO kill_events VALUES (6, 'off', 'Eve', '', '', zeroblob(32))")
    for _ in range(2):
        with pytest.raises(RecordError, match="row 6 of kill_events was changed"):
            newer()


def test_rows_before_the_damage_are_handed_out(database, path):
    tell(path, "UPDATE kill_events SET by = 'Eve' WHERE id = 3")
    seen = []
    with as_it_stands(database) as raw, pytest.raises(RecordError):
        seen += [row["id"] for row in sound_rows(Source(raw, path), kill_events)]
        pytest.fail("the damage went unseen")
    with as_it_stands(database) as raw:
        rows = sound_rows(Source(raw, path), kill_events)
        assert [next(rows)["id"], next(rows)["id"]] == [1, 2]


def test_a_row_that_the_schema_refuses_leaves_nothing(database):
    with pytest.raises(IntegrityError), database.write() as connection:
        flip(connection, 4)
        append(connection, kill_events, kind="maybe", by="", reason="", at="")
    with database.read() as connection:
        assert len(read(connection, kill_events)) == 4
    check(database)


def test_every_log_is_checked(database, path):
    some = {
        "graduation_events": "'gate', 'promoted', 'v', '', 'deployment', 'Ada', '', 0, NULL",
        "model_events": "'gate', 'deployed', 'v', '', '', 'Ada', ''",
        "rollout_events": "'gate', 0.01, 'Ada', '', 0, NULL, NULL, NULL",
        "contracts": "'gate', 'v', '', 'deployment', 1, 1, '', '', 'Ada', ''",
        "kill_events": "'on', 'Ada', ''",
        "llm_calls": f"'charged', 'r', 'c', '{'a' * 64}', 'm', '', NULL, NULL, 0.5, NULL",
        "trials": "'gate', 'seed', 1, '', '', 'ppo', 0, 8192, 1, 2, 3, 0.1, NULL, 'Ada'",
        "tokens": f"'created', 'Ada', 'viewer', '{'a' * 64}', 'Ada'",
        "service_acts": "'kill on', 'Ada', 'operator', '', '{}', 200",
        "schedule_events": "'gate', 1, NULL, 7, 'UTC', 30.0, 1000, 'Ada', ''",
        "notices": "'k', 'info', '', 1, '{}'",
    }
    assert set(some) == set(LOGS)
    tell(path, "DELETE FROM kill_events")
    for name, values in some.items():
        tell(path, f"INSERT INTO {name} VALUES (1, {values}, '', zeroblob(32))")
        with pytest.raises(RecordError, match=f"row 1 of {name} was changed"):
            check(database)
        tell(path, f"DELETE FROM {name}")
    check(database)

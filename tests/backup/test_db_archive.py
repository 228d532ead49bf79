"""`darwin db archive`: old runs move into a database of their own, and nothing else moves."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from darwin.core.agents import Decision, Mode, Model, Role, Why
from darwin.store import archive, jobs
from darwin.store.db import connect
from darwin.store.schema import LOGS
from tests.backup.conftest import SIGNED, STATE, Room, keep
from tests.store.verified import sound

ALL = ("db", "archive", "--before", "2100-01-01")
MOVE = (*ALL, "-o", "old.sqlite", *SIGNED)
CHAINED = ("candidates", "verdicts", "orders", "fills", "outcomes", "agent_decisions")


def ask(path: Path, sql: str, *values: object) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as raw:
        return raw.execute(sql, values).fetchall()


def staying(room: Room, *more: object) -> dict[str, str]:
    found: dict[str, str] = room.done(*ALL, "--dry-run", "--json", *more).tree["staying"]
    return found


def test_a_dry_run_says_what_would_move_and_writes_nothing(room: Room) -> None:
    before = room.files()
    said = room.done(*MOVE, "--dry-run")
    assert room.files() == before
    assert "would move: first, 32 facts" in said.out
    assert "stays: third: it was begun last" in said.out
    tree = room.done(*MOVE, "--dry-run", "--json").tree
    assert [one["run_id"] for one in tree["runs"]] == ["first", "second"]
    assert tree["moved"] is False
    assert 0 < tree["bytes"] < (room.folder / STATE).stat().st_size


def test_moved_runs_are_there_what_they_were_here(room: Room) -> None:
    room.done("kill", "on", *SIGNED)
    there = ("--db", "old.sqlite")
    before = {name: room.done("ledger", "export", name).out for name in ("first", "third")}
    checked = room.done("verify", "first", "--json").tree
    candidate = json.loads(before["first"].splitlines()[0])["candidate_id"]
    room.done(*MOVE)
    assert room.done("ledger", "export", "first", *there).out == before["first"]
    assert room.done("verify", "first", *there, "--json").tree == checked
    assert room.done("why", candidate, "--run", "first", *there).code == 0
    assert room.done("ledger", "export", "third").out == before["third"]
    assert room.done("verify", "third").code == 0
    for path in (room.folder / STATE, room.folder / "old.sqlite"):
        assert ask(path, "PRAGMA integrity_check") == [("ok",)]
        assert ask(path, "PRAGMA foreign_key_check") == []
    for name in set(LOGS) - {"service_acts"}:
        rows = f"SELECT * FROM {name} ORDER BY id"
        assert ask(room.folder / "old.sqlite", rows) == ask(room.folder / STATE, rows)


def test_nothing_of_a_moved_run_is_left_and_nothing_of_another_is_gone(room: Room) -> None:
    count = "SELECT count(*) FROM {} WHERE run_id = ?"
    here, there = room.folder / STATE, room.folder / "old.sqlite"
    tables = (*CHAINED, "runs", "run_events", "checkpoints", "equity_marks", "alerts")
    before = {name: ask(here, count.format(name), "first") for name in tables}
    room.done(*MOVE)
    for name in tables:
        assert ask(here, count.format(name), "first") == [(0,)]
        assert ask(here, count.format(name), "third") == before[name]
        assert ask(there, count.format(name), "first") == before[name]
        assert ask(there, count.format(name), "third") == [(0,)]


def test_the_log_says_who_moved_what_and_where_it_is(room: Room) -> None:
    room.done(*ALL, *SIGNED)
    rows = ask(room.folder / STATE, 'SELECT act, "by", reason, detail, status FROM service_acts')
    assert [row[:3] for row in rows] == [("archive", "Ada", "a test")] * 2
    told = json.loads(rows[0][3])
    assert (told["run_id"], told["number"], told["facts"]) == ("first", 1, 32)
    assert told["file"] == "artifacts/archives/runs-before-21000101_000000.sqlite"
    said = room.refused(2, "verify", "first")
    assert f"add --db {told['file']}" in said
    assert room.done("verify", "first", "--db", told["file"]).code == 0


def test_whoever_asks_for_a_moved_run_is_told_where_it_is_though_its_folder_stays(
    room: Room,
) -> None:
    room.done(*MOVE)
    (room.folder / "artifacts/runs/first/manifest.json").write_text("{}")
    for command in ("verify", "replay", "ledger export"):
        assert "has moved into an archive" in room.refused(2, *command.split(), "first")


def test_the_name_and_the_number_of_a_moved_run_are_not_given_again(room: Room) -> None:
    room.done(*MOVE)
    with pytest.raises(Exception, match="has moved into an archive"):
        keep(room.folder / STATE, "first")
    keep(room.folder / STATE, "fourth")
    assert ask(room.folder / STATE, "SELECT run_id, number FROM runs ORDER BY number") == [
        ("third", 3), ("fourth", 4),
    ]  # fmt: skip


def test_what_is_archived_later_goes_into_another_file(room: Room) -> None:
    room.done(*MOVE)
    keep(room.folder / STATE, "fourth")
    assert "overwritten" in room.refused(2, *MOVE)
    room.done(*ALL, "-o", "older.sqlite", *SIGNED)
    assert room.done("verify", "third", "--db", "older.sqlite").code == 0
    assert "older.sqlite" in room.refused(2, "verify", "third")
    assert "old.sqlite" in room.refused(2, "verify", "first")


def test_a_run_that_was_kept_in_time_or_by_name_or_is_unfinished_stays(room: Room) -> None:
    keep(room.folder / STATE, "going", finished=False)
    keep(room.folder / STATE, "last")
    found = staying(room, "--keep-runs", "first,third")
    assert found["going"] == "it is not finished"
    assert found["first"] == found["third"] == "--keep-runs names it"
    assert "second" not in found
    room.refused(2, *ALL, "--keep-runs", "firts", "--dry-run")
    early = room.done("db", "archive", "--before", "2020-01-01", "--dry-run", "--json").tree
    assert early == {"moved": False, "file": None, "runs": [], "bytes": 0, "staying": {}}


def test_a_run_that_a_person_released_stays_for_the_log_of_acts_is_one(room: Room) -> None:
    sound(room.folder / STATE, "fed", "after")
    assert "a person released it" in staying(room)["fed"]


def test_a_run_whose_verdicts_another_repeats_stays(room: Room) -> None:
    config = json.dumps({"decider": {"provider": "recorded", "run_id": "first"}})
    keep(room.folder / STATE, "again", config_json=config)
    assert staying(room)["first"] == "run 'again' repeats its verdicts"


def test_a_run_that_a_waiting_job_names_stays_until_that_is_over(room: Room) -> None:
    with connect(room.folder / STATE) as database:
        words = ("rl", "train", "gate", "--run-ids", "second,first")
        job = jobs.enqueue(
            database, "train", words, lane="training", agent="gate", by="Ada", reason="",
            at=datetime.now(UTC),
        )  # fmt: skip
        assert job is not None
        assert staying(room)["first"] == f"job {job.id}, which is not over, names it"
        jobs.cancel(database, job.id, datetime.now(UTC))
        assert "first" not in staying(room)


def test_runs_of_a_life_that_is_not_lived_yet_stay(room: Room) -> None:
    folder = room.folder / "artifacts" / "runs" / "life"
    folder.mkdir(parents=True)
    tree: dict[str, Any] = {"asked": {}, "collected": {"run_id": "first"}}
    (folder / "lifecycle.json").write_text(json.dumps(tree))
    assert staying(room)["first"] == "the life of 'life' is not finished"
    (folder / "lifecycle.json").write_text(json.dumps(tree | {"lived": {}}))
    assert "first" not in staying(room)


def advised(monkeypatch: pytest.MonkeyPatch, model: Model) -> None:
    """Let runs that are kept from here on have asked a model of the gate."""
    advice = Decision(
        0, "gate", Role.SERVING, Mode.OBSERVE, 1.0, 0.9, 1.0, 1.0, False, Why.OBSERVE,
        model, "5" * 64, b"\0" * 8, 0,
    )  # fmt: skip
    monkeypatch.setattr("tests.store.conftest.UNANSWERED", [advice])


def test_the_evidence_of_what_serves_stays_and_all_of_paper_while_it_is_promoted(
    room: Room, versions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = dict(ask(room.folder / STATE, "SELECT version, manifest_sha256 FROM model_events"))
    before, served = (Model(name, known[name]) for name in versions)
    paper = {"mode": "feed", "data_digest": None, "config_json": '{"mode": "paper"}'}
    for run_id, model, other in (
        ("of-before", before, paper), ("served", served, paper), ("replayed", served, {}),
        ("latest", served, paper),
    ):  # fmt: skip
        advised(monkeypatch, model)
        keep(room.folder / STATE, run_id, **other)
    monkeypatch.setattr("tests.store.conftest.UNANSWERED", [])
    keep(room.folder / STATE, "last")
    found = staying(room)
    reckoned = "the time for which gate has held its stage is reckoned from it"
    assert found == {
        "third": "it is the latest run that asked portfolio",
        "of-before": reckoned, "served": reckoned, "latest": "it is the latest run that asked gate",
        "last": "it was begun last, and its number must not be given again",
    }  # fmt: skip
    room.done("rl", "demote", "gate", *SIGNED)
    found = staying(room)
    assert sorted(found) == ["last", "latest", "served", "third"]
    assert found["served"] == f"it is evidence on version {versions[1]} of gate"


def test_what_a_promotion_in_force_rests_on_stays(room: Room, versions: list[str]) -> None:
    detail = json.dumps({"run": "first", "scope": "run:second"})
    words = ("rl", "demote", "gate", *SIGNED)
    assert "first" not in staying(room)
    with connect(room.folder / STATE) as database:
        from darwin.rl.graduation import acts

        model = Model(versions[1], "0" * 64)
        acts.promote(
            database, "gate", model, by="Ada", reason="x", at=datetime.now(UTC), override=True,
            detail=json.loads(detail),
        )  # fmt: skip
    found = staying(room)
    assert found["first"] == found["second"] == "the promotion of gate rests on it"
    room.done(*words)
    assert "first" not in staying(room)
    with connect(room.folder / STATE) as database:
        acts.promote(
            database, "gate", model, by="Ada", reason="x", at=datetime.now(UTC), override=True,
            scope="run:first", detail=json.loads(detail),
        )  # fmt: skip
    assert "first" not in staying(room), "it is over, and its promotion with it"


def test_a_run_that_cannot_be_proven_keeps_all_where_they_are(room: Room) -> None:
    with closing(sqlite3.connect(room.folder / STATE)) as raw:
        raw.execute("UPDATE fills SET price = 1 WHERE run_id = 'second' AND kind = 'entry'")
        raw.commit()
    before = room.files()
    assert "fills" in room.refused(4, *MOVE)
    after = room.files()
    assert sorted(after) == sorted(before)
    assert ask(room.folder / STATE, "SELECT count(*) FROM runs") == [(3,)]


def test_what_came_to_stand_against_it_after_the_copy_keeps_the_run(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    from darwin.cli import db

    whole = db.sort_runs
    asked: list[int] = []

    def promoted_meanwhile(connection, *rest):  # type: ignore[no-untyped-def]
        found = whole(connection, *rest)
        asked.append(len(asked))
        if asked[-1]:
            found.staying["second"] = "somebody wants it now"
        return found

    monkeypatch.setattr(db, "sort_runs", promoted_meanwhile)
    assert "somebody wants it now" in room.refused(4, *MOVE)
    assert ask(room.folder / STATE, "SELECT run_id FROM runs ORDER BY number") == [
        ("second",), ("third",),
    ]  # fmt: skip
    monkeypatch.undo()


def test_what_another_has_moved_meanwhile_is_not_moved_twice(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_runs = archive.copy_runs

    def outrun(*given: Any) -> None:
        copy_runs(*given)
        monkeypatch.undo()
        monkeypatch.chdir(room.folder)
        room.done(*ALL, "-o", "quicker.sqlite", *SIGNED)

    monkeypatch.setattr(archive, "copy_runs", outrun)
    assert "'first' is not here any more" in room.refused(4, *MOVE)
    files = ask(room.folder / STATE, "SELECT json_extract(detail, '$.file') FROM service_acts")
    assert [Path(file).name for (file,) in files] == ["quicker.sqlite"] * 2
    assert room.done("verify", "first", "--db", "quicker.sqlite").code == 0


def test_an_archive_is_one_file_that_can_be_read_where_nobody_may_write(room: Room) -> None:
    room.done(*MOVE)
    assert not list(room.folder.glob("old.sqlite-*"))
    folder = room.folder / "shelf"
    folder.mkdir()
    shutil.move(room.folder / "old.sqlite", folder)
    assert room.done("runs", "--db", "shelf/old.sqlite", "--json").code == 0

"""`darwin rollback`: from the kill switch to the report, as somebody does it at three at night."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from darwin.rl.cli import acting
from darwin.rl.graduation import acts
from darwin.rl.registry.registry import Registry
from darwin.store import jobs
from darwin.store.db import connect
from tests.backup.conftest import SIGNED, STATE, Room, trained
from tests.store.verified import tampering

ROLL = ("rollback", "gate", "--by", "Ada", "--reason", "skips every winner")
QUICK = (*ROLL, "--no-backup")


def serving(room: Room) -> str:
    listed = room.done("rl", "models", "list", "gate", "--json").tree
    return str(next(one["version"] for one in listed if one["place"] == "serving"))


def killed(room: Room) -> bool:
    return bool(room.done("kill", "status", "--json").tree["killed"])


def ask(room: Room, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(room.folder / STATE)) as raw:
        return raw.execute(sql).fetchall()


def reports(room: Room) -> list[str]:
    folder = room.folder / "artifacts" / "rl_state" / "rollbacks"
    return [path.read_text() for path in sorted(folder.glob("*.md"))]


def test_a_dry_run_tells_every_phase_and_writes_nothing(room: Room, versions: list[str]) -> None:
    before = room.files()
    said = room.done(*ROLL, "--dry-run", "--release")
    assert room.files() == before
    for line in (
        "stop: would switch all agents off",
        "prepare: would make a backup below artifacts/backups",
        f"roll back: would demote version {versions[1]}, which has 1%",
        f"roll back: would let version {versions[0]} serve: it served before",
        f"verify: version {versions[0]}: a forward pass gives what its training stored",
        "release: would release what it had switched on itself",
        "; nothing was written",
    ):
        assert line in said.out
    tree = room.done(*ROLL, "--dry-run", "--json").tree
    assert (tree["from"], tree["to"], tree["done"]) == (versions[1], versions[0], False)
    assert [one["name"] for one in tree["phases"]] == ["stop", "prepare", "roll back", "verify"]
    assert room.files() == before


def test_the_version_before_serves_and_nobody_acts(room: Room, versions: list[str]) -> None:
    tree = room.done(*ROLL, "--json").tree
    assert tree["done"] is True
    assert tree["seconds"] < 60
    assert serving(room) == versions[0]
    assert killed(room)
    assert (room.folder / "artifacts/rl_models/gate/current").readlink() == Path(
        f"versions/{versions[0]}"
    )
    assert room.done("rl", "models", "fsck").code == 0
    assert ask(room, "SELECT kind, version FROM graduation_events ORDER BY id") == [
        ("promoted", versions[1]), ("demoted", versions[1]),
    ]  # fmt: skip
    for log in ("model_events", "graduation_events", "kill_events"):
        row = ask(room, f'SELECT "by", reason FROM {log} ORDER BY id DESC LIMIT 1')
        assert row == [("Ada", "rollback of gate: skips every winner")]


def test_its_backup_is_of_before(room: Room, versions: list[str]) -> None:
    room.done(*ROLL)
    [file] = (room.folder / "artifacts" / "backups").iterdir()
    said = room.done("backup", "restore", file, "--artifacts-dir", "then")
    assert "agents are switched off" in said.out
    link = room.folder / "then/rl_models/gate/current"
    assert str(link.readlink()) == f"versions/{versions[1]}"


def test_the_report_tells_each_action_with_time_name_and_reason(
    room: Room, versions: list[str]
) -> None:
    room.done(*ROLL[:-1], "too | wild")
    [page] = reports(room)
    assert "By Ada, because: too | wild" in page
    assert f"From version {versions[1]} to {versions[0]};" in page
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    for phase in ("stop", "prepare", "roll back", "verify"):
        assert f"| {phase} | {day}T" in page
    assert "| backup: artifacts/backups/darwin-" in page
    assert "run 'third': 32 facts are as they were recorded" in page


def test_doing_it_again_rolls_back_no_further(room: Room, versions: list[str]) -> None:
    room.done(*QUICK)
    events = ask(room, "SELECT count(*) FROM model_events")
    said = room.done(*QUICK)
    assert "stop: agents are switched off already" in said.out
    assert f"version {versions[0]} stays: it serves by a rollback already" in said.out
    assert ask(room, "SELECT count(*) FROM model_events") == events
    assert len(reports(room)) == 2


def test_a_named_version_serves_and_an_unknown_one_changes_nothing(
    room: Room, versions: list[str]
) -> None:
    before = room.files()
    said = room.refused(2, *QUICK, "--to", "20200101_000000")
    assert f"these exist: {', '.join(versions)}" in said
    assert room.files() == before
    room.done(*QUICK, "--to", versions[1])
    assert serving(room) == versions[1]
    assert killed(room)
    room.done(*QUICK, "--to", versions[0])
    assert serving(room) == versions[0]


def test_agents_go_on_if_it_is_asked_for_and_all_is_well(room: Room, versions: list[str]) -> None:
    said = room.done(*QUICK, "--release")
    assert "release: released: gate observes" in said.out
    assert not killed(room)
    assert serving(room) == versions[0]
    assert [row[0] for row in ask(room, "SELECT kind FROM kill_events ORDER BY id")] == [
        "on", "off",
    ]  # fmt: skip


@pytest.mark.parametrize("by", ["command", "hand", "record"])
def test_what_somebody_else_has_switched_off_stays_so(
    by: str, room: Room, versions: list[str]
) -> None:
    if by == "hand":
        (room.folder / "artifacts" / "KILL").touch()
    else:
        room.done("kill", "on", "--by", "Bob", "--reason", "mine")
    if by == "record":
        (room.folder / "artifacts" / "KILL").unlink()
    said = room.done(*QUICK, "--release")
    assert "agents stay switched off, for not this rollback alone did it" in said.out
    assert killed(room)


def test_a_rollback_of_somebody_else_is_not_released(room: Room, versions: list[str]) -> None:
    room.done(*QUICK)
    bob = ("--by", "Bob", "--reason", "skips every winner", "--no-backup", "--release")
    said = room.done("rollback", "gate", *bob)
    assert "agents stay switched off, for not this rollback alone did it" in said.out
    assert killed(room)


def test_who_finds_agents_switched_off_is_not_let_down_by_whoever_did_it(
    room: Room, versions: list[str]
) -> None:
    room.done(*QUICK)
    bob = ("--by", "Bob", "--reason", "sizes are odd", "--no-backup")
    assert ", as others had" in room.done("rollback", "portfolio", *bob).out
    said = room.done(*QUICK, "--release")
    assert "agents stay switched off, for not this rollback alone did it" in said.out
    assert killed(room)


def test_a_demotion_that_another_was_quicker_with_is_found_done(
    room: Room, versions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = acting.look

    def outrun(registry: Registry, agent: str, run_id: str | None = None) -> Any:
        said: dict[str, Any] = {"by": "Bob", "reason": "at once", "at": datetime.now(UTC)}
        acts.demote(registry.database, agent, **said)
        return before(registry, agent, run_id)

    monkeypatch.setattr(acting, "look", outrun)
    assert "roll back: another has demoted it meanwhile" in room.done(*QUICK).out
    assert serving(room) == versions[0]
    assert ask(room, 'SELECT kind, "by" FROM graduation_events ORDER BY id') == [
        ("promoted", "Ada"), ("demoted", "Bob"),
    ]  # fmt: skip


def test_a_failed_attempt_that_is_done_again_may_release_what_it_had_switched_on(
    room: Room, versions: list[str]
) -> None:
    weights = room.folder / f"artifacts/rl_models/gate/versions/{versions[0]}/weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    said = room.refused(3, *QUICK, "--release")
    assert "rollback of gate, phase 'roll back'" in said
    assert "do it again, which is safe" in said
    assert killed(room)
    assert serving(room) == versions[1]
    [page] = reports(room)
    assert "Failed in phase 'roll back'" in page
    weights.write_bytes(whole)
    room.done(*QUICK, "--release")
    assert serving(room) == versions[0]
    assert not killed(room)


def test_without_a_version_before_the_agent_is_demoted_and_keeps_its_model(room: Room) -> None:
    room.done("rl", "models", "deploy", "gate", trained(room.folder / "model"), *SIGNED)
    room.done("rl", "promote", "gate", *SIGNED, "--override")
    alone = serving(room)
    said = room.done(*QUICK)
    assert f"version {alone} stays: no other version has served before" in said.out
    assert "promoted: none; it observes" in said.out
    assert serving(room) == alone


def test_an_agent_without_any_model_is_only_switched_off(room: Room) -> None:
    said = room.done("rollback", "portfolio", *QUICK[2:])
    assert "version none stays: no version serves" in said.out
    assert killed(room)


def test_trainings_of_the_agent_are_ended_and_others_go_on(room: Room, versions: list[str]) -> None:
    now = datetime.now(UTC)
    with connect(room.folder / STATE) as database:
        queued, running, other, benchmark = (
            jobs.enqueue(database, "train", ["rl", "train"], lane=lane, agent=agent, by="Ada",
                         reason="", at=now)
            for agent, lane in (("gate", "training"), ("gate", "training"),
                                ("portfolio", "training"), ("gate", "benchmark"))
        )  # fmt: skip
        assert queued and running and other and benchmark
        jobs.claim(database, running.id, "a worker that is gone", now - timedelta(minutes=1))
        said = room.done(*QUICK)
        states = [str(jobs.find(database, job.id).state)
                  for job in (queued, running, other, benchmark)]  # fmt: skip
    assert states == ["cancelled", "cancelled", "queued", "queued"]
    assert f"job {queued.id}: cancelled" in said.out
    assert f"job {running.id}: asked to stop" in said.out


def test_agents_are_switched_off_though_the_database_cannot_be_read(
    room: Room, versions: list[str]
) -> None:
    (room.folder / STATE).write_bytes(b"no database at all")
    said = room.refused(4, *QUICK)
    assert "phase 'prepare'" in said
    assert (room.folder / "artifacts" / "KILL").read_text().endswith("skips every winner\n")
    assert "warning: by one way alone" in reports(room)[0]


def test_a_changed_record_ends_it_at_the_verification(room: Room, versions: list[str]) -> None:
    with tampering(room.folder / STATE) as raw:
        raw.execute("UPDATE fills SET price = 1 WHERE run_id = 'third'")
    said = room.refused(4, *QUICK, "--release")
    assert "phase 'verify'" in said
    assert "of fills" in said
    assert killed(room), "nothing is released that could not be verified"
    assert serving(room) == versions[0]


def test_a_report_that_cannot_be_written_is_told_after_all_is_done(
    room: Room, versions: list[str]
) -> None:
    (room.folder / "artifacts" / "rl_state" / "rollbacks").write_text("in the way")
    said = room.refused(4, *QUICK)
    assert "all is done, but cannot write rollback-gate" in said
    assert serving(room) == versions[0]


def test_name_and_reason_must_be_given(room: Room, versions: list[str]) -> None:
    room.refused(2, "rollback", "gate", "--by", "Ada")
    room.refused(2, "rollback", "gate", "--reason", "x")
    assert not killed(room)
    assert reports(room) == []

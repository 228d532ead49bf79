"""`darwin backup`: made while a run writes, restored elsewhere, resumed as if nothing had been."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from filelock import FileLock

from tests.backup.conftest import SIGNED, STATE, Room, keep
from tests.run.agents import models
from tests.run.command import Desk, checkpoint, clean_environment

FASTER = "1000000"  # times real time: a run of some seconds
BARS = {"bars": 800}


@pytest.fixture
def fed(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A run that is fed its bars and has acknowledged some facts."""
    config = Desk(tmp_path).config(market=BARS, rl=models())
    process = subprocess.Popen(
        [sys.executable, "-m", "darwin.cli.main", "run", config, "--feed", "--speed", FASTER],
        cwd=tmp_path, env=clean_environment(), stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    next(n for n in map(checkpoint, process.stderr) if n is not None)
    yield process
    process.kill()
    process.communicate()


@pytest.mark.slow
def test_a_run_that_was_being_made_goes_on_elsewhere_and_ends_byte_identical(
    darwin, fed: subprocess.Popen[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Room(darwin, tmp_path)
    [run] = here.done("backup", "create", "-o", "live.tar", "--json").tree["runs"]
    assert fed.poll() is None, "the run has ended before its backup was made"
    assert run["facts"] > 0
    assert run["finished"] is False
    fed.send_signal(signal.SIGKILL)
    fed.wait()
    there = Room(darwin, tmp_path / "elsewhere")
    there.folder.mkdir()
    shutil.move(tmp_path / "live.tar", there.folder)
    monkeypatch.chdir(there.folder)
    back = there.done("backup", "restore", "live.tar", "--artifacts-dir", "new", "--json").tree
    assert "switched off" not in back
    checked = there.done("verify", "small", "--artifacts-dir", "new", "--json").tree
    assert (checked["facts"], checked["head"]) == (run["facts"], run["head"])
    there.done(*shlex.split(back["resume"]["small"])[1:])
    Desk(there.folder).config(market=BARS, rl=models())
    there.done("run", "config.json")
    undisturbed = there.done("ledger", "export", "small").out
    assert len(undisturbed.splitlines()) > run["facts"]
    assert there.done("ledger", "export", "small", "--artifacts-dir", "new").out == undisturbed
    assert there.done("verify", "small", "--artifacts-dir", "new", "--json").tree["finished"]


@pytest.mark.parametrize(
    "command", ["backup create", "backup verify", "backup restore", "db archive", "rollback"]
)
def test_its_help_shows_an_example(command: str, room: Room) -> None:
    said = room.done(*command.split(), "--help")
    assert f"  darwin {command} " in said.out.partition("Example")[2] + " "


def test_what_is_restored_is_what_was_there(room: Room, versions: list[str]) -> None:
    keep(room.folder / STATE, "going", finished=False)
    before = room.files("artifacts")
    made = room.done("backup", "create", "-o", "one.tar", "--json").tree
    assert room.files("artifacts") == before, "making a backup changes nothing"
    proven = room.done("backup", "verify", "one.tar", "--json").tree
    assert proven["sound"] is True
    assert proven["runs"] == made["runs"]
    room.done("backup", "restore", "one.tar", "--artifacts-dir", "new")
    after = room.files("new")
    config = json.loads(after.pop("runs/going/config.json"))
    database = after.pop("rl_state/agent_state.sqlite")
    assert isinstance(config, dict)
    assert after == {
        name: content
        for name, content in before.items()
        if name != "rl_state/agent_state.sqlite" and not name.endswith(".lock")
    } | {"rl_models/.lock": b""}
    assert len(database) == len(before["rl_state/agent_state.sqlite"])
    for run_id in ("first", "second", "third"):
        here = room.done("ledger", "export", run_id).out
        assert room.done("ledger", "export", run_id, "--artifacts-dir", "new").out == here
    assert room.done("rl", "models", "fsck", "--artifacts-dir", "new").code == 0
    assert after["rl_models/gate/current"] == f"versions/{versions[1]}".encode()
    assert after["rl_models/gate/current.zip"] == b"current/model.zip"


def test_what_a_run_writes_at_its_end_is_not_taken_for_one_that_goes_on(room: Room) -> None:
    keep(room.folder / STATE, "going", finished=False)
    folder = room.folder / "artifacts" / "runs" / "going"
    folder.mkdir()
    for name in ("manifest.json", "metrics.json", "report.html"):
        (folder / name).write_text('{"facts": 99, "head": "from a second later"}')
    (folder / "run.log").write_text("run going begins\n")
    room.refused(4, "verify", "going")
    room.done("backup", "create", "-o", "one.tar")
    room.done("backup", "restore", "one.tar", "--artifacts-dir", "new")
    assert sorted(room.files("new/runs/going")) == ["config.json", "run.log"]
    assert room.done("verify", "going", "--artifacts-dir", "new").code == 0


def test_any_tar_reads_a_backup(room: Room) -> None:
    room.done("backup", "create", "-o", "one.tar")
    done = subprocess.run(["tar", "-tf", "one.tar"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "rl_state/agent_state.sqlite", "runs/first/run.log", "MANIFEST.json", "MANIFEST.sha256",
    ]  # fmt: skip


def test_without_a_name_it_goes_below_the_artifacts_and_no_backup_holds_another(
    room: Room,
) -> None:
    made = [room.done("backup", "create", "--json").tree for _ in range(2)]
    assert [Path(one["file"]).parent for one in made] == [Path("artifacts/backups")] * 2
    assert made[0]["files"] == made[1]["files"] == 2
    assert (room.folder / made[0]["file"]).stat().st_mode & 0o077 == 0, "it is for its owner alone"


def test_a_folder_is_given_a_file_of_its_own_and_no_file_is_overwritten(room: Room) -> None:
    (room.folder / "kept").mkdir()
    made = room.done("backup", "create", "-o", "kept", "--json").tree
    assert room.refused(2, "backup", "create", "-o", made["file"]).count("overwritten") == 1


@pytest.mark.parametrize("how", ["command", "file", "folder"])
def test_what_was_switched_off_stays_switched_off(how: str, room: Room) -> None:
    kill = room.folder / "artifacts" / "KILL"
    if how == "command":
        room.done("kill", "on", *SIGNED)
        kill.unlink()
    elif how == "file":
        kill.write_text("by hand\n")
    else:
        kill.mkdir()
    room.done("backup", "create", "-o", "one.tar")
    said = room.done("backup", "restore", "one.tar", "--artifacts-dir", "new")
    assert "agents are switched off" in said.out
    status = room.done("kill", "status", "--artifacts-dir", "new", "--json").tree
    assert status["killed"] is True
    assert status["sources"]["record"]["killed"] is (how == "command")


@pytest.mark.parametrize("there", ["../back", "a new/one", "12345", "in$one"])
def test_the_command_that_goes_on_can_be_typed_as_it_is_printed(
    there: str, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(room.folder / STATE, "going", finished=False)
    room.done("backup", "create", "-o", "all.tar")
    (room.folder / "inside").mkdir()
    monkeypatch.chdir(room.folder / "inside")
    said = room.done("backup", "restore", "../all.tar", "--artifacts-dir", there)
    told = shlex.split(said.out.splitlines()[-1])
    assert told[:2] == ["darwin", "run"]
    config, place = Path(told[2]), told[4].removeprefix("artifacts_dir=")
    assert config.samefile(Path(there) / "runs/going/config.json")
    assert Path(place).samefile(there)
    assert ".." not in place.split("/")


@pytest.mark.parametrize("there", ["a file", "a full folder", "a link"])
def test_nothing_is_restored_over_anything(there: str, room: Room) -> None:
    room.done("backup", "create", "-o", "one.tar")
    target = room.folder / "new"
    if there == "a file":
        target.write_text("mine")
    elif there == "a link":
        target.symlink_to("artifacts")
    else:
        (target / "mine").mkdir(parents=True)
    before = room.files()
    assert "new" in room.refused(2, "backup", "restore", "one.tar", "--artifacts-dir", "new")
    assert room.files() == before


def test_a_model_that_is_not_whole_does_not_keep_the_rest_from_being_saved(
    room: Room, versions: list[str]
) -> None:
    (room.folder / "artifacts/rl_models/gate/versions" / versions[0] / "spec.json").unlink()
    said = room.done("backup", "create", "-o", "one.tar", "--json")
    assert said.tree["missing_models"] == [f"gate {versions[0]}"]
    assert f"warning: the model gate {versions[0]}" in said.err
    room.done("backup", "restore", "one.tar", "--artifacts-dir", "new")
    listed = room.done("rl", "models", "verify", "gate", versions[1], "--artifacts-dir", "new")
    assert listed.code == 0


def test_links_and_databases_of_others_are_left_out(room: Room) -> None:
    (room.folder / "secret").write_text("not yours")
    folder = room.folder / "artifacts" / "runs" / "first"
    (folder / "link.txt").symlink_to(room.folder / "secret")
    training = room.folder / "artifacts" / "rl_training" / "gate"
    training.mkdir(parents=True)
    (training / "search.sqlite").write_bytes(b"half written")
    (training / "report.json").write_text("{}")
    said = room.done("backup", "create", "-o", "one.tar", "--json")
    assert said.tree["left_out"] == ["runs/first/link.txt"]
    room.done("backup", "restore", "one.tar", "--artifacts-dir", "new")
    assert sorted(room.files("new")) == [
        "rl_models/.lock", "rl_state/agent_state.sqlite", "rl_training/gate/report.json",
        "runs/first/run.log",
    ]  # fmt: skip


def test_without_models_and_runs_it_holds_what_is_on_record(
    room: Room, versions: list[str]
) -> None:
    words = ("backup", "create", "--no-models", "--no-runs", "-o", "one.tar", "--json")
    made = room.done(*words).tree
    room.done("backup", "restore", "one.tar", "--artifacts-dir", "new")
    left = [name for name in room.files("new") if not name.startswith("rl_state/dossiers/")]
    assert left == ["rl_state/agent_state.sqlite"]
    assert made["missing_models"] == []


def test_models_that_a_config_keeps_elsewhere_come_along(room: Room, versions: list[str]) -> None:
    config = {"rl": {"gate_agent": {"model_path": "artifacts/others/gate/current"}}}
    keep(room.folder / STATE, "elsewhere", finished=False, config_json=json.dumps(config))
    one = Path("gate/versions") / versions[0]
    shutil.copytree(
        room.folder / "artifacts/rl_models" / one, room.folder / "artifacts/others" / one
    )
    room.done("backup", "create", "-o", "one.tar")
    room.done("backup", "restore", "one.tar", "--artifacts-dir", "new")
    assert room.files(f"new/others/{one}") == room.files(f"new/rl_models/{one}")


def test_a_backup_waits_for_whoever_changes_the_models(
    room: Room, versions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from darwin.rl.registry.registry import Registry

    monkeypatch.setattr(Registry.__init__, "__defaults__", (0.05,))
    with FileLock(room.folder / "artifacts" / "rl_models" / ".lock"):
        assert "changing the models" in room.refused(5, "backup", "create", "-o", "one.tar")
        room.done("backup", "create", "--no-models", "-o", "two.tar")
    assert not (room.folder / "one.tar").exists()


def test_a_damaged_database_is_refused_and_nothing_is_left_of_the_backup(room: Room) -> None:
    with closing(sqlite3.connect(room.folder / STATE)) as raw:
        raw.execute("UPDATE runs SET mode = 'feed' WHERE run_id = 'second'")
        raw.commit()
    before = room.files()
    assert "second" in room.refused(4, "backup", "create", "-o", "one.tar")
    assert room.files() == before


def test_there_must_be_a_deployment_and_a_backup(room: Room) -> None:
    room.refused(4, "backup", "create", "--artifacts-dir", "nowhere")
    room.refused(4, "backup", "verify", "none.tar")
    room.refused(4, "backup", "verify", "artifacts")
    assert not (room.folder / "nowhere").exists()

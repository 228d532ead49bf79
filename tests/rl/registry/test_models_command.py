"""`darwin rl models` and `python -m darwin.rl.cli.rollback_model`, as a person meets them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from darwin.cli.rl_models import models
from darwin.errors import DarwinError
from darwin.store import logs
from darwin.store.db import connect
from darwin.store.runs import iso_time
from darwin.store.schema import graduation_events
from darwin.testing.models import make_model
from tests.conftest import ROOT

BY = ("--by", "Ada", "--reason", "a test")


class Desk:
    """A working directory with a deployment, and models that were trained."""

    def __init__(self, folder):
        self.folder = folder

    def say(self, *words, code=0):
        """What a command prints; `code` is how it is to end."""
        done = CliRunner().invoke(models, words, standalone_mode=False)
        if code:
            assert isinstance(done.exception, DarwinError), done.output
            assert done.exception.exit_code == code
            return str(done.exception)
        assert done.exception is None, (done.output, done.exception)
        return done.stdout

    def ask(self, *words):
        return json.loads(self.say(*words, "--json"))

    def trained(self, agent="gate", seed=0, **changes):
        folder = self.folder / "trained" / f"{agent}-{seed}"
        folder.mkdir(parents=True)
        for name, content in (make_model(agent, seed=seed) | changes).items():
            (folder / name).write_bytes(content)
        return str(folder)

    def deploy(self, agent="gate", seed=0):
        return self.ask("deploy", agent, self.trained(agent, seed), *BY)

    def now(self):
        return iso_time(datetime.now(UTC))

    def promote(self, version, kind="promoted"):
        path = self.folder / "artifacts/rl_state/agent_state.sqlite"
        with connect(path) as database, database.write() as connection:
            logs.append(
                connection, graduation_events, agent_name=version["agent"], kind=kind,
                version=version["version"], manifest_sha256=version["manifest_sha256"],
                scope="deployment", by="Ada", reason="", override=0, at=self.now(),
            )  # fmt: skip


@pytest.fixture
def desk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DARWIN__ARTIFACTS_DIR", raising=False)
    return Desk(tmp_path)


def test_a_model_is_deployed_where_there_is_no_database_yet_and_then_listed(desk):
    one = desk.deploy()
    assert (one["agent"], one["place"]) == ("gate", "serving")
    assert (desk.folder / "artifacts/rl_models/gate/current.zip").is_file()
    [listed] = desk.ask("list")
    assert listed == one | {"held_by_run": None}
    assert one["version"] in desk.say("list", "gate")
    assert desk.ask("list", "portfolio") == []


@pytest.mark.parametrize("agent", ["gate", "meta_learner", "portfolio"])
def test_a_model_of_each_agent_is_deployed_shown_and_verified(desk, agent):
    one = desk.deploy(agent)
    shown = desk.ask("show", agent)
    assert shown["version"] == one["version"]
    assert shown["spec"]["agent"] == agent
    [event] = shown["events"]
    assert (event["kind"], event["by"], event["reason"]) == ("deployed", "Ada", "a test")
    assert one["version"] in desk.say("show", agent, one["version"])
    assert desk.ask("verify")["checked"] == [{"agent": agent, "version": one["version"]}]


def test_a_model_challenges_one_that_was_promoted_until_that_is_demoted(desk):
    one = desk.deploy(seed=1)
    desk.promote(one)
    assert desk.deploy(seed=2)["place"] == "challenging"
    desk.promote(one, "demoted")
    assert desk.deploy(seed=3)["place"] == "serving"


def test_the_model_of_another_agent_is_refused(desk):
    desk.deploy(seed=1)
    assert "gate" in desk.say("deploy", "gate", desk.trained("portfolio"), *BY, code=3)
    assert len(desk.ask("list")) == 1


@pytest.mark.parametrize(
    "changes, code",
    [
        ({"MANIFEST.json": b"{}"}, 3),
        ({"policy.pth": b"\x80\x04."}, 3),
        ({"weights.safetensors": b"\x80\x04."}, 3),
        ({"spec.json": b"[" * 100_000}, 3),
    ],
)
def test_a_folder_that_is_no_model_is_refused_and_nothing_is_deployed(desk, changes, code):
    desk.say("deploy", "gate", desk.trained(**changes), *BY, code=code)
    assert not (desk.folder / "artifacts/rl_models/gate/current").is_symlink()
    assert not [*(desk.folder / "artifacts").rglob("*.safetensors")]


def test_a_folder_that_is_not_there_is_told(desk):
    assert "the model is missing" in desk.say("deploy", "gate", "nowhere", *BY, code=3)


def test_what_serves_can_be_deployed_again_by_its_link(desk):
    one = desk.deploy()
    again = desk.ask("deploy", "gate", "artifacts/rl_models/gate/current", *BY)
    assert again["manifest_sha256"] == one["manifest_sha256"]
    assert again["version"] != one["version"]


def test_an_unknown_version_is_exit_2_with_those_that_exist(desk):
    one = desk.deploy()
    said = desk.say("rollback", "gate", "--version", "20200101_000000", code=2)
    assert f"these exist: {one['version']}" in said


def test_rolling_back_and_forth(desk):
    one, two = desk.deploy(seed=1), desk.deploy(seed=2)
    told = desk.ask("rollback", "gate", "--version", one["version"], *BY)
    assert (told["serving"], told["manifest_sha256"]) == (one["version"], one["manifest_sha256"])
    assert two["version"] in desk.say("rollback", "gate", "--version", two["version"])
    assert [e["kind"] for e in desk.ask("show", "gate")["events"]] == ["deployed", "rolled_back"]


def test_a_damaged_version_is_exit_3(desk):
    one = desk.deploy(seed=1)
    desk.deploy(seed=2)
    folder = desk.folder / "artifacts/rl_models/gate/versions" / one["version"]
    (folder / "spec.json").write_bytes(b"{}")
    for words in (
        ("rollback", "gate", "--version", one["version"]),
        ("verify",),
        ("verify", "gate", one["version"]),
        ("show", "gate", one["version"]),
    ):
        assert "spec.json" in desk.say(*words, code=3)
    assert "1 things are not" in desk.say("fsck", code=4)


def test_pinned_versions_outlive_a_cleanup(desk):
    names = [desk.deploy(seed=seed)["version"] for seed in range(6)]
    desk.say("pin", "gate", names[0], *BY)
    assert "pinned" in desk.say("list")
    assert desk.ask("cleanup") == []
    dry = desk.ask("cleanup", "gate", "--days", "0", "--dry-run")
    assert [one["version"] for one in dry] == names[1:2]
    assert len(desk.ask("list")) == 6
    assert "1 versions are removed" in desk.say("cleanup", "--days", "0", *BY)
    desk.say("unpin", "gate", names[0], *BY)
    assert [one["version"] for one in desk.ask("cleanup", "--days", "0")] == names[:1]
    assert [one["version"] for one in desk.ask("list")] == names[2:]
    assert "was removed" in desk.say("rollback", "gate", "--version", names[0], code=3)


def test_fsck_tells_what_is_loose_and_repairs_it(desk):
    desk.deploy()
    assert "the models are as their record says" in desk.say("fsck")
    (desk.folder / "artifacts/rl_models/gate/current").unlink()
    assert "fsck --repair" in desk.say("fsck", code=4)
    assert desk.ask("fsck", "--repair") == []
    desk.say("fsck")


@pytest.mark.parametrize(
    "words",
    [("list",), ("fsck",), ("cleanup",), ("verify",), ("pin", "gate", "v"), ("show", "gate")],
)
def test_without_a_database_there_is_nothing_to_look_at_and_none_is_made(desk, words):
    assert "there is no database yet" in desk.say(*words, code=4)
    assert list(desk.folder.iterdir()) == []


def test_the_deployment_can_lie_elsewhere(desk):
    where = ("--artifacts-dir", "here", "--models-dir", "artifacts/of_mine", "--db", "state.sqlite")
    desk.say("deploy", "gate", desk.trained(), *BY, *where)
    assert (desk.folder / "here/of_mine/gate/current").is_symlink()
    assert (desk.folder / "state.sqlite").is_file()
    assert len(desk.ask("list", *where)) == 1


@pytest.mark.parametrize("by", ["", "  ", "x" * 201, "two\nlines"])
def test_who_and_why_are_one_plain_line(desk, by):
    folder = desk.trained()
    done = CliRunner().invoke(models, ["deploy", "gate", folder, "--by", by])
    assert done.exit_code == 2
    assert not (desk.folder / "artifacts").exists()


def test_every_command_has_help_with_an_example():
    for name, command in models.commands.items():
        said = CliRunner().invoke(models, [name, "--help"]).stdout
        assert "Example" in said, name
        assert f"darwin rl models {name}" in said
        assert command.help


@pytest.mark.slow
def test_the_checklists_command_works_as_it_stands(desk):
    """In a process of its own, with nothing but the agent and the version."""
    one, _ = desk.deploy(seed=1), desk.deploy(seed=2)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "LOGNAME": "grace"}

    def call(*words):
        return subprocess.run(
            [sys.executable, "-m", "darwin.rl.cli.rollback_model", *words],
            env=environment, cwd=desk.folder, capture_output=True, text=True, check=False,
        )  # fmt: skip

    done = call("gate", "--version", one["version"])
    assert (done.returncode, done.stdout) == (0, f"version {one['version']} of gate serves\n")
    shown = desk.ask("show", "gate")
    assert shown["events"][-1]["by"] == "grace"
    refused = call("gate", "--version", "20200101_000000")
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[0] == "error: gate has no version called '20200101_000000'"
    assert call("nobody", "--version", "x").returncode == 2
    assert call("gate").returncode == 2
    assert "Examples" in call("--help").stdout


def test_a_path_whose_links_go_in_a_circle_is_refused_in_one_sentence(desk):
    (desk.folder / "loop").symlink_to("loop")
    (desk.folder / "one").symlink_to("other")
    (desk.folder / "other").symlink_to("one")
    for name in ("loop", "one", "loop/gate"):
        said = desk.say("deploy", "gate", name, *BY, code=3)
        assert name in said
        assert "circle" in said


def test_a_model_from_the_future_is_refused(desk):
    for seed, end in enumerate(("2999-01-01T00:00:00Z", "9999-12-31T23:59:59Z")):
        files = make_model("gate", seed=seed, training_end=end)
        said = desk.say("deploy", "gate", desk.trained("gate", seed, **files), *BY, code=3)
        assert end in said
        assert "training_end" in said
    assert desk.ask("list", "gate") == []

"""Where files may lie: below the artifacts, whatever names and links say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from darwin.config.load import load_config
from darwin.config.places import runs_dir, state_db_path
from darwin.config.roots import inside_artifacts
from darwin.errors import ConfigError
from tests.config.config_samples import Command, assert_refused, changed, without

Write = Callable[[object], Path]


def test_artifacts_means_the_configured_folder(write: Write) -> None:
    tree = changed(("artifacts_dir",), "/srv/darwin")
    config = load_config(write(tree), (), {}).config
    assert state_db_path(config) == Path("/srv/darwin/rl_state/agent_state.sqlite")
    assert runs_dir(config) == Path("/srv/darwin/runs")


def test_the_database_has_its_place_without_an_rl_block(write: Write) -> None:
    config = load_config(write(without(("rl",))), (), {}).config
    assert state_db_path(config) == Path("artifacts/rl_state/agent_state.sqlite")


def test_a_path_of_ones_own_must_lie_below_the_artifacts(write: Write) -> None:
    tree = changed(("artifacts_dir",), "/srv/my artifacts")
    tree["rl"]["agent_state_db"] = "/srv/my artifacts/other/state.sqlite"
    config = load_config(write(tree), (), {}).config
    assert state_db_path(config) == Path("/srv/my artifacts/other/state.sqlite")
    tree["rl"]["agent_state_db"] = "/srv/my artifacts2/state.sqlite"
    with pytest.raises(ConfigError, match=r"rl\.agent_state_db leads outside"):
        load_config(write(tree), (), {})


def test_a_link_that_leaves_the_artifacts_is_refused(darwin: Command, write: Write) -> None:
    tree = changed(("rl", "gate_agent", "model_path"), "artifacts/rl_models/gate/current")
    Path("artifacts/rl_models/gate/versions/1").mkdir(parents=True)
    current = Path("artifacts/rl_models/gate/current")
    current.symlink_to("versions/1")
    assert darwin("config", "check", write(tree)).code == 0
    current.unlink()
    current.symlink_to("/etc")
    outcome = darwin("config", "check", write(tree))
    assert_refused(outcome)
    assert "rl.gate_agent.model_path" in outcome.err
    current.unlink()
    current.symlink_to("current")
    with pytest.raises(ConfigError):
        inside_artifacts("artifacts/rl_models/gate/current/../../../../x", "artifacts")


def test_artifacts_that_are_a_link_themselves_are_fine(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    inside_artifacts("artifacts/rl_models/gate/current", str(tmp_path / "link"))


def test_a_link_below_is_checked_again_when_the_path_is_used(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = load_config(write(without(("rl",))), (), {}).config
    Path("artifacts").mkdir()
    Path("artifacts/rl_state").symlink_to("/etc")
    with pytest.raises(ConfigError, match="leads outside"):
        state_db_path(config)

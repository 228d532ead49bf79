from __future__ import annotations

from pathlib import Path

import pytest

from darwin.rl.cli.door import leave_through
from darwin.testing.models import make_model
from tests.rl.lives import life, lived  # noqa: F401
from tests.store.conftest import darwin  # noqa: F401


@pytest.fixture
def deploy(darwin, tmp_path):  # noqa: F811
    """Deploy a new model of an agent by the command; gives it as decisions name it."""
    from darwin.rl.registry.registry import Registry
    from darwin.store.db import connect_readonly

    def deployed(agent="gate", seed=0, **how):
        folder = tmp_path / "trained" / f"{agent}-{seed}"
        folder.mkdir(parents=True)
        for name, content in make_model(agent, seed=seed, **how).items():
            (folder / name).write_bytes(content)
        code, _, err = darwin("rl", "models", "deploy", agent, str(folder), "--by", "Ada")
        assert code == 0, err
        artifacts = Path("artifacts")
        with connect_readonly(artifacts / "rl_state" / "agent_state.sqlite") as database:
            return Registry(artifacts / "rl_models", database).shelf(agent).serving

    return deployed


@pytest.fixture
def module(monkeypatch, capsys):
    """Run a command of `python -m darwin.rl.cli.…`; gives exit code, output and error."""

    def call(command, *words):
        monkeypatch.setattr("sys.argv", ["darwin", *words])
        with pytest.raises(SystemExit) as end:
            leave_through(command)
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return call

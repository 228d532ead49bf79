"""A deployment that is served, as a person in front of it finds it: three agents, a run, tokens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from click.testing import CliRunner

from darwin.cli.main import darwin
from darwin.core.agents import AGENTS
from darwin.rl.graduation import acts
from darwin.rl.registry import files
from darwin.rl.registry.deploy import deploy
from darwin.rl.registry.registry import Registry
from darwin.rl.serving.demo_models import FOLDER
from darwin.rl.serving.validation import validate_files
from darwin.store import tokens
from darwin.store.db import connect
from darwin.testing.models import make_model
from tests.run.agents import models
from tests.run.command import Desk

SIGNED = {"by": "Ada", "reason": "a test"}


@dataclass(frozen=True)
class Served:
    """Where it is served, and with which tokens one may act or look."""

    desk: Desk
    url: str
    operator: str
    viewer: str

    def tree(self, *words: str) -> Any:
        """What a command answers as JSON."""
        return json.loads(self.text(*words, "--json"))

    def text(self, *words: str) -> str:
        """What a command prints; it runs in this process, which is quicker than one of its own."""
        artifacts = str(self.desk.folder / "artifacts")
        done = CliRunner().invoke(darwin, [*words, "--artifacts-dir", artifacts])
        assert not done.stderr, done.stderr
        return done.stdout


def prepare(desk: Desk) -> tuple[str, str]:
    """Models that watch one run, a second version of the gate, a promotion; gives the tokens."""
    with _registry(desk) as registry:
        for agent in AGENTS:
            _deploy(registry, agent, files.read(FOLDER / agent, (files.SPEC, files.WEIGHTS)))
    done = desk.darwin(
        "run", desk.config(rl=models("observe"), market={"bars": 1500, "start": "2022-01-01"})
    )
    assert done.returncode == 0, done.stderr
    with _registry(desk) as registry:
        _deploy(registry, "gate", make_model("gate", seed=1, training_end="2019-01-01T00:00:00Z"))
        database, now = registry.database, datetime.now(UTC)
        held = registry.shelf("meta_learner").serving
        assert held is not None
        acts.promote(database, "meta_learner", held, **SIGNED, at=now, override=True)
        return (
            tokens.create(database, "ada", tokens.Role.OPERATOR, by="Ada", at=now),
            tokens.create(database, "vic", tokens.Role.VIEWER, by="Ada", at=now),
        )


@contextmanager
def _registry(desk: Desk) -> Iterator[Registry]:
    artifacts = desk.folder / "artifacts"
    with connect(artifacts / "rl_state" / "agent_state.sqlite") as database:
        yield Registry(artifacts / "rl_models", database)


def _deploy(registry: Registry, agent: str, given: files.Files) -> None:
    def valid(name: str, content: files.Files) -> None:
        validate_files(name, content)

    deploy(registry, agent, given, **SIGNED, now=datetime.now(UTC), active=False, validate=valid)

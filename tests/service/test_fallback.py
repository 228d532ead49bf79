"""Where evidence demotes a version, the one that it replaced serves again, and watches."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from darwin.core.agents import Model
from darwin.errors import ConfigError
from darwin.rl.graduation import acts
from darwin.rl.graduation.record import read_record
from darwin.rl.registry.rollback import rollback
from darwin.service.scheduler import Scheduler
from tests.service.desk import Served, query
from tests.service.test_scheduler import SET_UP

SERVED = "SELECT kind, version, by, reason FROM model_events WHERE kind = 'rolled_back'"


class Story:
    """What becomes of the gate, an hour after the other."""

    def __init__(self, served: Served) -> None:
        self.served, self.now = served, SET_UP

    def later(self) -> datetime:
        self.now += timedelta(hours=1)
        return self.now

    def deploy(self, what: str) -> Model:
        self.served.serve("gate", self.later(), what)
        with self.served.place.registry() as registry:
            model = registry.shelf("gate").serving
        assert model is not None
        return model

    def promote(self, model: Model, by: str = "darwin") -> None:
        with self.served.place.write() as database:
            said: dict[str, Any] = {"by": by, "reason": "it has graduated", "at": self.later()}
            acts.promote(database, "gate", model, override=True, **said)

    def demote(self, by: str = "darwin", **more: Any) -> None:
        with self.served.place.write() as database:
            said: dict[str, Any] = {"by": by, "reason": "its skill is gone", "at": self.later()}
            acts.demote(database, "gate", **said, **more)

    def tick(self, **more: Any) -> str | None:
        """What serves after a look at the schedule."""
        for _ in range(2):
            Scheduler(self.served.place, **more).tick(self.later())
        return self.served.serving("gate")


@pytest.fixture
def story(served: Served) -> Story:
    return Story(served)


def test_the_version_before_serves_again_once_and_only_watches(story: Story) -> None:
    old, new = story.deploy("old"), None
    story.promote(old)
    new = story.deploy("new")
    story.promote(new)
    assert story.tick() == new.version, "nothing is due while it is promoted"
    story.demote()
    assert story.tick() == old.version
    told = (
        "rolled_back", old.version, "darwin",
        f"version {new.version} was demoted: its skill is gone",
    )  # fmt: skip
    assert query(story.served, SERVED) == [told]
    with story.served.place.read() as database:
        assert read_record(database, "gate").promotion is None
    with story.served.place.registry(to_change=True) as registry:
        said: dict[str, Any] = {"by": "Ada", "reason": "I know better", "now": story.later()}
        rollback(registry, "gate", new.version, **said)
    assert story.tick() == new.version, "a person has decided otherwise"


def test_nothing_is_rolled_back_without_a_sound_version_before_or_where_a_person_demoted(
    story: Story,
) -> None:
    old = story.deploy("old")
    story.promote(old)
    story.demote()
    new = story.deploy("new")
    story.promote(new)
    story.demote()
    assert story.tick() == new.version, "the one before was demoted itself"
    story.promote(new)
    newest = story.deploy("newest")
    story.promote(newest)
    story.demote(by="Ada")
    assert story.tick() == newest.version
    assert query(story.served, SERVED) == []


def test_a_version_that_was_never_promoted_is_none_to_fall_back_to(story: Story) -> None:
    story.deploy("old")
    new = story.deploy("new")
    story.promote(new)
    story.demote()
    assert story.tick() == new.version


def test_a_damaged_version_before_is_left_alone_and_keeps_nothing_from_being_trained(
    story: Story,
) -> None:
    old = story.deploy("old")
    story.promote(old)
    new = story.deploy("new")
    story.promote(new)
    story.demote()
    home = story.served.folder / "artifacts" / "rl_models" / "gate" / "versions" / old.version
    (home / "weights.safetensors").write_bytes(b"something else")
    assert story.tick() == new.version
    story.now += timedelta(days=7)
    assert story.tick() == new.version
    assert query(story.served, "SELECT count(*) FROM jobs WHERE agent_name = 'gate'") == [(1,)]


def test_it_can_be_switched_off(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    old = story.deploy("old")
    story.promote(old)
    new = story.deploy("new")
    story.promote(new)
    story.demote()
    assert story.tick(auto_rollback=False) == new.version
    monkeypatch.setenv("DARWIN_AUTO_ROLLBACK", "off")
    assert story.tick() == new.version
    monkeypatch.setenv("DARWIN_AUTO_ROLLBACK", "perhaps")
    with pytest.raises(ConfigError):
        story.tick()
    monkeypatch.delenv("DARWIN_AUTO_ROLLBACK")
    assert story.tick() == old.version


def test_a_demotion_in_one_replay_moves_nothing(story: Story) -> None:
    old = story.deploy("old")
    story.promote(old)
    new = story.deploy("new")
    with story.served.place.write() as database:
        said: dict[str, Any] = {"by": "darwin", "reason": "x", "override": True}
        acts.promote(database, "gate", new, at=story.later(), scope="run:a", **said)
    story.demote(scope="run:a")
    assert story.tick() == new.version

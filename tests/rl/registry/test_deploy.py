"""Deploy, roll back, challenge: what serves afterwards, and what is on record."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256

import pytest

from darwin.errors import ConfigError, IntegrityError, LockedError, ModelError, StorageError
from darwin.rl.registry.deploy import deploy
from darwin.rl.registry.registry import Registry
from tests.rl.registry.shop import BAD, FIRST, NOW, Shop, look, model

SECOND, THIRD = "20260113_093001", "20260113_093002"


def test_the_first_model_serves_at_once_whatever_was_promoted(shop):
    assert shop.deploy(active=True).name == FIRST
    shop.assert_serves(FIRST, model())
    assert shop.kinds() == [("deployed", FIRST)]


def test_the_events_carry_the_digests_of_manifest_and_zip(shop):
    version = shop.deploy()
    folder = shop.home.folder(FIRST)
    assert version.model.sha256 == sha256((folder / "MANIFEST.json").read_bytes()).hexdigest()
    assert version.zip_sha256 == sha256((folder / "model.zip").read_bytes()).hexdigest()


def test_a_new_model_takes_the_place_of_one_that_may_not_act(shop):
    shop.deploy(1)
    assert str(shop.deploy(2).place) == "serving"
    shop.assert_serves(SECOND, model(2))
    assert shop.places() == {FIRST: "archived", SECOND: "serving"}
    assert shop.kinds() == [("deployed", FIRST), ("deployed", SECOND), ("archived", FIRST)]


def test_a_new_model_challenges_one_that_may_act_and_there_is_one_challenger(shop):
    shop.deploy(1)
    assert str(shop.deploy(2, active=True).place) == "challenging"
    shop.assert_serves(FIRST, model(1))
    shop.deploy(3, active=True)
    assert shop.places() == {FIRST: "serving", SECOND: "archived", THIRD: "challenging"}
    shop.assert_serves(FIRST, model(1))
    assert shop.kinds()[2:] == [("withdrawn", SECOND), ("challenging", THIRD)]


def test_a_challenger_that_has_graduated_takes_over(shop):
    shop.deploy(1)
    shop.deploy(2, active=True)
    assert shop.take_over().name == SECOND
    shop.assert_serves(SECOND, model(2))
    assert shop.places() == {FIRST: "archived", SECOND: "serving"}
    with pytest.raises(ConfigError, match="gate has no challenger"):
        shop.take_over()


def test_a_challenger_can_be_withdrawn(shop):
    shop.deploy(1)
    shop.deploy(2, active=True)
    shop.withdraw()
    assert shop.places() == {FIRST: "serving", SECOND: "archived"}
    with pytest.raises(ConfigError, match="gate has no challenger"):
        shop.withdraw()


def test_a_damaged_challenger_does_not_take_over(shop):
    shop.deploy(1)
    shop.deploy(2, active=True)
    (shop.home.folder(SECOND) / "spec.json").write_bytes(b"{}")
    with pytest.raises(ModelError):
        shop.take_over()
    shop.assert_serves(FIRST, model(1))


@pytest.mark.parametrize(
    "spoil, what",
    [
        ({"weights.safetensors": BAD}, "refused by its validator"),
        ({"MANIFEST.json": b"{}"}, "MANIFEST.json that does not agree"),
        ({"model.zip": b"PK"}, "model.zip that does not agree"),
        ({"../../escape": b""}, r"holds '../../escape', which is no part of a model"),
        ({"vec_normalize.pkl": b""}, "which is no part of a model"),
        ({"spec.json": b" " * (4 << 20) + b" "}, "more than 4,194,304 bytes"),
    ],
)
def test_what_is_refused_changes_nothing(shop, spoil, what):
    shop.deploy(1)
    before = sorted(shop.home.root.rglob("*"))
    with pytest.raises(ModelError, match=what):
        shop.deploy(model(2) | spoil)
    assert sorted(shop.home.root.rglob("*")) == before
    shop.assert_serves(FIRST, model(1))
    assert shop.kinds() == [("deployed", FIRST)]


@pytest.mark.parametrize("missing", ["spec.json", "weights.safetensors"])
def test_a_model_needs_both_its_files(shop, missing):
    files = model()
    del files[missing]
    with pytest.raises(ModelError, match=f"has no {missing}"):
        shop.deploy(files)
    assert shop.kinds() == []


def test_a_whole_version_can_be_deployed_again(shop):
    shop.deploy(1)
    again = {path.name: path.read_bytes() for path in shop.home.folder(FIRST).iterdir()}
    assert len(again) == 4
    assert shop.deploy(again).model.sha256 == shop.shelf.find(FIRST).model.sha256
    shop.assert_serves(SECOND, model(1))


def test_versions_of_one_second_are_numbered_and_none_is_overwritten(shop):
    names = []
    for number in range(3):
        shop.now = NOW
        names.append(shop.deploy(number).name)
    assert names == [FIRST, f"{FIRST}_01", f"{FIRST}_02"]
    for number, name in enumerate(names):
        assert (
            shop.registry.load("gate", shop.shelf.find(name).model).items() >= model(number).items()
        )


def test_the_name_of_a_removed_version_is_not_used_again(shop):
    shop.deploy(1)
    shop.deploy(2)
    assert shop.cleanup(0, 0) == [FIRST]
    shop.now = NOW
    assert shop.deploy(3).name == f"{FIRST}_01"


def test_a_version_is_named_by_utc(shop):
    shop.now = datetime(2026, 1, 13, 5, 0, tzinfo=timezone(-timedelta(hours=4, minutes=30)))
    assert shop.deploy().name == FIRST
    assert shop.shelf.versions[0].since == datetime(2026, 1, 13, 9, 30, tzinfo=UTC)


def test_a_hundred_versions_of_one_second_are_enough(shop):
    for number in range(100):
        name = f"{FIRST}_{number:02d}" if number else FIRST
        shop.home.folder(name).mkdir(parents=True)
    with pytest.raises(ConfigError, match="100 versions of gate are called 20260113_093000"):
        shop.deploy()


def test_two_agents_do_not_know_each_other(shop, tmp_path):
    other = Shop(tmp_path / "artifacts", "portfolio")
    shop.deploy(1)
    other.deploy(2)
    shop.assert_serves(FIRST, model(1))
    other.assert_serves(FIRST, model(2))
    other.database.close()


def test_an_agent_that_does_not_exist_has_no_models(shop):
    with pytest.raises(ConfigError, match=r"no agent called '\.\./gate'"):
        shop.registry.home("../gate")


def test_rolling_back_is_one_event_and_leads_the_links_back(shop):
    shop.deploy(1)
    shop.deploy(2)
    before = shop.kinds()
    assert str(shop.rollback(FIRST).place) == "serving"
    shop.assert_serves(FIRST, model(1))
    assert shop.places() == {FIRST: "serving", SECOND: "archived"}
    assert shop.kinds() == [*before, ("rolled_back", FIRST)]


def test_rolling_back_to_what_serves_mends_its_links_and_is_no_event(shop):
    shop.deploy(1)
    (shop.home.root / "current").unlink()
    before = shop.kinds()
    shop.rollback(FIRST)
    shop.assert_serves(FIRST)
    assert shop.kinds() == before


def test_rolling_back_to_the_challenger_leaves_no_challenger(shop):
    shop.deploy(1)
    shop.deploy(2, active=True)
    shop.rollback(SECOND)
    assert shop.places() == {FIRST: "archived", SECOND: "serving"}


def test_an_unknown_version_is_told_with_those_that_exist(shop):
    shop.deploy(1)
    shop.deploy(2)
    shop.deploy(3)
    shop.cleanup(1, 0)
    with pytest.raises(ConfigError) as refused:
        shop.rollback("20250101_000000")
    assert refused.value.lines() == [
        "error: gate has no version called '20250101_000000'",
        f"  mend: these exist: {SECOND}, {THIRD}",
    ]


def test_without_any_version_the_answer_is_to_deploy_one(shop):
    with pytest.raises(ConfigError, match="deploy one first"):
        shop.rollback(FIRST)


def test_a_removed_version_cannot_be_rolled_back_to(shop):
    shop.deploy(1)
    shop.deploy(2)
    shop.cleanup(0, 0)
    with pytest.raises(ModelError, match=f"version {FIRST} of gate was removed on 2026-01-13"):
        shop.rollback(FIRST)
    shop.assert_serves(SECOND)


def test_a_damaged_version_cannot_be_rolled_back_to(shop):
    shop.deploy(1)
    shop.deploy(2)
    (shop.home.folder(FIRST) / "weights.safetensors").unlink()
    with pytest.raises(ModelError, match=r"has no weights\.safetensors"):
        shop.rollback(FIRST)
    shop.assert_serves(SECOND)


def test_who_waits_too_long_for_another_is_told(shop):
    shop.deploy(1)
    busy = Registry(shop.registry.models_dir, shop.database, wait_s=0.05)
    with shop.registry.alone(), pytest.raises(LockedError, match="another process"):
        deploy(busy, "gate", model(), by="Ada", reason="", now=NOW, active=False, validate=look)
    shop.deploy(2)


def test_two_deploys_at_once_are_two_versions_one_after_the_other(shop):
    both = threading.Barrier(2)
    names = []

    def bring(what):
        both.wait()
        version = deploy(
            shop.registry, "gate", model(what), by="Ada", reason="", now=NOW, active=False,
            validate=look,
        )  # fmt: skip
        names.append(version.name)

    threads = [threading.Thread(target=bring, args=(what,)) for what in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(names) == [FIRST, f"{FIRST}_01"]
    assert [kind for kind, _ in shop.kinds()] == ["deployed", "deployed", "archived"]
    shop.assert_serves(f"{FIRST}_01")


def test_a_version_that_the_record_has_from_elsewhere_is_not_recorded_twice(shop, tmp_path):
    """Two folders of models share one database, which is a mistake, and it must not spread."""
    shop.deploy(1)
    registry = Registry(tmp_path / "elsewhere", shop.database)
    taken = registry.shelf("gate")
    assert taken.serving is not None
    other = deploy(
        registry, "gate", model(2), by="Ada", reason="", now=NOW, active=False, validate=look
    )
    assert other.name == f"{FIRST}_01"
    assert shop.shelf.serving == other.model


def test_the_record_refuses_what_contradicts_it_and_nothing_is_kept(shop, tmp_path):
    """Meanwhile another folder of models gives the same name to another model."""
    other = Registry(tmp_path / "elsewhere", shop.database)
    how = {"by": "Eve", "reason": "", "now": NOW, "active": False}

    def meanwhile(agent, files):
        deploy(other, agent, model(2), **how, validate=look)

    with pytest.raises(IntegrityError, match=f"{FIRST} of gate is recorded as deployed where"):
        deploy(shop.registry, "gate", model(1), **how, validate=meanwhile)
    assert shop.kinds() == [("deployed", FIRST)]
    assert other.load("gate", shop.shelf.serving).items() >= model(2).items()


@pytest.mark.parametrize("place", ["gate", "gate/versions"])
def test_a_folder_of_models_is_no_link_to_elsewhere(shop, tmp_path, place):
    shop.deploy(1)
    folder = shop.registry.models_dir / place
    folder.rename(tmp_path / "moved")
    folder.symlink_to(tmp_path / "moved")
    with pytest.raises(StorageError, match="a link stands where a folder of models should be"):
        shop.deploy(2)

"""fsck finds whatever is not as the events say, and mends links and left-overs alone."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import pytest

from darwin.rl.registry.events import Kind
from darwin.rl.registry.files import whole
from darwin.rl.registry.fsck import Weight, fsck
from darwin.rl.registry.registry import Act, newcomer
from tests.rl.registry.shop import FIRST, NOW, Shop, model

SECOND, THIRD = "20260113_093001", "20260113_093002"


@pytest.fixture
def full(shop):
    """Three versions, the first of which is removed."""
    for number in (1, 2, 3):
        shop.deploy(number)
    shop.cleanup(1, 0)
    assert shop.places() == {FIRST: "removed", SECOND: "archived", THIRD: "serving"}
    return shop


def weights(shop, **how):
    return [one.weight for one in fsck(shop.registry, **how)]


def test_nothing_is_found_where_all_is_as_it_should_be(full):
    assert fsck(full.registry) == []


def test_nothing_is_found_where_there_are_no_models(shop):
    assert fsck(shop.registry) == []
    assert not shop.registry.models_dir.exists()


def relink(home):
    (home.root / "current").unlink()
    (home.root / "current").symlink_to(f"versions/{SECOND}")


@pytest.mark.parametrize(
    "spoil, what",
    [
        (relink, f"the links lead to versions/{SECOND} and should lead to version {THIRD}"),
        (lambda home: (home.root / "current").unlink(), "the links lead to none at all"),
        (lambda home: (home.root / "current.zip").unlink(), f"the links lead to versions/{THIRD}"),
        (
            lambda home: (home.versions / ".new-20260113_093009").mkdir(),
            "a process that was killed",
        ),
        (
            lambda home: (home.root / "current.tmp-current").symlink_to("x"),
            "a process that was killed",
        ),
        (lambda home: home.folder(FIRST).mkdir(), "the folder of a version that is removed"),
    ],
)
def test_links_and_left_overs_are_found_and_repaired(full, spoil, what):
    spoil(full.home)
    [found] = fsck(full.registry)
    assert (found.agent, found.weight) == ("gate", Weight.LOOSE)
    assert what in found.what
    assert fsck(full.registry, repair=True) == []
    assert fsck(full.registry) == []
    full.assert_serves(THIRD, model(3))


@pytest.mark.parametrize("version", [SECOND, THIRD])
@pytest.mark.parametrize("name", ["MANIFEST.json", "spec.json", "weights.safetensors", "model.zip"])
def test_a_changed_file_of_any_version_is_found_and_not_repaired(full, version, name):
    path = full.home.folder(version) / name
    path.write_bytes(path.read_bytes().replace(b"e", b"f"))
    [found] = fsck(full.registry, repair=True)
    assert found.weight is Weight.BROKEN
    assert found.what.startswith(f"version {version}, {full.places()[version]}: the model ")
    assert found.where == str(path.parent)


def test_a_version_that_is_gone_is_found(full):
    shutil.rmtree(full.home.folder(SECOND))
    [found] = fsck(full.registry)
    assert found.what == f"version {SECOND}, archived: the model is missing"


def test_the_loss_of_all_models_is_found(full):
    shutil.rmtree(full.registry.models_dir)
    assert weights(full) == [Weight.BROKEN, Weight.BROKEN, Weight.LOOSE]
    assert weights(full, repair=True) == [Weight.BROKEN, Weight.BROKEN, Weight.LOOSE]
    assert not full.registry.models_dir.exists()


def test_what_may_be_meant_so_is_a_note_and_is_left_alone(full):
    shutil.copytree(full.home.folder(THIRD), full.home.folder("20250101_000000"))
    (full.home.root / "current.found").mkdir()
    for repair in (False, True):
        assert weights(full, repair=repair) == [Weight.NOTE, Weight.NOTE]
    assert full.home.folder("20250101_000000").is_dir()


@pytest.mark.parametrize(
    "change, what",
    [
        ("SET reason = 'other' WHERE id = 2", "row 2 of model_events was changed"),
        ("SET version = 'other' WHERE id = 4", "row 4 of model_events was changed"),
    ],
)
def test_events_that_were_changed_are_found_and_nothing_is_repaired_by_them(full, change, what):
    (full.home.root / "current").unlink()
    with closing(sqlite3.connect(full.database.path)) as raw:
        raw.execute(f"UPDATE model_events {change}")
        raw.commit()
    [found] = fsck(full.registry, repair=True)
    assert (found.agent, found.weight, found.what) == ("", Weight.BROKEN, what)
    assert not (full.home.root / "current").is_symlink()


def test_every_agent_is_looked_at(full, tmp_path):
    other = Shop(tmp_path / "artifacts", "meta_learner")
    other.deploy(1)
    (other.home.root / "current").unlink()
    assert [one.agent for one in fsck(full.registry)] == ["meta_learner"]
    other.database.close()


def test_a_zip_that_the_record_names_otherwise_is_found(shop):
    """A folder may agree with itself and still not be what was put down."""
    shop.deploy(1)
    one = newcomer(SECOND, whole(model(2)), NOW)
    folder = shop.home.folder(SECOND)
    shutil.copytree(shop.home.folder(FIRST), folder)
    for name, content in whole(model(2)).items():
        (folder / name).write_bytes(content)
    with shop.database.write() as connection:
        odd = one._replace(zip_sha256="0" * 64)
        Act("Eve", "", NOW).note(connection, "gate", Kind.ADOPTED, odd)
    [found] = fsck(shop.registry)
    assert "the record names another model.zip" in found.what

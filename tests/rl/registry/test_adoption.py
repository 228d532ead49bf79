"""What a start-up makes of links that lead elsewhere and folders that nobody knows."""

from __future__ import annotations

import logging
import shutil
import sqlite3
from contextlib import closing

import pytest

from darwin.errors import RecordError
from darwin.rl.registry.files import WEIGHTS, whole
from tests.rl.registry.shop import BAD, FIRST, Shop, model

SECOND = "20260113_093001"


def lay(shop, name, what):
    """Put the folder of a version there, as a copy from elsewhere."""
    folder = shop.home.versions / name
    folder.mkdir(parents=True)
    files = whole(what if isinstance(what, dict) else model(what))
    for file, content in files.items():
        (folder / file).write_bytes(content)
    return folder


def spoil_folder(shop):
    link = shop.home.root / "current"
    link.unlink()
    link.mkdir()
    (link / "mine").touch()


def spoil_file(shop):
    link = shop.home.root / "current.zip"
    link.unlink()
    link.write_bytes(b"a zip of mine")


def link_to(target):
    def spoil(shop):
        (shop.home.root / "current").unlink()
        (shop.home.root / "current").symlink_to(target)

    return spoil


@pytest.mark.parametrize(
    "spoil, kept",
    [
        (lambda shop: (shop.home.root / "current").unlink(), []),
        (lambda shop: (shop.home.root / "current.zip").unlink(), []),
        (link_to("versions/20990101_000000"), []),
        (link_to(f"versions/{FIRST}"), []),
        (link_to("/etc"), []),
        (link_to("current"), []),
        (spoil_folder, ["current.found", "current.found/mine"]),
        (spoil_file, ["current.found"]),
    ],
)
def test_links_are_led_to_what_serves_and_nobodys_files_are_lost(shop, spoil, kept):
    shop.deploy(1)
    shop.deploy(2)
    spoil(shop)
    assert shop.start().serving.version == SECOND
    shop.assert_serves(SECOND, model(2))
    found = shop.home.root.glob("current.found*")
    assert (
        sorted(str(p.relative_to(shop.home.root)) for f in found for p in (f, *f.rglob("*")))
        == kept
    )


def test_what_is_put_aside_twice_is_kept_twice(shop):
    shop.deploy(1)
    for _ in range(3):
        spoil_folder(shop)
        shop.start()
    assert [path.name for path in shop.home.found()] == [
        "current.found", "current.found_01", "current.found_02",
    ]  # fmt: skip
    shop.assert_serves(FIRST)


def test_nothing_is_written_where_all_is_as_it_should_be(shop):
    shop.deploy(1)
    before = {path: path.lstat().st_mtime_ns for path in shop.home.root.rglob("*")}
    with shop.registry.alone():  # whoever wants to change something would have to wait
        assert shop.start() == shop.shelf
    assert {path: path.lstat().st_mtime_ns for path in shop.home.root.rglob("*")} == before


def test_an_agent_without_models_starts_without_one_and_no_folder_is_made(shop):
    assert shop.start().serving is None
    assert not shop.registry.models_dir.exists()


def test_links_that_lead_to_what_does_not_serve_are_taken_away(shop):
    lay(shop, FIRST, {**model(1), WEIGHTS: BAD})
    (shop.home.root / "current").symlink_to(f"versions/{FIRST}")
    assert shop.start().serving is None
    assert not (shop.home.root / "current").is_symlink()


def test_an_unknown_folder_is_adopted_once_and_serves_where_nothing_does(shop):
    lay(shop, FIRST, 1)
    assert shop.start().serving.version == FIRST
    shop.assert_serves(FIRST, model(1))
    shop.start()
    assert shop.kinds() == [("adopted", FIRST)]


def test_of_several_unknown_folders_the_newest_serves(shop):
    for name in ("20250101_000000", "20250301_000000", "20250201_000000"):
        lay(shop, name, name)
    assert shop.start().serving.version == "20250301_000000"
    assert sorted(shop.places().values()) == ["archived", "archived", "serving"]


def test_an_adopted_version_does_not_take_the_place_of_one_that_serves(shop):
    shop.deploy(1)
    lay(shop, "20990101_000000", 2)
    shop.start()
    shop.assert_serves(FIRST, model(1))
    assert shop.places() == {FIRST: "serving", "20990101_000000": "archived"}
    shop.rollback("20990101_000000")
    shop.assert_serves("20990101_000000", model(2))


def test_models_survive_the_loss_of_the_database(shop, tmp_path):
    shop.deploy(1)
    shop.deploy(2)
    shop.rollback(FIRST)
    shutil.move(tmp_path / "artifacts" / "rl_models", tmp_path / "new" / "rl_models")
    fresh = Shop(tmp_path / "new")
    fresh.start()
    fresh.assert_serves(SECOND, model(2))
    assert fresh.places() == {FIRST: "archived", SECOND: "serving"}
    fresh.database.close()


def lacking(name):
    def spoil(folder):
        (folder / name).unlink()

    return spoil


@pytest.mark.parametrize(
    "spoil, why",
    [
        (lacking("MANIFEST.json"), "has no MANIFEST.json"),
        (lacking("model.zip"), "has no model.zip"),
        (lambda folder: (folder / WEIGHTS).write_bytes(BAD), "does not agree"),
        (lambda folder: (folder / "norm.pkl").touch(), "no part of a model"),
    ],
)
def test_a_folder_that_is_refused_is_left_alone_and_the_log_says_why(shop, caplog, spoil, why):
    shop.deploy(1)
    folder = lay(shop, SECOND, 2)
    spoil(folder)
    with caplog.at_level(logging.WARNING, logger="darwin"):
        logging.getLogger("darwin").propagate = True
        shop.start()
    assert f"RL gate: version {SECOND} is not adopted" in caplog.text
    assert why in caplog.text
    assert shop.places() == {FIRST: "serving"}
    assert folder.is_dir()


def test_a_version_that_its_validator_refuses_is_not_adopted(shop):
    lay(shop, FIRST, {**model(1), WEIGHTS: BAD})
    assert shop.start().serving is None
    assert shop.kinds() == []


def test_what_is_no_folder_with_the_name_of_a_version_is_not_adopted(shop, tmp_path):
    shop.deploy(1)
    real = lay(shop, ".hidden", 2)
    (shop.home.versions / "linked").symlink_to(real)
    (shop.home.versions / "file").write_bytes(b"")
    (shop.home.versions / "odd name").mkdir()
    assert shop.home.names() == [FIRST]
    shop.start()
    assert shop.places() == {FIRST: "serving"}


def test_events_that_were_changed_stop_the_start(shop):
    shop.deploy(1)
    shop.deploy(2)
    with closing(sqlite3.connect(shop.database.path)) as raw:
        raw.execute(f"UPDATE model_events SET version = '{FIRST}' WHERE version = '{SECOND}'")
        raw.commit()
    with pytest.raises(RecordError, match="row 2 of model_events was changed"):
        shop.start()


def test_a_version_that_serves_and_was_lost_stays_the_one_that_serves(shop):
    """What the events say holds: nothing else takes its place unasked."""
    shop.deploy(1)
    shop.deploy(2)
    shutil.rmtree(shop.home.folder(SECOND))
    assert shop.start().serving.version == SECOND
    shop.rollback(FIRST)
    shop.assert_serves(FIRST, model(1))

"""What a run reads of a model is what was deployed, or it is refused."""

from __future__ import annotations

import io
import json
import os
import random
import zipfile
from hashlib import sha256

import pytest

from darwin.core.agents import Model
from darwin.errors import ModelError
from darwin.rl.registry import files
from darwin.rl.registry.files import LOADED, MANIFEST, SPEC, WEIGHTS, ZIP
from tests.rl.registry.shop import FIRST, model


@pytest.fixture
def folder(shop):
    shop.deploy(1)
    return shop.home.folder(FIRST)


@pytest.fixture
def load(shop, folder):
    one = shop.shelf.serving
    return lambda: shop.registry.load("gate", one)


def test_the_manifest_is_plain_json_that_an_outsider_can_check(folder):
    told = json.loads((folder / MANIFEST).read_text())
    assert told["format"] == 1
    assert told["sha256"] == {
        name: sha256((folder / name).read_bytes()).hexdigest() for name in (SPEC, WEIGHTS)
    }


def test_the_zip_holds_the_three_files_stored_and_is_always_the_same(folder):
    content = (folder / ZIP).read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == list(LOADED)
        for entry in archive.infolist():
            assert entry.compress_type == zipfile.ZIP_STORED
            assert archive.read(entry) == (folder / entry.filename).read_bytes()
    assert files.whole(model(1))[ZIP] == content


def test_no_flipped_bit_of_what_a_run_reads_is_accepted(folder, load):
    chance = random.Random(4)
    whole = load()
    for _ in range(500):
        name = chance.choice(LOADED)
        content = bytearray(whole[name])
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        (folder / name).write_bytes(content)
        with pytest.raises(ModelError, match=r"was changed|than its MANIFEST\.json says"):
            load()
        (folder / name).write_bytes(whole[name])
    assert load() == whole


def test_a_model_that_agrees_with_itself_is_not_taken_for_another(folder, load):
    for name, content in files.whole(model(2)).items():
        (folder / name).write_bytes(content)
    with pytest.raises(ModelError, match=r"its MANIFEST\.json was changed"):
        load()


def test_a_run_does_not_look_into_the_zip(folder, load):
    whole = load()
    (folder / ZIP).write_bytes(b"no zip at all")
    assert load() == whole
    with pytest.raises(ModelError, match=r"model\.zip that does not agree"):
        files.read_whole(folder)


@pytest.mark.parametrize("name", LOADED)
def test_what_is_missing_cut_or_longer_is_refused(folder, load, name):
    content = (folder / name).read_bytes()
    for changed in (content[:-1], content + b"\n", b""):
        (folder / name).write_bytes(changed)
        with pytest.raises(ModelError):
            load()
    (folder / name).unlink()
    with pytest.raises(ModelError, match=f"has no {name}"):
        load()


@pytest.mark.parametrize("name", LOADED)
def test_a_link_is_not_followed_even_to_the_same_bytes(folder, load, tmp_path, name):
    (folder / name).rename(tmp_path / "kept")
    (folder / name).symlink_to(tmp_path / "kept")
    with pytest.raises(ModelError, match=f"has a link as {name}"):
        load()


def test_a_link_in_place_of_the_folder_is_not_followed(folder, load, tmp_path):
    folder.rename(tmp_path / "kept")
    folder.symlink_to(tmp_path / "kept")
    with pytest.raises(ModelError, match="is a link or no folder"):
        load()


def test_a_pipe_is_no_file_and_nobody_waits_for_it(folder, load):
    (folder / SPEC).unlink()
    os.mkfifo(folder / SPEC)
    with pytest.raises(ModelError, match=r"spec\.json that is no plain file"):
        load()


def test_a_folder_in_place_of_a_file_is_refused(folder, load):
    (folder / SPEC).unlink()
    (folder / SPEC).mkdir()
    with pytest.raises(ModelError, match=r"spec\.json that is no plain file"):
        load()


def test_a_file_that_is_too_large_is_not_read(folder, load):
    with (folder / WEIGHTS).open("ab") as file:
        file.truncate(1 << 40)  # a hole: it takes no room, and would take all memory
    with pytest.raises(ModelError, match="more than 67,108,864 bytes"):
        load()


@pytest.mark.parametrize("name", ["vec_normalize.pkl", "data.pth", "..\udcff", "spec.json.bak"])
def test_a_folder_with_anything_else_in_it_is_refused(folder, load, name):
    (folder / name).write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(ModelError, match="which is no part of a model") as refused:
        load()
    assert refused.value.lines()[0].isascii()


def test_a_refusal_names_the_folder_and_the_way_out(folder, load):
    (folder / SPEC).unlink()
    with pytest.raises(ModelError) as refused:
        load()
    assert refused.value.lines() == [
        "error: the model has no spec.json",
        f"  at: {folder}",
        "  mend: roll back to another version; `darwin rl models list` names those that exist",
    ]


def test_a_folder_that_is_gone_is_refused(folder, load):
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    with pytest.raises(ModelError, match="the model is missing"):
        load()


@pytest.mark.parametrize("name", ["../../elsewhere", "..", "", ".new-x", "a/b", "/etc", "a\n"])
def test_a_version_with_the_name_of_another_place_is_refused(shop, folder, name):
    with pytest.raises(ModelError, match="is no name of a version"):
        shop.registry.load("gate", Model(name, shop.shelf.serving.sha256))

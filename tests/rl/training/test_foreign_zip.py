"""What is taken out of a zip from elsewhere, and which are not even unpacked. No torch here."""

from __future__ import annotations

import io
import stat
import struct
import warnings
import zipfile

import numpy as np
import pytest

from darwin.errors import ModelError
from darwin.rl.training import foreign_zip
from darwin.rl.training.foreign_zip import policy_bytes
from tests.rl.training.zips import (
    NEVER_READ,
    like_torch,
    payloads,
    pickled,
    sb3_zip,
    unzipped,
    zipped,
)

POLICY = like_torch(b"weights", **{"0": bytes(range(256)) * 16})
GOOD = sb3_zip(POLICY)
DIRECTORY = int.from_bytes(GOOD[-6:-2], "little")
"""Where it begins."""


def entry(name: str, mode: int = 0) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    return info


def with_entry(info: zipfile.ZipInfo, content: bytes, base: bytes = GOOD) -> bytes:
    """With one more member, whatever it is called."""
    out = io.BytesIO(base)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name that is there already
        with zipfile.ZipFile(out, "a") as archive:
            archive.writestr(info, content)
    return out.getvalue()


def test_the_weights_are_taken_as_they_are():
    assert policy_bytes(GOOD) == POLICY


def test_deflated_by_hand_is_fine():
    assert policy_bytes(zipped(unzipped(GOOD), zipfile.ZIP_DEFLATED)) == POLICY


@pytest.mark.parametrize("name", NEVER_READ)
def test_whatever_another_known_member_holds_is_not_read(name, tmp_path, monkeypatch):
    canary, opened, true_open = tmp_path / "canary", [], zipfile.ZipFile.open
    zips = [sb3_zip(POLICY, **{name: pickled(one)}) for one in payloads(canary).values()]

    def watched(self, member, *how):
        opened.append(member.filename)
        return true_open(self, member, *how)

    monkeypatch.setattr(zipfile.ZipFile, "open", watched)
    assert [policy_bytes(poisoned) for poisoned in zips] == [POLICY] * len(zips)
    assert set(opened) == {"policy.pth"}
    assert not canary.exists()


@pytest.mark.parametrize(
    "name",
    [
        "extra.pkl", "normaliser.pkl", "vecnormalize.pkl", "model.zip", "data.pkl", "DATA",
        "Policy.pth", "policy.pth ", "policy.pth/", "sub/policy.pth", "../policy.pth",
        "../../etc/passwd", "/etc/passwd", "./data", "data/", "C:\\data", "..\\data", "data\n",
        "policy\N{FULLWIDTH FULL STOP}pth", "", "__pycache__/torch.pyc", "torch/__init__.py",
    ],
)  # fmt: skip
def test_a_member_of_another_name_is_refused(name):
    with pytest.raises(ModelError, match="which is no part of a model"):
        policy_bytes(with_entry(entry(name), pickled({})))


def test_a_name_cut_by_a_nul_is_refused():
    raw = with_entry(entry("dataXevil.sh"), b"").replace(b"dataXevil.sh", b"data\0evil.sh")
    with pytest.raises(ModelError, match="no part of a model"):
        policy_bytes(raw)


@pytest.mark.parametrize("name", ["policy.pth", "data"])
def test_a_name_that_stands_there_twice_is_refused(name):
    with pytest.raises(ModelError, match="twice"):
        policy_bytes(with_entry(entry(name), b"other"))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFBLK, stat.S_IFSOCK])
def test_links_and_devices_are_refused(kind):
    members = {name: one for name, one in unzipped(GOOD).items() if name != "data"}
    raw = with_entry(entry("data", kind | 0o777), b"/etc/passwd", zipped(members))
    with pytest.raises(ModelError, match="a link or no file"):
        policy_bytes(raw)


def test_a_link_in_the_place_of_the_weights_is_refused():
    members = {name: one for name, one in unzipped(GOOD).items() if name != "policy.pth"}
    raw = with_entry(entry("policy.pth", stat.S_IFLNK | 0o777), b"/etc/passwd", zipped(members))
    with pytest.raises(ModelError, match="a link or no file"):
        policy_bytes(raw)


@pytest.mark.parametrize("name", ["data", "policy.pth"])
def test_a_member_that_unpacks_to_far_more_than_it_is_is_refused_unread(name):
    members = unzipped(GOOD) | {name: bytes(8 << 20)}
    with pytest.raises(ModelError, match="far more than it is"):
        policy_bytes(zipped(members, zipfile.ZIP_DEFLATED))


def told_as(content: bytes, size: int) -> bytes:
    """A zip with `content` as weights, which are said to be of another size."""
    packed = zipped(unzipped(GOOD) | {"policy.pth": content}, zipfile.ZIP_DEFLATED)
    return packed.replace(struct.pack("<L", len(content)), struct.pack("<L", size))


def test_a_bomb_that_lies_about_its_size_is_refused():
    with pytest.raises(ModelError, match="is damaged"):
        policy_bytes(told_as(bytes(8 << 20), 4096))


def test_a_member_that_is_less_than_it_says_is_refused():
    content = np.random.default_rng(0).bytes(70_001)
    with pytest.raises(ModelError, match="unpacks to another size"):
        policy_bytes(told_as(content, 70_002))


def test_many_members_are_refused_before_the_directory_is_read(monkeypatch):
    raw = zipped({f"{i}.pth": b"" for i in range(20_000)})
    monkeypatch.setattr(zipfile, "ZipFile", None)
    with pytest.raises(ModelError, match="20,000 members where 16"):
        policy_bytes(raw)


def test_many_members_behind_a_small_count_are_refused(monkeypatch):
    raw = bytearray(zipped({f"{i}.pth": b"" for i in range(20_000)}))
    raw[-14:-10] = struct.pack("<2H", 6, 6)
    monkeypatch.setattr(zipfile, "ZipFile", None)
    with pytest.raises(ModelError, match="a directory that does not end"):
        policy_bytes(bytes(raw))


def test_a_count_that_does_not_agree_with_the_directory_is_refused():
    raw = bytearray(GOOD)
    raw[-14:-10] = struct.pack("<2H", 7, 7)
    with pytest.raises(ModelError, match="more or fewer members"):
        policy_bytes(bytes(raw))


def test_all_members_together_may_not_unpack_to_too_much(monkeypatch):
    monkeypatch.setattr(foreign_zip, "LARGEST_UNPACKED", len(POLICY) + 10)
    with pytest.raises(ModelError, match="unpacks to more than"):
        policy_bytes(GOOD)


def test_what_is_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(foreign_zip, "LARGEST_POLICY", len(POLICY) - 1)
    with pytest.raises(ModelError, match=r"policy\.pth is larger"):
        policy_bytes(GOOD)
    monkeypatch.setattr(foreign_zip, "LARGEST_ZIP", len(GOOD) - 1)
    with pytest.raises(ModelError, match="the zip is larger"):
        policy_bytes(GOOD)


def test_an_encrypted_zip_is_refused():
    raw = bytearray(GOOD)
    raw[DIRECTORY + 8] |= 1  # the flags of its first entry
    with pytest.raises(ModelError, match="encrypted"):
        policy_bytes(bytes(raw))


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_unusual_packing_is_refused(compression):
    with pytest.raises(ModelError, match="unusual way"):
        policy_bytes(zipped(unzipped(GOOD), compression))


@pytest.mark.parametrize("disk", [(1, 0), (0, 1)])
def test_a_part_of_a_split_zip_is_refused(disk):
    raw = bytearray(GOOD)
    raw[-18:-14] = struct.pack("<2H", *disk)
    with pytest.raises(ModelError, match="one part of several"):
        policy_bytes(bytes(raw))


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"PK", b"PK\x05\x06" + bytes(18), pickled({}), b"#!/bin/sh\n" + GOOD, GOOD + b"\n",
        GOOD[:-1], GOOD[1:], GOOD[: len(GOOD) // 2], zipped({}),
    ],
    ids=range(10),
)  # fmt: skip
def test_what_is_no_zip_or_has_something_around_it_is_refused(raw):
    with pytest.raises(ModelError, match="no zip, or has something"):
        policy_bytes(raw)


def test_a_zip_behind_what_looks_like_one_is_refused():
    with pytest.raises(ModelError, match="a directory that does not end where"):
        policy_bytes(b"PK\x03\x04#!/bin/sh\n" + GOOD)


def test_a_zip_with_a_comment_is_refused():
    out = io.BytesIO(GOOD)
    with zipfile.ZipFile(out, "a") as archive:
        archive.comment = b"PK\x05\x06" + bytes(18)
    with pytest.raises(ModelError, match="the zip"):
        policy_bytes(out.getvalue())


def test_a_zip_without_weights_is_refused():
    members = {name: one for name, one in unzipped(GOOD).items() if name != "policy.pth"}
    with pytest.raises(ModelError, match=r"holds no policy\.pth"):
        policy_bytes(zipped(members))


@pytest.mark.parametrize("kind", ["os.system", "exec", "eval", "Popen", "open", "mkdir"])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_bare_pickle_in_the_place_of_the_weights_is_refused_unread(kind, protocol, tmp_path):
    """Among them what torch wrote before it wrote zips."""
    canary = tmp_path / "canary"
    with pytest.raises(ModelError, match=r"policy\.pth is no zip"):
        policy_bytes(sb3_zip(pickled(payloads(canary)[kind], protocol)))
    assert not canary.exists()


@pytest.mark.parametrize(
    "policy",
    [
        GOOD,  # nested
        zipped({"archive/data.pkl": b"", "archive/code/net.py": b"import os"}),  # TorchScript
        zipped({"archive/data.pkl": b"", "archive/constants.pkl": b"import os"}),
        zipped({"archive/data.pkl": b"", "../archive/data/0": b""}),
        zipped({"archive/data.pkl": b"", "archive/data/../../x": b""}),
        zipped({"archive/data.pkl": b"", "archive/data/policy.zip": b""}),
        zipped({"data.pkl": b""}),
    ],
    ids=range(7),
)
def test_weights_that_are_not_laid_out_as_torch_does_are_refused(policy):
    with pytest.raises(ModelError, match=r"policy\.pth holds .* no part of a model"):
        policy_bytes(sb3_zip(policy))


def test_weights_in_two_folders_are_refused():
    with pytest.raises(ModelError, match="all in one folder"):
        policy_bytes(sb3_zip(zipped({"a/data.pkl": b"", "b/data/0": b""})))


def test_weights_that_are_compressed_are_refused():
    squeezed = zipped(unzipped(POLICY), zipfile.ZIP_DEFLATED)
    with pytest.raises(ModelError, match="compressed"):
        policy_bytes(sb3_zip(squeezed))


def test_no_damage_gets_through_or_ends_in_another_error():
    """A bit, a byte or a piece: refused, or the weights are what they were."""
    rng = np.random.default_rng(7)
    refused = 0
    for _ in range(1500):
        raw = bytearray(GOOD)
        at = int(rng.integers(len(raw)))
        how = rng.integers(4)
        if how == 0:
            raw[at] ^= 1 << int(rng.integers(8))
        elif how == 1:
            raw[at] = int(rng.integers(256))
        elif how == 2:
            del raw[at : at + int(rng.integers(1, 40))]
        else:  # the directory, where most of the meaning is
            at = int(rng.integers(DIRECTORY, len(GOOD)))
            raw[at] = int(rng.integers(256))
        try:
            assert policy_bytes(bytes(raw)) == POLICY
        except ModelError as refusal:
            refused += 1
            assert len(refusal.lines()) <= 3
            assert str(refusal).isprintable()
    assert refused > 500

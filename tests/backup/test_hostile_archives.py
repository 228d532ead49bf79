"""Backups that were damaged, or made by somebody who means ill: refused, and nothing is written."""

from __future__ import annotations

import io
import json
import random
import sqlite3
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from darwin.cli import backup_manifest as manifests
from darwin.cli.backup_manifest import Manifest
from darwin.cli.backup_tar import Packing
from tests.backup.conftest import STATE, Room, keep

RESTORE = ("backup", "restore", "bad.tar", "--artifacts-dir", "new")
Odd = Callable[[tarfile.TarFile], None]


@pytest.fixture
def made(room: Room) -> Path:
    """A sound backup, called one.tar."""
    room.done("backup", "create", "-o", "one.tar")
    return room.folder / "one.tar"


def assert_refused(room: Room, what: str = "") -> str:
    """Both commands say no, and neither leaves anything, here or a folder above."""
    before, above = room.files(), sorted(room.folder.parent.iterdir())
    said = room.refused(4, *RESTORE)
    assert room.refused(4, "backup", "verify", "bad.tar").splitlines()[0] == said.splitlines()[0]
    assert room.files() == before
    assert sorted(room.folder.parent.iterdir()) == above
    assert not (room.folder / "new").exists()
    assert what in said
    assert "bad.tar" in said
    return said


def test_a_flipped_bit_anywhere_is_found(room: Room, made: Path) -> None:
    whole = made.read_bytes()
    chance = random.Random(1)
    first_header = [0, 100, 124, 136, 148, 156, 157, 257, 263, 329, 345, 500, 511]
    places = [
        *first_header,
        *chance.sample(range(len(whole)), 40),
        *range(len(whole) - 4, 0, -8192),
    ]
    missed = []
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << chance.randrange(8)
        (room.folder / "bad.tar").write_bytes(damaged)
        if room.asked("backup", "verify", "bad.tar").code != 4:
            missed.append(place)
    assert missed == []


def test_a_header_that_says_more_than_name_size_and_time_is_refused(room: Room, made: Path) -> None:
    with tarfile.open(made) as old, tarfile.open(room.folder / "bad.tar", "w") as archive:
        for info in old.getmembers():
            info.mode = 0o4777  # and a sound checksum
            archive.addfile(info, old.extractfile(info))
    assert_refused(room, "with a header that was changed")


def test_the_file_that_was_changed_is_named(room: Room, made: Path) -> None:
    whole = made.read_bytes()
    (room.folder / "bad.tar").write_bytes(whole.replace(b"run first begins", b"run first ENDED!"))
    assert_refused(room, "another runs/first/run.log than was put into it")


def test_a_backup_that_is_cut_off_or_goes_on_is_refused(room: Room, made: Path) -> None:
    whole = made.read_bytes()
    for size in (0, 1, 511, 512, 5000, len(whole) - 1024, len(whole) - 512, len(whole) - 1):
        (room.folder / "bad.tar").write_bytes(whole[:size])
        assert_refused(room)
    for more in (b"x", bytes(512), b"x" * 512):
        (room.folder / "bad.tar").write_bytes(whole + more)
        assert_refused(room, "goes on behind its end")


def plain(name: str, content: bytes = b"ill") -> Odd:
    def add(archive: tarfile.TarFile) -> None:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))

    return add


def special(kind: bytes, to: str = "/etc/passwd") -> Odd:
    def add(archive: tarfile.TarFile) -> None:
        info = tarfile.TarInfo("runs/first/odd")
        info.type, info.linkname = kind, to
        archive.addfile(info)

    return add


def huge(archive: tarfile.TarFile) -> None:
    info = tarfile.TarInfo("runs/huge")
    info.size = 7 << 30
    archive.fileobj.write(info.tobuf(tarfile.USTAR_FORMAT))  # type: ignore[union-attr]


def both(*some: Odd) -> Odd:
    def add(archive: tarfile.TarFile) -> None:
        for one in some:
            one(archive)

    return add


HOSTILE: dict[str, Odd] = {
    "above": plain("../ill"),
    "above, later": plain("runs/../../ill"),
    "absolute": plain("/tmp/ill"),
    "dot": plain("./runs/ill"),
    "hidden": plain("runs/.ill"),
    "empty segment": plain("runs//ill"),
    "odd letters": plain("runs/first/\u202eill"),
    "a line end": plain("runs/a\nb"),
    "deep": plain("/".join("abcdefghijklmnop")),
    "long": plain("runs/" + "a" * 120),
    "very long": plain("a/" * 90 + "a" * 90),
    "a link": special(tarfile.SYMTYPE),
    "a hard link": special(tarfile.LNKTYPE),
    "a device": special(tarfile.CHRTYPE),
    "a disk": special(tarfile.BLKTYPE),
    "a pipe": special(tarfile.FIFOTYPE),
    "a folder": special(tarfile.DIRTYPE),
    "a sparse file": special(tarfile.GNUTYPE_SPARSE),
    "a header for all": special(tarfile.XGLTYPE),
    "huge": huge,
    "twice": both(plain("runs/a"), plain("runs/a")),
    "a file as folder": both(plain("a"), plain("a/b")),
    "unknown to any manifest": plain("runs/a"),
}


@pytest.mark.parametrize("how", [tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused(name: str, how: int, room: Room) -> None:
    try:
        with tarfile.open(room.folder / "bad.tar", "w", format=how) as archive:
            HOSTILE[name](archive)
    except ValueError:
        pytest.skip("no such thing can be written in this format")
    assert_refused(room)


@pytest.mark.parametrize("how", ["gz", "xz"])
def test_a_compressed_archive_is_refused(how: str, room: Room) -> None:
    with tarfile.open(room.folder / "bad.tar", f"w:{how}") as archive:
        plain("runs/a", bytes(1 << 20))(archive)
    assert_refused(room)


class Again:
    """A backup that is unpacked, changed, and packed again with digests that agree."""

    def __init__(self, room: Room, made: Path) -> None:
        self.folder, self._out = room.folder / "unpacked", room.folder / "bad.tar"
        with tarfile.open(made) as archive:
            archive.extractall(self.folder, filter="data")
        self._told = json.loads((self.folder / manifests.FILE).read_bytes())

    def pack(self, **other: object) -> None:
        with self._out.open("wb") as file:
            packing = Packing(file, 0)
            for name, _, _ in self._told["files"]:
                content = (self.folder / name).read_bytes()
                packing.add(name, io.BytesIO(content), len(content))
            files = [list(one) for one in packing.members]
            tree = self._told | {"files": files} | other
            text = json.dumps(tree, indent=1, sort_keys=True).encode() + b"\n"
            for name, content in (
                (manifests.FILE, text),
                (manifests.DIGEST, manifests.digest_line(text)),
            ):
                packing.add(name, io.BytesIO(content), len(content))
            packing.end()


@pytest.fixture
def again(room: Room, made: Path) -> Again:
    return Again(room, made)


def test_packed_again_without_a_change_it_is_as_good(room: Room, again: Again) -> None:
    again.pack()
    room.done(*RESTORE)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ("UPDATE fills SET price = price * 2 WHERE id = (SELECT min(id) FROM fills)", "of fills"),
        ("DELETE FROM checkpoints", "checkpoints"),
        ("INSERT INTO kill_events VALUES (1, 'off', 'x', 'y', 'z', zeroblob(32))", "kill_events"),
        ("UPDATE runs SET number = 9 WHERE number = 3", "runs"),
        ("CREATE TRIGGER quiet BEFORE INSERT ON fills BEGIN SELECT 1; END", "trigger"),
    ],
)
def test_a_changed_record_is_found_though_all_digests_agree(
    change: str, names: str, room: Room, again: Again
) -> None:
    with closing(sqlite3.connect(again.folder / "rl_state/agent_state.sqlite")) as raw:
        raw.execute(change)
        raw.commit()
    again.pack()
    assert_refused_as_a_record(room, names)


def assert_refused_as_a_record(room: Room, names: str) -> None:
    said = room.refused(4, *RESTORE)
    assert names in said
    assert not (room.folder / "new").exists()


@pytest.mark.parametrize("other", [b"[1]", b"{}", b"\xff", b"[" * 200_000])
def test_a_config_to_go_on_with_must_be_the_one_on_record(other: bytes, room: Room) -> None:
    keep(room.folder / STATE, "going", finished=False)
    room.done("backup", "create", "-o", "of-one-that-goes-on.tar")
    again = Again(room, room.folder / "of-one-that-goes-on.tar")
    again.pack()
    room.done(*RESTORE[:-1], "as-it-was")
    (again.folder / "runs/going/config.json").write_bytes(other)
    again.pack()
    assert_refused_as_a_record(room, "'going' has another config than is on record")


def test_a_record_whose_end_was_cut_off_is_found(room: Room, again: Again) -> None:
    [first, second, third] = again._told["runs"]
    again.pack(runs=[first, second])
    assert_refused_as_a_record(room, "the runs are not those")
    again.pack(runs=[first, second, third | {"facts": 999}])
    assert_refused_as_a_record(room, "the runs are not those")
    again.pack(logs=again._told["logs"] | {"kill_events": [1, "00" * 32]})
    assert_refused_as_a_record(room, "kill_events")


def test_a_backup_of_an_older_schema_is_brought_up_to_date(room: Room, again: Again) -> None:
    newer = ("tokens", "service_acts", "schedule_events", "notices", "jobs")
    with closing(sqlite3.connect(again.folder / "rl_state/agent_state.sqlite")) as raw:
        for name in newer:
            raw.execute(f"DROP TABLE {name}")
        raw.execute("ALTER TABLE rollout_events DROP COLUMN max_position_usd")
        raw.execute("UPDATE alembic_version SET version_num = '0007'")
        raw.commit()
    logs = {name: told for name, told in again._told["logs"].items() if name not in newer}
    again.pack(schema="0007", logs=logs)
    room.done(*RESTORE)
    here = room.done("ledger", "export", "first").out
    assert room.done("ledger", "export", "first", "--artifacts-dir", "new").out == here


@pytest.mark.parametrize(
    "other",
    [{"format": 2}, {"database": "../../x"}, {"database": "runs/none"}, {"runs": 3},
     {"files": [["a"]]}, {"more": 1}, {"models": "../elsewhere"}, {"schema": None}],
)  # fmt: skip
def test_a_manifest_that_makes_no_sense_is_refused(
    other: dict[str, object], room: Room, again: Again
) -> None:
    again.pack(**other)
    before = sorted(room.folder.parent.iterdir())
    room.refused(4, *RESTORE)
    assert sorted(room.folder.parent.iterdir()) == before


def test_a_manifest_reads_what_it_writes(again: Again) -> None:
    text = (again.folder / manifests.FILE).read_bytes()
    assert Manifest.read(text).text() == text

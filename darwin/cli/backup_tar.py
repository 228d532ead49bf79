"""The one file of a backup: a plain tar, written in one pass, read without trusting a byte of it.

Any `tar` can unpack it. It holds plain files alone, then `MANIFEST.json`, then the digest of that.
Reading never asks `tarfile` to unpack: each header must be, byte for byte, the one that `header`
makes of its name, size and time, so neither links nor devices, neither long names nor sparse files
nor a flipped bit get further than their first 512 bytes. Nothing is compressed: no member can be
larger than the file it stands in.
"""

from __future__ import annotations

import hashlib
import os
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from darwin.errors import IntegrityError, StorageError

_BLOCK = tarfile.BLOCKSIZE
_AT_ONCE = 1 << 20
_END = 2 * _BLOCK  # of zeros
_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,98}")
_DEEPEST = 12
_MOST_OF_USTAR = 8 << 30  # bytes; what is larger has its size written as GNU tar does


class Member(NamedTuple):
    """One file as it stands in a backup."""

    name: str  # below the artifacts, with `/`
    bytes: int
    sha256: str


def is_plain(name: str) -> bool:
    """Whether a file of that name may stand in a backup: below a folder, no part of it odd."""
    parts = name.split("/")
    return len(parts) <= _DEEPEST and all(map(_SEGMENT.fullmatch, parts)) and _fits(name)


def header(name: str, size: int, mtime: int) -> bytes:
    """The header of a plain file: a function of these three alone. Raises ValueError."""
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = size, mtime, 0o644
    if size < _MOST_OF_USTAR:
        return info.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")
    return info.tobuf(tarfile.GNU_FORMAT, "ascii", "strict")


class Packing:
    """A backup in the making."""

    def __init__(self, file: BinaryIO, mtime: int) -> None:
        """Write to `file`; all members say that they were changed at `mtime`, seconds UTC."""
        self._file, self._mtime = file, mtime
        self.members: list[Member] = []

    def add(self, name: str, source: BinaryIO, size: int) -> None:
        """Add the first `size` bytes of `source`. Raises StorageError where there are fewer."""
        self._file.write(header(name, size, self._mtime))
        digest, left = hashlib.sha256(), size
        while left:
            part = source.read(min(left, _AT_ONCE))
            if not part:
                raise StorageError(
                    f"{name} became shorter while it was copied",
                    where=name,
                    mend="make the backup again",
                )
            self._file.write(part)
            digest.update(part)
            left -= len(part)
        self._file.write(bytes(-size % _BLOCK))
        self.members.append(Member(name, size, digest.hexdigest()))

    def end(self) -> None:
        """Say that nothing follows."""
        self._file.write(bytes(_END))


class Reader:
    """One file of a backup, to be read once."""

    def __init__(self, file: BinaryIO, name: str, size: int) -> None:
        """Stand at its first byte."""
        self._file, self._left = file, size
        self._digest = hashlib.sha256()
        self.name, self.size = name, size

    def parts(self) -> Iterator[bytes]:
        """Its content, some at a time."""
        while self._left:
            part = self._file.read(min(self._left, _AT_ONCE))
            if not part:
                raise refused(f"is cut off in the middle of {self.name}")
            self._left -= len(part)
            self._digest.update(part)
            yield part

    def member(self) -> Member:
        """What it was, once all of it is read; what nobody asked for is read now."""
        for _ in self.parts():
            pass
        return Member(self.name, self.size, self._digest.hexdigest())


def members(file: BinaryIO) -> Iterator[Reader]:
    """The files of a backup, in order, each to be read before the next is asked for.

    Raises IntegrityError for whatever else stands in it, naming the first such thing.
    """
    whole, seen = os.fstat(file.fileno()).st_size, set[str]()
    while True:
        block = file.read(_BLOCK)
        if len(block) < _BLOCK:
            raise refused("is cut off" if seen else "is no backup of Darwin's: it is too short")
        if not any(block):
            _require_end(file)
            return
        name, size = _read_header(block, whole - file.tell())
        if name in seen:
            raise refused(f"holds {name} twice")
        seen.add(name)
        reader = Reader(file, name, size)
        yield reader
        reader.member()
        if any(file.read(-size % _BLOCK)):
            raise refused(f"holds something between {name} and what follows")


def refused(what: str) -> IntegrityError:
    """Say what is wrong with the file; `where` is set by whoever knows its name."""
    return IntegrityError(
        f"the backup {what}", mend="take another backup; this one is not as it was made"
    )


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A backup, open for reading; what is wrong with it is said with its name.

    Raises StorageError where it cannot be read, or is no plain file.
    """
    if path.exists() and not path.is_file():
        raise StorageError("this is no file", where=str(path), mend="name the backup itself")
    try:
        with path.open("rb") as file:
            yield file
    except IntegrityError as fault:
        fault.where = f"{path}, {fault.where}" if fault.where else str(path)
        raise
    except FileNotFoundError as fault:
        if fault.filename != str(path):
            raise
        raise StorageError(
            "there is no such backup", where=str(path), mend="`darwin backup create` makes one"
        ) from None


def _read_header(block: bytes, left: int) -> tuple[str, int]:
    try:
        info = tarfile.TarInfo.frombuf(block, "ascii", "strict")
    except (tarfile.HeaderError, UnicodeDecodeError):
        raise refused("holds a header that is none, or was changed") from None
    shown = ascii(info.name)[1:-1][:100]
    if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
        raise refused(f"holds {shown or 'something'}, which is no plain file")
    if not is_plain(info.name):
        raise refused(f"holds a file called '{shown}', which leads out of it or is no plain name")
    if not 0 <= info.size <= left:
        raise refused(f"is cut off: {shown} would be {info.size:,} bytes, {left:,} follow")
    if header(info.name, info.size, int(info.mtime)) != block:
        raise refused(f"holds {shown} with a header that was changed")
    return info.name, info.size


def _fits(name: str) -> bool:
    try:
        header(name, 0, 0)
    except (ValueError, UnicodeEncodeError):
        return False
    return True


def _require_end(file: BinaryIO) -> None:
    rest = file.read(_END)
    if len(rest) != _END - _BLOCK or any(rest):
        raise refused("goes on behind its end, or is cut off there")

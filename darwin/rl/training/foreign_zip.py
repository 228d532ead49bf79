"""Takes the weights out of a zip that nobody vouches for, and looks at nothing else in it.

What `stable-baselines3` saves is a zip of a few files of fixed names. One of them, `policy.pth`,
holds the weights; it is itself a zip, as torch writes them. The others hold pickled Python and are
never read. A zip that is not laid out like these two is refused before anything in it is unpacked.
"""

from __future__ import annotations

import io
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable

from darwin.errors import ModelError
from darwin.rl.serving.strict_json import quoted, refusal

LARGEST_ZIP = 64 << 20
LARGEST_POLICY = 32 << 20
LARGEST_UNPACKED = 256 << 20  # of all members together
HIGHEST_RATIO = 100  # deflate reaches 1,032 on zeros, 2 on weights, 20 on JSON
MOST_MEMBERS, MOST_TENSORS = 16, 512

POLICY = "policy.pth"
KNOWN = (
    POLICY, "data", "pytorch_variables.pth", "policy.optimizer.pth", "actor.optimizer.pth",
    "critic.optimizer.pth", "ent_coef_optimizer.pth", "_stable_baselines3_version",
    "system_info.txt",
)  # fmt: skip
"""What stable-baselines3 writes."""

_OF_TORCH = re.compile(
    r"[A-Za-z0-9_]{1,64}/"
    r"(data\.pkl|data/[0-9]{1,4}|version|byteorder|\.format_version|\.storage_alignment"
    r"|\.data/serialization_id)"
)
_FAULTS = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, OverflowError, RuntimeError,
    ValueError,
)  # fmt: skip
"""What the library raises for one damaged file or another."""

_END, _END_64 = struct.Struct("<4s4H2LH"), struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_ENTRY_BYTES = 46 + 256  # of the directory: fixed, and room for name and extras
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_MEND = "take the zip as stable-baselines3 wrote it"


def policy_bytes(raw: bytes) -> bytes:
    """The content of policy.pth, laid out as torch lays it out. Raises ModelError."""
    if len(raw) > LARGEST_ZIP:
        raise _fault(f"is larger than {LARGEST_ZIP >> 20} MiB")
    with _opened(raw, "the zip", MOST_MEMBERS) as archive:
        _refuse_members(archive, "the zip", KNOWN.__contains__)
        if POLICY not in archive.namelist():
            raise _fault(f"holds no {POLICY}")
        policy = _content(archive, archive.getinfo(POLICY))
    _refuse_other_than_tensors(policy)
    return policy


def _refuse_other_than_tensors(policy: bytes) -> None:
    """Raise ModelError unless torch's new format is held by `policy`, stored and nothing beside."""
    with _opened(policy, POLICY, MOST_TENSORS) as archive:
        names = archive.namelist()
        _refuse_members(archive, POLICY, lambda name: _OF_TORCH.fullmatch(name) is not None)
        if len({name.partition("/")[0] for name in names}) != 1:
            raise _fault("does not keep all in one folder", POLICY)
        for member in archive.infolist():
            if member.compress_type != zipfile.ZIP_STORED:
                raise _fault(f"holds {quoted(member.filename)} compressed", POLICY)


def _opened(raw: bytes, what: str, most: int) -> zipfile.ZipFile:
    """The zip in `raw`, once its end says that the directory is small and lies where it should."""
    members, size, begin, end = _directory(raw, what)
    if members > most:
        raise _fault(f"holds {members:,} members where {most} at most can be", what)
    if size > most * _ENTRY_BYTES or begin + size != end:
        raise _fault("has a directory that does not end where the file does", what)
    try:
        archive = zipfile.ZipFile(io.BytesIO(raw))
    except _FAULTS as error:
        raise _damaged(what, error) from error
    if len(archive.infolist()) != members:
        raise _fault("holds more or fewer members than it says", what)
    return archive


def _directory(raw: bytes, what: str) -> tuple[int, int, int, int]:
    """How many members there are, the size of their directory, where it begins and must end."""
    end = len(raw) - _END.size
    if end < 0 or not raw.startswith(b"PK\x03\x04") or raw[end : end + 4] != b"PK\x05\x06":
        raise _fault("is no zip, or has something before or behind it", what)
    _, *disks, members, total, size, begin, _ = _END.unpack_from(raw, end)
    locator = end - _LOCATOR_64.size
    if raw[max(locator, 0) : locator + 4] == b"PK\x06\x07":
        _, disk, at, of = _LOCATOR_64.unpack_from(raw, locator)
        if (
            (disk, of) != (0, 1)
            or at + _END_64.size != locator
            or raw[at : at + 4] != b"PK\x06\x06"
        ):
            raise _fault("is one part of several, or has something in its end", what)
        _, _, _, _, *disks, members, total, size, begin = _END_64.unpack_from(raw, at)
        end = at
    if any(disks) or members != total:
        raise _fault("is one part of several", what)
    return members, size, begin, end


def _refuse_members(archive: zipfile.ZipFile, what: str, may_be: Callable[[str], bool]) -> None:
    """Raise ModelError for a member that should not be, by what the directory says of it."""
    seen: set[str] = set()
    for member in archive.infolist():
        name, kind = member.orig_filename, stat.S_IFMT(member.external_attr >> 16)
        if not may_be(name):  # the name as it stands there, not cut or turned as the library does
            raise _fault(f"holds {quoted(name)}, which is no part of a model", what)
        if name in seen:
            raise _fault(f"holds {quoted(name)} twice", what)
        seen.add(name)
        if kind not in (0, stat.S_IFREG):
            raise _fault(f"holds {quoted(name)}, which is a link or no file", what)
        if member.flag_bits & _ENCRYPTED:
            raise _fault(f"holds {quoted(name)} encrypted", what)
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _fault(f"holds {quoted(name)} packed in an unusual way", what)
        if member.file_size > HIGHEST_RATIO * max(member.compress_size, 1):
            raise _fault(f"holds {quoted(name)}, which unpacks to far more than it is", what)
    if sum(member.file_size for member in archive.infolist()) > LARGEST_UNPACKED:
        raise _fault(f"unpacks to more than {LARGEST_UNPACKED >> 20} MiB", what)


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """What a member holds, never more of it than the directory said."""
    name = member.filename
    if member.file_size > LARGEST_POLICY:
        raise _fault(f"is larger than {LARGEST_POLICY >> 20} MiB", name)
    try:
        with archive.open(member) as stream:
            content = stream.read(member.file_size + 1)
    except _FAULTS as error:
        raise _damaged(name, error) from error
    if len(content) != member.file_size:
        raise _fault("unpacks to another size than it says", name)
    return content


def _damaged(what: str, error: Exception) -> ModelError:
    return _fault(f"is damaged: {quoted(str(error))}", what)


def _fault(fault: str, what: str = "the zip") -> ModelError:
    return refusal(what, fault, _MEND)

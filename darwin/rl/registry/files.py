"""What a version of a model is made of: two files that say it all, and two that follow from them.

`weights.safetensors` and `spec.json` are the model. `MANIFEST.json` holds their digests and
`model.zip` holds the three, stored; both are functions of the two, so they are compared and never
parsed or unpacked. Whatever else stands in a folder makes it none of ours.
"""

from __future__ import annotations

import errno
import io
import json
import os
import stat
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias

from darwin.core.agents import Model
from darwin.errors import ModelError, StorageError

WEIGHTS, SPEC, MANIFEST, ZIP = "weights.safetensors", "spec.json", "MANIFEST.json", "model.zip"
LOADED = (MANIFEST, SPEC, WEIGHTS)
"""What a run reads."""

_MIB = 1 << 20
MOST_BYTES = {MANIFEST: 4096, SPEC: 4 * _MIB, WEIGHTS: 64 * _MIB, ZIP: 69 * _MIB}
"""The files of a version, and how large each may be."""

FORMAT = 1
Files: TypeAlias = Mapping[str, bytes]
"""The content of files, by name."""

_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip can name
_NO_SUCH_THING = {errno.ELOOP, errno.ENOTDIR, errno.ENXIO}  # a link, a file, a socket


class GoneError(ModelError):
    """A version whose folder is not there."""


class AlteredModelError(ModelError):
    """A version whose folder is there, and holds something else than was deployed."""


def whole(given: Files) -> dict[str, bytes]:
    """All files of a version, made from its two; any other that is given must agree with them.

    Raises ModelError for a missing, oversized or unknown file, and for one that does not agree.
    """
    for name, content in given.items():
        if name not in MOST_BYTES:
            raise _refused(f"holds {_shown(name)}, which is no part of a model")
        if len(content) > MOST_BYTES[name]:
            raise _too_large(name)
    for name in (SPEC, WEIGHTS):
        if name not in given:
            raise _refused(f"has no {name}")
    files = {SPEC: given[SPEC], WEIGHTS: given[WEIGHTS]}
    files[MANIFEST] = manifest(files)
    files[ZIP] = _stored(files)
    for name, content in given.items():
        if content != files[name]:
            raise _refused(f"has a {name} that does not agree with its {SPEC} and {WEIGHTS}")
    return files


def manifest(files: Files) -> bytes:
    """MANIFEST.json of a spec and weights: the format and the digests of the two."""
    digests = {name: sha256(files[name]).hexdigest() for name in (SPEC, WEIGHTS)}
    tree = {"format": FORMAT, "sha256": digests}
    return json.dumps(tree, indent=2, sort_keys=True).encode() + b"\n"


def identity(version: str, files: Files) -> Model:
    """Who a model of that version is."""
    return Model(version, sha256(files[MANIFEST]).hexdigest())


def load(folder: Path, model: Model) -> dict[str, bytes]:
    """What a run reads of a version: manifest, spec and weights, held against the digests.

    Raises GoneError where the folder is missing, AlteredModelError where it is not laid out as one
    of ours or holds another model than `model`; StorageError where the disk refuses.
    """
    mend = "roll back to another version; `darwin rl models list` names those that exist"
    try:
        return _deployed(folder, model)
    except GoneError as fault:
        fault.mend = mend
        raise
    except ModelError as fault:
        raise AlteredModelError(fault.what, where=fault.where, mend=mend) from fault


def _deployed(folder: Path, model: Model) -> dict[str, bytes]:
    files = read(folder, LOADED)
    if identity(model.version, files) != model:
        raise _refused("is not the one that was deployed: its MANIFEST.json was changed", folder)
    for name in (SPEC, WEIGHTS):
        if sha256(files[name]).hexdigest().encode() not in files[MANIFEST]:
            raise _refused(f"has another {name} than its {MANIFEST} says", folder)
    if files[MANIFEST] != manifest(files):
        raise _refused(f"has another {SPEC} or {WEIGHTS} than its {MANIFEST} says", folder)
    return files


def read_whole(folder: Path) -> dict[str, bytes]:
    """All four files of a folder; they agree. Raises ModelError, StorageError."""
    try:
        return whole(read(folder, MOST_BYTES))
    except ModelError as fault:
        fault.where = str(folder)
        raise


def read(folder: Path, names: Iterable[str], also: Iterable[str] = ()) -> dict[str, bytes]:
    """The files `names` of a folder, and those of `also` that it has.

    Nothing is followed out of the folder. Raises ModelError where it is missing or a link, where
    one of `names` is, where something in it is no plain file of ours or larger than it may be.
    """
    with _opened(folder, folder, os.O_DIRECTORY) as inside:
        present = set(os.listdir(inside))  # noqa: PTH208  of the folder as it was opened
        if strange := sorted(present - set(MOST_BYTES)):
            raise _refused(f"holds {_shown(strange[0])}, which is no part of a model", folder)
        wanted = [*names, *(name for name in also if name in present)]
        return {name: _content(folder, name, inside) for name in wanted}


def _content(folder: Path, name: str, inside: int) -> bytes:
    with _opened(folder, name, os.O_NONBLOCK, inside) as file:
        told = os.fstat(file)
        if not stat.S_ISREG(told.st_mode):
            raise _refused(f"has a {name} that is no plain file", folder)
        if told.st_size > MOST_BYTES[name]:
            raise _too_large(name, folder)
        with os.fdopen(os.dup(file), "rb") as stream:
            return stream.read(MOST_BYTES[name])


@contextmanager
def _opened(folder: Path, name: str | Path, how: int, inside: int | None = None) -> Iterator[int]:
    """Something of `folder`, or itself, open for reading; never a link."""
    try:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | how, dir_fd=inside)
    except FileNotFoundError:
        if inside is None:
            gone = _refused("is missing", folder)
            raise GoneError(gone.what, where=gone.where, mend=gone.mend) from None
        raise _refused(f"has no {name}", folder) from None
    except OSError as fault:
        if fault.errno in _NO_SUCH_THING:
            what = "is a link or no folder" if inside is None else f"has a link as {name}"
            raise _refused(what, folder) from None
        raise _unreadable(fault, folder) from fault
    try:
        yield file
    except OSError as fault:
        raise _unreadable(fault, folder) from fault
    finally:
        os.close(file)


def _stored(files: Files) -> bytes:
    """The three files as a zip, the same bytes whenever and wherever it is made."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name in LOADED:
            entry = zipfile.ZipInfo(name, _LONG_AGO)
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, files[name])
    return out.getvalue()


def _shown(name: str) -> str:
    return f"'{ascii(name)[1:-1][:64]}'"


def _too_large(name: str, folder: Path | None = None) -> ModelError:
    return _refused(f"has a {name} of more than {MOST_BYTES[name]:,} bytes", folder)


def _refused(what: str, folder: Path | None = None) -> ModelError:
    where = "" if folder is None else str(folder)
    return ModelError(
        f"the model {what}",
        where=where,
        mend=f"a model is a folder with {SPEC} and {WEIGHTS}, and at most {MANIFEST} and {ZIP}",
    )


def _unreadable(fault: OSError, folder: Path) -> StorageError:
    return StorageError(
        f"the files of a model cannot be read ({fault.strerror or fault})",
        where=str(folder),
        mend="check the disk and who may read the folder",
    )

"""Files that are whole or not there at all."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from darwin.errors import StorageError


def json_text(tree: dict[str, Any]) -> str:
    """A tree as JSON in the order it was made; never NaN or infinity."""
    return json.dumps(tree, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_text(path: Path, text: str | Iterable[str]) -> None:
    """Replace `path` in one step: written beside it, synced, renamed. Raises StorageError."""
    write_bytes(path, (part.encode() for part in ([text] if isinstance(text, str) else text)))


def write_bytes(path: Path, parts: Iterable[bytes]) -> None:
    """The same with bytes."""
    beside: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        Path(beside).chmod(0o644)
        Path(beside).replace(path)
        _sync_folder(path.parent)
    except OSError as fault:
        raise StorageError(
            f"cannot write {path.name}: {fault.strerror or fault}",
            where=str(path.parent),
            mend="check that the folder is writable and the disk has room",
        ) from fault
    finally:  # also where `parts` itself fails, or a signal stops us
        if beside is not None:
            with suppress(OSError):  # it stands in nobody's way
                Path(beside).unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

"""The file KILL among the artifacts: that it exists is enough, whatever it is and whoever made it.

What `darwin kill on` makes can be told from what a person made: each of its lines begins with MARK.
Nothing is ever opened that is no regular file, for a pipe would keep whoever opens it waiting.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from datetime import datetime
from pathlib import Path

KILL_FILE = "KILL"
"""Its name below the artifacts."""
MARK = b"darwin kill on, "

_NO_PIPE = os.O_NOFOLLOW | os.O_NONBLOCK
_LONGEST = 1 << 16


def stands(artifacts: Path) -> bool:
    """Whether it is there, be it a link that leads nowhere.

    Raises OSError where that cannot be told.
    """
    try:
        (artifacts / KILL_FILE).lstat()
    except FileNotFoundError:
        return False
    return True


def make(artifacts: Path, by: str, reason: str, now: datetime) -> None:
    """Make it, or add a line to one of ours; what is there already is left as it is.

    Raises OSError where there is none afterwards.
    """
    line = MARK + f"{now:%Y-%m-%d %H:%M:%S} UTC, {by}: {reason}\n".encode("utf-8", "replace")
    try:
        artifacts.mkdir(parents=True, exist_ok=True)
        more = os.O_APPEND if ours(artifacts) else os.O_CREAT | os.O_EXCL
        file = os.open(artifacts / KILL_FILE, os.O_WRONLY | more | _NO_PIPE, 0o644)
        try:
            os.write(file, line)
            os.fsync(file)
        finally:
            os.close(file)
        _keep(artifacts)
    except OSError:
        with suppress(OSError):
            if stands(artifacts):
                return
        raise


def ours(artifacts: Path) -> bytes:
    """What it says, if `make` alone wrote it; empty: there is none, or it is somebody else's."""
    try:
        if not stat.S_ISREG((artifacts / KILL_FILE).lstat().st_mode):
            return b""
        file = os.open(artifacts / KILL_FILE, os.O_RDONLY | _NO_PIPE)
        try:
            said = os.read(file, _LONGEST)
        finally:
            os.close(file)
    except OSError:
        return b""
    return (
        said
        if len(said) < _LONGEST and all(line.startswith(MARK) for line in said.splitlines())
        else b""
    )


def remove(artifacts: Path, said: bytes) -> bool:
    """Remove one of ours that still says what it `said`; tells whether it did. Raises OSError."""
    if not said or ours(artifacts) != said:
        return False
    (artifacts / KILL_FILE).unlink()
    _keep(artifacts)
    return True


def _keep(folder: Path) -> None:
    """Let the disk know the folder as it is now, where the file system can."""
    with suppress(OSError):
        file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(file)
        finally:
            os.close(file)

"""One process at a time on one run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from darwin.errors import LockedError, StorageError

LOCK = ".lock"


@contextmanager
def alone(folder: Path, run_id: str, lock: str = LOCK) -> Iterator[None]:
    """Hold the run's folder against a second process. Raises LockedError, StorageError.

    `lock` is the file that is held: of the run, or of what makes the run.
    """
    from filelock import FileLock, Timeout

    held = FileLock(folder / lock, timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held.acquire()
    except Timeout:
        raise LockedError(
            f"run '{run_id}' is held by another process",
            where=str(folder),
            mend="wait for it, or give this one another run_id",
        ) from None
    except OSError as fault:
        raise StorageError(
            f"cannot use the folder of the run: {fault.strerror or fault}",
            where=str(folder),
            mend="check that it is a folder and writable, or set artifacts_dir",
        ) from fault
    try:
        yield
    finally:
        held.release()

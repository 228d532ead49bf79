"""Make a backup while runs write: one state of the database, and the files that belong to it.

Under the lock of the models, and for as long as their files are copied, a snapshot of the database
is taken: it knows exactly the versions that are copied. All else is copied without a lock.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from darwin.cli import backup_manifest as manifests
from darwin.cli.backup_manifest import Manifest, RunHead
from darwin.cli.backup_parts import MODELS, Parts, Where
from darwin.cli.backup_tar import Packing
from darwin.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from sqlalchemy import Connection

FOLDER = "backups"
"""Below the artifacts, where a backup goes that was given no place; no backup holds it."""


class Made(NamedTuple):
    """A backup that was made."""

    path: Path
    bytes: int
    manifest: Manifest


def place_for(output: Path | None, artifacts: Path, now: datetime) -> Path:
    """The file that a backup is to become. Raises ConfigError where there is one already."""
    path = output or artifacts / FOLDER
    if output is None or path.is_dir():
        second = f"darwin-{now.astimezone(UTC):%Y%m%d_%H%M%S}"
        names = (f"{second}{f'_{i:02d}' if i else ''}.tar" for i in range(1000))
        path = next(path / name for name in names if not (path / name).exists())
    if path.exists() or path.is_symlink():
        raise ConfigError(
            "there is a file of that name already, and no backup is ever overwritten",
            where=str(path),
            mend="name another with -o",
        )
    return path


def make(
    where: Where, path: Path, now: datetime, *, models: bool = True, runs: bool = True
) -> Made:
    """Write a backup of a deployment to `path`, which does not exist before and is whole after.

    Without `models` or `runs` their files are left out; the database knows them all the same.
    Raises StorageError, IntegrityError, LockedError; then nothing is left of it.
    """
    from darwin.rl.registry.registry import Registry
    from darwin.store.db import connect_readonly
    from darwin.store.snapshot import heads_of_logs, kept_runs, snapshot

    with connect_readonly(where.db) as database, _written(path) as file:
        packing = Packing(file, int(now.timestamp()))
        parts = Parts(where, packing)
        with ExitStack() as lock:
            if models and where.models_dir.is_dir():
                lock.enter_context(Registry(where.models_dir, database).alone())
            with snapshot(database) as seen:
                kept = kept_runs(seen)
                if models:
                    parts.models(seen, kept)
                lock.close()
                logs, killed = heads_of_logs(seen), _killed_in(seen)
                name = parts.database(seen, path.parent)
        killed = parts.kill_file() or killed
        if runs:
            parts.runs(kept)
        parts.beside()
        heads = tuple(RunHead(*run[:5]) for run in kept)
        where_models = where.name_of(where.models_dir, MODELS) if models else ""
        manifest = _manifest(
            where_models, parts, packing, now, name, heads, logs, killed=killed
        )  # fmt: skip
        text = manifest.text()
        parts.add(manifests.FILE, text)
        parts.add(manifests.DIGEST, manifests.digest_line(text))
        packing.end()
    return Made(path, path.stat().st_size, manifest)


def _manifest(
    models: str,
    parts: Parts,
    packing: Packing,
    now: datetime,
    database: str,
    runs: tuple[RunHead, ...],
    logs: dict[str, tuple[int, str]],
    *,
    killed: bool,
) -> Manifest:
    from darwin.bootstrap import code_version
    from darwin.store.runs import iso_time
    from darwin.store.schema import VERSION

    return Manifest(
        format=manifests.FORMAT,
        made_at=iso_time(now),
        code_version=code_version(),
        schema=VERSION,
        database=database,
        models=models,
        killed=killed,
        runs=runs,
        logs=logs,
        missing_models=tuple(parts.missing),
        left_out=tuple(parts.left_out),
        files=tuple(packing.members),
    )


def _killed_in(connection: Connection) -> bool:
    """Whether the record says that agents are switched off. Raises RecordError."""
    from darwin.store.kill_log import last_said

    said = last_said(connection)
    return said is not None and said.on


@contextmanager
def _written(path: Path) -> Iterator[BinaryIO]:
    """The file of a backup, to be written; it stands in its place once all of it is on disk."""
    with written_whole(path) as beside, beside.open("wb") as file:
        yield file


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A file to be written beside `path`, which takes its place once all of it is on disk.

    Nothing is left of it where that fails. Raises StorageError.
    """
    beside: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(handle)
        beside = Path(name)
        yield beside
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.replace(path)
        sync_folder(path.parent)
    except OSError as fault:
        raise StorageError(
            f"{path.name} cannot be written ({fault.strerror or fault})",
            where=str(fault.filename or path),
            mend="check that the folder is writable and the disk has room, or name another with -o",
        ) from fault
    finally:  # also where a signal stops us
        for rest in ("", "-wal", "-shm", "-journal"):
            if beside is not None:
                with suppress(OSError):
                    beside.with_name(beside.name + rest).unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Wait until what was made or renamed in a folder is on disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

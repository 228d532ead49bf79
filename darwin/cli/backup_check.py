"""Unpack a backup and prove it: each digest, the database, each run, each log, the models."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from darwin.cli import backup_manifest as manifests
from darwin.cli.backup_make import sync_folder
from darwin.cli.backup_manifest import Manifest
from darwin.cli.backup_tar import Member, Reader, members, opened, refused
from darwin.errors import IntegrityError, StorageError

if TYPE_CHECKING:
    from darwin.rl.registry.fsck import Finding
    from darwin.store.db import Database
    from darwin.store.snapshot import Kept


def unpack(path: Path, folder: Path) -> Manifest:
    """Write every file of a backup below a new folder, and hold it against the manifest.

    Raises IntegrityError naming the first thing that is not as it was made, StorageError.
    """
    found: list[Member] = []
    told: dict[str, bytes] = {}
    with opened(path) as file:
        for reader in members(file):
            if reader.name in (manifests.FILE, manifests.DIGEST):
                told[reader.name] = _read(reader)
            elif told:
                raise refused(f"holds {reader.name} behind its {manifests.FILE}")
            else:
                _write(reader, folder)
                found.append(reader.member())
        manifest = _manifest(told)
        _require_these(manifest, found)
    for inside, _, _ in os.walk(folder):
        sync_folder(Path(inside))
    return manifest


def check(tree: Path, manifest: Manifest, say: Callable[[str], None]) -> None:
    """Prove an unpacked backup, as a deployment: `say` is told of each thing that was looked at.

    An older database is brought up to date first; links of models are made anew from the events.
    Raises IntegrityError, RecordError or StorageError for the first thing that is not sound.
    """
    from darwin.cli.verify import check_run
    from darwin.store.db import connect
    from darwin.store.snapshot import kept_runs, require_whole, snapshot

    path = tree / manifest.database
    with connect(path) as database:
        with snapshot(database) as seen:
            require_whole(seen, path)
            kept = kept_runs(seen)
        _require_logs(database, manifest)
        say(f"database {manifest.database}: whole, its logs are as appended")
        _require_models(database, tree, manifest)
        if manifest.models:
            say(f"models in {manifest.models}: as the record says")
    for run in kept:
        checked = check_run(run.run_id, str(tree), str(path.absolute()))
        say(f"run '{run.run_id}': {checked.facts:,} facts are as they were recorded")
    if tuple(manifests.RunHead(*run[:5]) for run in kept) != manifest.runs:
        raise _other("the runs are not those that the backup says", path)
    _require_configs(tree, kept)
    for rest in ("-wal", "-shm"):  # empty, but that SQLite leaves them to readers
        path.with_name(path.name + rest).unlink(missing_ok=True)


def _read(reader: Reader) -> bytes:
    if manifests.too_large(reader.size):
        raise refused(f"has a {reader.name} of {reader.size:,} bytes")
    return b"".join(reader.parts())


def _write(reader: Reader, folder: Path) -> None:
    """Write one file below `folder`, where nothing of its name may stand."""
    path = folder / reader.name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            for part in reader.parts():
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
    except (FileExistsError, NotADirectoryError):
        raise refused(f"holds {reader.name} beside a file that is in its way") from None
    except OSError as fault:
        raise StorageError(
            f"the backup cannot be unpacked ({fault.strerror or fault})",
            where=str(path),
            mend="check that the disk has room and the folder may be written",
        ) from fault


def _manifest(told: dict[str, bytes]) -> Manifest:
    for name in (manifests.FILE, manifests.DIGEST):
        if name not in told:
            raise refused(f"is cut off, or none of Darwin's: it has no {name}")
    if told[manifests.DIGEST] != manifests.digest_line(told[manifests.FILE]):
        raise refused(f"has a {manifests.FILE} that was changed")
    return Manifest.read(told[manifests.FILE])


def _require_these(manifest: Manifest, found: list[Member]) -> None:
    due = {one.name: one for one in manifest.files}
    for one in found:
        if one.name not in due:
            raise refused(f"holds {one.name}, which its {manifests.FILE} does not know")
        if one != due.pop(one.name):
            raise refused(f"holds another {one.name} than was put into it")
    if due:
        raise refused(f"lacks {next(iter(due))}")
    if manifest.database not in {one.name for one in found}:
        raise refused("holds no database")


def _require_logs(database: Database, manifest: Manifest) -> None:
    """Hold the logs against their seals and what the manifest says: nothing may be cut off."""
    from darwin.store.logs import require_sound
    from darwin.store.scan import as_it_stands
    from darwin.store.schema import VERSION
    from darwin.store.sealed import Source
    from darwin.store.snapshot import heads_of_logs

    with as_it_stands(database) as raw:
        require_sound(Source(raw, database.path))
    with database.read() as connection:
        logs = heads_of_logs(connection)
    told = dict(manifest.logs)
    if manifest.schema != VERSION:  # logs of a later schema are empty in it
        told = dict.fromkeys(logs, (0, "")) | told
    if logs != told:
        name = next(name for name in logs if logs[name] != told.get(name))
        raise _other(f"the log {name} ends otherwise than the backup says", database.path)


def _require_configs(tree: Path, kept: Sequence[Kept]) -> None:
    """Hold the config with which a run goes on against the one that it was begun with."""
    for run in kept:
        path = tree / "runs" / run.run_id / "config.json"
        if run.finished or not path.exists():
            continue
        try:
            same = json.loads(path.read_bytes()) == json.loads(run.config_json)
        except (ValueError, RecursionError, OSError):
            same = False
        if not same:
            raise _other(f"run '{run.run_id}' has another config than is on record", path)


def _other(what: str, path: Path) -> IntegrityError:
    return IntegrityError(what, where=str(path), mend="take another backup")


def _require_models(database: Database, tree: Path, manifest: Manifest) -> None:
    """Lead the links to what serves, then let nothing be broken that was whole."""
    from darwin.rl.registry.fsck import Weight, fsck
    from darwin.rl.registry.registry import Registry

    if not manifest.models:
        return
    registry = Registry(tree / manifest.models, database)
    if not registry.models_dir.is_dir():
        registry.models_dir.mkdir(parents=True)
    for one in fsck(registry, repair=True):
        if one.weight is not Weight.NOTE and not _known(one, manifest):
            raise IntegrityError(f"{one.agent}: {one.what}", where=one.where, mend=one.mend)


def _known(one: Finding, manifest: Manifest) -> bool:
    """Whether it is about a version that was not whole when the backup was made."""
    missing = (name.partition(" ") for name in manifest.missing_models)
    return any(one.agent == agent and version in one.what for agent, _, version in missing)

"""Put a backup where a deployment can go on from it: unpacked aside, proven, then renamed."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from darwin.cli.backup_check import check, unpack
from darwin.cli.backup_make import sync_folder
from darwin.cli.backup_manifest import Manifest
from darwin.errors import ConfigError, StorageError


def verify(path: Path, work_dir: Path | None, say: Callable[[str], None]) -> Manifest:
    """Prove a backup in a folder of its own, of which nothing is left afterwards.

    Raises IntegrityError, RecordError, StorageError.
    """
    with _aside(work_dir or path.absolute().parent, ".darwin-verify-") as folder:
        manifest = unpack(path, folder)
        check(folder, manifest, say)
    return manifest


def restore(path: Path, target: Path, say: Callable[[str], None]) -> Manifest:
    """Make `target` the deployment that a backup holds, once all of it is proven.

    Raises ConfigError where `target` is anything but missing or an empty folder, and what `verify`
    raises; then it is as it was.
    """
    refuse_what_is_in_use(target)
    parent = target.absolute().parent
    parent.mkdir(parents=True, exist_ok=True)
    with _aside(parent, f".{target.name}.restoring-") as folder:
        whole = folder / "artifacts"
        whole.mkdir()
        manifest = unpack(path, whole)
        check(whole, manifest, say)
        refuse_what_is_in_use(target)
        try:
            whole.rename(target)  # an empty folder gives way, any other does not
        except OSError as fault:
            raise StorageError(
                f"the restored files cannot be put in their place ({fault.strerror or fault})",
                where=str(target),
                mend="name a folder that does not exist yet, beside which may be written",
            ) from fault
        sync_folder(parent)
    return manifest


def refuse_what_is_in_use(target: Path) -> None:
    """Raise ConfigError for what is neither missing nor an empty folder."""
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        what = "something stands there that is no folder"
    elif target.is_dir() and any(True for _ in target.iterdir()):
        what = "the folder is not empty, and nothing is ever restored over anything"
    else:
        return
    raise ConfigError(what, where=str(target), mend="name a new folder with --artifacts-dir")


@contextmanager
def _aside(parent: Path, prefix: str) -> Iterator[Path]:
    """A folder that is gone afterwards, however that comes."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    except OSError as fault:
        raise StorageError(
            f"no folder can be made to unpack into ({fault.strerror or fault})",
            where=str(parent),
            mend="name one that may be written to: --work-dir, or another --artifacts-dir",
        ) from fault
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)

"""Where the versions of an agent lie, and how they come and go so that a crash leaves no half.

    <models_dir>/<agent>/versions/<version>/     a version; never written to again
    <models_dir>/<agent>/versions/.new-<version> one that is being written
    <models_dir>/<agent>/current                 link to versions/<version>
    <models_dir>/<agent>/current.zip             link to current/model.zip
    <models_dir>/<agent>/current.tmp-…           a link on its way to its place
    <models_dir>/<agent>/current.found…          what stood in place of a link

Whoever changes something here holds the lock of the models folder.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from darwin.core.rebalance import ALL_AGENTS
from darwin.errors import ConfigError, ModelError, StorageError
from darwin.rl.registry.files import ZIP, Files

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""What a version may be called; match it with `fullmatch`."""

_NEW, _LINKING, _FOUND = ".new-", "current.tmp-", "current.found"
_NO_LINK = ""  # stands for the target of what is none; no link leads to nothing


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of one agent."""

    root: Path

    @classmethod
    def of(cls, models_dir: Path, agent: str) -> Home:
        """Raises ConfigError for an unknown agent, StorageError where a link leads elsewhere."""
        if agent not in ALL_AGENTS:
            raise ConfigError(
                f"no agent called '{agent}'", mend=f"there are {', '.join(ALL_AGENTS)}"
            )
        home = cls(models_dir / agent)
        for folder in (home.root, home.versions):
            if folder.is_symlink():
                raise StorageError(
                    "a link stands where a folder of models should be",
                    where=str(folder),
                    mend="put a folder in its place; models are kept below the models folder",
                )
        return home

    @property
    def versions(self) -> Path:
        """What holds one folder per version."""
        return self.root / "versions"

    def aside(self, version: str) -> Path:
        """Where a version is written before it has its place."""
        return self.versions / (_NEW + version)

    def folder(self, version: str) -> Path:
        """Of one version. Raises ModelError for what cannot be the name of one."""
        if NAME.fullmatch(version) is None:
            raise ModelError(f"{ascii(version)[:80]} is no name of a version", where=str(self.root))
        return self.versions / version

    def names(self) -> list[str]:
        """Versions that have a folder, sorted by name; whatever else stands there is left out."""
        with on_disk(self.versions):
            if not self.versions.is_dir():
                return []
            return sorted(
                entry.name
                for entry in os.scandir(self.versions)
                if NAME.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
            )

    def strays(self) -> list[Path]:
        """What a deploy that was killed has left: half a version, a link out of its place."""
        with on_disk(self.root):
            return [
                *sorted(self.versions.glob(_NEW + "*")),
                *sorted(self.root.glob(_LINKING + "*")),
            ]

    def found(self) -> list[Path]:
        """What had stood in place of a link and was put aside."""
        with on_disk(self.root):
            return sorted(self.root.glob(_FOUND + "*"))


def write_aside(home: Home, version: str, files: Files) -> Path:
    """Write a new version beside the others, on the same disk, and return once it is there."""
    folder = home.aside(version)
    with on_disk(folder):
        _make(home.versions)
        folder.mkdir()
        for name, content in files.items():
            with (folder / name).open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        _sync(folder)
    return folder


def settle(home: Home, aside: Path, version: str) -> None:
    """Put what was written aside in its place, whole."""
    with on_disk(aside):
        aside.rename(home.folder(version))
        _sync(home.versions)


def discard(path: Path) -> None:
    """Remove a folder or a link, following nothing; half of it may be gone already."""
    with on_disk(path):
        if path.is_symlink() or not path.is_dir():
            path.unlink(missing_ok=True)
        else:
            shutil.rmtree(path)
        _sync(path.parent)


def is_pointed(home: Home, version: str | None) -> bool:
    """Whether both links say that this version serves; None: there are none."""
    with on_disk(home.root):
        return all(_target(home.root / name) == to for name, to in _links(version).items())


def point(home: Home, version: str | None) -> None:
    """Make both links say that this version serves, each from one moment to the next.

    What stands in place of a link is put aside.
    """
    with on_disk(home.root):
        for name, target in _links(version).items():
            link = home.root / name
            before = _target(link)
            if before == target:
                continue
            if before == _NO_LINK:
                link.rename(_free(home.root))
            if target is None:
                link.unlink(missing_ok=True)
            else:
                on_its_way = home.root / f"{_LINKING}{name}"
                on_its_way.unlink(missing_ok=True)
                on_its_way.symlink_to(target)
                on_its_way.rename(link)
            _sync(home.root)


def pointed(home: Home) -> str | None:
    """Where `current` leads, as the link says; None where there is none."""
    with on_disk(home.root):
        return _target(home.root / "current") or None


@contextmanager
def on_disk(path: Path) -> Iterator[None]:
    """Say in words of ours what the disk refuses. Raises StorageError."""
    try:
        yield
    except OSError as fault:
        raise StorageError(
            f"the folder of the models cannot be used ({fault.strerror or fault})",
            where=str(path),
            mend="check that the disk has room and the folder may be written, then try again",
        ) from fault


def _links(version: str | None) -> dict[str, str | None]:
    if version is None:
        return {"current": None, "current.zip": None}
    return {"current": f"versions/{version}", "current.zip": f"current/{ZIP}"}


def _target(link: Path) -> str | None:
    """What a link says; None where nothing stands."""
    if link.is_symlink():
        return str(link.readlink())
    return _NO_LINK if link.exists() else None


def _free(root: Path) -> Path:
    names = (root / f"{_FOUND}{f'_{i:02d}' if i else ''}" for i in range(1000))
    return next(path for path in names if not path.exists() and not path.is_symlink())


def _make(folder: Path) -> None:
    """Make a folder and those above it, each noted on disk."""
    if folder.is_dir():
        return
    _make(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync(folder.parent)


def _sync(folder: Path) -> None:
    """Wait until what was made, renamed or removed in a folder is on disk."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)

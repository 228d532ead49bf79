"""Look at everything the registry keeps, say what is not as it should be, mend what may be mended.

Mended are links, and what a process that was killed has left. Nothing else is touched: no version,
no event, nothing that Darwin did not make.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from darwin.core.rebalance import ALL_AGENTS
from darwin.errors import DarwinError, IntegrityError, ModelError
from darwin.rl.registry import files, folders
from darwin.rl.registry.adoption import unknown
from darwin.rl.registry.cleanup import leftovers
from darwin.rl.registry.events import sound_events
from darwin.rl.registry.registry import Registry, newcomer
from darwin.rl.registry.versions import Shelf, Version, fold


class Weight(StrEnum):
    """How much a finding matters."""

    BROKEN = "broken"  # a person must look
    LOOSE = "loose"  # `repair` mends it; nothing that serves is touched by it
    NOTE = "note"  # it may be meant so


class Finding(NamedTuple):
    """Something that is not as the events say."""

    agent: str  # empty: it is about all
    weight: Weight
    what: str
    where: str
    mend: str


def fsck(registry: Registry, *, repair: bool = False) -> list[Finding]:
    """All findings, agent by agent; with `repair` those that are left after mending.

    Raises LockedError, StorageError.
    """
    if not registry.models_dir.is_dir():
        return [*_look(registry)]
    with registry.alone():
        if repair:
            _mend(registry)
        return [*_look(registry)]


def require_whole(registry: Registry, agent: str, version: Version) -> files.Files:
    """All files of a version, as they were deployed. Raises ModelError for anything else."""
    registry.load(agent, version.model)
    folder = registry.home(agent).folder(version.name)
    content = files.read_whole(folder)
    if newcomer(version.name, content, version.since).zip_sha256 != version.zip_sha256:
        raise ModelError(
            f"the record names another {files.ZIP} than follows from the model",
            where=str(folder),
            mend="`darwin rl models fsck` tells whether the record was changed",
        )
    return content


def _shelves(registry: Registry) -> list[Shelf] | Finding:
    """The shelf of every agent, or why there is none."""
    try:
        told = sound_events(registry.database)
        return [fold(agent, told) for agent in ALL_AGENTS]
    except IntegrityError as fault:
        mend = fault.mend or "put a backup of the database in its place"
        return Finding("", Weight.BROKEN, fault.what, str(registry.database.path), mend)


def _mend(registry: Registry) -> None:
    shelves = _shelves(registry)
    if isinstance(shelves, Finding):
        return
    for shelf in shelves:
        home = registry.home(shelf.agent)
        for path in [*home.strays(), *leftovers(shelf, home)]:
            folders.discard(path)
        serving = shelf.serving and shelf.serving.version
        if home.root.is_dir() and not folders.is_pointed(home, serving):
            folders.point(home, serving)


def _look(registry: Registry) -> Iterator[Finding]:
    shelves = _shelves(registry)
    if isinstance(shelves, Finding):
        yield shelves
        return
    for shelf in shelves:
        home = registry.home(shelf.agent)
        for one in shelf.kept:
            yield from _damage(registry, shelf.agent, one)
        for look in (_links, _remains, _strangers):
            yield from look(shelf, home)


def _damage(registry: Registry, agent: str, version: Version) -> Iterator[Finding]:
    try:
        require_whole(registry, agent, version)
    except DarwinError as fault:
        what = f"version {version.name}, {version.place}: {fault.what}"
        yield Finding(agent, Weight.BROKEN, what, fault.where, fault.mend)


def _links(shelf: Shelf, home: folders.Home) -> Iterator[Finding]:
    serving = shelf.serving and shelf.serving.version
    if not folders.is_pointed(home, serving):
        due = f"version {serving}, which serves" if serving else "nothing, for no version serves"
        found = folders.pointed(home) or "none at all"
        what = f"the links lead to {found} and should lead to {due}"
        yield Finding(shelf.agent, Weight.LOOSE, what, str(home.root / "current"), _REPAIR)


def _remains(shelf: Shelf, home: folders.Home) -> Iterator[Finding]:
    for say, paths in (
        ("what a process that was killed has left", home.strays()),
        ("the folder of a version that is removed", leftovers(shelf, home)),
    ):
        yield from _each(shelf, Weight.LOOSE, say, paths, _REPAIR)


def _strangers(shelf: Shelf, home: folders.Home) -> Iterator[Finding]:
    nobody_s = [home.folder(name) for name in unknown(shelf, home)]
    mend = "the next run that starts validates and adopts it, or says in the log why not"
    yield from _each(shelf, Weight.NOTE, "a version that no event names", nobody_s, mend)
    mend = "move it to where it belongs; `darwin rl models deploy` takes a folder"
    yield from _each(shelf, Weight.NOTE, "stood in place of a link", home.found(), mend)


def _each(
    shelf: Shelf, weight: Weight, what: str, paths: list[Path], mend: str
) -> Iterator[Finding]:
    for path in paths:
        yield Finding(shelf.agent, weight, what, str(path), mend)


_REPAIR = "`darwin rl models fsck --repair` mends it"

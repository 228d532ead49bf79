"""What a start-up does for an agent: links follow the events, unknown folders become known."""

from __future__ import annotations

import logging
from datetime import datetime

from darwin.errors import ModelError
from darwin.rl.registry import files, folders
from darwin.rl.registry.events import Kind, sound_events
from darwin.rl.registry.registry import Act, Registry, Validate, newcomer, shelf_in
from darwin.rl.registry.versions import Shelf, fold

log = logging.getLogger("darwin")
_FOUND = "its folder was there, and no event knew it"


def start(registry: Registry, agent: str, *, now: datetime, validate: Validate) -> Shelf:
    """Mend the links of an agent, adopt what nobody knows, and say what serves.

    A folder that no event names is validated and adopted, once; it serves only if nothing else
    does. One that is refused is left alone with a line in the log. Nothing is written where all is
    as it should be, and where the agent has no folder. Raises RecordError for events that were
    changed, LockedError, StorageError.
    """
    shelf = fold(agent, sound_events(registry.database))
    home = registry.home(agent)
    if not home.root.is_dir() or (not unknown(shelf, home) and _is_pointed(shelf, home)):
        return shelf
    with registry.alone():
        for name in reversed(unknown(registry.shelf(agent), home)):  # so that the newest may serve
            _adopt(registry, agent, name, now, validate)
        shelf = registry.shelf(agent)
        if not _is_pointed(shelf, home):
            folders.point(home, shelf.serving and shelf.serving.version)
    return shelf


def unknown(shelf: Shelf, home: folders.Home) -> list[str]:
    """Folders that no event names, sorted by name."""
    return [name for name in home.names() if shelf.find(name) is None]


def _is_pointed(shelf: Shelf, home: folders.Home) -> bool:
    return folders.is_pointed(home, shelf.serving and shelf.serving.version)


def _adopt(registry: Registry, agent: str, name: str, now: datetime, validate: Validate) -> None:
    try:
        content = files.read_whole(registry.home(agent).folder(name))
        validate(agent, content)
    except ModelError as fault:
        log.warning("RL %s: version %s is not adopted: %s", agent, name, fault)
        return
    act = Act("darwin", _FOUND, now)
    with registry.database.write() as connection:
        if shelf_in(connection, agent).find(name) is None:
            act.note(connection, agent, Kind.ADOPTED, newcomer(name, content, now))
    log.info("RL %s: version %s is adopted", agent, name)

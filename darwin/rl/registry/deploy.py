"""Bring a new version into service, or beside the one that is; give a challenger its place.

    write aside → fsync → validate → into its place → event → links → fsync → archive the former

Killed anywhere, exactly one version serves, old or new: before the event the new folder
is one that nobody knows (`adoption` finds it), after it the links are what `adoption` mends. An
event that the database refuses leaves the folder where it is, for a COMMIT that failed may yet
turn out to be kept.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection

from darwin.errors import ConfigError, LostJobError, StorageError
from darwin.rl.registry import files, folders
from darwin.rl.registry.events import Kind
from darwin.rl.registry.registry import Act, Registry, Validate, newcomer, shelf_in
from darwin.rl.registry.versions import Place, Shelf, Version
from darwin.store.held import require_held

_MOST_PER_SECOND = 100


def deploy(
    registry: Registry,
    agent: str,
    given: files.Files,
    *,
    by: str,
    reason: str,
    now: datetime,
    active: bool,
    validate: Validate,
) -> Version:
    """Make a version of the files `given`, which must be a spec and weights; gives what it became.

    It serves at once, unless `active` says that the one that serves may act: then it challenges
    that one, in place of an earlier challenger. Raises ModelError where the files or `validate`
    refuse, and LockedError or StorageError; what served before then serves on. A worker whose job
    was given up leaves not even the folder: nobody shall adopt it.
    """
    whole = files.whole(given)
    act, home = Act(by, reason, now), registry.home(agent)
    with registry.alone():
        for stray in home.strays():
            folders.discard(stray)
        with registry.database.read() as connection:
            require_held(connection)
        name = _free_name(registry.shelf(agent), home, now)
        _set_up(home, name, whole, validate, agent)
        version = newcomer(name, whole, now)
        try:
            with registry.database.write() as connection:
                before = shelf_in(connection, agent)
                if active and before.serving is not None:
                    _challenge(connection, act, before, version)
                else:
                    act.note(connection, agent, Kind.DEPLOYED, version)
                after = shelf_in(connection, agent)
        except LostJobError:
            folders.discard(home.folder(name))
            raise
        _make_room(registry, act, before, after)
        return after.pick(name)


def take_over(registry: Registry, agent: str, *, by: str, reason: str, now: datetime) -> Version:
    """Let the challenger serve, for it has graduated; gives what it became.

    Raises ConfigError where there is none, ModelError where its files are not what they were.
    """
    act = Act(by, reason, now)
    with registry.alone():
        challenger = _challenger(registry.shelf(agent))
        registry.load(agent, challenger.model)
        with registry.database.write() as connection:
            before = shelf_in(connection, agent)
            act.note(connection, agent, Kind.DEPLOYED, challenger)
            after = shelf_in(connection, agent)
        _make_room(registry, act, before, after)
        return after.pick(challenger.name)


def withdraw(registry: Registry, agent: str, *, by: str, reason: str, now: datetime) -> Version:
    """Let the challenger challenge no longer. Raises ConfigError where there is none."""
    with registry.alone(), registry.database.write() as connection:
        challenger = _challenger(shelf_in(connection, agent))
        Act(by, reason, now).note(connection, agent, Kind.WITHDRAWN, challenger)
        return shelf_in(connection, agent).pick(challenger.name)


def _set_up(
    home: folders.Home, name: str, whole: files.Files, validate: Validate, agent: str
) -> None:
    """Put the folder of a valid version in its place; of any other nothing is left."""
    with ExitStack() as undo:
        undo.callback(_forget, home.aside(name))
        aside = folders.write_aside(home, name, whole)
        validate(agent, files.read_whole(aside))
        folders.settle(home, aside, name)
        undo.pop_all()


def _forget(aside: Path) -> None:
    with suppress(StorageError):  # it is what is left of a failure that is being told
        folders.discard(aside)


def _challenge(connection: Connection, act: Act, before: Shelf, version: Version) -> None:
    for one in before.kept:
        if one.place is Place.CHALLENGING:
            act.note(connection, before.agent, Kind.WITHDRAWN, one)
    act.note(connection, before.agent, Kind.CHALLENGING, version)


def _make_room(registry: Registry, act: Act, before: Shelf, after: Shelf) -> None:
    """Lead the links to what serves now, then put it down that the former one is out of the way."""
    if after.serving is None or after.serving == before.serving:
        return
    registry.point(after.agent, after.serving)
    with registry.database.write() as connection:
        for one in before.kept:
            if one.place is Place.SERVING:
                act.note(connection, after.agent, Kind.ARCHIVED, one)


def _challenger(shelf: Shelf) -> Version:
    found = [one for one in shelf.kept if one.place is Place.CHALLENGING]
    if not found:
        raise ConfigError(
            f"{shelf.agent} has no challenger",
            mend=f"`darwin rl models list {shelf.agent}` names all versions",
        )
    return found[0]


def _free_name(shelf: Shelf, home: folders.Home, now: datetime) -> str:
    """The second of the deploy, with a number where it is taken; a removed one's stays taken."""
    second = f"{now.astimezone(UTC):%Y%m%d_%H%M%S}"
    taken = {one.name for one in shelf.versions} | set(home.names())
    for number in range(_MOST_PER_SECOND):
        name = f"{second}_{number:02d}" if number else second
        if name not in taken:
            return name
    raise ConfigError(
        f"{_MOST_PER_SECOND} versions of {shelf.agent} are called {second}",
        where=str(home.versions),
        mend="deploy again, a second later",
    )

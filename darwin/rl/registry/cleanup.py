"""Remove the versions that may go: the event first, then the folder."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, select

from darwin.core.agents import Standing
from darwin.core.facts import STANDING
from darwin.errors import IntegrityError
from darwin.rl.registry import folders
from darwin.rl.registry.events import Kind
from darwin.rl.registry.registry import Act, Registry, shelf_in
from darwin.rl.registry.retention import TERMS, Terms, removable
from darwin.rl.registry.versions import Place, Shelf, Version
from darwin.store.schema import inputs, run_states


def cleanup(
    registry: Registry, agent: str, *, by: str, reason: str, now: datetime, terms: Terms = TERMS
) -> tuple[Version, ...]:
    """Remove what retention lets go, and what an earlier attempt has left; gives the versions.

    Killed in between, a removed version may still have a folder: nobody reads it, and the next
    cleanup removes it. Raises IntegrityError, LockedError, StorageError.
    """
    home = registry.home(agent)
    if not home.root.is_dir():
        return ()
    with registry.alone():
        with registry.database.write() as connection:
            gone = due(connection, agent, now, terms)
            for one in gone:
                Act(by, reason, now).note(connection, agent, Kind.REMOVED, one)
        for path in [*home.strays(), *leftovers(registry.shelf(agent), home)]:
            folders.discard(path)
    return gone


def due(
    connection: Connection, agent: str, now: datetime, terms: Terms = TERMS
) -> tuple[Version, ...]:
    """What a cleanup would remove now."""
    return removable(shelf_in(connection, agent), now, referenced(connection, agent), terms)


def leftovers(shelf: Shelf, home: folders.Home) -> list[Path]:
    """Folders of versions that are removed."""
    gone = {one.name for one in shelf.versions if one.place is Place.REMOVED}
    return [home.folder(name) for name in home.names() if name in gone]


def referenced(connection: Connection, agent: str) -> dict[str, str]:
    """The versions that unfinished runs have been told of, each with the name of such a run.

    A run that is taken up again walks from its start, so all it was ever told count. Raises
    IntegrityError where it cannot be read what a run was told.
    """
    told = connection.execute(
        select(inputs.c.run_id, inputs.c.detail)
        .join(run_states, run_states.c.run_id == inputs.c.run_id)
        .where(run_states.c.status == "running")
        .where(inputs.c.kind == STANDING, inputs.c.agent_name == agent)
    ).all()
    found: dict[str, str] = {}
    for run_id, detail in told:
        standing = _standing(run_id, detail)
        for model in (standing.serving, standing.challenger):
            if model is not None:
                found[model.version] = run_id
    return found


def _standing(run_id: str, detail: str | None) -> Standing:
    try:
        return Standing.read(detail or "")
    except (ValueError, TypeError) as fault:
        raise IntegrityError(
            f"run '{run_id}' does not say which models it was told of",
            where="inputs",
            mend=f"`darwin verify {run_id}` tells what was changed",
        ) from fault

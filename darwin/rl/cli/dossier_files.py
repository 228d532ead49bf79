"""The dossiers of a deployment as files: which acts have one, and writing those that lack."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from darwin.core.rebalance import BOOK_AGENTS
from darwin.errors import IntegrityError, ModelError, StorageError
from darwin.rl.cli.options import ARTIFACTS, placed

if TYPE_CHECKING:
    from darwin.core.agents import Model
    from darwin.rl.graduation.checklist import Validation
    from darwin.rl.graduation.dossier import Beside
    from darwin.rl.graduation.record import Event
    from darwin.rl.registry.registry import Registry
    from darwin.stats.drift import Reference
    from darwin.store.db import Database

FOLDER = "rl_state/dossiers"
"""Below the artifacts."""
WRITTEN, LACKING, ANOTHERS = "written", "missing", "of another database"
_HEAD = 400  # bytes, within which a dossier says which database it is of


class Place(NamedTuple):
    """An act, and where its dossier is or would be."""

    event: Event
    json: Path
    html: Path
    state: str


class Made(NamedTuple):
    """What came of writing."""

    written: tuple[Path, ...]  # each JSON; its page lies beside it
    waiting: tuple[Event, ...]  # acts of runs that have not kept yet what they knew


def has_acts(database: Database) -> bool:
    """Whether anything was ever promoted or demoted; asks for little."""
    from sqlalchemy import select

    from darwin.store.schema import graduation_events

    with database.read() as connection:
        return connection.execute(select(graduation_events.c.id).limit(1)).first() is not None


def places(database: Database, folder: Path, agent: str | None = None) -> list[Place]:
    """All acts, or those of one agent, oldest first, with their files; of books there are none.

    Raises IntegrityError, RecordError for a log that is not as appended.
    """
    from darwin.rl.graduation.record import events_in

    with database.read() as connection:
        events = events_in(connection)
    origin = events[0].seal if events else ""
    found = []
    for event in events:
        if event.agent not in BOOK_AGENTS and agent in (None, event.agent):
            name = f"{event.agent}-{event.number}"
            files = (folder / f"{name}.json", folder / f"{name}.html")
            found.append(Place(event, *files, _state(files, origin)))
    return found


def place_tree(one: Place) -> dict[str, Any]:
    """An act and its dossier, as JSON."""
    event, act = one.event, one.event.act
    return {
        "agent": event.agent,
        "number": event.number,
        "file": str(one.json),
        "kind": str(act.kind),
        "version": event.model.version,
        "scope": act.scope,
        "by": act.by,
        "at": f"{act.at:%Y-%m-%d %H:%M}",
        "state": one.state,
    }


def _state(files: tuple[Path, Path], origin: str) -> str:
    there = [file for file in files if file.is_file()]
    if files[0] in there:
        with files[0].open("rb") as file:
            if origin.encode() not in file.read(_HEAD):
                return ANOTHERS
    return WRITTEN if len(there) == len(files) else LACKING


def make(database: Database, registry_of: Callable[[str], Registry], event: Event) -> Any:
    """The tree of the dossier of an act; None where it cannot be made yet."""
    from darwin.rl.graduation.dossier import dossier
    from darwin.rl.graduation.record import events_in

    with database.read() as connection:
        origin = events_in(connection)[0].seal
        return dossier(connection, event, origin, _beside(database, registry_of))


def write_missing(
    database: Database,
    registry_of: Callable[[str], Registry],
    folder: Path,
    agent: str | None = None,
) -> Made:
    """Write the dossiers that lack, of all agents or one.

    One of another database that stands in the way is put aside under a name of its own. Raises
    StorageError where the disk refuses.
    """
    from darwin.report.dossier import page
    from darwin.report.files import json_text, write_text

    written, waiting = [], []
    for place in places(database, folder, agent):
        if place.state == WRITTEN:
            continue
        tree = make(database, registry_of, place.event)
        if tree is None:
            waiting.append(place.event)
            continue
        if place.state == ANOTHERS:
            _put_aside(place)
        write_text(place.html, page(tree))
        write_text(place.json, json_text(tree))  # the last: with it the dossier is there
        written.append(place.json)
    return Made(tuple(written), tuple(waiting))


def write_down(registry: Registry, artifacts_dir: str) -> tuple[Path, ...]:
    """Write what lacks after a person's act, which holds whatever becomes of its dossier."""
    folder = placed(artifacts_dir, f"{ARTIFACTS}/{FOLDER}")
    try:
        return write_missing(registry.database, lambda _: registry, folder).written
    except (StorageError, IntegrityError) as fault:
        said = f"dossiers lack: {fault.what}; `darwin rl dossier write` writes them"
        click.echo(f"warning: {said}", err=True)
        return ()


def _put_aside(place: Place) -> None:
    """Let a dossier of another database keep its content under a name that tells which."""
    import hashlib

    try:
        mark = hashlib.sha256(place.json.read_bytes()).hexdigest()[:8]
        for file in (place.html, place.json):
            with suppress(FileNotFoundError):
                file.rename(file.with_stem(f"{file.stem}-of-{mark}"))
    except OSError as fault:
        raise StorageError(
            f"cannot put {place.json.name} aside: {fault.strerror or fault}",
            where=str(place.json.parent),
            mend="check that the folder is writable",
        ) from fault


def _beside(database: Database, registry_of: Callable[[str], Registry]) -> Beside:
    from darwin.rl.graduation.checklist import State, Validation
    from darwin.rl.graduation.dossier import GONE, Beside
    from darwin.rl.graduation.dossier_trial import Networks
    from darwin.rl.registry.files import SPEC
    from darwin.rl.serving.spec_file import read_spec
    from darwin.rl.serving.validation import may_do_more_than_watch
    from darwin.rl.training.trials import counted_by

    def files_of(agent: str, model: Model) -> Any:
        with suppress(ModelError):
            return registry_of(agent).load(agent, model)
        return None

    def validated(agent: str, model: Model) -> Validation | None:
        files = files_of(agent, model)
        if files is None:
            return None
        try:
            if may_do_more_than_watch(agent, files):
                return Validation(State.PASSED)
        except ModelError as fault:
            return Validation(State.REFUTED, fault.what)
        return Validation(State.MISSING, "no held-out figures came with it")

    def reference(agent: str, model: Model) -> Reference | str:
        from darwin.rl.agents.pages import PAGES
        from darwin.rl.serving.policy import refuse_other_page

        files = files_of(agent, model)
        if files is None:
            return GONE
        try:
            spec = read_spec(files[SPEC])
            refuse_other_page(PAGES[agent], spec)
        except ModelError as fault:
            return fault.what
        return spec.reference or "its spec.json holds no `reference`, as that of an imported model"

    def networks(agent: str, at: str) -> Networks:
        return Networks(*counted_by(database, agent, at))

    return Beside(validated, reference, networks)

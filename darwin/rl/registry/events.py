"""What became of model versions, as it is written down: the log `model_events`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Connection

from darwin.core.agents import Model
from darwin.errors import IntegrityError
from darwin.store import logs
from darwin.store.db import Database
from darwin.store.runs import iso_time
from darwin.store.scan import as_it_stands
from darwin.store.schema import model_events
from darwin.store.sealed import Source


class Kind(StrEnum):
    """What can happen to a version."""

    DEPLOYED = "deployed"  # it serves from here on: new, or a challenger that has graduated
    ADOPTED = "adopted"  # found on disk; serves only where none does
    CHALLENGING = "challenging"  # new, asked beside the one that serves
    ROLLED_BACK = "rolled_back"  # it serves again
    WITHDRAWN = "withdrawn"  # a challenger that no longer challenges
    PINNED = "pinned"  # not to be removed
    UNPINNED = "unpinned"
    ARCHIVED = "archived"  # the one before has made room, links and all
    REMOVED = "removed"  # its folder goes


class ModelEvent(NamedTuple):
    """One row of the log."""

    agent: str
    kind: Kind
    model: Model
    zip_sha256: str  # of its model.zip
    by: str
    reason: str
    at: datetime  # wall clock, UTC


def note(connection: Connection, event: ModelEvent) -> None:
    """Append an event, within a write transaction."""
    logs.append(
        connection,
        model_events,
        agent_name=event.agent,
        kind=str(event.kind),
        version=event.model.version,
        manifest_sha256=event.model.sha256,
        zip_sha256=event.zip_sha256,
        by=event.by,
        reason=event.reason,
        at=iso_time(event.at),
    )


def events(connection: Connection) -> list[ModelEvent]:
    """All events, oldest first. Raises IntegrityError for a row that can be none."""
    return [_event(row) for row in logs.read(connection, model_events)]


def sound_events(database: Database) -> list[ModelEvent]:
    """The same, held against their seals. Raises RecordError at the first that was changed."""
    with as_it_stands(database) as raw:
        return [_event(row) for row in logs.sound_rows(Source(raw, database.path), model_events)]


def _event(row: Mapping[Any, Any]) -> ModelEvent:
    try:
        return ModelEvent(
            row["agent_name"], Kind(row["kind"]), Model(row["version"], row["manifest_sha256"]),
            row["zip_sha256"], row["by"], row["reason"], datetime.fromisoformat(row["at"]),
        )  # fmt: skip
    except ValueError as fault:
        raise IntegrityError(
            f"row {row['id']:,} of {model_events.name} is no event of a model ({fault})",
            mend="put a backup of the database in its place",
        ) from fault

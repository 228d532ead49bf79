"""Which version of an agent serves, which challenges it, what the others are: a fold of events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from darwin.core.agents import Model
from darwin.errors import ConfigError, IntegrityError, ModelError
from darwin.rl.registry.events import Kind, ModelEvent


class Place(StrEnum):
    """Where a version stands."""

    SERVING = "serving"  # at most one
    CHALLENGING = "challenging"  # at most one
    ARCHIVED = "archived"
    REMOVED = "removed"


class Version(NamedTuple):
    """One version of an agent's model."""

    model: Model
    zip_sha256: str
    place: Place
    since: datetime  # that it stands there
    pinned: bool = False

    @property
    def name(self) -> str:
        """What it is called."""
        return self.model.version


@dataclass(frozen=True, slots=True)
class Shelf:
    """All versions of one agent, in the order in which they came."""

    agent: str
    versions: tuple[Version, ...] = ()

    @property
    def serving(self) -> Model | None:
        """The one whose advice may stand."""
        return self._at(Place.SERVING)

    @property
    def challenger(self) -> Model | None:
        """The one that is asked beside it."""
        return self._at(Place.CHALLENGING)

    @property
    def kept(self) -> tuple[Version, ...]:
        """Those that are not removed."""
        return tuple(one for one in self.versions if one.place is not Place.REMOVED)

    def find(self, name: str) -> Version | None:
        """The version called `name`, be it removed."""
        return next((one for one in self.versions if one.name == name), None)

    def pick(self, name: str) -> Version:
        """The same, for a person. Raises ConfigError listing those that exist, ModelError."""
        found = self.find(name)
        if found is None:
            raise ConfigError(
                f"{self.agent} has no version called {ascii(name)[:80]}", mend=self._others()
            )
        if found.place is Place.REMOVED:
            raise ModelError(
                f"version {name} of {self.agent} was removed on {found.since:%Y-%m-%d}",
                mend=self._others(),
            )
        return found

    def _others(self) -> str:
        names = [one.name for one in self.kept]
        return f"these exist: {', '.join(names)}" if names else "deploy one first"

    def _at(self, place: Place) -> Model | None:
        return next((one.model for one in self.versions if one.place is place), None)


def fold(agent: str, events: Iterable[ModelEvent]) -> Shelf:
    """Put the versions of `agent` where the events say.

    Raises IntegrityError for an event that cannot follow those before it.
    """
    known: dict[str, Version] = {}
    for event in events:
        if event.agent == agent:
            _require_sense(event, known.get(event.model.version))
            _take(known, event)
    return Shelf(agent, tuple(known.values()))


def _take(known: dict[str, Version], event: ModelEvent) -> None:
    name, before = event.model.version, known.get(event.model.version)
    if before is not None and event.kind in (Kind.PINNED, Kind.UNPINNED):
        known[name] = before._replace(pinned=event.kind is Kind.PINNED)
        return
    place = _LEADS_TO[event.kind]
    if event.kind is Kind.ADOPTED and all(one.place is not Place.SERVING for one in known.values()):
        place = Place.SERVING
    if before is not None and before.place is place:
        return
    if place in (Place.SERVING, Place.CHALLENGING):
        for other in known.values():
            if other.place is place:
                known[other.name] = other._replace(place=Place.ARCHIVED, since=event.at)
    pinned = before is not None and before.pinned
    known[name] = Version(event.model, event.zip_sha256, place, event.at, pinned)


_LEADS_TO = {
    Kind.DEPLOYED: Place.SERVING,
    Kind.ADOPTED: Place.ARCHIVED,
    Kind.CHALLENGING: Place.CHALLENGING,
    Kind.ROLLED_BACK: Place.SERVING,
    Kind.WITHDRAWN: Place.ARCHIVED,
    Kind.ARCHIVED: Place.ARCHIVED,
    Kind.REMOVED: Place.REMOVED,
}
_KEPT = (Place.SERVING, Place.CHALLENGING, Place.ARCHIVED)
_COMES_FROM: dict[Kind, tuple[Place | None, ...]] = {
    Kind.DEPLOYED: (None, Place.CHALLENGING),
    Kind.ADOPTED: (None,),
    Kind.CHALLENGING: (None,),
    Kind.ROLLED_BACK: (Place.CHALLENGING, Place.ARCHIVED),
    Kind.WITHDRAWN: (Place.CHALLENGING,),
    Kind.PINNED: _KEPT,
    Kind.UNPINNED: _KEPT,
    Kind.ARCHIVED: (Place.ARCHIVED,),
    Kind.REMOVED: (Place.ARCHIVED,),
}
"""Where a version must stand for this to happen to it; None: nobody knows it yet."""


def _require_sense(event: ModelEvent, before: Version | None) -> None:
    place = None if before is None else before.place
    told = f"version {event.model.version} of {event.agent} is recorded as {event.kind}"
    what = ""
    if place not in _COMES_FROM[event.kind]:
        what = f"{told} where it is {place or 'not known'}"
    elif before is not None and (before.model, before.zip_sha256) != (
        event.model,
        event.zip_sha256,
    ):
        what = f"{told} with another digest than before"
    if what:
        raise IntegrityError(
            f"the record of the models contradicts itself: {what}",
            where="model_events",
            mend="`darwin rl models fsck` tells whether it was changed; put a backup in its place",
        )

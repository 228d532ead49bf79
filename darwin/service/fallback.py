"""Let the version before serve again, where evidence has demoted the one that replaced it.

A demotion lets no model act. What still serves is the version that was demoted, though one that had
earned its promotion lies beside it. That one serves again, by an event that says why; it watches,
for it must be promoted anew like any other.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from darwin.core.agents import Model
from darwin.errors import ConfigError
from darwin.rl.graduation.record import BY_ITSELF, DEPLOYMENT, Act, Kind, Record, read_record
from darwin.rl.registry.registry import Registry
from darwin.rl.registry.rollback import rollback
from darwin.rl.registry.versions import Place, Shelf, Version

SWITCH = "DARWIN_AUTO_ROLLBACK"
_ON, _OFF = ("", "1", "true", "yes", "on"), ("0", "false", "no", "off")
_LONGEST = 200


class Fallback(NamedTuple):
    """What is to serve again, and why."""

    version: str
    reason: str


def is_on() -> bool:
    """Whether the environment lets versions be rolled back by themselves; unset: it does.

    Raises ConfigError for a value that says neither.
    """
    told = os.environ.get(SWITCH, "").strip().lower()
    if told not in (*_ON, *_OFF):
        raise ConfigError(
            f"{told[:40]!r} says neither on nor off", where=SWITCH, mend="write on or off"
        )
    return told in _ON


def fall_back(registry: Registry, shelf: Shelf, now: datetime) -> Version | None:
    """Roll the agent of a shelf back, if that is due; gives what serves then.

    A second call finds it done.
    Raises ModelError where that version is not what was deployed, LockedError, StorageError.
    """
    agent = shelf.agent
    found = due_fallback(read_record(registry.database, agent), shelf)
    if found is None:
        return None
    return rollback(registry, agent, found.version, by=BY_ITSELF, reason=found.reason, now=now)


def due_fallback(record: Record, shelf: Shelf) -> Fallback | None:
    """Which version is to serve again; None: what serves is as it should be.

    The last word on the agent must be a demotion by evidence of the very version that serves, and
    that one must have served since before: who lets it serve again by hand has decided otherwise.
    """
    said = [act for act in record.acts if act.scope == DEPLOYMENT and act.kind is not Kind.STAGED]
    if not said or said[-1].kind is not Kind.DEMOTED or said[-1].by != BY_ITSELF:
        return None
    ended = said[-1]
    served = [
        one for one in shelf.kept
        if one.place is Place.SERVING and one.model == ended.model and one.since <= ended.at
    ]  # fmt: skip
    before = _replaced(said[:-1], ended.model)
    if not served or before is None:
        return None
    kept = [one for one in shelf.kept if one.model == before]
    if not kept:
        return None
    reason = f"version {served[0].name} was demoted: {ended.reason}"
    return Fallback(kept[0].name, reason[:_LONGEST])


def _replaced(said: Sequence[Act], model: Model | None) -> Model | None:
    """The model that was promoted when `model` was promoted in its place; None: there was none."""
    earlier = list(said)
    while earlier and earlier[-1].kind is Kind.PROMOTED and earlier[-1].model == model:
        earlier.pop()
    if len(earlier) == len(said) or not earlier or earlier[-1].kind is not Kind.PROMOTED:
        return None
    return earlier[-1].model

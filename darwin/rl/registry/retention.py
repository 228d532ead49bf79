"""Which versions may go: a rule without a clock or a disk."""

from __future__ import annotations

from collections.abc import Container
from datetime import datetime, timedelta
from typing import NamedTuple

from darwin.rl.registry.versions import Place, Shelf, Version


class Terms(NamedTuple):
    """What stays for its own sake."""

    newest: int = 3  # archived versions, the last to have served or challenged
    days: float = 30.0  # since a version last served or challenged, or came


TERMS = Terms()


def removable(
    shelf: Shelf, now: datetime, referenced: Container[str], terms: Terms = TERMS
) -> tuple[Version, ...]:
    """The archived versions that may go, the longest out of use first.

    What serves or challenges stays, and so does what is pinned, what an unfinished run has been
    told of (`referenced`, by name), the `newest` archived ones and all younger than `days`.
    """
    archived = [one for one in shelf.versions if one.place is Place.ARCHIVED]
    archived.sort(key=lambda one: (one.since, one.name))
    oldest = archived[: max(0, len(archived) - terms.newest)]
    return tuple(
        one
        for one in oldest
        if not one.pinned
        and one.name not in referenced
        and now - one.since >= timedelta(days=terms.days)
    )

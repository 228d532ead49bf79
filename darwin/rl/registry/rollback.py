"""Let an earlier version serve again: one event and one rename."""

from __future__ import annotations

from datetime import datetime

from darwin.rl.registry.events import Kind
from darwin.rl.registry.registry import Act, Registry, shelf_in
from darwin.rl.registry.versions import Place, Version


def rollback(
    registry: Registry, agent: str, version: str, *, by: str, reason: str, now: datetime
) -> Version:
    """Let `version` serve in place of the one that does; gives what it became.

    The one that serves already is left to it, its links mended. Raises ConfigError for an unknown
    one, listing those that exist; ModelError for one that was removed or is not what was deployed.
    """
    with registry.alone():
        wanted = registry.shelf(agent).pick(version)
        registry.load(agent, wanted.model)
        with registry.database.write() as connection:
            if shelf_in(connection, agent).pick(version).place is not Place.SERVING:
                Act(by, reason, now).note(connection, agent, Kind.ROLLED_BACK, wanted)
            after = shelf_in(connection, agent).pick(version)
        registry.point(agent, after.model)
        return after


def pin(
    registry: Registry, agent: str, version: str, *, by: str, reason: str, now: datetime,
    pinned: bool = True,
) -> Version:  # fmt: skip
    """Keep a version from being removed, or no longer. Raises as `rollback` does."""
    with registry.alone(), registry.database.write() as connection:
        before = shelf_in(connection, agent).pick(version)
        if before.pinned != pinned:
            kind = Kind.PINNED if pinned else Kind.UNPINNED
            Act(by, reason, now).note(connection, agent, kind, before)
        return before._replace(pinned=pinned)

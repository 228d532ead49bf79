"""What commands on agents print as JSON, and the service answers: one tree for both."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from darwin.core.rebalance import ALL_AGENTS

if TYPE_CHECKING:
    from darwin.rl.registry.registry import Registry
    from darwin.rl.registry.versions import Version


def version_tree(agent: str, one: Version) -> dict[str, Any]:
    """One version of a model."""
    return {
        "agent": agent,
        "version": one.name,
        "place": str(one.place),
        "since": one.since.isoformat(),
        "pinned": one.pinned,
        "manifest_sha256": one.model.sha256,
        "zip_sha256": one.zip_sha256,
    }


def version_trees(registry: Registry, agents: tuple[str, ...] = ALL_AGENTS) -> list[dict[str, Any]]:
    """All versions that are kept, and the unfinished run that holds each, if one does."""
    from darwin.rl.registry.cleanup import referenced

    found = []
    for agent in agents:
        shelf = registry.shelf(agent)
        with registry.database.read() as connection:
            held = referenced(connection, agent)
        found += [
            version_tree(agent, one) | {"held_by_run": held.get(one.name)} for one in shelf.kept
        ]
    return found


def whole_version_tree(registry: Registry, agent: str, one: Version) -> dict[str, Any]:
    """One version with what became of it and its spec. Raises ModelError where it is damaged."""
    from darwin.rl.registry.events import events
    from darwin.rl.registry.files import SPEC

    with registry.database.read() as connection:
        mine = [e for e in events(connection) if (e.agent, e.model) == (agent, one.model)]
    history = [
        {"at": e.at.isoformat(), "kind": str(e.kind), "by": e.by, "reason": e.reason} for e in mine
    ]
    spec = json.loads(registry.load(agent, one.model)[SPEC])
    return version_tree(agent, one) | {"events": history, "spec": spec}

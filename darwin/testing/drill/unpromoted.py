"""`active` in the config, and nobody who has promoted anything."""

from __future__ import annotations

from collections.abc import Iterator

from darwin.core.agents import AGENTS, Why
from darwin.testing.drill.children import Ended
from darwin.testing.drill.held import Held, tried
from darwin.testing.drill.rehearsal import Rehearsal
from darwin.testing.drill.room import NOT_JUDGED, lively


def unpromoted(rehearsal: Rehearsal) -> Iterator[Held]:
    """Rehearse agents that only their config calls active."""
    room = rehearsal.room("unpromoted", *lively(), promoted=False)
    ended = room.run()
    did = "all agents are 'active' in the config, without a promotion on record"
    ruled = room.rules(Why.OBSERVE, also=NOT_JUDGED)
    yield tried("nothing acts", did, {"the run": ended.ends() or ruled})
    trades = {"the run": room.differs(rehearsal.bare)}
    yield tried("orders, fills and outcomes are those without agents", did, trades)
    warned = {agent: _warning(ended, agent) for agent in AGENTS}
    yield tried("one warning says what to do, for each agent", did, warned)


def _warning(ended: Ended, agent: str) -> str:
    found = [
        line for line in ended.told if line.startswith("warning:") and f"the {agent} agent" in line
    ]
    if len(found) != 1:
        return f"{len(found)} warnings"
    return "" if f"darwin rl promote {agent}" in found[0] else f"it says only: {found[0]}"

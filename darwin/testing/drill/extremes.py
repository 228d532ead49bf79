"""Agents that always go as far as they can, with an expert that takes everything."""

from __future__ import annotations

from collections.abc import Iterator

from darwin.core.agents import GATE, META_LEARNER, PASS, PORTFOLIO, SKIP, TO_SKIP, TO_TAKE, Why
from darwin.testing.drill.held import Held, first, tried
from darwin.testing.drill.recount import broken_limit
from darwin.testing.drill.rehearsal import Rehearsal
from darwin.testing.drill.room import RUN, WHOLE, Seat, played

GREEDY = {"provider": "rules", "take_all": True}
"""The expert that takes every candidate, at a confidence of 1."""
TRIALS: dict[str, list[Seat]] = {
    "as much as can be": [
        played("Constant", GATE, action=PASS),
        played("Constant", META_LEARNER, action=TO_TAKE),
        played("Constant", PORTFOLIO, action=WHOLE),
    ],
    "now all, now nothing": [
        played("Extreme", GATE, one=PASS, other=SKIP),
        played("Extreme", META_LEARNER, one=TO_TAKE, other=TO_SKIP),
        played("Extreme", PORTFOLIO, one=WHOLE, other=0.0),
    ],
}


def extremes(rehearsal: Rehearsal) -> Iterator[Held]:
    """Rehearse both, and reckon the hard limits of the config anew."""
    ends, limits, heard, orders = {}, {}, {}, 0
    for number, (name, seats) in enumerate(TRIALS.items()):
        room = rehearsal.room(f"extremes-{number}", *seats, decider=GREEDY)
        ends[name] = room.run().ends() or room.verified()
        limits[name] = broken_limit(room, RUN, rehearsal.piece.whole.session)
        orders += room.count("orders", where="kind = 'submitted'")
        heard[name] = first(*(
            "" if room.reasons(agent=seat.agent).get(Why.ACTIVE) else f"{seat.agent} was not heard"
            for seat in seats
        ))  # fmt: skip
    did = "agents go to their extremes, active with all of the capital; the expert takes everything"
    yield tried("every one of them acts", did, heard)
    seen = f"kept by all {orders:,} orders, reckoned anew"
    yield tried("no hard limit of the config is broken", did, limits, seen=seen)
    yield tried("the run ends well; verify agrees", did, ends)

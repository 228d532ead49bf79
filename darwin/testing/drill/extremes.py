"""Agents that always go as far as they can, with an expert that takes everything."""

from __future__ import annotations

from collections.abc import Iterator

from darwin.core.agents import GATE, META_LEARNER, PASS, PORTFOLIO, SKIP, TO_SKIP, TO_TAKE, Why
from darwin.testing.drill.held import Held, first, tried
from darwin.testing.drill.recount import broken_limit
from darwin.testing.drill.rehearsal import Rehearsal
from darwin.testing.drill.room import WHOLE, played

GREEDY = {"provider": "rules", "take_all": True}
"""The expert that takes every candidate, at a confidence of 1."""
ALL = [
    played("Constant", GATE, action=PASS),
    played("Constant", META_LEARNER, action=TO_TAKE),
    played("Constant", PORTFOLIO, action=WHOLE),
]
ALL_OR_NOTHING = [
    played("Extreme", GATE, one=PASS, other=SKIP),
    played("Extreme", META_LEARNER, one=TO_TAKE, other=TO_SKIP),
    played("Extreme", PORTFOLIO, one=WHOLE, other=0.0),
]
TIGHT = {
    "max_orders_per_bar": 1, "max_orders_per_day": 2, "max_daily_loss_fraction": 0.01,
    "max_drawdown_fraction": 0.1, "reducing_resume": 1,
}  # fmt: skip
"""Limits that refuse, where those of the config may be too wide to ever be asked."""
TRIALS = {
    "all, always": (ALL, {}),
    "all or nothing": (ALL_OR_NOTHING, {}),
    "all, always, within tight limits": (ALL, TIGHT),
}


def extremes(rehearsal: Rehearsal) -> Iterator[Held]:
    """Rehearse agents at their extremes, and reckon the hard limits of the config anew."""
    ends, limits, heard, orders = {}, {}, {}, 0
    for number, (name, (seats, tight)) in enumerate(TRIALS.items()):
        wide = rehearsal.piece.whole.tree["limits"]
        changes = {"decider": GREEDY, "limits": {**wide, **tight}}
        room = rehearsal.room(f"extremes-{number}", *seats, changes=changes)
        ends[name] = room.run().ends() or room.verified()
        refused = room.count("candidates", where="stage = 'limits'")
        limits[name] = first(
            broken_limit(room, rehearsal.piece.whole.session.markets),
            "no limit refused anything" if tight and not refused else "",
        )
        orders += room.count("orders", where="kind = 'submitted'")
        deaf = [seat.agent for seat in seats if Why.ACTIVE not in room.reasons(agent=seat.agent)]
        heard[name] = f"{deaf[0]} was not heard" if deaf else ""
    did = "agents go to their extremes, active with all of the capital; the expert takes everything"
    yield tried("every one of them acts", did, heard)
    seen = f"kept by all {orders:,} orders, reckoned anew"
    did += "; with the limits of the config, and with tight ones"
    yield tried("no hard limit is broken", did, limits, seen=seen)
    yield tried("the run ends well; verify agrees", did, ends)

"""Models that raise, advise NaN or something illegal, or give no advice at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from darwin.core.agents import AGENTS, GATE, META_LEARNER, PORTFOLIO, Why
from darwin.safety.breaker import BreakerSettings
from darwin.safety.circuit import OPENED
from darwin.testing.drill.held import Held, first, tried
from darwin.testing.drill.rehearsal import Rehearsal
from darwin.testing.drill.room import NOT_JUDGED, RUN, Room, played, steady

MISDEEDS = {
    "Raising": ("raises", Why.RAISED),
    "NotANumber": ("advises NaN", Why.ADVICE_NOT_FINITE),
    "Illegal": ("advises what it may not", Why.ILLEGAL),
    "WrongShape": ("gives no advice at all", Why.WRONG_SHAPE),
}
"""By policy: what it does, and how the door rules."""
RAISES, NAN, ILLEGAL, NO_ADVICE = MISDEEDS
_FIFTH = BreakerSettings().failures_in_a_row


class Culprit(NamedTuple):
    """An agent whose model misbehaves."""

    agent: str
    policy: str

    @property
    def name(self) -> str:
        """In words."""
        return f"{self.agent} {MISDEEDS[self.policy][0]}"


OBSERVING = (
    (Culprit(GATE, RAISES), Culprit(META_LEARNER, NAN)),
    (Culprit(PORTFOLIO, ILLEGAL), Culprit(GATE, NO_ADVICE)),
)
ACTIVE = (
    (Culprit(GATE, RAISES), Culprit(META_LEARNER, NAN)),
    (Culprit(GATE, ILLEGAL), Culprit(META_LEARNER, NO_ADVICE)),
    (Culprit(GATE, NAN), Culprit(PORTFOLIO, RAISES)),
    (Culprit(GATE, NO_ADVICE), Culprit(PORTFOLIO, ILLEGAL)),
    (Culprit(META_LEARNER, RAISES), Culprit(PORTFOLIO, NAN)),
    (Culprit(META_LEARNER, ILLEGAL), Culprit(PORTFOLIO, NO_ADVICE)),
)
"""Two at a time, so that a run shows that their breakers do not know of each other."""


def misbehaving(rehearsal: Rehearsal) -> Iterator[Held]:
    """Rehearse each misdeed, by agents that observe and by agents that hold all of the capital."""
    for mode, pairs, did in (
        ("observe", OBSERVING, "models raise, advise NaN, what is illegal, nothing; observing"),
        ("active", ACTIVE, "the same by each agent, active with all of the capital"),
    ):
        ends, trades, rulings, breakers, others = ({}, {}, {}, {}, {})
        calm = rehearsal.room(f"{mode}-calm", *(steady(agent, mode) for agent in AGENTS))
        calm.run()
        for number, culprits in enumerate(pairs):
            both = ", ".join(one.name for one in culprits)
            seats = [played(one.policy, one.agent, mode) for one in culprits]
            (third,) = set(AGENTS) - {one.agent for one in culprits}
            room = rehearsal.room(f"{mode}-{number}", *seats, steady(third, mode))
            ends[both] = room.run().ends() or room.disagrees()
            trades[both] = room.differs(rehearsal.bare)
            others[f"{third}, as {both}"] = _disturbed(room, calm, third, mode)
            for one in culprits:
                rulings[one.name] = _rulings(room, one)
                breakers[one.name] = _breaker(room, one)
        yield tried("orders, fills and outcomes are those without agents", did, trades)
        yield tried("the baseline stands, and the reason says why", did, rulings)
        yield tried("the breaker opens at the fifth failure, whatever others do", did, breakers)
        yield tried("another agent and its breaker are as if all were well", did, others)
        yield tried("the run ends well; verify and replay agree", did, ends)


def _rulings(room: Room, one: Culprit) -> str:
    why = MISDEEDS[one.policy][1]
    followed = room.count("agent_decisions", RUN, f"agent_name = '{one.agent}' AND followed")
    return first(
        room.rules(why, agent=one.agent, also=NOT_JUDGED),
        f"{followed:,} decisions followed it" if followed else "",
    )


def _breaker(room: Room, one: Culprit) -> str:
    opened = room.ask(
        "SELECT MIN(id) FROM safety_events WHERE run_id = ? AND agent_name = ? AND kind = ?",
        RUN, one.agent, OPENED,
    )  # fmt: skip
    if not opened or opened[0][0] is None:
        return "its breaker never opened"
    mine = f"agent_name = '{one.agent}' AND id < {opened[0][0]}"
    before = room.count("agent_decisions", RUN, mine)
    return "" if before == _FIFTH else f"its breaker opened at decision {before:,}"


def _disturbed(room: Room, calm: Room, agent: str, mode: str) -> str:
    """What became otherwise of an agent whose model is as it should be; empty: nothing."""
    due = Why.ACTIVE if mode == "active" else Why.OBSERVE
    return first(
        calm.rules(due, agent=agent, also=NOT_JUDGED),
        "" if _rulings_on(room, agent) == _rulings_on(calm, agent) else "rulings on it are others",
        "" if _events_of(room, agent) == _events_of(calm, agent) else "its breaker moved too",
    )


def _rulings_on(room: Room, agent: str) -> list[tuple[Any, ...]]:
    query = (
        "SELECT candidate_id, action, final_action, reason FROM agent_decisions"
        " WHERE run_id = ? AND agent_name = ? ORDER BY id"
    )
    return room.ask(query, RUN, agent)


def _events_of(room: Room, agent: str) -> list[tuple[Any, ...]]:
    query = (
        "SELECT time, kind, detail FROM safety_events WHERE run_id = ? AND agent_name = ?"
        " ORDER BY id"
    )
    return room.ask(query, RUN, agent)

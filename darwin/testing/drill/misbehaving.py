"""Models that raise, advise NaN or something illegal, or give no advice at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from darwin.core.agents import AGENTS, Why
from darwin.safety.breaker import BreakerSettings
from darwin.safety.circuit import OPENED
from darwin.testing.drill.held import Held, first, tried
from darwin.testing.drill.rehearsal import Rehearsal
from darwin.testing.drill.room import RUN, Room, counted, played, steady

MISDEEDS = {
    "Raising": ("raises", Why.RAISED),
    "NotANumber": ("advises NaN", Why.ADVICE_NOT_FINITE),
    "Illegal": ("advises what it may not", Why.ILLEGAL),
    "WrongShape": ("gives no advice at all", Why.WRONG_SHAPE),
}
"""By policy: what it does, and how the door rules."""
_FIFTH = BreakerSettings().failures_in_a_row


class Trial(NamedTuple):
    """One agent whose model misbehaves."""

    agent: str
    policy: str
    mode: str

    @property
    def name(self) -> str:
        """In words."""
        return f"{self.agent} {MISDEEDS[self.policy][0]}"

    def play(self, rehearsal: Rehearsal) -> Room:
        """A room with that agent, the others steady; all may act where the mode lets them."""
        room = rehearsal.room(f"{self.mode}-{self.agent}-{self.policy}")
        others = [steady(agent, self.mode) for agent in AGENTS if agent != self.agent]
        room.lay(played(self.policy, self.agent, self.mode), *others)
        if self.mode == "active":
            room.promote()
        return room


OBSERVING = [
    Trial(AGENTS[number % len(AGENTS)], policy, "observe") for number, policy in enumerate(MISDEEDS)
]
ACTIVE = [Trial(agent, policy, "active") for policy in MISDEEDS for agent in AGENTS]


def misbehaving(rehearsal: Rehearsal) -> Iterator[Held]:
    """Rehearse each misdeed, by agents that observe and by agents that hold all of the capital."""
    for trials, did in (
        (OBSERVING, "a model raises, advises NaN, an illegal action, no advice; observing"),
        (ACTIVE, "the same by each agent, active with all of the capital"),
    ):
        ends, trades, rulings, breakers, others = ({}, {}, {}, {}, {})
        for trial in trials:
            room = trial.play(rehearsal)
            ends[trial.name] = room.run().ends() or room.disagrees()
            trades[trial.name] = room.differs(rehearsal.bare)
            rulings[trial.name] = _rulings(room, trial)
            breakers[trial.name] = _breaker(room, trial)
            others[trial.name] = _others(room, trial)
        yield tried("orders, fills and outcomes are those without agents", did, trades)
        yield tried("the baseline stands, and the reason says why", did, rulings)
        yield tried("the breaker opens at the fifth failure", did, breakers)
        yield tried("other agents are heard on, their breakers stay closed", did, others)
        yield tried("the run ends well; verify and replay agree", did, ends)


def _rulings(room: Room, trial: Trial) -> str:
    why = MISDEEDS[trial.policy][1]
    found = room.reasons(agent=trial.agent)
    followed = room.count("agent_decisions", RUN, f"agent_name = '{trial.agent}' AND followed")
    return first(
        "" if why in found and set(found) <= {why, Why.BREAKER_OPEN} else
        f"rulings were {counted(found)}",
        f"{followed:,} decisions followed it" if followed else "",
    )  # fmt: skip


def _breaker(room: Room, trial: Trial) -> str:
    opened = room.ask(
        "SELECT MIN(id) FROM safety_events WHERE run_id = ? AND agent_name = ? AND kind = ?",
        RUN, trial.agent, OPENED,
    )  # fmt: skip
    if not opened or opened[0][0] is None:
        return "its breaker never opened"
    before = room.count(
        "agent_decisions", RUN, f"agent_name = '{trial.agent}' AND id < {opened[0][0]}"
    )
    return "" if before == _FIFTH else f"its breaker opened at decision {before:,}"


def _others(room: Room, trial: Trial) -> str:
    touched = room.ask(
        "SELECT DISTINCT agent_name FROM safety_events WHERE run_id = ? AND agent_name <> ?",
        RUN, trial.agent,
    )  # fmt: skip
    if touched:
        return f"the breaker of {touched[0][0]} moved too"
    due = {Why.ACTIVE if trial.mode == "active" else Why.OBSERVE}
    for agent in AGENTS:
        found = room.reasons(agent=agent)
        if agent != trial.agent and set(found) != due:
            return f"rulings on {agent} were {counted(found)}"
    return ""

"""Inference that takes too long, in a run that is fed its bars, by a clock that we hold."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from darwin.bootstrap import code_version, live, wire
from darwin.bootstrap.agents import switchboard
from darwin.config.compare import canonical, digest
from darwin.config.load import load_config
from darwin.config.places import state_db_path
from darwin.core.agents import Advice, Model, Why
from darwin.core.facts import TIMEOUT
from darwin.core.ports import Policies, Policy
from darwin.engine.arrivals import arrivals
from darwin.store.acts import Heard
from darwin.store.db import connect
from darwin.store.journal import Journal
from darwin.store.runs import RunIdentity, begin_run
from darwin.testing.drill.held import Held, first, tried
from darwin.testing.drill.rehearsal import Rehearsal
from darwin.testing.drill.room import CONFIG, RUN, lively
from darwin.testing.policies import Stopwatch

_TOO_LONG = 2.0  # times the time-out
_ONE_IN = 4  # calls takes that long


@dataclass
class Tardy:
    """Gives the advice of another model, but takes its time at one call in four."""

    policy: Policy
    clock: Stopwatch
    ms: float
    calls: int = 0

    def strangeness(self, observation: NDArray[np.float32]) -> float:
        """That of the other."""
        return self.policy.strangeness(observation)

    def advise(self, observation: NDArray[np.float32]) -> Advice:
        """Let time go by at each fourth call, then answer."""
        self.calls += 1
        if self.calls % _ONE_IN == 0:
            self.clock.advance(self.ms)
        return self.policy.advise(observation)


@dataclass
class TardyPolicies:
    """Hands out the policies of a run, each made tardy. Implements `core.ports.Policies`."""

    policies: Policies
    clock: Stopwatch
    ms: float
    handed_out: list[Tardy] = field(default_factory=list)

    def policy(self, agent: str, model: Model) -> Policy:
        """The model, made tardy."""
        self.handed_out.append(Tardy(self.policies.policy(agent, model), self.clock, self.ms))
        return self.handed_out[-1]

    @property
    def too_slow(self) -> int:
        """How many answers came too late."""
        return sum(one.calls // _ONE_IN for one in self.handed_out)


def slow(rehearsal: Rehearsal) -> Iterator[Held]:
    """Feed a run whose active agents are too slow now and then, and have it replayed."""
    room = rehearsal.feed_room("slow", *lively())
    fed = room.call(f"{__name__}:{feed_late.__name__}")
    due = 0 if fed.ends() else int(fed.out)
    did = f"{due:,} answers of active agents come late, on a live timeline under a fake clock"
    ruled = room.reasons().get(Why.TIMED_OUT, 0)
    heard = room.reasons().get(Why.ACTIVE, 0)
    followed = room.count("agent_decisions", RUN, f"reason = '{Why.TIMED_OUT}' AND followed")
    told = room.count("inputs", RUN, f"kind = '{TIMEOUT}'")
    yield tried(
        "each late answer is ruled 'inference timed out', and no other",
        did,
        {"fed": first(
            fed.ends(),
            "" if ruled == due > 0 else f"{ruled:,} were ruled so",
            f"{followed:,} of them stood" if followed else "",
            "" if heard else "no answer in time was heard",
        )},
    )  # fmt: skip
    told_flaw = "" if told == due > 0 else f"{told:,} inputs say so"
    yield tried("each late answer is journaled as an input", did, {"fed": told_flaw})
    yield tried("a replay without any clock gives the same facts", did, {"fed": room.disagrees()})


def feed_late() -> None:
    """Feed the run of the config here under a fake clock; print how many answers came too late."""
    loaded, clock = load_config(Path(CONFIG), (), {}), Stopwatch()
    wired = wire(loaded)
    agents = wired.agents
    if agents is None:
        return
    late = TardyPolicies(agents.policies, clock, _TOO_LONG * agents.timeout_ns / 1e6)
    terms = replace(agents.terms, policies=late, stopwatch_ns=clock)
    wired = replace(wired, session=replace(wired.session, agents=terms))
    config, resolved = loaded.config, loaded.resolved()
    identity = RunIdentity(
        run_id=config.run_id,
        mode="feed",
        config_json=canonical(resolved),
        config_digest=digest(resolved),
        data_digest=None,
        code_version=code_version(),
        symbols=tuple(bars.symbol for bars in wired.session.markets),
        feature_names=wired.session.feature_keys,
    )
    with connect(state_db_path(config)) as database:
        run = begin_run(database, identity, at=datetime.now(UTC))
        journal = Journal(database, run, wired.playbooks)
        board = switchboard(config, agents, database, run)
        board.begin()
        timeline = live(wired, journal, Heard(database, run, board))
        for chunk in arrivals(wired.session.markets):
            timeline.feed(chunk)
        timeline.finish()
        journal.finish()
    sys.stdout.write(f"{late.too_slow}\n")

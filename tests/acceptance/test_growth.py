"""The loop walks events, not bars: what Python is called upon to do grows with candidates alone.

Calls are counted, not timed, so that the same code gives the same figures on any machine.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest

from darwin.brokers.simulated import SimulatedBroker
from darwin.core.agents import AGENTS
from darwin.core.candidate import Exits, Scan
from darwin.core.features import FeatureFrame
from darwin.deciders.rules import RulesDecider
from darwin.engine.proposals import Quiet, Setup
from darwin.engine.result import RunResult
from darwin.engine.session import Session
from darwin.engine.step import Rules
from darwin.testing.builders import make_bars
from darwin.trading.costs import Costs
from darwin.trading.limits import Limits
from darwin.trading.sizing import Sizing
from tests.engine.doors import seated, terms, whimsical_policy
from tests.engine.worlds import NO_LIMITS, FlatFrame


@dataclass(frozen=True)
class EveryNth:
    """Proposes a long at every so many bars."""

    bars: int

    def scan(self, frame: FeatureFrame) -> Scan:
        seen = np.zeros(len(frame), dtype=bool)
        seen[:: self.bars] = True
        return Scan(seen, np.zeros_like(seen))


def session(bars: int, candidates: int, limits: Limits) -> Session:
    return Session(
        markets=(make_bars(bars, volatility=0.001),),
        setups=(Setup("nth", EveryNth(bars // candidates), Exits(1.0, 1.0, 8)),),
        decider=_Asked(),
        rules=Rules(10_000.0, Sizing(risk_per_trade=1e-4), limits, Costs()),
        open_broker=lambda foresight, clock: SimulatedBroker(foresight, clock, Costs()),
        frame_of=lambda of: FlatFrame(of, atr=0.5),
        quiet=Quiet(warmup_bars=0),
    )


class _Asked(RulesDecider):
    """Takes everything without promising so: the step has to walk."""

    takes_everything = None

    def __init__(self) -> None:
        super().__init__(take_all=True)


def calls_of(work: Callable[[], object]) -> int:
    """Count the calls of Python and C functions that `work` makes."""
    count = 0

    def seen(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(seen)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("limits", [NO_LIMITS, replace(NO_LIMITS, max_positions=10)])
def test_ten_times_the_bars_with_the_same_candidates_cost_the_same_calls(limits):
    few, many = session(4_000, 400, limits), session(40_000, 400, limits)
    assert len(few.run().trades) == len(many.run().trades) == 400
    assert calls_of(many.run) <= 1.1 * calls_of(few.run)


def test_watching_losses_adds_calls_per_day_not_per_bar():
    few, many = (session(bars, 400, Limits()) for bars in (4_000, 40_000))
    more_bars = 36_000
    assert calls_of(many.run) - calls_of(few.run) < 20 * more_bars / 24 < more_bars


@pytest.mark.parametrize("agents", [False, True])
def test_twice_the_candidates_cost_twice_the_calls(agents):
    def run(candidates: int) -> RunResult:
        alone = session(32_000, candidates, NO_LIMITS)
        return watched(alone) if agents else alone.run()

    counts = [calls_of(partial(run, candidates)) for candidates in (250, 500, 1_000)]
    growth = np.diff(counts)
    assert 1.9 * growth[0] <= growth[1] <= 2.1 * growth[0]


def watched(alone: Session) -> RunResult:
    """Run it with three agents that act."""
    policies = {name: whimsical_policy(name) for name in AGENTS}
    return replace(alone, agents=terms(policies)).run(inputs=seated(*AGENTS, stage=0.5))


def test_agents_cost_calls_per_candidate_not_per_bar():
    few, many = (session(bars, 400, NO_LIMITS) for bars in (4_000, 40_000))
    assert len(watched(few).consulted) > 800
    asked = calls_of(partial(watched, few))
    assert asked > 2 * calls_of(few.run)
    assert calls_of(partial(watched, many)) <= 1.1 * asked

"""Whether a promoted version still is what it was promoted for: detectors of what has gone.

Two detectors run over the blocks after a promotion. *Soft*: its skill has fallen below a third of
what it showed then (half of what remains once the luck of being picked is taken off), and it goes
back to watching. *Hard*: it costs more than it brings, and it stops at once; so it does where what
it has brought has fallen by a fifth of the equity from its best.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from darwin.core.agents import PORTFOLIO
from darwin.core.market import DAY_MS
from darwin.rl.graduation.contract import Terms
from darwin.rl.graduation.increments import Block, Mean, Sums
from darwin.rl.graduation.trial import FIRST_M, LEAST_M, M_PRIOR_BLOCKS
from darwin.stats.detector import Detector

SHRINKAGE = 1.5
"""An edge at the moment of a promotion is that much too good, on average: luck has picked it."""
REMAINING = 0.5
"""Part of the edge that must remain."""
SOFT_ALARM, HARD_ALARM = 250.0, 100.0
"""Blocks, on average at least, between false alarms."""
DEEPEST = 0.20
"""Of equity, that what an agent has brought may fall below its best."""


NOTHING = Sums(0.0, 0.0)


class Basis(NamedTuple):
    """What a promotion rests on, as far as detectors need it."""

    since_ms: int  # bar time from which on it may act
    edge: float  # mean sum of skill per block at the promotion; NaN: not known
    edge_everyone: float  # gate: the same, had the expert taken every candidate
    full_since_ms: int | None = None  # gate alone: when it came to hold all of the capital


@dataclass(slots=True)
class Alarm:
    """A detector, and how far it has come."""

    name: str
    needed: float  # mean of M at which it sounds
    floor: float  # the mean per block that it guards
    sums: Callable[[Block], Sums]
    expected: Mean
    least: float = 0.0  # relevant decisions that make a block of its own
    detector: Detector = field(init=False)
    log_m: float = -math.inf
    sounded_ms: int | None = None
    seen: Mean = field(default_factory=lambda: Mean(0.0, 0.0))  # of blocks since it began

    _gathered: Sums = NOTHING

    def __post_init__(self) -> None:
        """Begin calm."""
        self.detector = Detector(self.floor)

    def add(self, block: Block) -> None:
        """Learn of a block; where few of its decisions count, several make one."""
        sums = self.sums(block)
        self._gathered = Sums(
            self._gathered.total + sums.total, self._gathered.relevant + sums.relevant
        )
        if self._gathered.relevant < self.least:
            return
        sums, self._gathered = self._gathered, NOTHING
        expected = max(self.expected.now, LEAST_M)
        self.log_m = self.detector.add(sums.total, expected, block.sd)
        self.expected.add(sums.relevant)
        self.seen.add(sums.total)
        if self.sounded_ms is None and self.log_m >= math.log(self.needed):
            self.sounded_ms = block.end_ms

    @property
    def is_green(self) -> bool:
        """Whether it is silent, and the mean since it began is above what it guards."""
        return self.sounded_ms is None and self.log_m > -math.inf and self.seen.now > self.floor


class Decay:
    """The detectors of one promotion; told the blocks that begin after it, in order."""

    def __init__(self, terms: Terms, basis: Basis) -> None:
        """Begin calm."""
        self._terms, self.basis = terms, basis
        self._ratios = _Ratios()
        self.blocks = 0
        self._brought_r = self._best_r = 0.0
        self.fall = 0.0  # of what it has brought, below its best, in equity
        self._alarms = self._begin(full=False)
        self._full = False

    def _begin(self, *, full: bool) -> tuple[Alarm, Alarm]:
        agent = self._terms.agent
        if full:
            skill: Callable[[Block], Sums] = _everyone
            utility: Callable[[Block], Sums] = _audited
        else:
            skill = _skill
            utility = self._ratios.sums if agent == PORTFOLIO else _utility
        edge = self.basis.edge_everyone if full else self.basis.edge
        floor = REMAINING * max(edge, 0.0) / SHRINKAGE if math.isfinite(edge) else 0.0

        def expected() -> Mean:
            return Mean(FIRST_M[agent], M_PRIOR_BLOCKS)

        return (
            Alarm("skill", SOFT_ALARM, floor, skill, expected()),
            Alarm("utility", HARD_ALARM, 0.0, utility, expected(), FIRST_M[agent] if full else 0.0),
        )

    @property
    def block_days(self) -> float:
        """Market time of a block."""
        return self._terms.block_ms / DAY_MS

    @property
    def soft(self) -> Alarm:
        """Of its skill."""
        return self._alarms[0]

    @property
    def hard(self) -> Alarm:
        """Of its utility."""
        return self._alarms[1]

    def add(self, block: Block) -> None:
        """Learn of a block; those that began before the promotion are passed over."""
        if block.start_ms < self.basis.since_ms:
            self._ratios.learn(block)
            return
        full = self.basis.full_since_ms
        if not self._full and full is not None and block.start_ms >= full:
            self._full, self._alarms = True, self._begin(full=True)
        for alarm in self._alarms:
            alarm.add(block)
        self._ratios.learn(block)
        self.blocks += 1
        self._brought_r += block.told.brought
        self._best_r = max(self._best_r, self._brought_r)
        self.fall = (self._best_r - self._brought_r) * (self._terms.risk_per_trade or 0.0)

    @property
    def verdict(self) -> str:
        """Why it must act no longer, in words; empty: it may."""
        if self.hard.sounded_ms is not None:
            return "it costs more than it brings: the hard detector sounded"
        if self.fall > DEEPEST:
            return f"what it brought has fallen by {self.fall:.1%} of the equity"
        if self.soft.sounded_ms is not None:
            return "its skill has gone: the soft detector sounded"
        return ""

    @property
    def is_green(self) -> bool:
        """Whether what came since the promotion speaks for more capital."""
        return self.soft.is_green and self.hard.is_green and self.fall <= DEEPEST / 2.0


class _Ratios:
    """w·Rw over its deviation less Rw over its own, the deviations as known before each block."""

    def __init__(self) -> None:
        self._a, self._b = Mean(1.0), Mean(1.0)  # mean squares

    def sums(self, block: Block) -> Sums:
        a, b = math.sqrt(self._a.now), math.sqrt(self._b.now)
        total = sum(x / a - y / b for x, y in block.told.pairs) * block.sd
        return Sums(total, len(block.told.pairs) / 3.0)

    def learn(self, block: Block) -> None:
        for x, y in block.told.pairs:
            self._a.add(x * x)
            self._b.add(y * y)


def _skill(block: Block) -> Sums:
    return block.told.skill


def _utility(block: Block) -> Sums:
    return block.told.utility


def _everyone(block: Block) -> Sums:
    return block.told.everyone


def _audited(block: Block) -> Sums:
    return block.told.audited

"""A version on trial: its evidence stream, and what the tests of its agent make of each block.

Each test is an e-process on the sums of blocks: a bet against the agent having no skill, whose
stake grows where it has some. Over all time, however often one looks, an agent without skill gets
it to 1/level with a chance of `level` at most (Ville's inequality). So a crossing is for good.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from darwin.core.agents import GATE, META_LEARNER, PORTFOLIO
from darwin.core.market import DAY_MS
from darwin.core.rebalance import ALLOCATOR, MARKET
from darwin.rl.graduation.contract import Contract
from darwin.rl.graduation.increments import Block, Entry, Mean, Outcome, Sums
from darwin.rl.graduation.stream import Stream
from darwin.rl.graduation.told import Told
from darwin.stats.evidence import MISS_BOUND, EProcess, Horizon, MissTest
from darwin.stats.sharpe_evidence import SharpeProcess

SKILL, UTILITY, MISS, OVER_HOLD = "skill", "utility", "miss rate", "utility over buy & hold"
MAIN_SHARE, COST_SHARE = 0.8, 0.2
"""Of a version's level: for skill and utility, and for a gate that would graduate by cost."""
FIRST_M = {GATE: 8.0, META_LEARNER: 3.0, PORTFOLIO: 3.0, ALLOCATOR: 3.0, MARKET: 3.0}
"""Relevant decisions of a block, until blocks say otherwise."""
M_PRIOR_BLOCKS = 2.0
AGAINST = 0.05
"""Chance that the opposite is ever shown of an agent that is none the worse for it."""
LEAST_M = 0.5


class Point(NamedTuple):
    """A test after a block."""

    end_ms: int
    log_e: float


class Test(Protocol):
    """A test as it goes on."""

    def add(self, block: Block, relevant: float) -> float:
        """Learn of a block of which so many decisions were expected to be relevant; gives log E."""
        ...


class _OfSums:
    """E of the sums of blocks; with `sign` -1, E of the opposite."""

    def __init__(self, horizon: Horizon, sums: Callable[[Block], Sums], sign: float = 1.0) -> None:
        self._process, self._sums, self._sign = EProcess(horizon), sums, sign

    def add(self, block: Block, relevant: float) -> float:
        return self._process.add(self._sign * self._sums(block).total, relevant, block.sd)


class _OfSharpe:
    """E of the difference of two Sharpe ratios; `reverse`: of the other way round."""

    def __init__(self, horizon: Horizon, *, reverse: bool = False) -> None:
        self._process, self._reverse = SharpeProcess(horizon), reverse

    def add(self, block: Block, relevant: float) -> float:
        pairs = block.told.pairs
        return self._process.add([(b, a) for a, b in pairs] if self._reverse else pairs)


class _OfMisses:
    """E of winners that were not missed, or with `sign` -1 were."""

    def __init__(self, sign: float = 1.0) -> None:
        self._process = MissTest(MISS_BOUND, sign)

    def add(self, block: Block, relevant: float) -> float:
        missed = block.told.missed
        return self._process.add(sum(missed), len(missed), relevant)


@dataclass(slots=True)
class Track:
    """A test, its level, and how far it has come."""

    name: str
    level: float  # chance of ever crossing without skill
    test: Test
    against: Test  # of the opposite
    count: Callable[[Block], float]  # what is relevant to it in a block
    expected: Mean
    points: list[Point]
    crossed: Point | None = None  # the first time
    refuted: Point | None = None  # the first time that the opposite was shown

    @property
    def log_e(self) -> float:
        """As of the last block."""
        return self.points[-1].log_e if self.points else 0.0

    @property
    def log_needed(self) -> float:
        """Where it crosses."""
        return -math.log(self.level)

    def add(self, block: Block) -> None:
        """Learn of a block; how much is expected of it is known from the ones before alone."""
        expected = max(self.expected.now, LEAST_M)
        log_e, against = self.test.add(block, expected), self.against.add(block, expected)
        self.expected.add(self.count(block))
        self.points.append(Point(block.end_ms, log_e))
        if self.crossed is None and log_e >= self.log_needed:
            self.crossed = self.points[-1]
        if self.refuted is None and against >= -math.log(AGAINST):
            self.refuted = Point(block.end_ms, against)


class Trial:
    """Told what is on record of a version; the same record, told at any pace, gives the same."""

    def __init__(self, contract: Contract) -> None:
        """Begin with nothing on record."""
        self.contract, self.stream = contract, Stream(contract)
        self.blocks: list[Block] = []
        self.tracks = {track.name: track for track in _tracks(contract)}

    @classmethod
    def of(cls, contract: Contract, told: Iterable[Told]) -> Trial:
        """The trial as far as the record goes."""
        trial = cls(contract)
        for key, what in told:
            trial.hear(key, what)
        return trial

    def hear(self, key: str, what: Entry | Outcome) -> list[Block]:
        """Learn of a decision, or what became of one; gives the blocks that are scored by that."""
        if isinstance(what, Entry):
            self.stream.decide(what)
        else:
            self.stream.settle(key, what)
        new = list(self.stream.take_blocks())
        for block in new:
            self.blocks.append(block)
            for track in self.tracks.values():
                track.add(block)
        return new

    @property
    def edge(self) -> float:
        """Mean sum of skill per block, in the unit of the increments (R, per block)."""
        return self.mean_of(lambda block: block.told.skill)

    def mean_of(self, sums: Callable[[Block], Sums]) -> float:
        """Mean over all blocks; NaN before the first."""
        if not self.blocks:
            return math.nan
        return sum(sums(block).total for block in self.blocks) / len(self.blocks)


def _tracks(contract: Contract) -> list[Track]:
    terms = contract.terms
    horizon = Horizon(terms.block_ms / DAY_MS)
    main, agent = MAIN_SHARE * contract.alpha_v, terms.agent

    def track(
        name: str, level: float, tests: tuple[Test, Test], count: Callable[[Block], float]
    ) -> Track:
        return Track(name, level, *tests, count, Mean(FIRST_M[agent], M_PRIOR_BLOCKS), [])

    def of_sums(sums: Callable[[Block], Sums]) -> tuple[Test, Test]:
        return _OfSums(horizon, sums), _OfSums(horizon, sums, -1.0)

    skill = track(SKILL, main, of_sums(_skill), lambda b: b.told.skill.relevant)
    if agent == PORTFOLIO:
        ratios = (_OfSharpe(horizon), _OfSharpe(horizon, reverse=True))
        return [skill, track(UTILITY, main, ratios, lambda b: b.told.skill.relevant)]
    utility = track(UTILITY, main, of_sums(_utility), lambda b: b.told.utility.relevant)
    if agent == MARKET:
        over_hold = track(OVER_HOLD, main, of_sums(_over_hold), lambda b: b.told.over_hold.relevant)
        return [skill, utility, over_hold]
    if agent in (META_LEARNER, ALLOCATOR):
        return [skill, utility]
    cost = COST_SHARE * contract.alpha_v
    misses = (_OfMisses(), _OfMisses(-1.0))
    return [skill, utility, track(MISS, cost, misses, lambda b: float(len(b.told.missed)))]


def _skill(block: Block) -> Sums:
    return block.told.skill


def _utility(block: Block) -> Sums:
    return block.told.utility


def _over_hold(block: Block) -> Sums:
    return block.told.over_hold

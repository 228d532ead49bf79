"""What one rebalance adds to the evidence for or against an agent of a book.

*Skill*: Σ over assets of (w − w̄)·(r − r̄), w the weights advised and r what the assets then
returned; w̄ and r̄ are the means of earlier weights, and of returns that were known at the decision.
A constant tilt has no skill, whatever the market does: w − w̄ is 0. *Utility*: what the book of the
advice returned, all costs paid, less what a book that knows nothing did.

Both are held against a scale that is known at the decision: the root mean square of what was known
of them, or what so large a deviation of weights comes to in such a market, whichever is more; so
an agent that suddenly does much cannot make its luck look rare. What speaks for the agent is cut
at `MOST` such scales, what speaks against it counts in full. The first `LEAST_KNOWN` rebalances
whose outcome is known say nothing: there is no scale yet.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, field

import numpy as np

from darwin.core.market import FloatArray
from darwin.core.rebalance import ALLOCATOR
from darwin.rl.graduation.increments import Entry, Outcome, Sums, Told
from darwin.stats.evidence import USUAL_SD

LEAST_KNOWN = 20
MOST = 3.0
LEAST_WEIGHT, LEAST_RETURN = 1e-7, 1e-6
"""Smaller deviations of weights, and scales of returns, are rounding."""


@dataclass(slots=True)
class _Scale:
    """The root mean square of what was known."""

    count: int = 0
    squares: float = 0.0

    def add(self, value: float) -> None:
        self.count += 1
        self.squares += value * value

    @property
    def now(self) -> float:
        return math.sqrt(self.squares / self.count) if self.count else 0.0


@dataclass(slots=True)
class _Later:
    """What is learned of a rebalance once its outcome is known."""

    assets: FloatArray
    increments: tuple[float, ...]  # skill, then utility against each baseline


@dataclass(slots=True)
class _Vector:
    """A running mean of vectors, with their mean squares."""

    count: int = 0
    total: FloatArray = field(default_factory=lambda: np.zeros(0))
    squares: FloatArray = field(default_factory=lambda: np.zeros(0))

    def add(self, values: FloatArray) -> None:
        if not self.count:
            self.total, self.squares = np.zeros(len(values)), np.zeros(len(values))
        self.count += 1
        self.total = self.total + values
        self.squares = self.squares + values * values

    @property
    def mean(self) -> FloatArray:
        return self.total / self.count

    @property
    def root(self) -> FloatArray:
        found: FloatArray = np.sqrt(self.squares / self.count)
        return found


class BookMeans:
    """What `increments.Means` is to other agents: running means, and the sums of a block."""

    def __init__(self, agent: str) -> None:
        """Know nothing."""
        self._agent = agent
        self._weights, self._assets = _Vector(), _Vector()
        self._scales = [_Scale() for _ in range(1 + len(_baselines(agent, 1)))]
        self._waiting: list[tuple[int, int, _Later]] = []
        self._heard = 0
        self.sd = USUAL_SD  # what is added is in units of its own spread

    def begin(self, bar_time: int) -> None:
        """Begin a block whose first rebalance lies at a bar."""
        self._catch_up(bar_time)
        self._sums = [0.0] * len(self._scales)
        self._relevant = 0
        self._brought = 0.0

    def decide(self, entry: Entry, outcome: Outcome | None) -> None:
        """Score a rebalance by what was known at its bar; learn of it afterwards."""
        self._catch_up(entry.bar_time)
        weights = np.array(entry.weights)
        if outcome is not None:
            self._score(weights, outcome)
        self._weights.add(weights)

    def _score(self, weights: FloatArray, outcome: Outcome) -> None:
        returns, known = np.array(outcome.assets), self._assets.count
        off = np.zeros(len(weights))
        if self._weights.count and known:
            off = weights - self._weights.mean
            off[np.abs(off) < LEAST_WEIGHT] = 0.0
        expected = self._assets.mean if known else returns
        spread = self._assets.root if known else np.zeros(len(weights))
        deviations = [off, *(weights - one for one in _baselines(self._agent, len(weights)))]
        skill = float(off @ (returns - expected))
        increments = (skill, *(outcome.r - one for one in outcome.against))
        if known >= LEAST_KNOWN:
            for i, (value, away) in enumerate(zip(increments, deviations, strict=True)):
                usual = float(np.sqrt(np.square(away * spread).sum()))
                scale = max(self._scales[i].now, usual, LEAST_RETURN)
                self._sums[i] += min(value / scale, MOST)
            self._relevant += 1
        self._brought += increments[1]
        self._heard += 1
        later = _Later(returns, increments)
        heapq.heappush(self._waiting, (outcome.known_ms, self._heard, later))

    def _catch_up(self, bar_time: int) -> None:
        """Learn of outcomes that were known by a bar."""
        while self._waiting and self._waiting[0][0] <= bar_time:
            later = heapq.heappop(self._waiting)[2]
            self._assets.add(later.assets)
            for scale, value in zip(self._scales, later.increments, strict=True):
                scale.add(value)

    def end(self) -> Told:
        """What the block came to."""
        skill, *utilities = (Sums(total, float(self._relevant)) for total in self._sums)
        over_hold = utilities[1] if len(utilities) > 1 else Sums(0.0, 0.0)
        return Told(skill, utilities[0], self._brought, over_hold=over_hold)


def _baselines(agent: str, assets: int) -> tuple[FloatArray, ...]:
    """The weights of the books that know nothing, in the order of their recorded returns."""
    if agent == ALLOCATOR:
        return (np.full(assets, 1.0 / assets),)
    return (np.zeros(assets), np.ones(assets))

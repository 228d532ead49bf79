"""What one decision adds to the evidence for or against an agent, held against what was known.

Decision by decision what `darwin.stats.increments` reckons over arrays, and says why.

The running means have the weight of 20 decisions of no knowledge at their beginning. Skip rates,
override rates and sizes are over earlier decisions; mean outcomes over those that had been settled
by the bar of the decision.
"""

from __future__ import annotations

import heapq
import math
from abc import ABC, abstractmethod
from typing import NamedTuple

from darwin.core.agents import GATE, META_LEARNER, SKIP, TO_SKIP, TO_TAKE
from darwin.stats.evidence import USUAL_SD
from darwin.stats.increments import (
    DEEPEST_R,
    GATE_EDGE_R,
    OUTCOME_PRIOR,
    OVERRIDE_PRIOR,
    PRIOR_WEIGHT,
    SIZE_PRIOR,
    SKIP_PRIOR,
)

SD_PRIOR = USUAL_SD
"""Of R, until outcomes say otherwise."""


class Entry(NamedTuple):
    """One decision of the stream."""

    key: str  # the candidate
    bar_time: int  # ms UTC, open time
    action: float
    take: float  # what the expert said, 0 or 1; NaN: it was not asked
    take_profit_r: float
    audited: bool  # a would-be skip that passed at full capital
    weights: tuple[float, ...] = ()  # of a book: what was advised


class Outcome(NamedTuple):
    """What became of it."""

    known_ms: int  # bar at which that was known, open time
    r: float  # net; NaN: it was never entered; of a book: what it returned as advised
    against: tuple[float, ...] = ()  # of a book: what its baselines returned
    assets: tuple[float, ...] = ()  # of a book: what each asset returned


class Sums(NamedTuple):
    """A block of one test."""

    total: float  # sum of increments
    relevant: float  # decisions it is made of, as the test counts them


class Told(NamedTuple):
    """What the decisions of a block come to. What an agent has no test for is empty."""

    skill: Sums
    utility: Sums = Sums(0.0, 0.0)
    brought: float = 0.0  # in R, nothing clipped: beyond the baseline; portfolio: by its account;
    # of a book a part of its value
    missed: tuple[float, ...] = ()  # gate: per winner that the expert takes, 1 where it is skipped
    everyone: Sums = Sums(0.0, 0.0)  # gate: skill, had the expert taken every candidate
    audited: Sums = Sums(0.0, 0.0)  # gate: utility on audited skips alone
    pairs: tuple[tuple[float, float], ...] = ()  # portfolio: w·R and R of each trade
    over_hold: Sums = Sums(0.0, 0.0)  # market agent: utility against buying and holding


class Block(NamedTuple):
    """One block of market time, scored."""

    number: int  # since 1970
    start_ms: int
    end_ms: int
    decisions: int
    resolved: int  # with an R
    lost: int  # of whose bracket it was never told what became
    sd: float  # of R, as known before the block
    told: Told


class Mean:
    """A running mean that begins with a prior."""

    __slots__ = ("_sum", "_weight")

    def __init__(self, prior: float, weight: float = PRIOR_WEIGHT) -> None:
        """Know the prior alone."""
        self._sum, self._weight = prior * weight, weight

    def add(self, value: float) -> None:
        """Learn of one more."""
        self._sum += value
        self._weight += 1.0

    @property
    def now(self) -> float:
        """As it stands; NaN where nothing is known."""
        return self._sum / self._weight if self._weight else math.nan


class Means(ABC):
    """The running means of one agent, and the sums of the block that is being scored."""

    def __init__(self, call_cost_r: float) -> None:
        """Know priors alone; asking the expert costs `call_cost_r`."""
        self._cost = call_cost_r
        self._later: list[tuple[int, int, float, int]] = []  # outcomes, by when they were known
        self._count = 0
        self._squares, self._seen = Mean(SD_PRIOR * SD_PRIOR), Mean(OUTCOME_PRIOR)
        self.sd = SD_PRIOR

    def begin(self, bar_time: int) -> None:
        """Begin a block whose first decision lies at a bar."""
        self._learn(bar_time)
        mean = self._seen.now
        self.sd = math.sqrt(self._squares.now - mean * mean)
        self.clear()

    def decide(self, entry: Entry, outcome: Outcome | None) -> None:
        """Score a decision by what was known at its bar; learn of it afterwards.

        What was never entered came to nothing, R 0; of what was lost nothing is said.
        """
        self._learn(entry.bar_time)
        if outcome is None:
            self.add(entry, math.nan)
            return
        entered = not math.isnan(outcome.r)
        kind = self.add(entry, outcome.r if entered else 0.0)
        if entered and kind is not None:
            self._count += 1
            rw = clipped(outcome.r, entry.take_profit_r)
            heapq.heappush(self._later, (outcome.known_ms, self._count, rw, kind))

    def _learn(self, bar_time: int) -> None:
        later = self._later
        while later and later[0][0] <= bar_time:
            _, _, rw, kind = heapq.heappop(later)
            self._squares.add(rw * rw)
            self._seen.add(rw)
            self.settled(rw, kind)

    @abstractmethod
    def clear(self) -> None:
        """Begin the sums anew."""

    @abstractmethod
    def add(self, entry: Entry, r: float) -> int | None:
        """Add a decision whose bracket came to `r` (NaN: nobody knows).

        Gives which of the agent's means has to learn of its outcome; None: none.
        """

    @abstractmethod
    def settled(self, rw: float, kind: int) -> None:
        """Learn of an outcome."""

    @abstractmethod
    def end(self) -> Told:
        """What the block came to."""


def clipped(r: float, take_profit_r: float) -> float:
    """Rw = clip(R, -3, TP)."""
    return min(max(r, DEEPEST_R), take_profit_r)


class _Gate(Means):
    """x = take·(skip - s)·(m - Rw); u = skip·(c - take·R) + delta.

    A loss that a skip avoids counts down to -3 R, a win that it misses counts in full.
    """

    _TAKEN, _OTHER = 0, 1

    def __init__(self, call_cost_r: float) -> None:
        super().__init__(call_cost_r)
        self._s, self._m = Mean(SKIP_PRIOR), Mean(OUTCOME_PRIOR)
        self._s_all, self._m_all = Mean(SKIP_PRIOR), Mean(OUTCOME_PRIOR)

    def clear(self) -> None:
        self._x = self._u = self._x_all = self._u_audited = self._brought = 0.0
        self._taken = self._asked = self._everyone = self._audits = 0
        self._missed: list[float] = []

    def add(self, entry: Entry, r: float) -> int | None:
        skip, take = entry.action == SKIP, entry.take
        s, s_all = self._s.now, self._s_all.now
        self._s_all.add(float(skip))
        if take == 1.0:
            self._s.add(float(skip))
        if math.isnan(r):
            return None
        rw = clipped(r, entry.take_profit_r)
        self._x_all += (skip - s_all) * (self._m_all.now - rw)
        self._everyone += 1
        if math.isnan(take):
            return self._OTHER
        lost = max(r, DEEPEST_R)
        u = (self._cost - take * lost if skip else 0.0) + GATE_EDGE_R
        self._u += u
        self._asked += 1
        self._brought += self._cost - take * r if skip else 0.0
        if entry.audited:
            self._u_audited += u
            self._audits += 1
        if take != 1.0:
            return self._OTHER
        self._x += (skip - s) * (self._m.now - rw)
        self._taken += 1
        if r > 0.0:
            self._missed.append(float(skip))
        return self._TAKEN

    def settled(self, rw: float, kind: int) -> None:
        self._m_all.add(rw)
        if kind == self._TAKEN:
            self._m.add(rw)

    def end(self) -> Told:
        return Told(
            skill=Sums(self._x, self._taken),
            utility=Sums(self._u, self._taken),
            brought=self._brought,
            missed=tuple(self._missed),
            everyone=Sums(self._x_all, self._everyone),
            audited=Sums(self._u_audited, self._audits),
        )


class _MetaLearner(Means):
    """x = (ovr - o)·g·(Rw - m), u = ovr·g·R, by what the expert said; g = -1 where it takes.

    What an override saves counts down to -3 R, what it wins up to TP; the rest in full.
    """

    def __init__(self, call_cost_r: float) -> None:
        super().__init__(call_cost_r)
        self._o = (Mean(OVERRIDE_PRIOR), Mean(OVERRIDE_PRIOR))
        self._m = (Mean(OUTCOME_PRIOR), Mean(OUTCOME_PRIOR))

    def clear(self) -> None:
        self._x = self._u = self._brought = 0.0
        self._overrides = 0

    def add(self, entry: Entry, r: float) -> int | None:
        if math.isnan(entry.take):
            return None
        kind = int(entry.take)
        ovr = entry.action == (TO_SKIP if kind else TO_TAKE)
        o = self._o[kind].now
        self._o[kind].add(float(ovr))
        self._overrides += ovr
        if math.isnan(r):
            return None
        rw, g = clipped(r, entry.take_profit_r), -1.0 if kind else 1.0
        self._x += (ovr - o) * g * (rw - self._m[kind].now)
        if ovr:
            self._brought += g * r
            self._u += -max(r, DEEPEST_R) if kind else min(r, entry.take_profit_r)
        return kind

    def settled(self, rw: float, kind: int) -> None:
        self._m[kind].add(rw)

    def end(self) -> Told:
        relevant = 1.5 * self._overrides
        return Told(Sums(self._x, relevant), Sums(self._u, relevant), self._brought)


class _Portfolio(Means):
    """x = (w - mean w)·(Rw - m); its utility is in the Sharpe ratios of w·Rw and Rw."""

    def __init__(self, call_cost_r: float) -> None:
        super().__init__(call_cost_r)
        self._w, self._m = Mean(SIZE_PRIOR), Mean(OUTCOME_PRIOR)

    def clear(self) -> None:
        self._x = self._brought = 0.0
        self._pairs: list[tuple[float, float]] = []

    def add(self, entry: Entry, r: float) -> int | None:
        w, usual = entry.action, self._w.now
        self._w.add(w)
        if math.isnan(r):
            return None
        rw = clipped(r, entry.take_profit_r)
        self._x += (w - usual) * (rw - self._m.now)
        self._pairs.append((w * rw, rw))
        self._brought += w * r
        return 0

    def settled(self, rw: float, kind: int) -> None:
        self._m.add(rw)

    def end(self) -> Told:
        sums = Sums(self._x, len(self._pairs) / 3.0)
        return Told(sums, brought=self._brought, pairs=tuple(self._pairs))


def means_of(agent: str, call_cost_r: float) -> Means:
    """The means of an agent, at the beginning of its stream."""
    if agent == GATE:
        return _Gate(call_cost_r)
    if agent == META_LEARNER:
        return _MetaLearner(call_cost_r)
    return _Portfolio(call_cost_r)

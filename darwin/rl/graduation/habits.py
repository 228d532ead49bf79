"""What an agent does and meets: how often it is asked, on how much it acts, what R is.

These are the figures that a plan is made from. They say nothing of skill: what stands here is the
same for an agent that acts at random.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from darwin.core.market import DAY_MS, FloatArray
from darwin.rl.graduation.contract import Terms


class Spread(NamedTuple):
    """R of winners or of losers: mean and standard deviation."""

    mean: float  # of clip(R, -3, TP)
    sd: float
    paid: float  # of R as utility counts it where it is acted on
    paid_sd: float


@dataclass(frozen=True, slots=True)
class Side:
    """Decisions about which the expert said the same, and of which it is known what became."""

    toward: float  # -1: acting leaves the trade, so losers are wanted; +1: it takes it
    per_day: float
    acts: float  # share 0..1 that the agent acts on: skips, overrides
    wins: float  # share 0..1 with R above 0
    winners: Spread
    losers: Spread

    @property
    def mean(self) -> float:
        """Of clip(R, -3, TP)."""
        return self.wins * self.winners.mean + (1.0 - self.wins) * self.losers.mean


@dataclass(frozen=True, slots=True)
class Habits:
    """Of one agent in one run; what nobody has decided is assumed, and said so."""

    agent: str
    run_id: str
    mode: str  # replay, feed or paper
    advises: bool  # its advice is on record; False: what it does is assumed
    newest: int  # bar time of the last decision, ms UTC
    decisions: int
    days: float  # from the first decision to the last
    takes: float  # share that the expert takes, of what it was asked; NaN: says nothing here
    acts: float  # share acted on, of all decisions; NaN: the agent sizes
    sides: tuple[Side, ...]  # gate: of what is taken; meta-learner: also of what is not
    sizes: FloatArray  # portfolio: those it gave, ascending
    r: FloatArray  # portfolio: clip(R, -3, TP) of its trades
    settled: int  # decisions of which it is known what became
    wins: float  # share 0..1 of these
    sd: float  # of their clip(R, -3, TP)
    clustering: float  # variance of blocks, of that of as many decisions with nothing in common
    blocks: int  # that was measured on
    call_cost_r: float  # what asking the expert costs, R
    terms: Terms  # of a version that would enter such a run next

    @property
    def per_day(self) -> float:
        """Decisions per day of market time."""
        return self.decisions / self.days

    @property
    def block_days(self) -> float:
        """Market time of a block."""
        return self.terms.block_ms / DAY_MS

    def acting_on(self, share: float) -> Habits:
        """The same of an agent that acted on another share, whatever the expert says."""
        sides = tuple(replace(side, acts=share) for side in self.sides)
        return replace(self, acts=share, sides=sides)

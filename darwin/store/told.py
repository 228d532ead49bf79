"""What a run has recorded of one candidate, side by side with what another run may have."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from darwin.core.decision import NO_ANSWER


class Key(NamedTuple):
    """What two runs know one setup by. Its id is another one where a playbook's parameters are."""

    bar_time: int
    symbol: str
    playbook: str
    side: str


class Answer(NamedTuple):
    """What the expert answered."""

    take: bool
    confidence: float
    quality: float
    risk_flags: str  # JSON

    @property
    def silence(self) -> str:
        """That no answer came, and why, as `no answer: deadline`; empty where one did."""
        first = next(iter(json.loads(self.risk_flags)), "")
        return first if first.startswith(NO_ANSWER) else ""


class Said(NamedTuple):
    """What an agent advised, and what stood."""

    action: float | None
    probability: float | None
    final_action: float  # the fraction of the order it left, 0..1
    followed: int
    reason: str


class Course(NamedTuple):
    """How the bracket went, at mid prices: bars and bracket alone decide it."""

    status: str
    entry_time: int | None
    entry_price: float | None
    exit_time: int | None
    exit_price: float | None
    exit_reason: str | None


class Trade(NamedTuple):
    """A closed position; `mid` prices are without half-spread and slippage."""

    side: str
    units: float
    entry_time: int
    entry_mid: float
    entry_price: float
    exit_time: int
    exit_mid: float
    exit_price: float
    exit_reason: str
    fees_usd: float
    funding_usd: float
    net_usd: float

    @property
    def moved(self) -> float:
        """What one unit earned from mid price to mid price."""
        return (1 if self.side == "long" else -1) * (self.exit_mid - self.entry_mid)

    @property
    def cost(self) -> float:
        """What one unit paid: half-spread, slippage, fees, funding."""
        return self.moved - self.net_usd / self.units


class Told(NamedTuple):
    """A candidate and what became of it."""

    candidate_id: str
    close: float
    bracket: tuple[Any, ...]  # stop and target distance, time stop, trailing, anchor
    features: bytes  # float64 little-endian
    stage: str  # where in the funnel it ended
    reason: str  # and why; `open`: it has not ended yet
    answer: Answer | None  # None: the expert was not asked
    said: Mapping[str, Said]  # by agent, of those that were asked
    clipped_by: str | None  # None: no order went out
    trade: Trade | None  # None: not entered, or not left yet
    course: Course | None  # None: not told yet
    r: float | None  # net of costs

    @property
    def ending(self) -> str:
        """Where and why it ended, in words; that the expert gave no answer, with its cause."""
        if self.stage == "expert" and self.answer is not None and self.answer.silence:
            return f"{self.stage}: {self.answer.silence}"
        return self.stage if self.stage == self.reason else f"{self.stage}: {self.reason}"

    @property
    def net_usd(self) -> float:
        """What it earned; nothing where it was not traded."""
        return 0.0 if self.trade is None else self.trade.net_usd

    def left_by(self, agent: str) -> float:
        """The fraction of the order that an agent left; all of it where it was not asked."""
        said = self.said.get(agent)
        return 1.0 if said is None else said.final_action

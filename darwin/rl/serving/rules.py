"""Documented rules as policies: for demonstrations, as baselines, and until there are models.

They go through the same door as models do. No training stands behind them, so no finite row is
strange to them. A rule finds its columns by name, through the page of its agent.
"""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from darwin.core.agents import (
    GATE,
    KEEP,
    META_LEARNER,
    PASS,
    PORTFOLIO,
    SKIP,
    TO_SKIP,
    TO_TAKE,
    Advice,
    Model,
)
from darwin.errors import ModelError
from darwin.rl.agents.pages import PAGES
from darwin.rl.serving.heads import DECIMALS

REVISION = 1
"""Raise it when a rule answers otherwise without a change of its parameters."""


@dataclass(frozen=True)
class Rule(ABC):
    """What rules have in common. Implements `core.ports.Policy`, but for what a rule says."""

    AGENT: ClassVar[str]
    NAME: ClassVar[str]
    SEES: ClassVar[tuple[str, ...]]  # columns, in the order in which `judge` takes them

    @property
    def version(self) -> str:
        """Its name among versions."""
        return f"rule.{self.NAME}"

    @cached_property
    def sha256(self) -> str:
        """Digest of what its answers follow from: class, revision, parameters, the page."""
        parameters = ",".join(f"{one.name}={getattr(self, one.name)!r}" for one in fields(self))
        text = f"{type(self).__name__}/{REVISION}({parameters}) on {PAGES[self.AGENT].schema}"
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def model(self) -> Model:
        """As decisions record it."""
        return Model(self.version, self.sha256)

    def strangeness(self, observation: NDArray[np.float32]) -> float:
        """0 for a finite row, NaN for any other."""
        return 0.0 if bool(np.isfinite(observation).all()) else math.nan

    def advise(self, observation: NDArray[np.float32]) -> Advice:
        """What the rule says of a row. Raises ModelError for one of another page."""
        if observation.shape != self._shape:
            raise ModelError(
                f"an observation of shape {observation.shape} for {self.version}",
                mend=f"ask it about rows of {self._shape[0]} columns",
            )
        seen = [observation.item(at) for at in self._places]
        if not math.isfinite(sum(seen)):
            return Advice(math.nan, math.nan)
        return self.judge(*seen)

    @abstractmethod
    def judge(self, *seen: float) -> Advice:
        """What the rule says, seeing the columns `SEES`."""

    @cached_property
    def _places(self) -> tuple[int, ...]:
        return tuple(PAGES[self.AGENT].place(name) for name in self.SEES)

    @cached_property
    def _shape(self) -> tuple[int]:
        return (len(PAGES[self.AGENT].names),)


@dataclass(frozen=True)
class CautiousGate(Rule):
    """Skips what comes out of a sleepy market: about a quarter of all candidates.

    Three signs of sleep: volume of 20 bars below `volume` of that of 168; volatility of 24 bars
    below `volatility` of that of 168; ADX14 / 100 below `trend`. Two of them, and it skips.
    """

    volume: float = 0.8
    volatility: float = 0.8
    trend: float = 0.2

    AGENT = GATE
    NAME = "cautious-gate"
    SEES = ("volume_level_20_168", "vol_ratio_24_168", "trend_strength_14")

    def judge(self, *seen: float) -> Advice:
        """Skip at two signs of sleep."""
        volume, volatility, trend = seen
        signs = (volume < self.volume) + (volatility < self.volatility) + (trend < self.trend)
        return Advice(SKIP if signs >= 2 else PASS, 1.0)


@dataclass(frozen=True)
class SecondOpinion(Rule):
    """Looks at the long trend where the expert was of two minds: about a tenth of all verdicts.

    A verdict is close where the confidence lies within `doubt` of one half. A close take against
    the trend, the slope of the EMA10 of 24-fold bars in ATR, becomes a skip; a close skip with a
    trend of more than `slope` behind it becomes a take.
    """

    doubt: float = 0.05
    slope: float = 0.2

    AGENT = META_LEARNER
    NAME = "second-opinion"
    SEES = ("verdict_take", "confidence", "with_side_x24_ema_slope_10_3")

    def judge(self, *seen: float) -> Advice:
        """Keep, unless the verdict is close and the trend speaks against it."""
        take, confidence, slope = seen
        if not (abs(confidence - 0.5) <= self.doubt):
            return Advice(KEEP, 1.0)
        if take and slope < 0.0:
            return Advice(TO_SKIP, 1.0)
        if not take and slope > self.slope:
            return Advice(TO_TAKE, 1.0)
        return Advice(KEEP, 1.0)


@dataclass(frozen=True)
class SizeByStrength(Rule):
    """Gives the most to what the expert is sure of, while the account is near its peak.

    Strength grows from 0 at a confidence of `weak` to 1 at `strong`, and dwindles with the drawdown
    to 0 at `deepest`. The fraction goes with it from `least` to 1.
    """

    weak: float = 0.4
    strong: float = 0.8
    deepest: float = 0.2
    least: float = 0.25

    AGENT = PORTFOLIO
    NAME = "size-by-strength"
    SEES = ("confidence", "drawdown")

    def judge(self, *seen: float) -> Advice:
        """A fraction from `least` to 1."""
        confidence, drawdown = seen
        strength = _within((confidence - self.weak) / (self.strong - self.weak))
        shelter = _within(1.0 + drawdown / self.deepest)
        fraction = self.least + (1.0 - self.least) * strength * shelter
        return Advice(round(fraction, DECIMALS), None)


def _within(share: float) -> float:
    """Cut to 0..1."""
    return max(0.0, min(1.0, share))


RULES: Mapping[str, Rule] = {
    rule.AGENT: rule for rule in (CautiousGate(), SecondOpinion(), SizeByStrength())
}
"""The rule that stands in for each agent's model."""

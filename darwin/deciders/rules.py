"""The rules expert: a documented, deterministic judge, informative and imperfect."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from darwin.core.account import Account
from darwin.core.candidate import Candidate
from darwin.core.decision import Verdict
from darwin.core.market import FloatArray


@dataclass(frozen=True, slots=True)
class RulesDecider:
    """Weighs three things a discretionary trader would look at, and takes what scores enough.

    With s the side (+1 long, −1 short), all from bars up to the signal's close, each clipped to
    −1..1 and 0 where unknown:

    * *move* m = s · return of 24 bars, in realised volatilities: does the setup go with the move?
    * *participation* p = 2 ln(mean volume of 20 bars over that of 168): is the market busy?
    * *trend* t = s · distance to EMA200 in ATR, over 8

    score = 1.5·m·p + 0.3·t·a + bias, a = ADX14 / 50 at most 1, and confidence = 1 / (1 + e^−score):
    a move on volume is expected to go on, a move without it to come back. It takes at
    `min_confidence` or above. `quality` is half of 1 + |score|, with |score| at most 1.
    """

    asks_nobody: ClassVar[bool] = True  # so that twins of a run may ask it anew

    cost_usd_per_call: float = 0.01
    min_confidence: float = 0.5
    bias: float = 0.0
    take_all: bool = False

    def __post_init__(self) -> None:
        if not (0.0 <= self.cost_usd_per_call < math.inf):
            raise ValueError(f"cost_usd_per_call must be 0 or more, not {self.cost_usd_per_call}")
        if not math.isfinite(self.bias):
            raise ValueError(f"bias must be finite, not {self.bias}")
        if not (0.0 <= self.min_confidence <= 1.0):
            raise ValueError(f"min_confidence must lie in 0..1, not {self.min_confidence}")

    @property
    def needs(self) -> tuple[str, ...]:
        """The features the three things are made from."""
        if self.take_all:
            return ()
        return ("return_in_vol_24", "volume_level_20_168", "ema_distance_200", "trend_strength_14")

    @property
    def takes_everything(self) -> Verdict | None:
        """With `take_all`, one verdict for all."""
        return Verdict(True, 1.0, 1.0, (), self.cost_usd_per_call) if self.take_all else None

    def decide(self, candidate: Candidate, features: FloatArray, account: Account) -> Verdict:
        """Score one candidate."""
        if self.take_all:
            return Verdict(True, 1.0, 1.0, (), self.cost_usd_per_call)
        moved, busy, distance, strength = features.tolist()
        side = candidate.side
        move = side * _clip(moved)
        participation = _clip(2.0 * math.log(busy)) if busy > 0.0 else 0.0
        trend = side * _clip(distance / 8.0)
        score = 1.5 * move * participation + 0.3 * trend * _clip(2.0 * strength) + self.bias
        confidence = 1.0 / (1.0 + math.exp(-score))
        flags = tuple(
            name
            for name, raised in (
                ("against the trend", trend < -0.5),
                ("thin volume", participation < -0.5),
                ("overstretched", abs(distance) > 12.0),
            )
            if raised
        )
        quality = 0.5 * (1.0 + min(abs(score), 1.0))
        taken = confidence >= self.min_confidence
        return Verdict(taken, confidence, quality, flags, self.cost_usd_per_call)


def _clip(value: float) -> float:
    """Clip to −1..1; what is not known (NaN) counts as 0."""
    return 0.0 if math.isnan(value) else max(-1.0, min(1.0, value))

"""The rules expert: a documented, deterministic judge, informative and imperfect."""

from __future__ import annotations

import math
from dataclasses import dataclass

from darwin.core.account import Account
from darwin.core.candidate import Candidate
from darwin.core.decision import Verdict
from darwin.core.market import FloatArray


@dataclass(frozen=True, slots=True)
class RulesDecider:
    """Weighs four things a discretionary trader would look at, and takes what scores enough.

    With s the side (+1 long, −1 short), all from bars up to the signal's close:

    * *move* m = s · clip((close − EMA20) / (2 ATR14), −1, 1): does the setup go with the last move?
    * *participation* p = clip(ln(volume EMA8 / volume EMA128), −1, 1): is the market busy?
    * *trend* t = s · clip((close − EMA100) / (5 ATR14), −1, 1)
    * *strength* a = clip((ADX14 − 20) / 20, −1, 1)

    score = 2.0·m·p + 0.3·t + 0.2·m·a, confidence = 1 / (1 + e^−score): a move on volume is
    expected to go on, a move without it to come back. It takes at `min_confidence` or above.
    `quality` is half of 1 + |score| clipped to 1. Missing volume counts as p = 0.
    """

    cost_usd_per_call: float = 0.01
    min_confidence: float = 0.5
    take_all: bool = False

    def __post_init__(self) -> None:
        if not (0.0 <= self.cost_usd_per_call < math.inf):
            raise ValueError(f"cost_usd_per_call must be 0 or more, not {self.cost_usd_per_call}")
        if not (0.0 <= self.min_confidence <= 1.0):
            raise ValueError(f"min_confidence must lie in 0..1, not {self.min_confidence}")

    @property
    def needs(self) -> tuple[str, ...]:
        """The columns the four things are made from."""
        if self.take_all:
            return ()
        return ("atr_14", "ema_20", "ema_100", "adx_14", "volume_ema_8", "volume_ema_128")

    @property
    def takes_everything(self) -> Verdict | None:
        """With `take_all`, one verdict for all."""
        return Verdict(True, 1.0, 1.0, (), self.cost_usd_per_call) if self.take_all else None

    def decide(self, candidate: Candidate, features: FloatArray, account: Account) -> Verdict:
        """Score one candidate."""
        if self.take_all:
            return Verdict(True, 1.0, 1.0, (), self.cost_usd_per_call)
        atr, ema20, ema100, adx, busy, usual = features.tolist()
        close, side = candidate.close, candidate.side
        move = side * _clip((close - ema20) / (2.0 * atr))
        trend = side * _clip((close - ema100) / (5.0 * atr))
        strength = _clip((adx - 20.0) / 20.0)
        participation = _clip(math.log(busy / usual)) if busy > 0.0 and usual > 0.0 else 0.0
        score = 2.0 * move * participation + 0.3 * trend + 0.2 * move * strength
        confidence = 1.0 / (1.0 + math.exp(-score))
        flags = tuple(
            name
            for name, raised in (
                ("against the trend", trend < -0.5),
                ("thin volume", participation < -0.5),
                ("overstretched", abs(close - ema20) > 4.0 * atr),
            )
            if raised
        )
        quality = 0.5 * (1.0 + min(abs(score), 1.0))
        taken = confidence >= self.min_confidence
        return Verdict(taken, confidence, quality, flags, self.cost_usd_per_call)


def _clip(value: float) -> float:
    """Clip to −1..1; what is not known (NaN) counts as 0."""
    if value != value:
        return 0.0
    return max(-1.0, min(1.0, value))

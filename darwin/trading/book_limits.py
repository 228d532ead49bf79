"""Hard limits of a book: what it may never hold, asked last, from configuration alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from darwin.core.agents import AGENT_CAP
from darwin.core.decision import Reason
from darwin.core.market import FloatArray

FALLEN, NOT_LARGER, WEIGHT, EXPOSURE = (
    "drawdown", "no larger position", "max weight", "max exposure",
)  # fmt: skip
"""What may cut a target, in the order in which they are asked; AGENT_CAP before the exposure."""
_ROUNDING = 1e-9
"""Sums of weights that are rounded to nine decimals pass a limit that they just reach."""


@dataclass(frozen=True, slots=True)
class BookLimits:
    """Fractions of the book's value; None switches a limit off."""

    max_weight: float | None = 1.0  # of one asset, long or short
    max_gross: float | None = 1.0  # of all of them together
    max_position_usd: float | None = None  # of one asset

    def within(
        self, target: FloatArray, held: FloatArray, equity_usd: float, objection: Reason | None,
        agents_most_usd: float = math.inf,
    ) -> tuple[FloatArray, str]:  # fmt: skip
        """The part of `target` (n,) that may be held, and the names of what cut it.

        `held` is what the book has now; `objection` is what forbids entries (`LossWatch`): after
        a drawdown, or where the account is halted, all becomes cash; after the loss of a day
        nothing may become larger. Where an agent acts no asset may be worth more than
        `agents_most_usd`.
        """
        cut: list[str] = []

        def take(after: FloatArray, name: str) -> FloatArray:
            if not np.array_equal(after, allowed):
                cut.append(name)
            return after

        allowed = np.asarray(target, dtype=np.float64)
        if objection in (Reason.DRAWDOWN, Reason.HALTED):
            allowed = take(np.zeros_like(allowed), FALLEN)
        elif objection is not None:
            most = np.where(allowed * held > 0.0, np.abs(held), 0.0)
            allowed = take(np.sign(allowed) * np.minimum(np.abs(allowed), most), NOT_LARGER)
        most_each = self._most_of_one(equity_usd)
        if most_each is not None:
            allowed = take(np.clip(allowed, -most_each, most_each), WEIGHT)
        if agents_most_usd < math.inf and equity_usd > 0.0:
            capped = agents_most_usd / equity_usd
            allowed = take(np.clip(allowed, -capped, capped), AGENT_CAP)
        gross = float(np.abs(allowed).sum())
        if self.max_gross is not None and gross > self.max_gross * (1.0 + _ROUNDING):
            allowed = take(allowed * (self.max_gross / gross), EXPOSURE)
        return allowed, ", ".join(cut)

    def _most_of_one(self, equity_usd: float) -> float | None:
        most = [] if self.max_weight is None else [self.max_weight]
        if self.max_position_usd is not None and equity_usd > 0.0:
            most.append(self.max_position_usd / equity_usd)
        return min(most, default=None)

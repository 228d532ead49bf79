"""What an agent of a book is paid for a step, and what it pays for risk and for trading."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from darwin.core.market import FloatArray


@dataclass(frozen=True, slots=True)
class Reward:
    """Return − volatility · σ − drawdown · beyond − cost · costs; each weight is a parameter."""

    volatility: float = 0.1  # weight of the standard deviation of the last steps' returns
    drawdown: float = 2.0  # weight of what the drawdown has beyond `drawdown_from`
    drawdown_from: float = 0.05
    cost: float = 10.0  # weight of costs over value, beside what they take from the return
    steps: int = 20  # over which the volatility is taken

    def pay(
        self, returns: FloatArray, volatility: FloatArray, drawdown: FloatArray, cost: FloatArray
    ) -> FloatArray:
        """Of books, all of shape (e,): net returns of the step, what came of it, costs over value.

        `drawdown` is value over its peak, minus 1.
        """
        beyond = np.maximum(-drawdown - self.drawdown_from, 0.0)
        paid: FloatArray = (
            returns - self.volatility * volatility - self.drawdown * beyond - self.cost * cost
        )
        return paid


RETURN_ALONE = Reward(volatility=0.0, drawdown=0.0, cost=0.0)
"""The net return of the step and nothing else, which the market agent is paid."""


def recent_volatility(recent: FloatArray, known: FloatArray) -> FloatArray:
    """Standard deviation of the returns in `recent` (e, steps), of which `known` (e,) are there.

    Those that are not there yet are 0 in `recent`. 0 for fewer than two.
    """
    count = np.maximum(known, 1.0)
    mean = recent.sum(axis=1) / count
    spread = np.square(recent).sum(axis=1) / count - mean * mean
    found: FloatArray = np.sqrt(np.maximum(spread, 0.0))
    return np.where(known >= 2.0, found, 0.0)

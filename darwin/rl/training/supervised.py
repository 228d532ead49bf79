"""A simple supervised learner on the same rows: what an agent must at least be as good as.

Ridge regression of what leaving the baseline is worth, on standardised observations, its penalty
chosen on validation. For sizes it is the regression of R.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darwin.core.market import FloatArray
from darwin.rl.training.gains import learned_gain
from darwin.rl.training.rows import Normaliser, Rows

PENALTIES = tuple(10.0**power for power in range(-1, 6))


@dataclass(frozen=True)
class Ridge:
    """E[advantage | observation] as a linear function."""

    normaliser: Normaliser
    coefficients: FloatArray  # (k + 1, actions or 1); the last row is the constant

    def advantage(self, observations: NDArray[np.float32]) -> FloatArray:
        """What each action is worth beyond the baseline, shape (n, actions); of sizes R, (n, 1)."""
        seen = self.normaliser(observations).astype(np.float64)
        given: FloatArray = seen @ self.coefficients[:-1] + self.coefficients[-1]
        return given


def fit(train: Rows, validation: Rows, normaliser: Normaliser, rate: float) -> Ridge:
    """Fit on `train`; the penalty is the one that gains most on `validation` at this `rate`."""
    seen = normaliser(train.observations).astype(np.float64)
    wanted = advantages(train)
    centre = wanted.mean(axis=0)
    gram, moment = seen.T @ seen, seen.T @ (wanted - centre)
    best: tuple[float, Ridge] | None = None
    for penalty in PENALTIES:
        slope = np.linalg.solve(gram + penalty * np.eye(len(gram)), moment)
        one = Ridge(normaliser, np.vstack([slope, centre - seen.mean(axis=0) @ slope]))
        gain = learned_gain(validation, act(one, validation, rate))
        if best is None or gain > best[0]:
            best = gain, one
    assert best is not None
    return best[1]


def advantages(rows: Rows) -> FloatArray:
    """What each action earned beyond the baseline, shape (n, actions); of sizes R, (n, 1)."""
    if rows.page.is_continuous:
        return rows.r[:, None]
    base = rows.rewards[:, int(rows.page.baseline)]
    return rows.rewards - base[:, None]


def act(ridge: Ridge, rows: Rows, rate: float) -> FloatArray:
    """Leave the baseline where that looks best, at this `rate` of the rows."""
    return leave_at_rate(rows, ridge.advantage(rows.observations), rate)


def leave_at_rate(rows: Rows, advantage: FloatArray, rate: float) -> FloatArray:
    """Actions of who expects `advantage`, shape (n, actions) or (n, 1), leaving at `rate`.

    Sizes are the rank of what is expected, so their mean is one half.
    """
    page = rows.page
    if page.is_continuous:
        rank = np.argsort(np.argsort(advantage[:, 0], kind="stable"), kind="stable")
        return (rank + 0.5) / len(rank)
    base = int(page.baseline)
    others = [code for code in range(len(page.actions)) if code != base]
    best = np.array(others)[advantage[:, others].argmax(axis=1)]
    worth = advantage[np.arange(len(rows)), best]
    leave = worth >= np.quantile(worth, 1.0 - rate)
    return np.where(leave, best, base).astype(np.float64)

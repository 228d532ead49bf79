"""Positions on recorded experiences: a world of training in which no prices are known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from darwin.allocation.experiences import Experiences
from darwin.allocation.reward import Reward
from darwin.core.market import BoolArray, FloatArray, IntArray
from darwin.errors import DataError
from darwin.rl.training.book_ground import TrainedPage
from darwin.rl.training.book_world import AS_PAID, LENGTH, Bent, Made, SideBySide
from darwin.rl.training.rows import Normaliser


class RecordedWorld(SideBySide):
    """Any number of positions side by side, each on the decisions of one recorded run.

    A position that is kept is brought back to its whole weight at each decision without cost; a
    change costs |new − old| times the rate. The last decision of a run is only looked at.
    """

    def __init__(
        self,
        page: TrainedPage,
        told: Experiences,
        normaliser: Normaliser,
        reward: Reward,
        cost_rate: float,
        size: int,
        *,
        length: int = LENGTH,
        seed: int = 0,
        bent: Bent = AS_PAID,
    ) -> None:
        """Run `size` positions over `told`."""
        k = len(page.names) - len(page.scales)
        self._told, self._cost_rate = told, cost_rate
        away = (told.observations[:, :k] - normaliser.mean[:k]) / normaliser.sd[:k]
        self._seen = away.astype(np.float32)
        self._calm = ~normaliser.is_strange(
            np.hstack([told.observations[:, :k], np.zeros((len(told), len(page.scales)))])
        )
        self._flat = np.zeros(page.assets)
        self._codes = page.targets(np.arange(page.outputs, dtype=np.float64))[:, 0]
        self._last, self._firsts = told.last_of_run, np.flatnonzero(~told.ends)
        if not len(self._firsts):
            raise DataError(
                "every run of these experiences is a single decision",
                mend="record longer runs: a position is worth what follows it",
            )
        super().__init__(page, reward, size, length, seed, bent)

    @property
    def _baseline(self) -> FloatArray:
        return self._flat

    def _asked(self, at: IntArray) -> BoolArray:
        return self._calm[at]

    def _market(self, at: IntArray) -> NDArray[np.float32]:
        return self._seen[at]

    def _hold(self, at: IntArray, held: FloatArray, targets: FloatArray) -> Made:
        code = np.abs(targets - self._codes).argmin(axis=1)
        turnover = np.abs(targets - held).sum(axis=1)
        cost = np.minimum(self._cost_rate * turnover, 1.0)
        growth = np.maximum((1.0 - cost) * (1.0 + self._told.earned[at, code]), 0.0)
        return Made(growth, np.where(growth[:, None] > 0.0, targets, 0.0), turnover, cost)

    def _next(self, at: IntArray) -> IntArray:
        return at + 1

    def _places(self, count: int) -> tuple[IntArray, IntArray]:
        first = self._firsts[self._rng.integers(0, len(self._firsts), count)]
        return first, self._last[first]

"""Experiences: decisions of a recorded run, with what each action would have earned.

A run in which an agent only watches knows what became of the market after each decision, and
therefore what every action would have earned, not only the one that stood. From experiences an
agent of a book with codes learns without prices: the replay buffer is one of its providers.

What they do not hold is the book of the learner. Two things follow. What `earned` says is before
the cost of changing a position, which hangs on the position before: whoever replays experiences
charges |new − old| · cost himself, and so the order of decisions matters. And the columns of the
observation that describe the book are those of the recorded run: whoever replays writes his own
over them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darwin.core.market import BoolArray, FloatArray, IntArray
from darwin.errors import DataError


@dataclass(frozen=True)
class Experiences:
    """Decisions in the order of time, of one run after another."""

    schema: str  # of the page that saw them
    observations: NDArray[np.float32]  # (m, k), as the agent saw them
    earned: FloatArray  # (m, actions): return of the book under each, before costs of a change
    ends: BoolArray  # (m,): nothing of the same run follows
    time: IntArray  # (m,): close of the bar of each decision, ms UTC

    def __post_init__(self) -> None:
        """Refuse what does not fit together. Raises DataError."""
        m = len(self.observations)
        shapes = (self.earned.shape[:1], self.ends.shape, self.time.shape)
        if m == 0 or any(shape != (m,) for shape in shapes) or self.observations.ndim != 2:
            raise DataError(
                f"experiences of {m} observations, {len(self.earned)} outcomes, {len(self.ends)}"
                " ends",
                mend="give one row of each for every decision, and one decision at least",
            )
        if not (np.isfinite(self.earned).all() and np.isfinite(self.observations).all()):
            raise DataError(
                "experiences hold NaN or infinity",
                mend="leave out decisions whose outcome is not known, and end the run before them",
            )
        if not bool(self.ends[-1]):
            raise DataError("the last experience ends no run", mend="mark it as the end of one")

    def __len__(self) -> int:
        return len(self.observations)

    @property
    def last_of_run(self) -> IntArray:
        """Of each decision the row of the last one of its run, shape (m,)."""
        last = np.flatnonzero(self.ends)
        return last[np.searchsorted(last, np.arange(len(self)))]

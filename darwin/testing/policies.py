"""Policies that misbehave, each in one way, and one that never changes its mind.

All implement `core.ports.Policy`, and a config can name all but `Slow`. Only the last two look at
what they are shown.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from darwin.core.agents import KEEP, META_LEARNER, TO_SKIP, TO_TAKE, Advice
from darwin.rl.agents.pages import PAGES


class Blind:
    """Knows nothing of training: no finite row is strange to it."""

    def strangeness(self, observation: NDArray[np.float32]) -> float:
        """0 for a finite row, NaN for any other."""
        return 0.0 if bool(np.isfinite(observation).all()) else math.nan


@dataclass(frozen=True)
class Constant(Blind):
    """Always the same action: AlwaysPass is Constant(PASS)."""

    action: float
    probability: float | None = 1.0

    def advise(self, observation: NDArray[np.float32]) -> Advice:
        """That action."""
        return Advice(self.action, self.probability)


class FellOverError(RuntimeError):
    """What `Raising` raises."""

    def __init__(self) -> None:
        super().__init__("the model fell over")


@dataclass(frozen=True)
class Raising(Blind):
    """Raises at every call."""

    error: Callable[[], Exception] = (
        FellOverError  # of a plain name: a rule is known by its parameters
    )

    def advise(self, observation: NDArray[np.float32]) -> Advice:
        """Raise."""
        raise self.error()


class NotANumber(Blind):
    """Advises NaN."""

    def advise(self, observation: NDArray[np.float32]) -> Advice:
        """NaN, with NaN for its probability."""
        return Advice(math.nan, math.nan)


@dataclass(frozen=True)
class WrongShape(Blind):
    """Gives something else than advice: by default an array of two logits."""

    given: Any = (0.5, -0.5)

    def advise(self, observation: NDArray[np.float32]) -> Advice:
        """No advice at all, whatever the signature says."""
        given = np.array(self.given) if isinstance(self.given, tuple) else self.given
        return cast(Advice, given)


@dataclass(frozen=True)
class Illegal(Blind):
    """A finite action that no agent may do."""

    action: float = 7.0

    def advise(self, observation: NDArray[np.float32]) -> Advice:
        """That action, with all confidence."""
        return Advice(self.action, 1.0)


class Stopwatch:
    """A clock that stands still until somebody takes time; calling it gives nanoseconds."""

    def __init__(self) -> None:
        """Start at 0."""
        self.now_ns = 0

    def __call__(self) -> int:
        """The time, in ns."""
        return self.now_ns

    def advance(self, ms: float) -> None:
        """Let `ms` go by."""
        self.now_ns += round(ms * 1e6)


@dataclass(frozen=True)
class Slow(Blind):
    """Takes `ms` on `clock` for every answer."""

    clock: Stopwatch
    ms: float = 80.0
    action: float = 1.0

    def advise(self, observation: NDArray[np.float32]) -> Advice:
        """Let time go by, then answer."""
        self.clock.advance(self.ms)
        return Advice(self.action, 1.0)


@dataclass(frozen=True)
class Contrary(Blind):
    """A meta-learner that wants to set aside one verdict in `one_in`, by chance; at 1 all."""

    one_in: int = 1

    def __post_init__(self) -> None:
        if self.one_in < 1:
            raise ValueError(f"one_in must be 1 or more, not {self.one_in}")

    def advise(self, observation: NDArray[np.float32]) -> Advice:
        """The opposite of what the expert said, or nothing of one's own."""
        if _drawn(observation) % self.one_in:
            return Advice(KEEP, 1.0)
        take = observation[PAGES[META_LEARNER].place("verdict_take")] > 0.0
        return Advice(TO_SKIP if take else TO_TAKE, 1.0)


@dataclass(frozen=True)
class Extreme(Blind):
    """Goes from one extreme to the other, by chance."""

    one: float
    other: float

    def advise(self, observation: NDArray[np.float32]) -> Advice:
        """One of the two, with all confidence."""
        return Advice(self.other if _drawn(observation) % 2 else self.one, 1.0)


def _drawn(observation: NDArray[np.float32]) -> int:
    """A number that hangs on every bit of a row, and on nothing else."""
    return zlib.crc32(observation.tobytes())

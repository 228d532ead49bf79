"""Policies that misbehave, each in one way, and one that never changes its mind.

All implement `core.ports.Policy`; none looks at what it is shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from darwin.core.agents import Advice


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


@dataclass(frozen=True)
class Raising(Blind):
    """Raises at every call."""

    error: Callable[[], Exception] = lambda: RuntimeError("the model fell over")

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

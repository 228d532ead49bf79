"""How often the meta-learner may set the expert aside, and when it wants to far too often."""

from __future__ import annotations

from collections import deque
from fractions import Fraction

from darwin.core.market import HOUR_MS
from darwin.errors import ConfigError

STORM = "override_storm"
"""Kind of the safety event that says that far too many overrides were asked for."""

WINDOW_MS = HOUR_MS
WINDOW_DECISIONS = 50
"""The window holds the decisions of the last hour or so many, whichever are more."""

ENOUGH = 20
"""From so many decisions on the window tells a rate."""


class OverrideLimit:
    """The window of the meta-learner's decisions with inference, whatever became of them.

    Asked before each requested override and told of each decision, in the order of time; should a
    time go back, it counts as the latest one heard of.
    """

    __slots__ = (
        "_early", "_now_ms", "_per", "_requested", "_share", "_standing", "_window",
    )  # fmt: skip

    def __init__(self, max_override_rate: float) -> None:
        """Start with an empty window. Raises ConfigError for a rate outside 0..1."""
        if not 0.0 <= max_override_rate <= 1.0:
            raise ConfigError(
                f"max_override_rate is {max_override_rate}, which is no share",
                where="rl.max_override_rate",
                mend="set it to a number from 0 to 1",
            )
        # As written: 0.2 is a fifth, though the float is a little more than that.
        rate = Fraction(repr(float(max_override_rate)))
        self._share, self._per = rate.numerator, rate.denominator
        self._early = ENOUGH * self._share // self._per
        self._window: deque[tuple[int, bool, bool]] = deque()  # (time, requested, stood)
        self._requested = self._standing = 0
        self._now_ms = 0

    def permits(self, now_ms: int) -> bool:
        """Say whether one more override may stand at `now_ms`."""
        self._advance(now_ms)
        total, standing = len(self._window), self._standing + 1
        if total < ENOUGH:
            return standing <= self._early
        return standing * self._per <= self._share * (total + 1)

    def record(self, now_ms: int, requested: bool, stood: bool) -> None:
        """Count a decision: whether an override was `requested`, and if so, whether it `stood`."""
        self._window.append((max(now_ms, self._now_ms), requested, stood))
        self._requested += requested
        self._standing += stood
        self._advance(now_ms)

    @property
    def storm(self) -> bool:
        """Whether more than half of the decisions asked for an override: the breaker's business."""
        total = len(self._window)
        return total >= ENOUGH and 2 * self._requested > total

    @property
    def words(self) -> str:
        """What the window holds, for people."""
        return (
            f"{self._requested} of the last {len(self._window)} decisions"
            f" asked for an override, {self._standing} stood"
        )

    def _advance(self, now_ms: int) -> None:
        self._now_ms = max(now_ms, self._now_ms)
        window, over = self._window, self._now_ms - WINDOW_MS
        while len(window) > WINDOW_DECISIONS and window[0][0] <= over:
            _, requested, stood = window.popleft()
            self._requested -= requested
            self._standing -= stood

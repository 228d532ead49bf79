"""One moment by which all is over: waiting, connecting, sending, each byte that comes."""

from __future__ import annotations

from darwin.deciders.llm.pacing import Clock

LONGEST_S = 3600.0


class Deadline:
    """The end of one question, `seconds` from now; no more than an hour."""

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._clock = clock
        self._end = clock() + (min(seconds, LONGEST_S) if seconds > 0 else 0.0)  # NaN: now

    def left_s(self) -> float:
        """What is left of it; 0 or less: it is over."""
        return self._end - self._clock()

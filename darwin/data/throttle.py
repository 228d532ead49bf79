"""A sliding window of requests: who would send too many waits, nobody is refused."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Lock

MINUTE_S = 60.0


class Window:
    """At most `most` passes in any `span_s` seconds; callers in several threads queue."""

    def __init__(
        self,
        most: int,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        span_s: float = MINUTE_S,
    ) -> None:
        self._most, self._span_s = most, span_s
        self._clock, self._sleep = clock, sleep
        self._passed: deque[float] = deque()
        self._queue = Lock()

    def wait(self) -> None:
        """Return once one more may pass, and count it."""
        with self._queue:
            while len(self._passed) >= self._most:
                left_s = self._passed[0] + self._span_s - self._clock()
                if left_s > 0.0:
                    self._sleep(left_s)
                else:
                    self._passed.popleft()
            self._passed.append(self._clock())

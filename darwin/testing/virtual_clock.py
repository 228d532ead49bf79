"""A clock that runs faster than time, or only when it is set."""

from __future__ import annotations

import time
from threading import Lock


class VirtualClock:
    """Says `start_ms` at first, then goes on `speed` times as fast as time; 0: it stands still.

    By itself it never goes beyond `end_ms`; it may be set to later.
    """

    def __init__(self, start_ms: int, speed: float = 0.0, end_ms: int | None = None) -> None:
        self._speed, self._end_ms, self._lock = speed, end_ms, Lock()
        self._base_ms, self._since = start_ms, time.monotonic()

    @property
    def now_ms(self) -> int:
        """The virtual time, ms."""
        with self._lock:
            passed_s = time.monotonic() - self._since
            now_ms = self._base_ms + int(passed_s * self._speed * 1000)
            if self._end_ms is None:
                return now_ms
            return min(now_ms, max(self._base_ms, self._end_ms))

    @now_ms.setter
    def now_ms(self, value: int) -> None:
        """Set it; it goes on from there."""
        with self._lock:
            self._base_ms, self._since = value, time.monotonic()

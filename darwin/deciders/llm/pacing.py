"""When a model may be asked: not too often, and not while its server only fails.

Both take time from a clock that they are given, in seconds from any origin, never going back, and
may be used by any number of threads. Neither remembers anything beyond the process: after a
restart the rate begins anew and the breaker is closed.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

Clock = Callable[[], float]
Sleep = Callable[[float], None]

_MINUTE_S = 60.0


class RateLimit:
    """At most so many requests begin in any minute: a sliding window, kept by slots given out.

    Each request is given the earliest moment at which the window has room, and sleeps until then.
    """

    def __init__(
        self, per_minute: int, *, clock: Clock = time.monotonic, sleep: Sleep = time.sleep
    ) -> None:
        if per_minute < 1:
            raise ValueError(f"per_minute must be at least 1, not {per_minute}")
        self._slots: deque[float] = deque(maxlen=per_minute)
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()

    def wait(self, at_most_s: float) -> bool:
        """Sleep until a request may begin; False, at once and without a slot, where that is late.

        Late is what lies `at_most_s` from now or further.
        """
        with self._lock:
            now = self._clock()
            full = len(self._slots) == self._slots.maxlen
            slot = max(now, self._slots[0] + _MINUTE_S) if full else now
            if not (slot == now or slot - now < at_most_s):
                return False
            self._slots.append(slot)
        if slot > now:
            self._sleep(slot - now)
        return True

    def room_in_s(self) -> float:
        """How long until the window has room; 0.0: it has."""
        with self._lock:
            if len(self._slots) < (self._slots.maxlen or 0):
                return 0.0
            return max(0.0, self._slots[0] + _MINUTE_S - self._clock())


class Breaker:
    """Keeps requests off a server that only fails, and lets one probe through now and then.

    `failures` in a row open it for `open_s`, doubled each time that a probe fails, up to
    `max_open_s`; one probe that goes well closes it. Who was admitted reports exactly once, by
    `succeeded`, `failed` or `abandoned`. An agent's breaker (`safety.breaker`) is another thing: it
    lives on the run's clock and is recorded, and this one decides nothing but whether to ask.
    """

    def __init__(
        self,
        failures: int = 5,
        open_s: float = 30.0,
        max_open_s: float = 3600.0,
        *,
        clock: Clock = time.monotonic,
    ) -> None:
        if failures < 1:
            raise ValueError(f"failures must be at least 1, not {failures}")
        if not (0.0 < open_s <= max_open_s < float("inf")):
            raise ValueError(f"open_s must lie above 0, to {max_open_s}, not {open_s}")
        self._most, self._first_s, self._longest_s = failures, open_s, max_open_s
        self._clock = clock
        self._lock = threading.Lock()
        self._in_a_row = 0
        self._open_s = 0.0  # how long it was last opened for; 0: it is closed
        self._until = 0.0
        self._probing = False

    def admits(self) -> bool:
        """Whether one may ask now. Once its time is over, the first to want it gets the probe."""
        with self._lock:
            if not self._open_s:
                return True
            if self._probing or self._clock() < self._until:
                return False
            self._probing = True
            return True

    @property
    def is_open(self) -> bool:
        """Whether the server has failed too often and no probe has gone well since."""
        with self._lock:
            return self._open_s > 0.0

    def probe_in_s(self) -> float:
        """How long until a probe may be made; 0.0: now, or nothing need be probed."""
        with self._lock:
            return max(0.0, self._until - self._clock()) if self._open_s else 0.0

    def succeeded(self) -> None:
        """A reply came."""
        with self._lock:
            if self._open_s and not self._probing:
                return  # it was let through before the others failed
            self._in_a_row, self._open_s, self._probing = 0, 0.0, False

    def failed(self) -> None:
        """No reply came, or none that could be used."""
        with self._lock:
            if self._open_s and not self._probing:
                return
            self._in_a_row += 1
            if self._probing or self._in_a_row >= self._most:
                self._open_s = min(2 * self._open_s or self._first_s, self._longest_s)
                self._until = self._clock() + self._open_s
                self._probing = False

    def abandoned(self) -> None:
        """The server was not asked after all."""
        with self._lock:
            self._probing = False

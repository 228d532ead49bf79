"""What Prometheus scrapes: gauges and counters read from the record, and how the service fares.

All figures come from the database at the time of a scrape, at most `FRESH_S` old; the service adds
nothing to them but how long its requests took. Labels are bounded: agents, kinds, states, and of
the runs the latest `snapshot.LATEST_RUNS` alone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import lru_cache

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from darwin.errors import DarwinError
from darwin.service.place import Place
from darwin.service.snapshot import Figures

FRESH_S = 5.0
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The metrics of one deployment. Any number of threads may ask."""

    def __init__(self, place: Place) -> None:
        """Nothing is read before the first scrape."""
        self.registry = CollectorRegistry()
        self.registry.register(_Record(place))
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._requests = Histogram(
            "darwin_http_request_duration_seconds",
            "How long requests took.",
            ("method", "route", "status"),
            buckets=_BUCKETS,
            registry=self.registry,
        )

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Note a request that was answered.

        `route` is the pattern, as `/runs/{run_id}`, never the path that was asked for: of those
        there are any number.
        """
        self._requests.labels(method, route, str(status)).observe(seconds)

    def exposition(self) -> bytes:
        """All of it as text, of `CONTENT_TYPE`; a database that cannot be read is a figure too."""
        return generate_latest(self.registry)


@lru_cache(maxsize=8)
def metrics_of(place: Place) -> Metrics:
    """The metrics of a deployment: one object in a process, however often it is asked for."""
    return Metrics(place)


def exposition(place: Place) -> bytes:
    """What `/metrics` answers."""
    return metrics_of(place).exposition()


class _Record(Collector):
    """Reads the record when it is asked, and not again for some seconds."""

    def __init__(self, place: Place) -> None:
        self._figures = Figures(place)
        self._lock = threading.Lock()
        self._kept: list[Metric] = []
        self._stale_at = 0.0

    def describe(self) -> list[Metric]:
        """None: registering must not read a database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Metric by metric."""
        with self._lock:
            if time.monotonic() >= self._stale_at:
                self._kept = self._read()
                self._stale_at = time.monotonic() + FRESH_S
            kept = list(self._kept)
        yield from kept

    def _read(self) -> list[Metric]:
        try:
            found, sound = list(self._figures.families()), 1.0
        except (DarwinError, OSError):
            found, sound = [], 0.0  # the log of the service says what it was
        help_text = "1 where the record can be read and holds what was written, else 0."
        return [GaugeMetricFamily("darwin_record_readable", help_text, sound), *found]

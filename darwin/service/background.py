"""What the service does without being asked: each worker ticks in a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from darwin.service.place import now

_LOG = logging.getLogger(__name__)


class Ticker(Protocol):
    """Something that is to be looked after every few seconds."""

    def tick(self, now: datetime) -> Any:
        """Do what is due; what it raises is logged and counted, and it is asked again."""
        ...


@dataclass(slots=True)
class Chore:
    """A ticker, what it is called, and how often it ticks."""

    name: str
    ticker: Ticker
    every_s: float
    ticks: int = 0
    faults: int = 0
    last_fault: str = ""


class Background:
    """Runs chores until it is stopped; a chore that fails keeps neither itself nor another."""

    def __init__(self, chores: Sequence[Chore]) -> None:
        self.chores = tuple(chores)
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin."""
        for chore in self.chores:
            thread = threading.Thread(
                target=self._work, args=(chore,), name=chore.name, daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def stop(self, wait_s: float = 3.0) -> None:
        """Begin nothing more, and wait a moment for what goes on."""
        self._over.set()
        for thread in self._threads:
            thread.join(wait_s)

    def _work(self, chore: Chore) -> None:
        while not self._over.is_set():
            try:
                chore.ticker.tick(now())
                chore.last_fault = ""
            except Exception as fault:  # noqa: BLE001  a chore ends neither itself nor the service
                chore.faults += 1
                if str(fault) != chore.last_fault:  # the same is told once
                    chore.last_fault = str(fault)
                    _LOG.exception("%s failed, and goes on", chore.name)
            chore.ticks += 1
            self._over.wait(chore.every_s)

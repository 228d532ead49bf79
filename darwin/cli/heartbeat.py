"""A small file that says a run on paper is alive, how far it is and what it waits for."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from darwin.engine.gathering import Gathering
    from darwin.engine.live import Live

HEARTBEAT = "heartbeat.json"
_BEAT_S = 1.0  # between two heartbeats, at least


class Heartbeat:
    """Writes it beside the files of the run."""

    def __init__(self, folder: Path, timeline: Live, symbols: tuple[str, ...]) -> None:
        """Write nothing yet; `symbols` are the names of those that a gathering numbers."""
        self._path, self._timeline, self._symbols = folder / HEARTBEAT, timeline, symbols
        self._next = 0.0

    def tell(
        self, state: str, gathering: Gathering, left_out: int, *, at_once: bool = False
    ) -> None:
        """Write it, at most once a second unless `at_once`; a disk that refuses stops nothing."""
        from contextlib import suppress
        from datetime import UTC, datetime

        from darwin.engine.report_words import iso
        from darwin.errors import StorageError
        from darwin.report.files import json_text, write_text
        from darwin.store.runs import iso_time

        if not at_once and time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _BEAT_S
        told = {
            "at": iso_time(datetime.now(UTC)),
            "state": state,
            "last_bar": None if gathering.fed is None else iso(gathering.fed),
            "bars": self._timeline.bars,
            "trades": self._timeline.trades,
            "waits_for": [self._symbols[number] for number in gathering.held_for],
            "goes_on_without": [self._symbols[number] for number in gathering.missing],
            "bars_that_came_too_late": left_out,
        }
        with suppress(StorageError):
            write_text(self._path, json_text(told))

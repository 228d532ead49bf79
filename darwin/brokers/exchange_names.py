"""Client order ids: an intent always bears the same one, so that it never becomes two orders."""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

from darwin.core.candidate import id_text

ENTRY, STOP, TARGET, CLOSE = "entry", "stop", "target", "close"
"""What an order is for."""

_SHAPE = re.compile(r"([0-9a-f]{8})-([0-9a-f]{16})-(entry|stop|target|close)-([1-9][0-9]?)")


class Name(NamedTuple):
    """A client order id, taken apart."""

    candidate_id: int
    purpose: str
    number: int  # 1, and one more for each that came in place of one that is over


class Names:
    """The client order ids of one run; at most 36 characters, which every big venue takes."""

    def __init__(self, run_id: str) -> None:
        """Name orders of the run `run_id`."""
        self._run = hashlib.sha256(run_id.encode()).hexdigest()[:8]

    def of(self, candidate_id: int, purpose: str, number: int = 1) -> str:
        """The id of an order: of run, candidate, purpose and number alone."""
        return f"{self._run}-{id_text(candidate_id)}-{purpose}-{number}"

    def read(self, client_id: str) -> Name | None:
        """What an order of this run is; None where it is none."""
        match = _SHAPE.fullmatch(client_id)
        if match is None or match[1] != self._run:
            return None
        return Name(int(match[2], 16), match[3], int(match[4]))

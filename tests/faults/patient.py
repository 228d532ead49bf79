"""An expert that can be told to wait, so that something may happen to its run meanwhile."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from darwin.core.account import Account
from darwin.core.candidate import Candidate
from darwin.core.decision import Verdict
from darwin.core.market import FloatArray
from darwin.deciders.rules import RulesDecider

GO, WAITING = Path("go"), Path("waiting")
_WAITS_AT = 120  # a row in the middle of the run


@dataclass(frozen=True)
class Patient(RulesDecider):
    """The rules expert; in the middle of a run it waits until there is a file called `go`."""

    def decide(self, candidate: Candidate, features: FloatArray, account: Account) -> Verdict:
        """Judge one candidate."""
        if candidate.row == _WAITS_AT:
            WAITING.touch()
            while not GO.exists():
                time.sleep(0.01)
        return super().decide(candidate, features, account)

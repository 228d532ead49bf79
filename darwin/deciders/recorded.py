"""The recorded expert: gives the verdicts of an earlier run again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from darwin.core.account import Account
from darwin.core.candidate import Candidate, id_text
from darwin.core.decision import Verdict
from darwin.core.market import FloatArray
from darwin.errors import DataError


@dataclass(frozen=True, slots=True)
class RecordedDecider:
    """Looks up what run `run_id` heard about the same candidate, costs included.

    `unknown` says what happens to a candidate that the earlier run never asked about: `refuse`
    stops the run (DataError), `skip` skips it at no cost. `verdicts` is handed in, by candidate id.
    """

    asks_nobody: ClassVar[bool] = True  # so that twins of a run may ask it anew

    run_id: str
    unknown: str = "refuse"
    verdicts: Mapping[int, Verdict] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.unknown not in ("refuse", "skip"):
            raise ValueError(f"unknown must be 'refuse' or 'skip', not '{self.unknown}'")

    @property
    def needs(self) -> tuple[str, ...]:
        """Nothing: the candidate's id is enough."""
        return ()

    @property
    def takes_everything(self) -> Verdict | None:
        """Never promised."""
        return None

    def decide(self, candidate: Candidate, features: FloatArray, account: Account) -> Verdict:
        """Repeat the earlier verdict."""
        verdict = self.verdicts.get(candidate.id)
        if verdict is not None:
            return verdict
        if self.unknown == "skip":
            return Verdict(False, 0.0, 0.0, ("not recorded",), 0.0)
        raise DataError(
            f"run '{self.run_id}' recorded no verdict on candidate {id_text(candidate.id)}",
            where="decider.run_id",
            mend="name a run over the same bars and playbooks, or set decider.unknown to 'skip'",
        )

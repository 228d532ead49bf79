"""Where questions are taken to: a desk tells what a model answers, or answered once."""

from __future__ import annotations

from typing import Protocol

from darwin.core.candidate import id_text
from darwin.core.expert import Asked
from darwin.deciders.llm.prompt import Prompt
from darwin.errors import DataError


class Desk(Protocol):
    """Asked once about each candidate of a run."""

    def told(self, candidate_id: int, prompt: Prompt) -> Asked:
        """What came of asking about that candidate; a failure is an answer here.

        Raises DataError where nobody may be asked and nothing is on record.
        """
        ...


class Closed:
    """A desk without a record and without a model. Implements `Desk`."""

    def told(self, candidate_id: int, prompt: Prompt) -> Asked:
        """Nothing."""
        raise DataError(
            f"no answer about candidate {id_text(candidate_id)} is on record",
            mend="a model is asked by `darwin run` alone",
        )

"""Inputs that are on record, to be fed again."""

from __future__ import annotations

from collections.abc import Iterable

from darwin.core.facts import Input, Subject


class Journaled:
    """The inputs that a run has recorded, each before the decision it had come before.

    Implements `core.ports.Inputs`.
    """

    def __init__(self, inputs: Iterable[Input]) -> None:
        self._before: dict[int, list[Input]] = {}
        for one in inputs:
            self._before.setdefault(one.candidate_id, []).append(one)

    def before(self, candidate: Subject) -> list[Input]:
        """What took effect from the decision on this candidate on."""
        found = self._before.pop(candidate.id, ()) if self._before else ()
        return [one._replace(row=candidate.row) for one in found]

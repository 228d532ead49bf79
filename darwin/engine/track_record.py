"""How well the expert has judged of late: what agents see of it, and nothing else reads."""

from __future__ import annotations

import math
from collections import deque

from darwin.core.candidate import Candidate

RECENT = 50
"""Verdicts whose outcome is known that count, the latest ones."""
PRIOR = 10
"""Verdicts that count as half right before any outcome is known."""


class _Recent:
    """The share of right ones among the last verdicts."""

    __slots__ = ("_right", "_sum")

    def __init__(self) -> None:
        self._right: deque[bool] = deque()
        self._sum = 0

    def add(self, right: bool) -> None:
        self._right.append(right)
        self._sum += right
        if len(self._right) > RECENT:
            self._sum -= self._right.popleft()

    @property
    def accuracy(self) -> float:
        return (self._sum + 0.5 * PRIOR) / (len(self._right) + PRIOR)


class TrackRecord:
    """The fold of verdicts and outcomes into accuracies, by playbook and by symbol.

    A take was right if its R is above zero, a skip if it is not.
    """

    def __init__(self) -> None:
        """Nothing is known yet: every accuracy is one half."""
        self._waiting: dict[int, tuple[int, int, bool]] = {}  # by row: playbook, symbol, take
        self._by_playbook: dict[int, _Recent] = {}
        self._by_symbol: dict[int, _Recent] = {}

    def note(self, candidate: Candidate, take: bool) -> None:
        """Remember a verdict until its outcome is known."""
        self._waiting[candidate.row] = (candidate.playbook, candidate.symbol, take)

    def settle(self, row: int, r: float) -> None:
        """Learn the outcome of candidate `row`; NaN where there is none, which counts nowhere.

        Outcomes of one instant come in the order of their candidates.
        """
        known = self._waiting.pop(row, None)
        if known is None or math.isnan(r):
            return
        playbook, symbol, take = known
        right = take == (r > 0.0)
        self._by_playbook.setdefault(playbook, _Recent()).add(right)
        self._by_symbol.setdefault(symbol, _Recent()).add(right)

    def accuracies(self, candidate: Candidate) -> tuple[float, float]:
        """The expert's accuracy on the candidate's playbook and on its symbol, each 0..1."""
        of_playbook = self._by_playbook.get(candidate.playbook)
        of_symbol = self._by_symbol.get(candidate.symbol)
        return (
            0.5 if of_playbook is None else of_playbook.accuracy,
            0.5 if of_symbol is None else of_symbol.accuracy,
        )

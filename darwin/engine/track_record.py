"""How well the expert has judged of late, as agents see it, and as it may see it itself."""

from __future__ import annotations

import math
from collections import deque

from darwin.core.candidate import Candidate
from darwin.core.decision import Verdict
from darwin.core.expert import Judged, Record, Tally

RECENT = 50
"""Verdicts whose outcome is known that count, the latest ones."""
PRIOR = 10
"""Verdicts that count as half right before any outcome is known."""
LAST = 5
"""Verdicts that an expert is shown one by one."""


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


class OwnRecord:
    """The fold of verdicts and outcomes that a `core.ports.Remembering` expert is shown.

    Verdicts that failed count nowhere.
    """

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._waiting: dict[int, tuple[int, int, Verdict]] = {}  # by row: playbook, symbol
        self._by_playbook: dict[int, Tally] = {}
        self._by_symbol: dict[int, Tally] = {}

    def note(self, candidate: Candidate, verdict: Verdict) -> None:
        """Remember a verdict until its outcome is known."""
        if not verdict.failed:
            self._waiting[candidate.row] = (candidate.playbook, candidate.symbol, verdict)

    def settle(self, row: int, r: float) -> None:
        """Learn the outcome of candidate `row`; NaN where there is none, which counts nowhere."""
        known = self._waiting.pop(row, None)
        if known is None or math.isnan(r):
            return
        playbook, symbol, verdict = known
        for tallies, code in ((self._by_playbook, playbook), (self._by_symbol, symbol)):
            tallies[code] = _with(tallies.get(code, Tally()), verdict, r)

    def about(self, candidate: Candidate) -> Record:
        """What is known of earlier verdicts on the candidate's playbook and on its symbol."""
        return Record(
            self._by_playbook.get(candidate.playbook, Tally()),
            self._by_symbol.get(candidate.symbol, Tally()),
        )


def _with(tally: Tally, verdict: Verdict, r: float) -> Tally:
    judged = Judged(verdict.take, verdict.confidence, verdict.risk_flags, r)
    return Tally(
        tally.asked + 1,
        tally.right + (verdict.take == (r > 0.0)),
        tally.takes + verdict.take,
        tally.sum_r_of_takes + (r if verdict.take else 0.0),
        (*tally.last, judged)[-LAST:],
        tally.sum_r_of_skips + (0.0 if verdict.take else r),
    )

"""How often the expert had lately been right, folded a second time from verdicts and outcomes."""

from __future__ import annotations

from collections import defaultdict, deque

import numpy as np

from darwin.core.market import FloatArray
from darwin.rl.training.canaries.told import Told

_RECENT = 50  # verdicts with a known outcome that count
_HALF_RIGHT = 10  # that are there from the beginning


def accuracies(told: Told) -> tuple[FloatArray, FloatArray]:
    """By playbook and by symbol, as known when each of the run's rows was decided, (m,) each.

    An outcome is known once the bar in which it ended has closed; a take was right if R > 0, a skip
    if not, and what was never entered counts nowhere.
    """
    asked = told.asked.select(
        "candidate_id", "playbook", "symbol", "bar_time", "take", "exit_time", "r"
    ).rows()
    ended = sorted(
        (exit_time, at, [f"playbook {playbook}", f"symbol {symbol}"], bool(take) == (r > 0.0))
        for at, (_, playbook, symbol, _, take, exit_time, r) in enumerate(asked)
        if take is not None and r is not None
    )
    recent: dict[str, deque[bool]] = defaultdict(lambda: deque(maxlen=_RECENT))
    known: dict[str, tuple[float, float]] = {}
    at = 0
    for candidate_id, playbook, symbol, bar_time, *_ in asked:
        while at < len(ended) and ended[at][0] <= bar_time:
            for name in ended[at][2]:
                recent[name].append(ended[at][3])
            at += 1
        known[candidate_id] = (
            _share(recent[f"playbook {playbook}"]),
            _share(recent[f"symbol {symbol}"]),
        )
    shares = np.array([known[one] for one in told.facts["candidate_id"]]).reshape(-1, 2)
    return shares[:, 0], shares[:, 1]


def _share(right: deque[bool]) -> float:
    return (sum(right) + _HALF_RIGHT / 2) / (len(right) + _HALF_RIGHT)

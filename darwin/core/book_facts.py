"""What happened to a book between two points of a run, complete, as a journal is given it to keep.

The order of facts is that of bars, and among those of one close: what the holding before came to,
what reached the run from outside, what was decided, what safety said to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from darwin.core.account import Alert, EquityMark, SafetyEvent
from darwin.core.agents import Mode, Model, Role, Why
from darwin.core.facts import TABLES, Input
from darwin.core.market import IntArray

Weights = tuple[float, ...]


class Rebalance(NamedTuple):
    """What is decided about: the book at the close of one bar."""

    row: int  # of all rebalances of the run, from 0
    id: int  # `core.rebalance.rebalance_id`
    bar_time: int  # open time of that bar, ms UTC


class Rebalanced(NamedTuple):
    """One consultation of an agent of a book: a row of `rebalances`."""

    at: Rebalance
    agent: str
    role: Role
    mode: Mode
    action: Weights | None  # as the model gave it; None: no sound advice
    probability: float | None
    advised: Weights | None  # the weights that it asks for
    baseline: Weights  # what stands without the agent
    final: Weights  # what the book trades to at the next open, if this is the serving one
    limited_by: str  # which limit cut what was to stand; empty: none
    followed: bool
    why: Why
    model: Model | None
    feature_schema: str
    observation: bytes  # float32 little-endian
    latency_us: int  # by the wall clock; in no hash and no export


class Held(NamedTuple):
    """What came of a rebalance once its holding is over: a row of `holdings`.

    Returns are from the close of the decision to that of the bar at `known_time`, net of costs.
    """

    at: Rebalance
    agent: str
    role: Role
    known_time: int  # open time of that bar, ms UTC
    advised_return: float  # of a book that always does what this model says
    baseline_returns: Weights  # of the books that know nothing, in the order of their names
    asset_returns: Weights  # of one unit in each asset, from the open of the trade, after funding
    book_return: float | None  # of the book of the run; None beside the serving one
    turnover: float | None  # of its trade, over its value then
    cost: float | None  # paid for it, over the same


_INPUT, _SAFETY, _REBALANCE, _HOLDING = (
    TABLES.index(name) for name in ("inputs", "safety_events", "rebalances", "holdings")
)
_AFTER_ALL = 3  # rank of a safety event that a decision brought about
_BEFORE_ALL = -1  # of one of the mark


@dataclass(frozen=True, slots=True)
class BookFacts:
    """All that happened after one point of the order, up to and with `reached`."""

    holdings: Sequence[Held]
    inputs: Sequence[Input]
    rebalances: Sequence[Rebalanced]
    safety_events: Sequence[SafetyEvent]
    reached: int  # open time of the last bar whose events are all told, ms UTC
    bars: int  # bars of all symbols up to there
    marks: Sequence[EquityMark] = ()
    alerts: Sequence[Alert] = ()
    data_digest: str = ""  # of a feed, which a run of a book is not

    def __len__(self) -> int:
        return (
            len(self.holdings) + len(self.inputs) + len(self.rebalances) + len(self.safety_events)
        )

    def order(self) -> tuple[NDArray[np.int8], IntArray]:
        """Say what comes when: the kind (index into `TABLES`) and number of each fact, (n,)."""
        keys = [(one.known_time, 0, _HOLDING, i) for i, one in enumerate(self.holdings)]
        keys += [(one.time, 1, _INPUT, i) for i, one in enumerate(self.inputs)]
        keys += [(one.at.bar_time, 2, _REBALANCE, i) for i, one in enumerate(self.rebalances)]
        keys += [
            (one.time, _AFTER_ALL if one.row >= 0 else _BEFORE_ALL, _SAFETY, i)
            for i, one in enumerate(self.safety_events)
        ]
        keys.sort()
        kinds = np.array([key[2] for key in keys], dtype=np.int8)
        return kinds, np.array([key[3] for key in keys], dtype=np.int64)

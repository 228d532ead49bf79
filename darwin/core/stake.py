"""What a rule of risk would stake on an entry, and the port through which a run has such a rule."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from darwin.core.account import Account
from darwin.core.market import FloatArray, IntArray

RISK_MANAGER = "risk manager"
"""How the figures of a stake begin, where an order says what made its size."""


class Stake(NamedTuple):
    """What a rule of risk would have of a candidate, before any cap."""

    units: float
    full: float  # units at leverage 1 without a hedge
    told: str  # the figures, as the order carries them


class RiskRule(Protocol):
    """Sizes entries by the account and by how its symbol has moved. The same answer every time."""

    @property
    def bars(self) -> int:
        """How many closes before that of the signal it wants to see."""
        ...

    def stake(
        self, account: Account, stop_distance: float, time: IntArray, close: FloatArray
    ) -> Stake:
        """Say how many units to enter, at a stop so far away in price.

        `time` and `close` (k,) are of the last instants up to the signal's; k is `bars` + 1, or
        less where the run has not come that far.
        """
        ...

"""What a column of an observation is: its name, what it means, and where its value comes from.

All are scale-free. Raise REVISION when the arithmetic of a column changes without its words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from darwin.core.agents import FURTHEST_SD
from darwin.core.candidate import CandidateTable
from darwin.core.market import FloatArray
from darwin.core.ports import Moment
from darwin.features import catalog
from darwin.features.formula import expand, higher

REVISION = 1

DIRECTIONAL = (
    "return_in_vol", "steady_move", "backed_move", "gap_in_atr", "close_location", "ema_distance",
    "ema_slope", "macd_in_atr", "di_balance", "rsi_balance", "channel_place", "bollinger_z",
)  # fmt: skip
"""Features that change their sign when the market is turned upside down, by how they begin."""


def is_directional(feature: str) -> bool:
    """Whether a feature says up or down, over bars of any timeframe."""
    over = higher(feature)
    return (over[1] if over else feature).startswith(DIRECTIONAL)


@dataclass(frozen=True, slots=True)
class FeatureColumn:
    """A feature of the candidate's bar; a directional one is turned so that + means "with it"."""

    feature: str

    @property
    def with_side(self) -> bool:
        """Whether the feature is multiplied by the side."""
        return is_directional(self.feature)

    @property
    def name(self) -> str:
        """As the observation calls it."""
        return f"with_side_{self.feature}" if self.with_side else self.feature

    @property
    def meaning(self) -> str:
        """The feature's formula down to the bar, and the revision of its arithmetic."""
        turned = "side * " if self.with_side else ""
        return f"{turned}{expand(self.feature)} (catalog revision {catalog.REVISION})"


ReadSetup: TypeAlias = Callable[[CandidateTable, Sequence[str]], FloatArray]


@dataclass(frozen=True, slots=True)
class SetupColumn:
    """Something of the setup itself.

    `read(table, playbooks)` gives it for all candidates, shape (m,), row by row; `playbooks` are
    their names in the run, by code.
    """

    name: str
    meaning: str
    read: ReadSetup


@dataclass(frozen=True, slots=True)
class MomentColumn:
    """Something of the account or of the verdict; `read` gives it as a plain float.

    What drifts as an account grows or falls has `ends` between which it stays, low and high. It is
    standardised by a tenth of their distance at least, so that the door never takes it for strange:
    a long decline would silence a model for as long as it lasts, which is when it is needed.
    """

    name: str
    meaning: str
    read: Callable[[Moment], float]
    ends: tuple[float, float] | None = None

    @property
    def least_sd(self) -> float:
        """The least that a model may standardise it by; 0: any."""
        if self.ends is None:
            return 0.0
        low, high = self.ends
        return (high - low) / FURTHEST_SD


Column: TypeAlias = FeatureColumn | SetupColumn | MomentColumn

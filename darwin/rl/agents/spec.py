"""An agent's page: what it sees, may do, falls back to, is rewarded for and compared with."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from darwin.core.candidate import CandidateTable
from darwin.core.market import BoolArray, FloatArray, IntArray
from darwin.core.ports import Moment
from darwin.errors import ConfigError
from darwin.rl.agents.columns import REVISION, Column, FeatureColumn, MomentColumn, SetupColumn


class Stage(StrEnum):
    """When an agent is asked."""

    BEFORE_EXPERT = "before the expert"
    AFTER_EXPERT = "after the expert"
    BEFORE_ORDER = "before the order"


class Consequences(NamedTuple):
    """What followed of candidates, and what the expert had said; arrays of shape (m,)."""

    r: FloatArray  # of the bracket, taken or not, net of costs; NaN where it has no end yet
    take: BoolArray  # the expert's verdict, had it been asked
    call_cost_r: FloatArray | float = 0.0  # what asking the expert cost, in R
    drawdown: FloatArray | float = 0.0  # of the running account: equity over its peak minus 1
    exposure: FloatArray | float = 0.0  # of the running account, over its equity


Reward: TypeAlias = Callable[[FloatArray, Consequences], FloatArray]
"""Pays actions of shape (m,) in R, shape (m,); NaN where that is not known yet."""


@dataclass(frozen=True)
class AgentSpec:
    """One agent's page. Implements `core.ports.Page`."""

    name: str
    stage: Stage
    features: tuple[FeatureColumn, ...]  # an observation is these,
    setup: tuple[SetupColumn, ...]  # then these,
    moments: tuple[MomentColumn, ...]  # then these
    actions: tuple[str, ...]  # by code; empty: any fraction from 0 to 1
    baseline: float
    leaves: Callable[[float, bool], float]  # see `share`
    reward: Reward
    rival: str  # what its gain is measured against
    departure_rate: float | None  # how often it should leave the baseline; None: no such aim

    @property
    def is_continuous(self) -> bool:
        """Whether its actions are fractions instead of codes."""
        return not self.actions

    @property
    def outputs(self) -> int:
        """How many numbers a model of it gives before its head."""
        return len(self.actions) or 1

    @cached_property
    def observation(self) -> tuple[Column, ...]:
        """All columns, in order."""
        return (*self.features, *self.setup, *self.moments)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(column.name for column in self.observation)

    @cached_property
    def least_sd(self) -> FloatArray:
        """What each column is standardised by at least, shape (k,)."""
        known = [0.0] * (len(self.features) + len(self.setup))
        return np.array([*known, *(column.least_sd for column in self.moments)])

    @cached_property
    def schema(self) -> str:
        """SHA-256 over the names of all columns, their order and what each means, 64 hex digits."""
        lines = [f"revision {REVISION}"]
        lines += [f"{column.name}={column.meaning}" for column in self.observation]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    @cached_property
    def needs(self) -> tuple[str, ...]:
        """Feature keys that a candidate must carry to be observed."""
        return tuple(column.feature for column in self.features)

    def place(self, name: str) -> int:
        """Where column `name` stands in an observation. Raises ConfigError where it does not."""
        if name not in self.names:
            raise ConfigError(
                f"the {self.name} agent sees no column '{name}'",
                mend=f"it sees {', '.join(self.names)}",
            )
        return self.names.index(name)

    def columns(self, table: CandidateTable, playbooks: Sequence[str]) -> NDArray[np.float32]:
        """What is known of candidates before they are judged, shape (m, k).

        `playbooks` are the names of the run's playbooks, by code. Works element by element: a table
        of one candidate gives the bits of its row in a larger one. Raises ConfigError for a table
        without a needed feature.
        """
        known = np.empty((len(table), len(self.features) + len(self.setup)), dtype=np.float32)
        turned = np.where(self._with_side, table.side[:, None], 1.0)
        # what is too large for 32 bits, or has no stop to divide by, comes out infinite or NaN:
        # the door does not judge it
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            known[:, : len(self.features)] = table.features[:, self._places(table)] * turned
            for at, column in enumerate(self.setup, start=len(self.features)):
                known[:, at] = column.read(table, playbooks)
        return known

    def moment(self, moment: Moment) -> tuple[float, ...]:
        """The rest of the observation, which follows the columns."""
        return tuple([column.read(moment) for column in self.moments])

    def is_legal(self, action: float) -> bool:
        """Whether the agent may do that; False for NaN and for what is no number."""
        if isinstance(action, bool) or not isinstance(action, (int, float)):
            return False
        if self.is_continuous:
            return 0.0 <= action <= 1.0
        return 0.0 <= action < len(self.actions) and action == int(action)

    def share(self, action: float, take: bool) -> float:
        """The fraction of the order that `action` leaves, 0..1, where the expert said `take`."""
        return self.leaves(action, take)

    def overrides(self, action: float, take: bool) -> bool:
        """Whether `action` sets the expert's verdict aside; only who is asked after it can."""
        return self.stage is Stage.AFTER_EXPERT and self.leaves(action, take) != take

    @cached_property
    def _with_side(self) -> BoolArray:
        return np.array([column.with_side for column in self.features], dtype=np.bool_)

    def _places(self, table: CandidateTable) -> IntArray:
        """Where the needed features stand in the table."""
        place = {name: at for at, name in enumerate(table.feature_names)}
        missing = [name for name in self.needs if name not in place]
        if missing:
            raise ConfigError(
                f"candidates carry no feature '{missing[0]}', which the {self.name} agent sees",
                where=f"{len(missing)} of its {len(self.needs)} features are missing",
                mend="let the run record every key of the page's `needs`",
            )
        return np.array([place[name] for name in self.needs], dtype=np.int64)

"""What a run remembers of its consultations: a few columns of what went to the journal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darwin.core.agents import AGENTS, Decision, Mode, Role, Why
from darwin.core.market import BoolArray, FloatArray, IntArray

WHYS = tuple(Why)
_AGENT = {name: code for code, name in enumerate(AGENTS)}
_WHY = {why: code for code, why in enumerate(WHYS)}


@dataclass(frozen=True, slots=True)
class ConsultedColumns:
    """Consultations in the order in which they were made; every array has shape (k,)."""

    row: IntArray  # of the candidate
    agent: NDArray[np.int8]  # index into `core.agents.AGENTS`
    serving: BoolArray  # False: the challenger was asked
    active: BoolArray
    action: FloatArray  # NaN: no sound advice
    share: FloatArray  # that stood
    followed: BoolArray
    why: NDArray[np.int8]  # index into `WHYS`

    def __len__(self) -> int:
        return len(self.row)

    def of(self, agent: str) -> ConsultedColumns:
        """Those of the serving model of one agent."""
        mine = np.flatnonzero((self.agent == _AGENT[agent]) & self.serving)
        columns = {name: getattr(self, name)[mine] for name in self.__dataclass_fields__}
        return ConsultedColumns(**columns)

    @classmethod
    def of_decisions(cls, decisions: Sequence[Decision]) -> ConsultedColumns:
        """The columns of `decisions`."""
        actions = [np.nan if one.action is None else one.action for one in decisions]
        return cls(
            row=np.array([one.row for one in decisions], dtype=np.int64),
            agent=np.array([_AGENT[one.agent] for one in decisions], dtype=np.int8),
            serving=np.array([one.role is Role.SERVING for one in decisions], dtype=np.bool_),
            active=np.array([one.mode is Mode.ACTIVE for one in decisions], dtype=np.bool_),
            action=np.array(actions, dtype=np.float64),
            share=np.array([one.final_action for one in decisions], dtype=np.float64),
            followed=np.array([one.followed for one in decisions], dtype=np.bool_),
            why=np.array([_WHY[one.why] for one in decisions], dtype=np.int8),
        )

    @classmethod
    def joined(cls, parts: Sequence[ConsultedColumns]) -> ConsultedColumns:
        """All `parts`, one after the other."""
        if not parts:
            return cls.of_decisions(())
        names = cls.__dataclass_fields__
        return cls(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})


NOBODY = ConsultedColumns.of_decisions(())
"""No agent was asked."""

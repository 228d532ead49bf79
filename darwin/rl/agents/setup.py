"""Columns that are known of a candidate before anybody judges it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from darwin.core.candidate import CandidateTable
from darwin.core.market import FloatArray
from darwin.features.catalog import NAMES
from darwin.rl.agents.columns import FeatureColumn, ReadSetup, SetupColumn

PLAYBOOKS = ("breakout", "pullback", "mean_reversion")
"""Those an agent can tell apart; all others look alike to it."""

NO_TARGET_RATIO = 10.0
"""Reward over risk where there is no target, as in `Exits.take_profit_r`."""


def base_name(playbook: str) -> str:
    """The playbook that a name in a run stands for: `breakout#2` is a breakout."""
    return playbook.partition("#")[0]


def _side(table: CandidateTable, playbooks: Sequence[str]) -> FloatArray:
    return table.side.astype(np.float64)


def _is(playbook: str) -> ReadSetup:
    def read(table: CandidateTable, playbooks: Sequence[str]) -> FloatArray:
        flags = np.array([float(base_name(name) == playbook) for name in playbooks])
        found: FloatArray = flags[table.playbook]
        return found

    return read


def _stop_percent(table: CandidateTable, playbooks: Sequence[str]) -> FloatArray:
    return 100.0 * table.stop_distance / table.close


def _reward_risk(table: CandidateTable, playbooks: Sequence[str]) -> FloatArray:
    ratio: FloatArray = np.where(
        np.isposinf(table.target_distance),
        NO_TARGET_RATIO,
        table.target_distance / table.stop_distance,
    )
    return ratio


FEATURES = tuple(map(FeatureColumn, NAMES))
"""Every feature of the catalog, in its order."""

SIDE = SetupColumn("side", "1 for a long, -1 for a short", _side)
WHICH_PLAYBOOK = tuple(
    SetupColumn(f"playbook_{name}", f"1 for a setup of {name}, else 0", _is(name))
    for name in PLAYBOOKS
)
STOP_PERCENT = SetupColumn("stop_percent", "100 * stop distance / close", _stop_percent)
REWARD_RISK = SetupColumn(
    "reward_risk",
    f"target distance / stop distance, {NO_TARGET_RATIO:g} without a target",
    _reward_risk,
)

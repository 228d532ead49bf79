"""The portfolio agent: how much of the full size does this order deserve now?

It sees what the gate sees, how sure the expert is, how the account has grown, how far the stop is
and what the bracket can win. It may leave any fraction of the full size; without it, all of it. It
earns its fraction of R, less penalties for a drawdown beyond a threshold and for exposure, on a
running account. It is compared with the same mean fraction for every order.
"""

from __future__ import annotations

import numpy as np

from darwin.core.agents import PORTFOLIO
from darwin.core.market import FloatArray
from darwin.rl.agents.moment import (
    CONFIDENCE,
    DRAWDOWN,
    EQUITY_GROWTH,
    EXPOSURE,
    OPEN_POSITIONS,
    QUALITY,
)
from darwin.rl.agents.setup import FEATURES, REWARD_RISK, SIDE, STOP_PERCENT, WHICH_PLAYBOOK
from darwin.rl.agents.spec import AgentSpec, Consequences, Stage

FULL_SIZE = 1.0
DRAWDOWN_FROM = 0.10
"""A fall of equity up to here costs nothing but what it has cost already."""
DRAWDOWN_COST_R = 2.0
"""Price of equity lost beyond it, per unit of peak equity and decision."""
EXPOSURE_COST_R = 0.02
"""Price of exposure of one equity, per decision."""


def leaves(action: float, take: bool) -> float:
    """The action is the fraction."""
    return action


def reward(action: FloatArray, after: Consequences) -> FloatArray:
    """w·R, minus penalties for drawdown beyond the threshold and for exposure."""
    earned = np.where(action == 0.0, 0.0, action * after.r)
    beyond = np.maximum(-np.asarray(after.drawdown) - DRAWDOWN_FROM, 0.0)
    paid: FloatArray = earned - DRAWDOWN_COST_R * beyond - EXPOSURE_COST_R * after.exposure
    return paid


PAGE = AgentSpec(
    name=PORTFOLIO,
    stage=Stage.BEFORE_ORDER,
    features=FEATURES,
    setup=(SIDE, *WHICH_PLAYBOOK, STOP_PERCENT, REWARD_RISK),
    moments=(EXPOSURE, OPEN_POSITIONS, DRAWDOWN, CONFIDENCE, QUALITY, EQUITY_GROWTH),
    actions=(),
    baseline=FULL_SIZE,
    leaves=leaves,
    reward=reward,
    rival="the same mean fraction for every order",
    departure_rate=None,
)

"""The meta-learner: is the expert right this time?

It sees what the gate sees, the verdict, and how often the expert has lately been right. It may keep
the verdict, override it to a skip or override it to a take; without it, the verdict is kept. It
earns the R of what then stands, less a cost for every verdict it sets aside. It is compared with
setting aside as many takes and as many skips, but at random.
"""

from __future__ import annotations

import numpy as np

from darwin.core.agents import KEEP, META_LEARNER, TO_SKIP, TO_TAKE
from darwin.core.market import FloatArray
from darwin.rl.agents.moment import (
    ACCURACY_BY_PLAYBOOK,
    ACCURACY_BY_SYMBOL,
    CONFIDENCE,
    DRAWDOWN,
    EXPOSURE,
    OPEN_POSITIONS,
    QUALITY,
    RISK_FLAGS,
    TAKE,
)
from darwin.rl.agents.setup import FEATURES, SIDE, WHICH_PLAYBOOK
from darwin.rl.agents.spec import AgentSpec, Consequences, Stage

OVERRIDE_COST_R = 0.02
"""What setting a verdict aside must be worth."""


def leaves(action: float, take: bool) -> float:
    """All or nothing: what the verdict says, or what the override says instead."""
    if action == TO_SKIP:
        return 0.0
    if action == TO_TAKE:
        return 1.0
    return 1.0 if take else 0.0


def reward(action: FloatArray, after: Consequences) -> FloatArray:
    """R of what stands, minus the cost of an override that changed it."""
    stands = np.where(action == TO_TAKE, True, np.where(action == TO_SKIP, False, after.take))
    paid: FloatArray = np.where(stands, after.r, 0.0) - np.where(
        stands != after.take, OVERRIDE_COST_R, 0.0
    )
    return paid


PAGE = AgentSpec(
    name=META_LEARNER,
    stage=Stage.AFTER_EXPERT,
    features=FEATURES,
    setup=(SIDE, *WHICH_PLAYBOOK),
    moments=(
        EXPOSURE, OPEN_POSITIONS, DRAWDOWN, TAKE, CONFIDENCE, QUALITY, RISK_FLAGS,
        ACCURACY_BY_PLAYBOOK, ACCURACY_BY_SYMBOL,
    ),
    actions=("keep", "to_skip", "to_take"),
    baseline=KEEP,
    leaves=leaves,
    reward=reward,
    rival="random overrides at the same rate among takes and among skips",
    departure_rate=0.10,
)  # fmt: skip

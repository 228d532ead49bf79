"""The gate: is this candidate worth asking the expert about?

It sees the candidate's features, its playbook and side, and the state of the account. It may skip
or pass; without it, all pass. A pass earns what the expert makes of the candidate, R where it takes
and nothing where it skips, less the call; a skip earns nothing. So it gains by sparing the account
losers that the expert would take. It is compared with skipping as often, but at random.
"""

from __future__ import annotations

import numpy as np

from darwin.core.agents import GATE, PASS
from darwin.core.market import FloatArray
from darwin.rl.agents.moment import DRAWDOWN, EXPOSURE, OPEN_POSITIONS
from darwin.rl.agents.setup import FEATURES, SIDE, WHICH_PLAYBOOK
from darwin.rl.agents.spec import AgentSpec, Consequences, Stage


def leaves(action: float, take: bool) -> float:
    """A pass leaves the order whole, whatever becomes of it; a skip leaves nothing."""
    return 1.0 if action == PASS else 0.0


def reward(action: FloatArray, after: Consequences) -> FloatArray:
    """Pass: R if the expert takes, else 0, minus the call. Skip: 0."""
    asked = np.where(after.take, after.r, 0.0) - after.call_cost_r
    paid: FloatArray = np.where(action == PASS, asked, 0.0)
    return paid


PAGE = AgentSpec(
    name=GATE,
    stage=Stage.BEFORE_EXPERT,
    features=FEATURES,
    setup=(SIDE, *WHICH_PLAYBOOK),
    moments=(EXPOSURE, OPEN_POSITIONS, DRAWDOWN),
    actions=("skip", "pass"),
    baseline=PASS,
    leaves=leaves,
    reward=reward,
    rival="random skips at the same rate",
    departure_rate=0.30,
)

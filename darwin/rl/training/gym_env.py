"""One environment of each page for Gymnasium: `Darwin/Gate-v0` and its sisters.

    import darwin.rl.training.gym_env
    env = gymnasium.make("Darwin/Gate-v0", rows=rows, normaliser=normaliser)

They are the batched worlds with one environment in them, so both are the same step for step.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from darwin.core.agents import GATE, META_LEARNER, PORTFOLIO
from darwin.errors import ConfigError
from darwin.rl.agents.pages import PAGES
from darwin.rl.training.rows import Normaliser, Rows
from darwin.rl.training.vec_env import in_own_unit, spaces_of
from darwin.rl.training.worlds import AccountWorld, TableWorld, World

IDS = {
    GATE: "Darwin/Gate-v0",
    META_LEARNER: "Darwin/MetaLearner-v0",
    PORTFOLIO: "Darwin/Portfolio-v0",
}


class ReplayEnv(gym.Env[Any, Any]):
    """Recorded candidates, one decision at a time."""

    metadata = {"render_modes": []}  # noqa: RUF012  as Gymnasium has it

    def __init__(self, agent: str, rows: Rows, normaliser: Normaliser) -> None:
        """Wrap `rows` of `agent`. Raises ConfigError for those of another."""
        if rows.page.name != agent:
            raise ConfigError(
                f"rows of {rows.page.name} for an environment of {agent}",
                mend=f"make {IDS[rows.page.name]}",
            )
        self._page = PAGES[agent]
        seen, self.action_space = spaces_of(self._page)
        self.observation_space: gym.Space[Any] = seen
        world = AccountWorld if self._page.is_continuous else TableWorld
        self._world: World = world(rows, normaliser, 1)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin an episode; `seed` begins the chance anew."""
        super().reset(seed=seed)
        return self._world.start(seed)[0], {}

    def step(self, action: Any) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Act. An episode of the account is cut off by its length, others end after a decision."""
        moved = self._world.step(in_own_unit(self._page, np.asarray([action])))
        over = bool(moved.ended[0])
        cut = self._page.is_continuous
        return moved.last[0], float(moved.rewards[0]), over and not cut, over and cut, {}


for _agent, _id in IDS.items():
    gym.register(_id, f"{__name__}:ReplayEnv", kwargs={"agent": _agent})

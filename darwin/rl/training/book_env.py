"""Books as environments: side by side for stable-baselines3, one alone for Gymnasium.

    import darwin.rl.training.book_env
    env = gymnasium.make("Darwin/Allocation-v0", ground=ground, stretch=stretch)

Both wrap the same worlds, so they are the same step for step. An action of the allocator is any
vector of numbers, one for each asset and one for cash; what is held is their softmax.
"""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from darwin.allocation.weights import REACH, softmax
from darwin.core.market import FloatArray
from darwin.core.rebalance import ALLOCATOR, MARKET
from darwin.errors import ConfigError
from darwin.rl.training.book_ground import Ground, Stretch, TrainedPage
from darwin.rl.training.book_world import LENGTH, BookWorld
from darwin.rl.training.vec_env import FURTHEST, WorldVecEnv
from darwin.rl.training.worlds import World

IDS = {ALLOCATOR: "Darwin/Allocation-v0", MARKET: "Darwin/Market-v0"}


def spaces_of(page: TrainedPage) -> tuple[gym.spaces.Box, gym.Space[Any]]:
    """What an agent sees, standardised, and what it may do."""
    seen = gym.spaces.Box(-FURTHEST, FURTHEST, (len(page.names),), np.float32)
    if page.is_continuous:
        return seen, gym.spaces.Box(-REACH, REACH, (page.outputs,), np.float32)
    return seen, gym.spaces.Discrete(page.outputs)


def targets_of(page: TrainedPage, actions: NDArray[Any]) -> FloatArray:
    """The weights that actions of the space ask for, shape (e, n)."""
    if page.is_continuous:
        return page.targets(softmax(np.asarray(actions, dtype=np.float64)))
    return page.targets(np.asarray(actions, dtype=np.float64).reshape(-1))


def book_env(page: TrainedPage, world: World) -> WorldVecEnv:
    """`world` as stable-baselines3 sees it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The `render_mode` attribute")
        return WorldVecEnv(world, spaces_of(page), partial(targets_of, page), truncates=True)


class BookEnv(gym.Env[Any, Any]):
    """One book; `info` tells its value in money, its weights and what the step cost."""

    metadata = {"render_modes": []}  # noqa: RUF012  as Gymnasium has it

    def __init__(
        self,
        agent: str,
        ground: Ground,
        stretch: Stretch,
        *,
        length: int = LENGTH,
        starting_balance: float = 10_000.0,
    ) -> None:
        """Run a book over `stretch`. Raises ConfigError for the ground of another agent."""
        if ground.page.name != agent:
            raise ConfigError(
                f"ground of {ground.page.name} for an environment of {agent}",
                mend=f"make {IDS[ground.page.name]}",
            )
        if not (starting_balance > 0.0):
            raise ConfigError(f"a starting balance of {starting_balance}", mend="name one above 0")
        self._page, self._balance = ground.page, starting_balance
        seen, self.action_space = spaces_of(ground.page)
        self.observation_space: gym.Space[Any] = seen
        self._world = BookWorld(ground, stretch, 1, length=length)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin an episode; `seed` begins the chance anew."""
        super().reset(seed=seed)
        self._value = 1.0
        return self._world.start(seed)[0], {}

    def step(self, action: Any) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Ask for weights. An episode is cut off by its length; ruin ends it.

        Raises ConfigError for an action that is no number: what follows of it is nothing.
        """
        if not np.isfinite(np.asarray(action, dtype=np.float64)).all():
            raise ConfigError("an action that is no number", mend="see what the policy gives")
        moved = self._world.step(targets_of(self._page, np.asarray([action])))
        made = self._world.made
        self._value *= float(made.growth[0])
        told = {
            "value": self._value * self._balance,
            "weights": made.weights[0].copy(),
            "cost": float(made.cost[0]),
        }
        over, ruined = bool(moved.ended[0]), bool(made.growth[0] <= 0.0)
        return moved.last[0], float(moved.rewards[0]), ruined, over and not ruined, told


for _agent, _id in IDS.items():
    gym.register(_id, f"{__name__}:BookEnv", kwargs={"agent": _agent})

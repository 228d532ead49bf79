"""Any world as a VecEnv of stable-baselines3."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.vec_env.base_vec_env import VecEnv, VecEnvObs, VecEnvStepReturn

from darwin.rl.agents.spec import AgentSpec
from darwin.rl.training.worlds import World

FURTHEST = 1e6
"""In standard deviations; rows of training lie within ten, a running account may leave them."""


def spaces_of(page: AgentSpec) -> tuple[gym.spaces.Box, gym.Space[Any]]:
    """What an agent sees, standardised, and what it may do; fractions as −1..1."""
    k = len(page.names)
    seen = gym.spaces.Box(-FURTHEST, FURTHEST, (k,), np.float32)
    if page.is_continuous:
        return seen, gym.spaces.Box(-1.0, 1.0, (1,), np.float32)
    return seen, gym.spaces.Discrete(len(page.actions))


def in_own_unit(page: AgentSpec, actions: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Actions of the space as the page writes them, shape (e,)."""
    flat = np.asarray(actions, dtype=np.float64).reshape(-1)
    return (np.clip(flat, -1.0, 1.0) + 1.0) / 2.0 if page.is_continuous else flat


class WorldVecEnv(VecEnv):
    """A world, any number of environments in one call of numpy.

    Episodes that a stretch cuts off are truncated, not terminated: what would have come next
    stands in `terminal_observation`, as stable-baselines3 wants it.
    """

    def __init__(
        self,
        world: World,
        spaces: tuple[gym.spaces.Box, gym.Space[Any]],
        unit: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]],
        *,
        truncates: bool,
    ) -> None:
        """Wrap `world`; `truncates`: its episodes end by their length, but for ruin.

        `spaces` are what is seen and what may be done; `unit` turns what was done into what the
        world takes.
        """
        self._world, self._truncates, self._unit = world, truncates, unit
        self._actions = np.zeros(world.size)
        self._quiet: list[dict[str, Any]] = [{} for _ in range(world.size)]
        super().__init__(world.size, *spaces)

    @property
    def world(self) -> World:
        """What is wrapped."""
        return self._world

    def reset(self) -> VecEnvObs:
        """Begin an episode in each environment."""
        seed = self._seeds[0]
        self._reset_seeds()
        self._reset_options()
        return self._world.start(seed)

    def step_async(self, actions: np.ndarray[Any, Any]) -> None:
        """Take the actions of the next step."""
        self._actions = self._unit(actions)

    def step_wait(self) -> VecEnvStepReturn:
        """Do them."""
        moved = self._world.step(self._actions)
        infos = self._quiet
        if self._truncates and moved.ended.any():
            infos = [dict(one) for one in self._quiet]
            for i in np.flatnonzero(moved.ended).tolist():
                cut = moved.ruined is None or not moved.ruined[i]
                infos[i] = {"terminal_observation": moved.last[i], "TimeLimit.truncated": cut}
        return moved.observations, moved.rewards.astype(np.float32), moved.ended, infos

    def close(self) -> None:
        """Nothing is held open."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """The same for all environments."""
        return [getattr(self, attr_name)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """For all environments together."""
        setattr(self, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any
    ) -> list[Any]:
        """Environments have no methods of their own."""
        raise AttributeError(method_name)

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: Any = None
    ) -> list[bool]:
        """None is."""
        return [False] * len(list(self._get_indices(indices)))


class ReplayVecEnv(WorldVecEnv):
    """Recorded candidates as `page` sees them."""

    def __init__(self, page: AgentSpec, world: World, *, truncates: bool) -> None:
        """Wrap `world`; `truncates`: its episodes end by their length alone."""
        super().__init__(world, spaces_of(page), partial(in_own_unit, page), truncates=truncates)

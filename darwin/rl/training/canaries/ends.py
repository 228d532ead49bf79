"""What happens after the end of an episode is not credited to what was done before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import CallbackList
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from darwin.core.market import FloatArray
from darwin.rl.training.canaries.finding import Finding, counted
from darwin.rl.training.recipes import PPO, recipe_of
from darwin.rl.training.trainer import Job, env_of, model_of, world_of
from darwin.rl.training.watch import logger_at
from darwin.rl.training.worlds import Moved, World

_GAMMA = 0.9  # so that something would leak, whatever the page discounts
_ROWS, _ENVIRONMENTS, _STEPS = 400, 8, 160  # longer than a stretch
_CLOSE = 1e-3


class _Heard:
    """A world that notes what each step brought."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.width, self.size = world.width, world.size
        self.moved: list[Moved] = []

    def start(self, seed: int | None = None) -> NDArray[np.float32]:
        return self._world.start(seed)

    def step(self, actions: FloatArray) -> Moved:
        self.moved.append(self._world.step(actions))
        return self.moved[-1]

    def chance(self) -> np.random.Generator:
        return self._world.chance()

    def look(self) -> NDArray[np.float32]:
        return self._world.look()

    def state(self) -> dict[str, NDArray[Any]]:
        return self._world.state()

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        self._world.restore(state)


def ends_are_ends(job: Job) -> Finding:
    """Advantages of one rollout are those of a plain loop that stops at every end of the world.

    Generalised advantage estimation (Schulman et al. 2016) over what the world itself brought; an
    episode that its length cut off goes on in the value of what would have come next. Steps of the
    last episode whose end lies beyond the rollout are compared as well.
    """
    rows = job.train.select(np.arange(min(_ROWS, len(job.train))))
    recipe = replace(
        recipe_of(rows.page.name, PPO), environments=_ENVIRONMENTS, steps=_STEPS, gamma=_GAMMA,
        hidden=(16,), batch=_ENVIRONMENTS * _STEPS, epochs=1,
    )  # fmt: skip
    small = replace(job, train=rows, recipe=recipe, seed=0, device="cpu", folder=None,
                    tensorboard=None)  # fmt: skip
    torch.set_num_threads(1)
    heard = _Heard(world_of(small))
    model = model_of(small, env_of(small, heard))
    assert isinstance(model, OnPolicyAlgorithm)
    model.set_logger(logger_at(small.tensorboard))
    model.gamma = model.rollout_buffer.gamma = _GAMMA
    _, callback = model._setup_learn(_ENVIRONMENTS * _STEPS, CallbackList([]))
    assert model.env is not None
    model.collect_rollouts(model.env, callback, model.rollout_buffer, _STEPS)
    given = np.asarray(model.rollout_buffer.advantages, dtype=np.float64)
    own = _advantages(model, heard, rows.page.is_continuous)
    away = np.abs(given - own) > _CLOSE * np.maximum(1.0, np.abs(own))
    return counted(
        "episode ends",
        [(int(np.count_nonzero(away)), "advantages that reach over an end, or not up to it")],
        f"{own.size:,} advantages stop at the {sum(int(m.ended.sum()) for m in heard.moved):,}"
        " ends of episodes",
    )


def _advantages(model: OnPolicyAlgorithm, heard: _Heard, truncates: bool) -> FloatArray:
    """Of each step in each environment, shape (steps, e)."""
    values = np.asarray(model.rollout_buffer.values, dtype=np.float64)
    after = [_value(model, moved.observations) for moved in heard.moved]
    last = [_value(model, moved.last) for moved in heard.moved]
    own, ahead = np.zeros_like(values), np.zeros(values.shape[1])
    for step in range(len(values) - 1, -1, -1):
        moved = heard.moved[step]
        cut_off = last[step] if truncates else np.zeros_like(ahead)
        then = np.where(moved.ended, cut_off, after[step])
        delta = moved.rewards + model.gamma * then - values[step]
        ahead = delta + model.gamma * model.gae_lambda * np.where(moved.ended, 0.0, ahead)
        own[step] = ahead
    return own


def _value(model: OnPolicyAlgorithm, seen: NDArray[np.float32]) -> FloatArray:
    with torch.no_grad():
        told = model.policy.predict_values(torch.as_tensor(seen))
    value: FloatArray = told.numpy().astype(np.float64).reshape(-1)
    return value

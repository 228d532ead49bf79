"""How a training stands from one update to the next: for whoever waits for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias


class Pulse(NamedTuple):
    """A moment of a training. What is not known yet, or does not exist for its algorithm: None."""

    steps: int
    current_reward: float | None = None  # of the latest look at validation
    avg_reward: float | None = None  # over the looks so far
    policy_loss: float | None = None  # of the latest update, as is value_loss
    value_loss: float | None = None


Feel: TypeAlias = Callable[[Pulse], None]
"""Told of each update of a training."""

_POLICY = ("train/policy_gradient_loss", "train/policy_loss", "train/actor_loss", "train/loss")
_VALUE = ("train/value_loss", "train/critic_loss")


def losses(logged: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Of policy and value, by what stable-baselines3 has logged: PPO, A2C, SAC; of DQN its one."""
    return _first(logged, _POLICY), _first(logged, _VALUE)


def unfelt(pulse: Pulse) -> None:
    """Tell nobody."""


def _first(logged: Mapping[str, Any], names: tuple[str, ...]) -> float | None:
    return next((float(logged[name]) for name in names if name in logged), None)

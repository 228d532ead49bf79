"""How agents of books are trained by default; the figures of PPO are the usual ones of the field.

They are kept as they are so that results compare with what others report: γ = 0.99 and λ = 0.95 for
advantages, clip 0.2, learning rate 3e-4, 4 epochs, entropy 0.01, gradients cut off at a norm of
0.5 (both λ and that norm are what stable-baselines3 has by itself), two hidden layers of 256. Only
how many books run side by side is chosen for speed.
"""

from __future__ import annotations

from darwin.core.rebalance import ALLOCATOR, MARKET
from darwin.errors import ConfigError
from darwin.rl.training.recipes import DQN, PPO, SAC, Recipe

ALGORITHMS = {ALLOCATOR: (PPO, SAC), MARKET: (PPO, DQN)}
"""What each can be trained with: SAC gives weights, DQN codes."""

HIDDEN = (256, 256)
STEADY_STEPS = 32
"""How long PPO keeps one perturbation of the weights it tries: see decision 0052."""
LOG_STD = -1.5
"""Of the perturbation at first."""
LOOKS = 12
"""Looks at validation in one training, about."""

_USUAL = Recipe(
    algo=PPO, hidden=HIDDEN, learning_rate=3e-4, environments=64, steps=32, batch=128, epochs=4,
    entropy=0.01, clip=0.2, gamma=0.99, averaging=0.9,
)  # fmt: skip
_BY_ALGORITHM = {
    PPO: _USUAL,
    SAC: Recipe(
        algo=SAC, hidden=HIDDEN, learning_rate=3e-4, environments=64, steps=1, batch=256,
        gamma=0.99, averaging=0.995,
    ),
    DQN: Recipe(
        algo=DQN, hidden=HIDDEN, learning_rate=3e-4, environments=64, steps=1, batch=256,
        gamma=0.99, averaging=0.995,
    ),
}  # fmt: skip


def book_recipe(agent: str, algo: str = PPO) -> Recipe:
    """The recipe of an agent. Raises ConfigError for a pair that does not fit."""
    if algo not in ALGORITHMS[agent]:
        raise ConfigError(
            f"{agent} cannot be trained with {algo}",
            where="--algo",
            mend=f"use {', '.join(ALGORITHMS[agent])}",
        )
    return _BY_ALGORITHM[algo]

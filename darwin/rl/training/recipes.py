"""How each page is trained by default, and how these figures were found.

They were chosen by hand for the gate on one planted market (seed 101, edge 0.3), which therefore
proves nothing about them: one wide hidden layer learned there in fewer steps than two narrow ones,
a high learning rate that falls towards nothing did not depend on the number of steps, and the
running mean of the weights (Polyak and Juditsky 1992) gave what the last weights give, less their
noise. A decision of gate and meta-learner has one reward and no sequel, so they discount everything
(γ = 0). The recipes of A2C, DQN and SAC are guesses that work.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from darwin.core.agents import GATE, META_LEARNER, PORTFOLIO
from darwin.errors import ConfigError

PPO, A2C, DQN, SAC = "ppo", "a2c", "dqn", "sac"
ALGORITHMS = {GATE: (PPO, A2C, DQN), META_LEARNER: (PPO, A2C, DQN), PORTFOLIO: (PPO, A2C, SAC)}
"""What each page can be trained with: DQN gives codes, SAC fractions."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that steers a training beside its rows and its seed."""

    algo: str = PPO
    hidden: tuple[int, ...] = (128,)
    learning_rate: float = 1e-2  # at the beginning; it falls in a line to a fiftieth of it
    environments: int = 512
    steps: int = 8  # of each environment between two updates
    batch: int = 1024
    epochs: int = 4
    entropy: float = 0.0
    clip: float = 0.2
    gamma: float = 0.0
    averaging: float = 0.95  # weight of the running mean of weights, per update
    departure_rate: float | None = None  # how often the model shall leave the baseline

    @property
    def rollout(self) -> int:
        """Steps between two updates, of all environments together."""
        return self.environments * self.steps


_BY_ALGORITHM = {
    PPO: Recipe(),
    A2C: Recipe(algo=A2C, learning_rate=3e-3, environments=256, steps=4, batch=1024),
    DQN: Recipe(algo=DQN, learning_rate=1e-3, environments=256, steps=1, batch=512, averaging=0.99),
    SAC: Recipe(algo=SAC, learning_rate=1e-3, environments=64, steps=1, batch=512, averaging=0.99),
}


def recipe_of(agent: str, algo: str = PPO) -> Recipe:
    """The recipe of a page. Raises ConfigError for a pair that does not fit."""
    if algo not in ALGORITHMS[agent]:
        raise ConfigError(
            f"{agent} cannot be trained with {algo}",
            where="--algo",
            mend=f"use {', '.join(ALGORITHMS[agent])}",
        )
    recipe = _BY_ALGORITHM[algo]
    if agent == PORTFOLIO:
        return replace(recipe, gamma=0.5)
    return recipe

"""What a search may choose, page by page and algorithm by algorithm, as data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)

from darwin.core.agents import PORTFOLIO
from darwin.rl.training.recipes import A2C, ALGORITHMS, DQN, PPO, SAC, Recipe

Space: TypeAlias = Mapping[str, BaseDistribution]
"""What each name of a recipe may be; `width` and `depth` together are its hidden layers."""

_NETWORK: Space = {
    "width": CategoricalDistribution((32, 64, 128, 256)),
    "depth": IntDistribution(1, 2),
    "averaging": FloatDistribution(0.7, 0.995),
}
_BY_ALGORITHM: Mapping[str, Space] = {
    PPO: {
        "learning_rate": FloatDistribution(1e-3, 3e-2, log=True),
        "steps": CategoricalDistribution((4, 8, 16, 32)),
        "batch": CategoricalDistribution((256, 512, 1024, 2048)),
        "epochs": IntDistribution(1, 8),
        "entropy": FloatDistribution(0.0, 0.02),
        "clip": FloatDistribution(0.1, 0.4),
        **_NETWORK,
    },
    A2C: {
        "learning_rate": FloatDistribution(3e-4, 3e-2, log=True),
        "steps": CategoricalDistribution((2, 4, 8, 16)),
        "entropy": FloatDistribution(0.0, 0.02),
        **_NETWORK,
    },
    DQN: {
        "learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
        "batch": CategoricalDistribution((128, 256, 512, 1024)),
        **_NETWORK,
    },
    SAC: {
        "learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
        "batch": CategoricalDistribution((128, 256, 512, 1024)),
        **_NETWORK,
    },
}
_ONE_PAGE: Mapping[str, Space] = {PORTFOLIO: {"gamma": FloatDistribution(0.0, 0.95)}}
"""Of the others each decision is paid at once, so that γ changes nothing."""

SPACES: Mapping[tuple[str, str], Space] = {
    (agent, algo): {**_BY_ALGORITHM[algo], **_ONE_PAGE.get(agent, {})}
    for agent, algorithms in ALGORITHMS.items()
    for algo in algorithms
}
"""(agent, algorithm) -> what may be chosen."""


def choices_of(space: Space, recipe: Recipe) -> dict[str, Any]:
    """A recipe in the words of a space, as far as that says it: its layers are equally wide."""
    said = {"width": recipe.hidden[0], "depth": len(recipe.hidden)}
    return {name: said.get(name) or getattr(recipe, name) for name in space}


def recipe_with(default: Recipe, chosen: Mapping[str, Any]) -> Recipe:
    """The default, but for what was chosen."""
    rest = {name: value for name, value in chosen.items() if name not in ("width", "depth")}
    return replace(default, hidden=(chosen["width"],) * chosen["depth"], **rest)


def digest_of(space: Space) -> str:
    """SHA-256 over names and ranges, 64 hex digits."""
    told = {name: distribution_to_json(one) for name, one in space.items()}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def told(one: BaseDistribution) -> str:
    """A range as a person reads it."""
    if isinstance(one, CategoricalDistribution):
        return "one of " + ", ".join(map(str, one.choices))
    assert isinstance(one, IntDistribution | FloatDistribution)
    return f"{one.low:g} to {one.high:g}" + (", by its logarithm" if one.log else "")

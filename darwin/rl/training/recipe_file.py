"""A recipe as a file: what a search writes and `darwin rl train --recipe` reads."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from darwin.errors import ConfigError, ModelError
from darwin.rl.serving.strict_json import quoted, read_object
from darwin.rl.training.recipes import A2C, DQN, PPO, SAC, Recipe, recipe_of

LARGEST_FILE = 1 << 16
_ALL = ("hidden", "learning_rate", "environments", "gamma", "averaging")
READ_BY = {
    PPO: (*_ALL, "steps", "batch", "epochs", "entropy", "clip"),
    A2C: (*_ALL, "steps", "entropy"),
    DQN: (*_ALL, "batch"),
    SAC: (*_ALL, "batch"),
}
"""What of a recipe each algorithm reads; the rest of it steers nothing there."""

_Share = Annotated[float, Field(ge=0.0, lt=1.0)]
_Width = Annotated[int, Field(ge=1, le=4096)]


class _File(BaseModel):
    """All that a file may say, and within which limits."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    agent: str
    algo: Literal["ppo", "a2c", "dqn", "sac"]
    hidden: Annotated[tuple[_Width, ...], Field(min_length=1, max_length=4)] | None = None
    learning_rate: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    environments: Annotated[int, Field(ge=1, le=65_536)] | None = None
    steps: Annotated[int, Field(ge=1, le=65_536)] | None = None
    batch: Annotated[int, Field(ge=2, le=1 << 20)] | None = None
    epochs: Annotated[int, Field(ge=1, le=100)] | None = None
    entropy: Annotated[float, Field(ge=0.0, le=1.0)] | None = None
    clip: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    gamma: _Share | None = None
    averaging: _Share | None = None


def tree_of_recipe(agent: str, recipe: Recipe) -> dict[str, Any]:
    """What stands in the file of a recipe: whose it is, and all that its algorithm reads."""
    said = {name: getattr(recipe, name) for name in READ_BY[recipe.algo]}
    return {"agent": agent, "algo": recipe.algo, **said, "hidden": list(recipe.hidden)}


def recipe_text(agent: str, recipe: Recipe) -> str:
    """The file of a recipe, which `read_recipe` reads."""
    return json.dumps(tree_of_recipe(agent, recipe), indent=1) + "\n"


def read_recipe(path: Path, agent: str) -> Recipe:
    """The recipe in a file; what that leaves out is as by default.

    Raises ConfigError for a file that cannot be read, an unknown key, a key written twice, a value
    of another type or beyond its limits, what the algorithm does not read, and a recipe of another
    agent.
    """
    raw = _raw(path)
    try:
        read_object(raw, "the recipe")
        said = _File.model_validate_json(raw).model_dump(exclude_none=True)
    except ModelError as flaw:
        raise _refused(flaw.what, path, "mend it there, or search again") from flaw
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        key = ".".join(map(str, fault["loc"]))
        raise _refused(
            f"the recipe's {quoted(key)} is refused: {fault['msg']}", path,
            f"it may hold {', '.join(_File.model_fields)}",
        ) from error  # fmt: skip
    if said.pop("agent") != agent:
        raise _refused(f"this is no recipe of {agent}", path, "name the recipe of this agent")
    default = recipe_of(agent, said["algo"])
    idle = [key for key in said if key != "algo" and key not in READ_BY[default.algo]]
    if idle:
        raise _refused(
            f"{default.algo} does not read {', '.join(idle)}", path,
            f"leave it out; it reads {', '.join(READ_BY[default.algo])}",
        )  # fmt: skip
    recipe = replace(default, **said)
    if recipe.algo == PPO and recipe.rollout < 2:
        raise _refused(
            "one step in one environment is no rollout of ppo", path,
            "raise environments or steps",
        )  # fmt: skip
    return recipe


def _raw(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as fault:
        why = fault.strerror if isinstance(fault, OSError) else str(fault)
        raise _refused(f"the recipe cannot be read: {why}", path, "check the path") from fault
    if len(raw) > LARGEST_FILE:
        raise _refused("the recipe is larger than 64 KiB", path, "is this the right file?")
    return raw


def _refused(what: str, path: Path, mend: str) -> ConfigError:
    return ConfigError(what, where=str(path), mend=mend)

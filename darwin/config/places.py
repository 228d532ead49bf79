"""Where a deployment keeps its files."""

from __future__ import annotations

from pathlib import Path

from darwin.config.book import BookConfig
from darwin.config.model import RunConfig
from darwin.config.roots import ARTIFACTS, inside_artifacts
from darwin.errors import ConfigError

CURRENT = "current"
"""The link to the model that serves, in the folder of its agent."""


def runs_dir(config: RunConfig | BookConfig) -> Path:
    """The folder that holds one folder per run."""
    return Path(config.artifacts_dir) / "runs"


def state_db_path(config: RunConfig | BookConfig) -> Path:
    """The SQLite file of this deployment, also without an `rl` block."""
    if isinstance(config, BookConfig):
        named = config.agent_state_db
    else:
        named = config.rl.agent_state_db if config.rl is not None else None
    return inside_artifacts(
        named or f"{ARTIFACTS}/rl_state/agent_state.sqlite", config.artifacts_dir
    )


def models_dir(config: RunConfig | BookConfig, agent: str) -> Path:
    """The folder of all models, of which `<agent>/current` is what `model_path` names.

    Where `current` leads is no matter: runs go by the record. Raises ConfigError where the folder
    of the agent lies outside the artifacts.
    """
    if isinstance(config, BookConfig):
        path = config.allocation.model_path
    else:
        given = config.rl.agents().get(agent) if config.rl is not None else None
        path = given.model_path if given else None
    named = path or f"{ARTIFACTS}/rl_models/{agent}/{CURRENT}"
    folder = named.removesuffix(f"/{CURRENT}")
    try:
        return inside_artifacts(folder, config.artifacts_dir).parent
    except ConfigError as error:
        error.what = f"the folder of the models of {agent} {error.what}"
        error.where = folder
        raise

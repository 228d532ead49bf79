"""Where a deployment keeps its files."""

from __future__ import annotations

from pathlib import Path

from darwin.config.model import RunConfig
from darwin.config.roots import ARTIFACTS, inside_artifacts


def runs_dir(config: RunConfig) -> Path:
    """The folder that holds one folder per run."""
    return Path(config.artifacts_dir) / "runs"


def state_db_path(config: RunConfig) -> Path:
    """The SQLite file of this deployment, also without an `rl` block."""
    named = config.rl.agent_state_db if config.rl is not None else None
    return inside_artifacts(
        named or f"{ARTIFACTS}/rl_state/agent_state.sqlite", config.artifacts_dir
    )

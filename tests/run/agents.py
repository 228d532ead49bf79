"""A desk with learned agents: models deployed, promoted and staged as a person would."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from darwin.core.agents import AGENTS, Model
from darwin.rl.graduation import acts
from darwin.rl.serving.rules import RULES
from darwin.store.db import connect
from darwin.testing.models import make_model
from tests.run.command import Desk

RULE_NAMES = {
    "gate": "cautious-gate",
    "meta_learner": "second-opinion",
    "portfolio": "size-by-strength",
}


def rules(mode: str = "observe", *, agents: Sequence[str] = AGENTS, **more: Any) -> dict[str, Any]:
    """An `rl` block in which documented rules stand for models."""
    block = {
        f"{name}_agent": {"name": name, "mode": mode, "policy": RULE_NAMES[name]} for name in agents
    }
    return {"enabled": True, **block, **more}


def models(mode: str = "observe", *, agents: Sequence[str] = AGENTS, **more: Any) -> dict[str, Any]:
    """An `rl` block in which deployed models serve."""
    return {
        "enabled": True,
        **{f"{name}_agent": {"name": name, "mode": mode} for name in agents},
        **more,
    }


def promote(desk: Desk, *agents: str, stage: float = 0.01, model: Model | None = None) -> None:
    """Put a promotion on record, and a stage if it is not the first."""
    now = datetime.now(UTC)
    with connect(desk.folder / "artifacts" / "rl_state" / "agent_state.sqlite") as database:
        for name in agents:
            said: dict[str, Any] = {"by": "Ada", "reason": "a test", "at": now, "override": True}
            acts.promote(database, name, model or RULES[name].model, **said)
            if stage != 0.01:
                acts.set_stage(database, name, stage, **said)


def demote(desk: Desk, agent: str) -> None:
    """Take it back, with the command."""
    done = desk.darwin("rl", "demote", agent, "--by", "Ada", "--reason", "a test")
    assert done.returncode == 0, done.stderr


def deploy(desk: Desk, agent: str, *, seed: int = 0, **changes: Any) -> str:
    """Deploy a small random model; gives its version."""
    folder = desk.folder / f"model-{agent}-{seed}"
    folder.mkdir()
    for name, content in make_model(agent, seed=seed, **changes).items():
        (folder / name).write_bytes(content)
    done = desk.darwin(
        "rl", "models", "deploy", agent, str(folder), "--by", "Ada", "--reason", "a test", "--json"
    )
    assert done.returncode == 0, done.stderr
    [version] = desk.ask(
        f"SELECT version FROM model_events WHERE agent_name = '{agent}' AND kind = 'deployed'"
        " ORDER BY id DESC LIMIT 1"
    )
    return str(version[0])


def traded(desk: Desk, run_id: str = "small") -> str:
    """What must be the same whether or not agents watch."""
    done = desk.darwin("ledger", "export", run_id, "--only", "orders,fills,outcomes")
    assert done.returncode == 0, done.stderr
    return done.stdout


def reasons(desk: Desk, run_id: str = "small") -> dict[tuple[str, str], int]:
    """How often each agent's ruling had which reason."""
    return {
        (agent, reason): count
        for agent, reason, count in desk.ask(
            "SELECT agent_name, reason, count(*) FROM agent_decisions"
            f" WHERE run_id = '{run_id}' GROUP BY 1, 2"
        )
    }


def kill_file(desk: Desk) -> Path:
    """Where the file of the kill switch is."""
    return desk.folder / "artifacts" / "KILL"

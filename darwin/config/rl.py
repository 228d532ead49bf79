"""The `rl` block: which learned agents there are, how far they may go, where their models lie."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, ValidationInfo, field_validator

from darwin.config.block import Block
from darwin.config.roots import inside_artifacts
from darwin.config.values import Share, fault
from darwin.errors import ConfigError


def _inside(text: str, info: ValidationInfo) -> str:
    root = (info.context or {}).get("artifacts_dir", "artifacts")
    try:
        inside_artifacts(text, root)
    except ConfigError as error:
        raise fault(error.what, error.mend) from error
    return text


ArtifactPath = Annotated[str, AfterValidator(_inside)]


class AgentConfig(Block):
    """One learned agent."""

    name: Literal["gate", "portfolio", "meta_learner"]
    enabled: bool = True
    mode: Literal["observe", "active", "auto"] = "observe"
    model_path: ArtifactPath | None = None  # None: artifacts/rl_models/<name>/current


class RlConfig(Block):
    """All learned agents and what bounds them together; an agent of None takes no part."""

    enabled: bool = False
    gate_agent: AgentConfig | None = None
    portfolio_agent: AgentConfig | None = None
    meta_learner_agent: AgentConfig | None = None
    agent_state_db: ArtifactPath | None = None
    max_override_rate: Share = 0.2

    @field_validator("enabled")
    @classmethod
    def _not_yet(cls, enabled: bool) -> bool:
        if enabled:
            raise fault(
                "must be false: learned agents are not available in this version",
                "set rl.enabled to false",
            )
        return enabled

    @field_validator("gate_agent", "portfolio_agent", "meta_learner_agent")
    @classmethod
    def _named_after_its_key(
        cls, agent: AgentConfig | None, info: ValidationInfo
    ) -> AgentConfig | None:
        expected = str(info.field_name).removesuffix("_agent")
        if agent is not None and agent.name != expected:
            raise fault(f"must be '{expected}' here", f'write "{expected}"', ("name",))
        return agent

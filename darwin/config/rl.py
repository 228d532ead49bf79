"""The `rl` block: which learned agents there are, how far they may go, where their models lie."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from darwin.config.block import Block
from darwin.config.roots import inside_artifacts
from darwin.config.values import Name, Options, Share, fault
from darwin.core.agents import GATE, META_LEARNER, PORTFOLIO
from darwin.errors import ConfigError


def _inside(text: str, info: ValidationInfo) -> str:
    root = (info.context or {}).get("artifacts_dir", "artifacts")
    try:
        inside_artifacts(text, root)
    except ConfigError as error:
        raise fault(error.what, error.mend) from error
    return text


def _folder_inside(text: str, info: ValidationInfo) -> str:
    """A version that was replaced by a link is the model's fault, not the config's.

    Whoever reads it follows no link. A `current` that itself leads elsewhere is refused here.
    """
    root = (info.context or {}).get("artifacts_dir", "artifacts")
    folder = _inside(text.removesuffix("/current"), info)
    link = inside_artifacts(folder, root) / "current"
    leads = link.readlink() if link.is_symlink() else None
    if leads is None or leads.is_absolute() or ".." in leads.parts or not leads.parent.name:
        _inside(text, info)
    return text


ArtifactPath = Annotated[str, AfterValidator(_inside)]
ModelPath = Annotated[str, AfterValidator(_folder_inside)]


class AgentConfig(Block):
    """One learned agent."""

    name: Literal["gate", "portfolio", "meta_learner"]
    enabled: bool = True
    mode: Literal["observe", "active", "auto"] = "observe"
    model_path: ModelPath | None = None  # None: artifacts/rl_models/<name>/current
    policy: Name | None = None  # a rule in the place of a model; None: the model that serves
    params: Options = Field(default_factory=dict)  # of that rule


class RlConfig(Block):
    """All learned agents and what bounds them together; an agent of None takes no part."""

    enabled: bool = False
    gate_agent: AgentConfig | None = None
    portfolio_agent: AgentConfig | None = None
    meta_learner_agent: AgentConfig | None = None
    agent_state_db: ArtifactPath | None = None
    max_override_rate: Share = 0.2
    timeout_ms: Annotated[float, Field(gt=0, le=60_000)] = 50.0  # of an inference, live
    on_model_error: Literal["stop", "baseline"] = "stop"  # an active agent's model is refused

    def agents(self) -> dict[str, AgentConfig]:
        """Those that have a block, by name, in the order in which they are asked."""
        given = {
            GATE: self.gate_agent,
            META_LEARNER: self.meta_learner_agent,
            PORTFOLIO: self.portfolio_agent,
        }
        return {name: agent for name, agent in given.items() if agent is not None}

    @field_validator("gate_agent", "portfolio_agent", "meta_learner_agent")
    @classmethod
    def _named_after_its_key(
        cls, agent: AgentConfig | None, info: ValidationInfo
    ) -> AgentConfig | None:
        expected = str(info.field_name).removesuffix("_agent")
        if agent is not None and agent.name != expected:
            raise fault(f"must be '{expected}' here", f'write "{expected}"', ("name",))
        path = None if agent is None else agent.model_path
        if path is not None and path.split("/")[-2:] != [expected, "current"]:
            raise fault(
                f"must end in {expected}/current: which version serves is not the config's to say",
                f"write artifacts/rl_models/{expected}/current; `darwin rl rollback` moves it",
                ("model_path",),
            )
        return agent

"""Where a run gets its policies from: the models of the deployment, or rules in their place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from darwin.core.agents import Model
from darwin.core.ports import Policy
from darwin.errors import ModelError
from darwin.rl.agents.pages import PAGES
from darwin.rl.registry import files, folders
from darwin.rl.serving.policy import NumpyPolicy, policy_for


@dataclass(frozen=True, slots=True)
class StandIn:
    """A rule that a config has put in the place of an agent's model."""

    model: Model  # what decisions call it
    policy: Policy


class ServedPolicies:
    """Reads each model once, when it is first asked for. Implements `core.ports.Policies`."""

    def __init__(self, models_dirs: Mapping[str, Path], stand_ins: Mapping[str, StandIn]) -> None:
        """`models_dirs` says by agent where its models lie."""
        self._models_dirs, self._stand_ins = models_dirs, stand_ins
        self._read: dict[tuple[str, Model], NumpyPolicy] = {}

    def stand_in(self, agent: str) -> StandIn | None:
        """The rule in the place of an agent's model, if any."""
        return self._stand_ins.get(agent)

    def policy(self, agent: str, model: Model) -> Policy:
        """The model, checked against its digest. Raises ModelError where it is not to be had."""
        rule = self._stand_ins.get(agent)
        if rule is not None:
            if rule.model != model:
                raise ModelError(
                    f"the {agent} agent was {model.version} ({model.sha256[:12]}) when this was"
                    f" recorded; the config puts {rule.model.version}"
                    f" ({rule.model.sha256[:12]}) in its place",
                    mend="bring back the rule and parameters of then",
                )
            return rule.policy
        return self.served(agent, model)

    def served(self, agent: str, model: Model) -> NumpyPolicy:
        """The same of a model that was deployed."""
        found = self._read.get((agent, model))
        if found is None:
            folder = folders.Home.of(self._models_dirs[agent], agent).folder(model.version)
            content = files.load(folder, model)
            found = policy_for(PAGES[agent], content[files.SPEC], content[files.WEIGHTS])
            self._read[agent, model] = found
        return found

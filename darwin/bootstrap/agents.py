"""From the `rl` block of a config to the agents of a run, and to what reaches them from outside."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from darwin import plugins
from darwin.bootstrap.remade import require_models
from darwin.config import options
from darwin.config.model import RunConfig
from darwin.config.places import models_dir
from darwin.config.rl import AgentConfig
from darwin.core.agents import NOT_DEPLOYED, Model, Standing
from darwin.core.market import Timeframe
from darwin.core.ports import Policy
from darwin.engine.consult import Terms
from darwin.engine.seat import AgentTerms
from darwin.errors import ModelError, StorageError
from darwin.rl.agents.pages import PAGES
from darwin.rl.graduation.contract import contracts_in, world_of
from darwin.rl.graduation.record import (
    NO_CAPITAL,
    Promotion,
    basis_words,
    cap_in_force,
    in_force,
    read_record,
)
from darwin.rl.registry.adoption import start
from darwin.rl.registry.registry import Registry
from darwin.rl.serving.demo_models import DEMO_MODELS, DemoModel
from darwin.rl.serving.history import Charter, Charters
from darwin.rl.serving.policies import ServedPolicies, StandIn
from darwin.rl.serving.rules import Rule
from darwin.rl.serving.switchboard import Sources, Switchboard
from darwin.rl.serving.validation import validate_files
from darwin.safety.switch import VARIABLE, disabled_by
from darwin.store.acts import recorded_inputs
from darwin.store.db import Database
from darwin.store.runs import Begun
from darwin.store.watch import LogWatch

log = logging.getLogger("darwin")

BASELINE = "baseline"
"""`rl.on_model_error`: go on without an active agent whose model is refused."""
_FAULT_AT_MOST = 160  # characters of it that a standing tells


@dataclass(frozen=True, slots=True)
class Agents:
    """The learned agents of a run."""

    terms: Terms
    policies: ServedPolicies
    timeout_ns: int

    def overdue(self, caught_up: Callable[[], bool]) -> Callable[[int], bool]:
        """Say of a latency in ns that it was too long, once all that is on record is behind."""
        return lambda latency_ns: latency_ns > self.timeout_ns and caught_up()


def agents_of(config: RunConfig) -> Agents | None:
    """The agents that a config names, in the order in which they are asked; None without any.

    Raises ConfigError where a rule in the place of a model is refused. Reads no model.
    """
    named = named_agents(config)
    if config.rl is None or not named:
        return None
    stand_ins = {
        name: _stand_in(name, agent) for name, agent in named.items() if agent.policy is not None
    }
    policies = ServedPolicies({name: models_dir(config, name) for name in named}, stand_ins)
    terms = Terms(
        agents=tuple(
            AgentTerms(PAGES[name], agent.enabled, agent.mode != "observe")
            for name, agent in named.items()
        ),
        policies=policies,
        max_override_rate=config.rl.max_override_rate,
        stopwatch_ns=time.perf_counter_ns,
    )
    return Agents(terms, policies, round(config.rl.timeout_ms * 1e6))


def charters_of(config: RunConfig) -> Charters:
    """What a config says of its agents, as far as their rulings hang on it. Looks at no model."""
    return Charters(
        {
            name: Charter(agent.enabled, agent.mode != "observe")
            for name, agent in named_agents(config).items()
        },
        Timeframe.parse(config.market.timeframe).ms,
        config.rl.max_override_rate if config.rl is not None else 0.0,
    )


def switchboard(config: RunConfig, agents: Agents, database: Database, run: Begun) -> Switchboard:
    """What the agents of `run` are told of the deployment."""
    watch = LogWatch(database.path)
    sources = Sources(disabled_by(os.environ.get(VARIABLE)), Path(config.artifacts_dir), watch)
    deployment = _Deployment(config, agents.policies, database, run)
    return Switchboard(
        sources,
        watch,
        deployment.standings,
        recorded_inputs(database, run),
        follows=run.identity.mode != "replay",
        recheck=deployment.fallen,
    )


@dataclass(frozen=True, slots=True)
class _Deployment:
    """What is on record of the agents of one run."""

    config: RunConfig
    policies: ServedPolicies
    database: Database
    run: Begun

    def standings(self, check: bool) -> Mapping[str, Standing]:
        """How each agent stands now; with `check` its models are adopted, read and tried.

        Raises ModelError where an agent that may act has a model that is refused.
        """
        return {
            name: self._standing(name, agent, check=check)
            for name, agent in named_agents(self.config).items()
            if agent.enabled
        }

    def _standing(self, name: str, agent: AgentConfig, *, check: bool) -> Standing:
        rule = self.policies.stand_in(name)
        serving, challenger = (rule.model, None) if rule else self._on_shelf(name, check=check)
        record, run_id, live = (
            read_record(self.database, name), self.run.run_id, self.config.on_paper,
        )  # fmt: skip
        held = in_force(record, run_id, live=live, fed=self.run.identity.mode == "feed")
        cap = cap_in_force(record, run_id, live=live)
        if held is not None and (held.model != serving or not self._in_this_world(name, held)):
            held = None
        promoted, stage = held is not None, NO_CAPITAL if held is None else held.stage
        basis = basis_words(held)
        standing = Standing(
            name, serving, "" if serving else NOT_DEPLOYED, None, promoted, stage, challenger,
            basis, cap,
        )  # fmt: skip
        if serving is None or rule or not check:
            return standing
        return self._tried(standing, may_act=agent.mode != "observe")

    def _in_this_world(self, name: str, held: Promotion) -> bool:
        """Whether what a promotion rests on was shown in the world that this run is.

        Other playbooks, costs, symbols, another expert or timeframe: then it shows nothing here. A
        promotion without evidence is a person's word, which holds wherever the model serves.
        """
        digest = held.basis.detail.get("contract")
        if digest is None or held.basis.override:
            return True
        here = world_of(json.loads(self.run.identity.config_json))
        with self.database.read() as connection:
            terms = [one.terms for one in contracts_in(connection, name)]
        return any(one.digest == digest and one.world == here for one in terms)

    def _on_shelf(self, name: str, *, check: bool) -> tuple[Model | None, Model | None]:
        registry = Registry(models_dir(self.config, name), self.database)
        shelf = registry.shelf(name)
        if check:
            try:
                shelf = start(registry, name, now=datetime.now(UTC), validate=validate_files)
            except StorageError as fault:  # the model is read next; if that fails, it is refused
                log.warning("RL %s: the folder of its models is left as it is: %s", name, fault)
        return shelf.serving, shelf.challenger

    def fallen(self, standings: Mapping[str, Standing], check: bool) -> Mapping[str, Standing]:
        """Of the standings that a run has journaled those that hold no more, as they are now.

        Raises ModelError where recorded decisions cannot be made again, and where an agent that
        may act has a model that is refused.
        """
        require_models(self.policies, self.database, self.run)
        agents = named_agents(self.config) if check else {}
        now = {
            name: self._tried(standing, may_act=agents[name].mode != "observe")
            for name, standing in standings.items()
            if name in agents and standing.serving and not self.policies.stand_in(name)
        }
        return {name: one for name, one in now.items() if one.serving is None}

    def _tried(self, standing: Standing, *, may_act: bool) -> Standing:
        """A standing with its models read: one that is refused does not stand."""
        challenger = standing.challenger
        if challenger is not None and (fault := self._fault(standing.agent, challenger)):
            log.warning("RL %s: the challenger is refused: %s", standing.agent, fault)
            standing = replace(standing, challenger=None)
        serving = standing.serving
        if serving is None:
            return standing
        fault = self._fault(standing.agent, serving)
        if fault is None:
            spec = self.policies.served(standing.agent, serving).spec
            return replace(standing, training_end_ms=spec.training_end_ms)
        rl = self.config.rl
        if may_act and standing.promoted and not (rl and rl.on_model_error == BASELINE):
            fault.mend = (
                f"{fault.mend}; or roll back: `darwin rl rollback {standing.agent} --version"
                " VERSION`; or set rl.on_model_error to 'baseline'"
            )
            raise fault
        said = f"version {serving.version} is refused: {fault.what}"
        return replace(
            standing, serving=None, fault=said[:_FAULT_AT_MOST], promoted=False, basis=""
        )

    def _fault(self, agent: str, model: Model) -> ModelError | StorageError | None:
        try:
            self.policies.served(agent, model)
        except (ModelError, StorageError) as fault:
            return fault
        return None


def warnings(config: RunConfig, standings: Mapping[str, Standing]) -> list[str]:
    """What the operator must be told as a run begins, one line each."""
    told = []
    for name, agent in named_agents(config).items():
        standing = standings.get(name)
        if standing is not None and standing.refused:
            told.append(
                f"the {name} agent is off: {standing.fault}; `darwin rl models fsck` says what"
                " is wrong with its files"
            )
        if standing is None or agent.mode == "observe":
            continue
        if not standing.promoted and standing.serving is not None:
            told.append(
                f"the {name} agent is '{agent.mode}' in the config, but version"
                f" {standing.serving.version} has no promotion on record that counts here:"
                " it observes;"
                f" `darwin rl status {name}` says what is missing, `darwin rl promote {name}`"
                " records one"
            )
    return told


def named_agents(config: RunConfig) -> dict[str, AgentConfig]:
    """The agents that take part, in the order in which they are asked."""
    rl = config.rl
    return rl.agents() if rl is not None and rl.enabled else {}


def _stand_in(name: str, agent: AgentConfig) -> StandIn:
    """The rule that a config puts in the place of a model. Raises ConfigError."""
    path = f"rl.{name}_agent.params"
    rule: Policy = options.build(plugins.factory("policy", agent.policy or ""), agent.params, path)
    if isinstance(rule, Rule) and type(rule).__module__ == Rule.__module__:
        return StandIn(rule.model, rule)
    if isinstance(rule, DemoModel) and type(rule) in DEMO_MODELS:
        return StandIn(rule.model, rule)
    kind = type(rule)
    return StandIn(Model(f"rule.{kind.__name__}", _digest(rule, name, agent)), rule)


def _digest(rule: Policy, name: str, agent: AgentConfig) -> str:
    """SHA-256 of what an outsider's rule answers by, 64 hex digits.

    Its class and the file that defines it, the parameters of the config and, of a dataclass, what
    these came to. So a promotion is of this very rule: whoever changes it begins anew. What else
    its code reads from elsewhere no digest can see.
    """
    kind = type(rule)
    told: list[tuple[str, str]] = []
    if is_dataclass(rule) and not isinstance(rule, type):
        told = sorted((one.name, repr(getattr(rule, one.name))) for one in fields(rule))
    given = json.dumps(agent.params, sort_keys=True)
    text = f"{kind.__module__}:{kind.__qualname__} {given} {told} on {PAGES[name].schema}"
    return hashlib.sha256(text.encode() + b"\0" + _source(kind)).hexdigest()


def _source(kind: type) -> bytes:
    """The file in which a class is defined; nothing where there is none."""
    module = sys.modules.get(kind.__module__)
    file = getattr(module, "__file__", None)
    return Path(file).read_bytes() if file is not None and Path(file).is_file() else b""

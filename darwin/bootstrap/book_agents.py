"""What reaches a run of a book from outside: how its agent stands, and the kill switch."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from darwin.bootstrap.books import WiredBook
from darwin.bootstrap.remade import require_models
from darwin.config.places import models_dir
from darwin.core.agents import NOT_DEPLOYED, Model, Standing
from darwin.errors import ModelError, StorageError
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
from darwin.rl.serving.switchboard import Sources, Switchboard
from darwin.rl.serving.validation import validate_files
from darwin.safety.switch import VARIABLE, disabled_by
from darwin.store.acts import recorded_inputs
from darwin.store.db import Database
from darwin.store.runs import Begun
from darwin.store.schema import rebalances
from darwin.store.watch import LogWatch

log = logging.getLogger("darwin")

_FAULT_AT_MOST = 160


def switchboard_of_book(wired: WiredBook, database: Database, run: Begun) -> Switchboard:
    """What the agent of `run` is told of the deployment."""
    watch = LogWatch(database.path)
    artifacts = Path(wired.config.artifacts_dir)
    sources = Sources(disabled_by(os.environ.get(VARIABLE)), artifacts, watch)
    deployment = _Deployment(wired, database, run)
    return Switchboard(
        sources,
        watch,
        deployment.standings,
        recorded_inputs(database, run),
        follows=False,
        recheck=deployment.fallen,
    )


def warnings_of_book(wired: WiredBook, standings: Mapping[str, Standing]) -> list[str]:
    """What the operator must be told as a run begins, one line each."""
    agent, mode = wired.agent, wired.config.allocation.mode
    standing = standings.get(agent)
    if standing is None:
        return []
    if standing.refused:
        return [f"the {agent} agent is off: {standing.fault}"]
    if standing.serving is None:
        return [f"the {agent} agent has no model: its baseline stands"]
    if mode != "observe" and not standing.promoted:
        return [
            f"the {agent} agent is '{mode}' in the config, but version"
            f" {standing.serving.version} has no promotion on record that counts here: it observes"
        ]
    return []


def require_book_models(wired: WiredBook, database: Database, run: Begun) -> None:
    """See `require_models`."""
    require_models(wired.policies, database, run, rebalances)


@dataclass(frozen=True, slots=True)
class _Deployment:
    """What is on record of the agent of one run."""

    wired: WiredBook
    database: Database
    run: Begun

    def standings(self, check: bool) -> Mapping[str, Standing]:
        """How the agent stands now; with `check` its models are adopted, read and tried.

        Raises ModelError where an agent that may act has a model that is refused.
        """
        if not self.wired.config.allocation.enabled:
            return {}
        agent, rule = self.wired.agent, self.wired.policies.stand_in
        serving, challenger = (rule.model, None) if rule else self._on_shelf(check=check)
        record = read_record(self.database, agent)
        held = in_force(record, self.run.run_id, live=False)
        if held is not None and (held.model != serving or not self._in_this_world(held)):
            held = None
        standing = Standing(
            agent,
            serving,
            "" if serving else NOT_DEPLOYED,
            None,
            held is not None,
            NO_CAPITAL if held is None else held.stage,
            challenger,
            basis_words(held),
            cap_in_force(record, self.run.run_id, live=False),
        )
        if serving is None or rule or not check:
            return {agent: standing}
        return {agent: self._tried(standing)}

    def fallen(self, standings: Mapping[str, Standing], check: bool) -> Mapping[str, Standing]:
        """Of the standings that a run has journaled those that hold no more, as they are now."""
        require_book_models(self.wired, self.database, self.run)
        if not check or self.wired.policies.stand_in:
            return {}
        now = {name: self._tried(one) for name, one in standings.items() if one.serving}
        return {name: one for name, one in now.items() if one.serving is None}

    def _on_shelf(self, *, check: bool) -> tuple[Model | None, Model | None]:
        agent = self.wired.agent
        registry = Registry(models_dir(self.wired.config, agent), self.database)
        shelf = registry.shelf(agent)
        if check:
            try:
                shelf = start(registry, agent, now=datetime.now(UTC), validate=validate_files)
            except StorageError as fault:
                log.warning("RL %s: the folder of its models is left as it is: %s", agent, fault)
        return shelf.serving, shelf.challenger

    def _in_this_world(self, held: Promotion) -> bool:
        """Whether what a promotion rests on was shown in the world that this run is."""
        digest = held.basis.detail.get("contract")
        if digest is None or held.basis.override:
            return True
        here = world_of(json.loads(self.run.identity.config_json))
        with self.database.read() as connection:
            terms = [one.terms for one in contracts_in(connection, self.wired.agent)]
        return any(one.digest == digest and one.world == here for one in terms)

    def _tried(self, standing: Standing) -> Standing:
        """A standing with its models read: one that is refused does not stand."""
        challenger, serving = standing.challenger, standing.serving
        if challenger is not None and (fault := self._fault(challenger)):
            log.warning("RL %s: the challenger is refused: %s", standing.agent, fault)
            standing = replace(standing, challenger=None)
        if serving is None:
            return standing
        fault = self._fault(serving)
        if fault is None:
            spec = self.wired.policies.served(standing.agent, serving).spec
            return replace(standing, training_end_ms=spec.training_end_ms)
        told = self.wired.config.allocation
        if told.mode != "observe" and standing.promoted and told.on_model_error == "stop":
            raise fault
        said = f"version {serving.version} is refused: {fault.what}"
        return replace(
            standing, serving=None, fault=said[:_FAULT_AT_MOST], promoted=False, basis=""
        )

    def _fault(self, model: Model) -> ModelError | StorageError | None:
        try:
            self.wired.policies.served(self.wired.agent, model)
        except (ModelError, StorageError) as fault:
            return fault
        return None

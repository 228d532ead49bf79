"""Whether recorded decisions of agents follow from what is recorded of them.

Each is made again from its stored observation and the model that its digest names, and its ruling
from the agent's standing at that place of the chain. Nothing else of the run is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from darwin.core.agents import Advice, Mode, Model, Role, Standing, Why
from darwin.core.facts import ALLOWED, KILLED, STANDING
from darwin.core.ports import Policies, Policy
from darwin.errors import ConfigError, ModelError, RecordError
from darwin.rl.agents.pages import PAGES

TOLERANCE = 2e-9
"""Advice is recorded to nine decimals, and another processor may round the last one otherwise."""


class Audit:
    """The fold of a run's facts into how many decisions could be made again, and were the same."""

    def __init__(self, policies: Policies | None) -> None:
        """Without `policies` no advice can be made again, but every ruling."""
        self.recomputed = self.without_model = 0
        self._policies = policies
        self._standings: dict[str, Standing] = {}
        self._killed = False
        self._asked_of = ("", True)  # the candidate last judged, and what the expert said

    def fold(self, table: str, seq: int, row: Mapping[str, Any]) -> None:
        """Take one fact, by the names of its columns. Raises RecordError where it does not fit."""
        if table == "verdicts":
            self._asked_of = (row["candidate_id"], bool(row["take"]))
        elif table == "inputs":
            self._heed(row)
        elif table == "agent_decisions" and (what := self._flaw(row)):
            raise RecordError(what, table=table, seq=seq, candidate_id=str(row["candidate_id"]))

    def close(self) -> None:
        """Nothing of agents is still to come at the end of a run."""

    def _heed(self, row: Mapping[str, Any]) -> None:
        if row["kind"] in (KILLED, ALLOWED):
            self._killed = row["kind"] == KILLED
        elif row["kind"] == STANDING:
            try:
                self._standings[row["agent_name"]] = Standing.read(row["detail"])
            except (TypeError, ValueError):
                return  # the chain vouches for the row; what it stands for shows in decisions

    def _flaw(self, row: Mapping[str, Any]) -> str:
        """What is wrong with a decision; empty: nothing."""
        page = PAGES.get(row["agent_name"])
        if page is None:
            return "is no decision of an agent that exists"
        try:
            why = Why(row["reason"])
        except ValueError:
            return f"gives a reason that does not exist: {row['reason']!r}"
        if (row["action"] is not None) != why.inferred:
            return f"has {'no ' if why.inferred else ''}advice, which '{why}' does not go with"
        if self._killed != (why is Why.KILLED):
            return "was not made under the kill switch as it stood"
        standing = self._standings.get(page.name, Standing(page.name))
        serves = row["role"] == Role.SERVING
        model = standing.serving if serves else standing.challenger
        if (row["model_version"], row["model_sha256"]) != (model or (None, None)):
            return "names another model than stood there"
        return self._advised_otherwise(row, model) or self._ruled_otherwise(row, why, standing)

    def _advised_otherwise(self, row: Mapping[str, Any], model: Model | None) -> str:
        if row["action"] is None:
            return ""
        policy = self._policy(row["agent_name"], model)
        if policy is None:
            self.without_model += 1
            return ""
        try:
            advice = policy.advise(np.frombuffer(row["observation"], dtype="<f4"))
        except (ModelError, ValueError) as fault:
            return f"has an observation that its model does not take ({fault})"
        self.recomputed += 1
        told = (row["action"], row["probability"])
        if _alike(advice, told):
            return ""
        return f"does not follow from its observation and model: {told} then, {tuple(advice)} now"

    def _policy(self, agent: str, model: Model | None) -> Policy | None:
        """The model named, if it is still to be had."""
        if self._policies is None or model is None:
            return None
        try:
            return self._policies.policy(agent, model)
        except (ConfigError, ModelError):
            return None

    def _ruled_otherwise(self, row: Mapping[str, Any], why: Why, standing: Standing) -> str:
        page = PAGES[row["agent_name"]]
        about, said = self._asked_of
        take = said if about == row["candidate_id"] else True
        stands = page.share(page.baseline, take)
        share = stands
        if why is Why.ACTIVE:
            heard = page.share(row["action"], take)
            stage = standing.stage
            share = stands if heard == stands else stage * heard + (1.0 - stage) * stands
            if not standing.promoted or row["mode"] != Mode.ACTIVE:
                return "acted without a promotion on record"
        if row["final_action"] != share:
            return f"let {row['final_action']} of the order stand where {share} was due"
        if bool(row["followed"]) != (why is Why.ACTIVE):
            return "does not say truly whether its advice was followed"
        return ""


def _alike(advice: Advice, told: tuple[float | None, float | None]) -> bool:
    return all(
        (now is None) == (then is None) and (now is None or abs(now - (then or 0.0)) <= TOLERANCE)
        for now, then in zip(advice, told, strict=True)
    )

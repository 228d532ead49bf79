"""The dossier of a promotion or demotion: what it was, and all that it rested on, as one tree.

Everything follows from the database and the files of the model, as of the act: what was recorded
after it changes nothing, so that whoever makes the tree again makes the same one. Numbers keep ten
digits; what cannot be said is null. The names of keys carry the unit: `_r` is in R, `_ms` a time in
ms UTC, `log_` a natural logarithm.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from sqlalchemy import Connection

from darwin.core.agents import Model
from darwin.core.market import DAY_MS
from darwin.errors import IntegrityError
from darwin.rl.graduation.as_of import AsOf, as_of, latest_then, unchanged_then
from darwin.rl.graduation.checklist import Condition, State, Validation, conditions, overall
from darwin.rl.graduation.contract import Contract, contracts_in
from darwin.rl.graduation.dossier_facts import drift_tree, model_tree, runs_tree
from darwin.rl.graduation.dossier_trial import (
    Networks,
    contract_tree,
    detectors_tree,
    shadow_tree,
    trial_tree,
)
from darwin.rl.graduation.evidence import Evidence, read_evidence
from darwin.rl.graduation.footing import footing
from darwin.rl.graduation.judged import decay_of, told_by
from darwin.rl.graduation.proof import green_of, proof_of
from darwin.rl.graduation.reading import sources_of, told_in_order
from darwin.rl.graduation.record import (
    DEPLOYMENT,
    NO_CAPITAL,
    Event,
    Promotion,
    Record,
    record_in,
)
from darwin.rl.graduation.scorecard import score
from darwin.rl.graduation.shadow import shadow_of
from darwin.rl.graduation.trial import Trial
from darwin.stats.drift import Reference
from darwin.store.runs import iso_time

KIND = "darwin dossier 1"
"""What the tree of a dossier says it is; the number changes with its shape."""
DIGITS = 10
GONE = "the files of its model are not to be had"
BLOCK_MS = 2 * DAY_MS
"""Of market time, by which decisions are drawn where no contract says it."""

Tree: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Beside:
    """What a dossier takes from elsewhere than the record of runs and acts."""

    validated: Callable[[str, Model], Validation | None]  # None: the files are not to be had
    reference: Callable[[str, Model], Reference | str]  # its rows of training, or why they lack
    networks: Callable[[str, str], Networks]  # of an agent, at a moment by the wall clock


@dataclass(frozen=True, slots=True)
class _Standing:
    """What was known of an agent at the moment of an act."""

    event: Event
    moment: AsOf
    model: Model  # whose evidence it is
    contract: Contract | None
    trial: Trial | None
    evidence: Evidence
    held: Promotion | None  # the promotion in force before


def dossier(connection: Connection, event: Event, origin: str, beside: Beside) -> Tree | None:
    """The tree of an act. None: not all that its run had recorded by then is kept yet.

    `origin` is the seal of the first act of the database, by which one knows it again. Raises
    IntegrityError for a record that contradicts itself.
    """
    moment = as_of(connection, event)
    if moment is None:
        return None
    then = _standing(connection, event, moment)
    agent, contract, trial = event.agent, then.contract, then.trial
    validation = beside.validated(agent, then.model)
    card = score(agent, then.evidence, latest_then(connection, agent, moment))
    unchanged = contract is None or unchanged_then(connection, contract, moment)
    every = conditions(
        card, validation or Validation(State.MISSING, GONE), proof_of(trial, unchanged=unchanged)
    )
    decay = decay_of(trial, then.held) if trial else None
    cost, block_ms = (
        (0.0, BLOCK_MS)
        if contract is None
        else (contract.terms.call_cost_r, contract.terms.block_ms)
    )
    networks = beside.networks(agent, moment.at)
    found_in = runs_tree(connection, agent, then.model, contract, moment)
    tree: Tree = settled(
        {
            "kind": KIND,
            "agent": agent,
            "number": event.number,
            "database": origin,
            "act": _act_tree(then),
            "as_written": dict(event.act.detail),
            "agrees": _agrees(then),
            "contract": contract and contract_tree(contract),
            **trial_tree(trial),
            "conditions": [_condition(one) for one in every],
            "overall": str(overall(every)),
            "figures": card.figures._asdict(),
            "without_advice_share": _silent(found_in),
            "since_promotion": [_condition(one) for one in green_of(decay)],
            "detectors": detectors_tree(trial, then.held) if decay else None,
            "shadow": shadow_tree(shadow_of(agent, then.evidence, cost), block_ms, networks),
            "runs": found_in,
            "model": model_tree(connection, agent, then.model, moment),
            "model_files": {
                "to_be_had": validation is not None,
                "drift": drift_tree(
                    connection, agent, then.model, contract, moment,
                    beside.reference(agent, then.model),
                ),
            },
        }
    )  # fmt: skip
    return tree


def settled(value: Any) -> Any:
    """A tree fit for JSON that is the same wherever it is made: ten digits, no NaN, no -0."""
    if isinstance(value, dict):
        return {str(key): settled(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [settled(inner) for inner in value]
    if isinstance(value, np.generic):
        return settled(value.item())
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") + 0.0 if math.isfinite(value) else None
    return value


def _standing(connection: Connection, event: Event, moment: AsOf) -> _Standing:
    act, agent = event.act, event.agent
    contract = _contract_of(connection, event)
    model = contract.terms.model if contract else event.model
    trial = None
    if contract is None:
        evidence = read_evidence(connection, agent, model.sha256, before=moment.before)
    else:
        sources = sources_of(connection, contract)
        told = told_in_order(connection, contract, sources, moment.before)
        trial = Trial.of(contract, told)
        evidence = told_by(trial)
    record = record_in(connection, agent)
    earlier = Record(agent, tuple(one for one in record.acts if one.at < act.at))
    held = earlier.within(*{DEPLOYMENT, act.scope})
    return _Standing(event, moment, model, contract, trial, evidence, held)


def _silent(found_in: list[Tree]) -> float:
    """The share of all times it was asked that gave no sound advice, and so no evidence."""
    silent = sum(one["without_advice"] for one in found_in)
    asked = silent + sum(one["decisions"] for one in found_in)
    return silent / asked if asked else math.nan


def _contract_of(connection: Connection, event: Event) -> Contract | None:
    """The contract that an act names; None: it names none."""
    act = event.act
    digest = act.detail.get("contract")
    if digest is None:
        return None
    scope, number = act.detail.get("scope", act.scope), act.detail.get("number")
    found = [
        one
        for one in contracts_in(connection, event.agent)
        if (one.terms.digest, one.number, one.scope) == (digest, number, scope) and one.at <= act.at
    ]
    if not found:
        raise IntegrityError(
            f"act {event.number:,} of graduation rests on a contract that is not on record",
            mend="put a backup of the database in its place",
        )
    return found[-1]


def _act_tree(then: _Standing) -> Tree:
    act, held = then.event.act, then.held
    return {
        "kind": str(act.kind),
        "scope": act.scope,
        "by": act.by,
        "reason": act.reason,
        "override": act.override,
        "at": iso_time(act.at),
        "bar_time_ms": then.moment.bar_time,
        "model": then.event.model._asdict(),
        "capital_before": held.stage if held else NO_CAPITAL,
        "capital_after": act.stage,
        "seal": then.event.seal,
    }


def _agrees(then: _Standing) -> bool:
    """Whether what the act says of its evidence comes out of the record."""
    written, trial = then.event.act.detail, then.trial
    if trial is None:
        return True
    again = footing(trial, None)
    return all(_alike(written.get(key), value) for key, value in again.items())


def _alike(written: Any, again: Any) -> bool:
    """Equal, but for the last digits: sums were added up in another order."""
    if isinstance(again, dict):
        return (
            isinstance(written, dict)
            and set(written) == set(again)
            and all(_alike(written[key], value) for key, value in again.items())
        )
    if isinstance(again, float) and isinstance(written, (int, float)):
        return math.isclose(written, again, rel_tol=1e-9, abs_tol=1e-9)
    return bool(written == again)


def _condition(one: Condition) -> Tree:
    return one._asdict() | {"state": str(one.state)}

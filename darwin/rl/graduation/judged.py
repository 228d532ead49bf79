"""An agent as it stands today: what serves, what is on record, what its evidence comes to."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from sqlalchemy import Connection, select

from darwin.core.agents import GATE, STAGES, Mode, Model
from darwin.core.rebalance import BOOK_AGENTS
from darwin.errors import ModelError
from darwin.rl.graduation.checklist import Condition, State, Validation, conditions
from darwin.rl.graduation.climb import Climb, about_promoted, climb
from darwin.rl.graduation.contract import Contract, contract_in, world_of
from darwin.rl.graduation.decay import Basis, Decay
from darwin.rl.graduation.dwell import market_time_held
from darwin.rl.graduation.evidence import (
    NONE,
    Evidence,
    of_stream,
    read_evidence,
    silent_share,
)
from darwin.rl.graduation.latest import Latest, read_latest
from darwin.rl.graduation.proof import green_of, proof_of
from darwin.rl.graduation.reading import sources_of, told_in_order, too_early
from darwin.rl.graduation.record import (
    DEPLOYMENT,
    Promotion,
    Record,
    earned,
    record_in,
    scope_of,
)
from darwin.rl.graduation.scorecard import Scorecard, score
from darwin.rl.graduation.trial import Trial
from darwin.rl.registry.files import Files
from darwin.rl.registry.registry import Registry, shelf_in
from darwin.store.queries import ON_PAPER, kind_of_run
from darwin.store.schema import decisions_of, runs

MayAct: TypeAlias = Callable[[str, Files], bool]
"""Validate the files of a model of an agent: whether it may be more than watched. ModelError."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One agent, its serving model and the deployment's record of it."""

    agent: str
    model: Model | None  # that is judged: what serves, else a rule that was asked in its place
    serving: Model | None
    challenger: Model | None
    record: Record
    held_ms: int  # market time for which the promoted model was heard at its stage
    card: Scorecard  # of its trial; of all evidence where it is in none
    trial: Trial | None  # None: it is in none
    decay: Decay | None  # since its promotion in the scope of the trial; None: it has none
    conditions: tuple[Condition, ...]

    @property
    def promotion(self) -> Promotion | None:
        """The one in force, be it that another model serves."""
        return self.record.promotion

    def climb(self, stage: float, now: datetime) -> Climb:
        """What stands against another stage for the promoted model; at `now` by the wall clock.

        Where none is promoted, nothing is known.
        """
        held = self.promotion
        if held is None:
            return Climb(unknown=True)
        return climb(held, stage, self.held_ms, self.of_promoted, now)

    @property
    def in_trial(self) -> Promotion | None:
        """The promotion of the judged model that holds where its trial is."""
        if self.trial is None:
            return None
        held = self.record.within(*{DEPLOYMENT, self.trial.contract.scope})
        return held if held is not None and held.model == self.model else None

    @property
    def of_promoted(self) -> tuple[Condition, ...]:
        """The conditions, as they speak for the promoted model."""
        every = (*self.conditions, *green_of(self.decay))
        return about_promoted(every, self.model, self.promotion)

    @property
    def mode(self) -> Mode:
        """As far as the record goes; a config may be stricter."""
        promoted, _ = earned(self.record, self.model, "", live=True)
        return Mode.ACTIVE if promoted else Mode.OBSERVE

    @property
    def stage(self) -> float:
        """The share of capital of the model that is judged."""
        return earned(self.record, self.model, "", live=True)[1]


def judge(registry: Registry, agent: str, may_act: MayAct, run_id: str | None = None) -> Judged:
    """Look at an agent, at its decisions in all runs or in one.

    Where no model was ever deployed, what the latest run had in its place is judged: a rule. Its
    trial is that of the run that is asked for, else of the deployment, else of the latest replay.
    Raises StorageError, IntegrityError.
    """
    with registry.database.read() as connection:
        shelf, record = shelf_in(connection, agent), record_in(connection, agent)
        latest, held, held_ms = read_latest(connection, agent), record.promotion, 0
        if held is not None:
            held_ms = market_time_held(connection, agent, held.model.sha256, held.stage_since)
        model = shelf.serving or latest.model
        trial, unchanged = _on_trial(connection, agent, model, run_id or latest.run_id, only=run_id)
        if trial is not None and model is not None:
            told = told_by(trial, silent_share(connection, agent, model.sha256, run_id))
        elif model is None or agent in BOOK_AGENTS:  # of a book, evidence is that of a trial
            told = NONE
        else:
            told = read_evidence(connection, agent, model.sha256, run_id)
    scope = trial.contract.scope if trial else DEPLOYMENT
    decay = decay_of(trial, record.within(*{DEPLOYMENT, scope})) if trial else None
    card = score(agent, told, latest)
    validation = _validation(registry, agent, shelf.serving, latest, may_act)
    every = conditions(card, validation, proof_of(trial, unchanged=unchanged))
    return Judged(
        agent, model, shelf.serving, shelf.challenger, record, held_ms, card,
        trial, decay, every,
    )  # fmt: skip


def told_by(trial: Trial, silent: float = math.nan) -> Evidence:
    """All decisions of a trial, those whose blocks are not scored yet among them."""
    fed = trial.contract.scope == DEPLOYMENT
    return of_stream(trial.stream.rows(), fed=fed, silent_share=silent)


def _on_trial(
    connection: Connection, agent: str, model: Model | None, run_id: str | None, only: str | None
) -> tuple[Trial | None, bool]:
    """The trial of a model, and whether what asks it is still what its contract is about."""
    scopes = [scope_of(run_id)] if run_id else []
    for scope in scopes if only else [DEPLOYMENT, *scopes]:
        contract = contract_in(connection, agent, model, scope) if model else None
        if contract is None:
            continue
        sources = sources_of(connection, contract)
        trial = Trial.of(contract, told_in_order(connection, contract, sources))
        trial.stream.too_early = too_early(connection, contract, sources)
        if trial.stream.decisions or scope != DEPLOYMENT:
            return trial, _is_unchanged(connection, contract)
    return None, True


def _is_unchanged(connection: Connection, contract: Contract) -> bool:
    """Whether the newest run that is about the deployment still asks in the agreed world."""
    if contract.scope != DEPLOYMENT:
        return True
    table = decisions_of(contract.terms.agent)
    newest = connection.execute(
        select(runs.c.config_json)
        .where(kind_of_run() == ON_PAPER)
        .where(
            select(table.c.id)
            .where(table.c.run_id == runs.c.run_id)
            .where(table.c.agent_name == contract.terms.agent)
            .exists()
        )
        .order_by(runs.c.number.desc())
        .limit(1)
    ).scalar()
    return newest is None or world_of(json.loads(newest)) == contract.terms.world


def decay_of(trial: Trial, held: Promotion | None) -> Decay | None:
    """The detectors of a promotion that is in force, told all blocks of the trial."""
    if held is None or held.model != trial.contract.terms.model:
        return None
    decay = Decay(trial.contract.terms, basis_of(trial.contract.terms.agent, held))
    for block in trial.blocks:
        decay.add(block)
    return decay


def basis_of(agent: str, held: Promotion) -> Basis:
    """What a promotion rests on, as its events tell it."""
    told = held.basis.detail
    at_full = agent == GATE and held.stage == WHOLE
    full = held.stage_basis.detail.get("bar_time") if at_full else None
    return Basis(
        int(told.get("bar_time", -(1 << 62))), _real(told.get("edge")),
        _real(told.get("edge_everyone")), full,
    )  # fmt: skip


def _real(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else math.nan


WHOLE = STAGES[-1]


def _validation(
    registry: Registry, agent: str, serving: Model | None, latest: Latest, may_act: MayAct
) -> Validation:
    if serving is None and latest.model is not None:
        said = f"no model serves; judged is {latest.model.version}, of run '{latest.run_id}'"
        return Validation(State.MISSING, said)
    if serving is None:
        return Validation(State.MISSING, "no model serves; `darwin rl models deploy` brings one in")
    return validated(registry, agent, serving, may_act)


def validated(registry: Registry, agent: str, model: Model, may_act: MayAct) -> Validation:
    """What comes of validating a version as a deploy would; the registry may refuse its files."""
    try:
        more_than_watched = may_act(agent, registry.load(agent, model))
    except ModelError as fault:
        return Validation(State.REFUTED, fault.what)
    if more_than_watched:
        return Validation(State.PASSED)
    return Validation(
        State.MISSING,
        "no held-out figures came with it, or not the end of its training: it may only be watched",
    )

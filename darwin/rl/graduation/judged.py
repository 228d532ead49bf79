"""An agent as it stands today: what serves, what is on record, what its evidence comes to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from darwin.core.agents import Mode, Model
from darwin.errors import ModelError
from darwin.rl.graduation.checklist import Condition, State, Validation, conditions
from darwin.rl.graduation.climb import Climb, about_promoted, climb
from darwin.rl.graduation.dwell import market_time_held
from darwin.rl.graduation.evidence import NONE, Evidence, read_evidence
from darwin.rl.graduation.latest import Latest, read_latest
from darwin.rl.graduation.record import Promotion, Record, earned, record_in
from darwin.rl.graduation.scorecard import Scorecard, score
from darwin.rl.registry.files import Files
from darwin.rl.registry.registry import Registry, shelf_in

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
    evidence: Evidence  # of the judged model
    card: Scorecard  # of that
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
    def of_promoted(self) -> tuple[Condition, ...]:
        """The conditions, as they speak for the promoted model."""
        return about_promoted(self.conditions, self.model, self.promotion)

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

    Where no model was ever deployed, what the latest run had in its place is judged: a rule.
    Raises StorageError, IntegrityError.
    """
    with registry.database.read() as connection:
        shelf, record = shelf_in(connection, agent), record_in(connection, agent)
        latest, held, held_ms = read_latest(connection, agent), record.promotion, 0
        if held is not None:
            held_ms = market_time_held(connection, agent, held.model.sha256, held.stage_since)
        model = shelf.serving or latest.model
        evidence = read_evidence(connection, agent, model.sha256, run_id) if model else NONE
    card = score(agent, evidence, latest)
    validation = _validation(registry, agent, shelf.serving, latest, may_act)
    return Judged(
        agent, model, shelf.serving, shelf.challenger, record, held_ms, evidence,
        card, conditions(card, validation),
    )  # fmt: skip


def _validation(
    registry: Registry, agent: str, serving: Model | None, latest: Latest, may_act: MayAct
) -> Validation:
    if serving is None and latest.model is not None:
        said = f"no model serves; judged is {latest.model.version}, of run '{latest.run_id}'"
        return Validation(State.MISSING, said)
    if serving is None:
        return Validation(State.MISSING, "no model serves; `darwin rl models deploy` brings one in")
    try:
        more_than_watched = may_act(agent, registry.load(agent, serving))
    except ModelError as fault:
        return Validation(State.REFUTED, fault.what)
    if more_than_watched:
        return Validation(State.PASSED)
    return Validation(State.MISSING, "no held-out figures came with it, so it may only be watched")

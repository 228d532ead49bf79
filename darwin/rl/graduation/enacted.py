"""What evidence brings about, written down: an event in the log, and how the agent then stands."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from darwin.core.agents import Model, Standing
from darwin.core.candidate import id_text
from darwin.core.facts import Subject
from darwin.core.market import DAY_MS
from darwin.rl.graduation import acts
from darwin.rl.graduation.checklist import Condition
from darwin.rl.graduation.decay import Decay
from darwin.rl.graduation.footing import footing
from darwin.rl.graduation.record import (
    BY_EVIDENCE,
    BY_ITSELF,
    FIRST_STAGE,
    NO_CAPITAL,
    Kind,
    record_in,
)
from darwin.rl.graduation.trial import Trial
from darwin.store.db import Database


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run stands: its database, its name and scope, its clock."""

    database: Database
    run_id: str
    number: int  # of the run
    scope: str
    playbooks: tuple[str, ...]
    risk_per_trade: float | None
    now: Callable[[], datetime]
    held_ms: Callable[[str, Model, datetime], int] | None  # on paper: market time heard since then
    take_over: Callable[[str], None] | None  # on paper: let the challenger of an agent serve
    tells: bool = True  # a replay; else the run hears of it from the log


class Clerk:
    """Writes down what takes effect with the decision on a candidate; each act once.

    Every act gives what is said of it, and the standing that follows.
    """

    def __init__(self, place: Place) -> None:
        """Write into the logs of that place."""
        self._place = place

    def promote(
        self, agent: str, standing: Standing, candidate: Subject, trial: Trial,
        passed: tuple[Condition, ...],
    ) -> tuple[str, Standing]:  # fmt: skip
        """Let the version on trial act, on the first stage of capital."""
        model, place = trial.contract.terms.model, self._place
        said = f"version {model.version} has graduated: {_words(trial)}"
        if not self._said(agent, Kind.PROMOTED, model, candidate):
            if model == standing.challenger and place.take_over is not None:
                place.take_over(agent)
            acts.promote(
                place.database, agent, model, by=BY_ITSELF, reason=said, at=place.now(),
                scope=place.scope, conditions=passed, detail=self._footing(trial, candidate),
            )  # fmt: skip
        training_end = trial.contract.terms.training_end_ms
        challenger = None if model == standing.challenger else standing.challenger
        after = replace(
            standing, serving=model, fault="", training_end_ms=training_end, promoted=True,
            stage=FIRST_STAGE, challenger=challenger, basis=BY_EVIDENCE,
        )  # fmt: skip
        return said, after

    def demote(
        self, agent: str, standing: Standing, candidate: Subject, trial: Trial | None,
        why: str, decay: Decay | None,
    ) -> tuple[str, Standing]:  # fmt: skip
        """Let the version that serves act no longer."""
        model, place = standing.serving, self._place
        if decay is not None:
            days = decay.blocks * decay.block_days
            why += f" ({decay.blocks} blocks, {days:,.0f} market days after its promotion)"
        if model is not None and not self._said(agent, Kind.DEMOTED, model, candidate):
            acts.demote(
                place.database, agent, by=BY_ITSELF, reason=why, at=place.now(),
                scope=place.scope, detail=self._footing(trial, candidate),
            )  # fmt: skip
        version = model.version if model else "none"
        after = replace(standing, promoted=False, stage=NO_CAPITAL, basis="")
        return f"version {version} observes again: {why}", after

    def move(
        self, agent: str, standing: Standing, candidate: Subject, trial: Trial | None,
        stage: float, why: str,
    ) -> tuple[str, Standing]:  # fmt: skip
        """Let the promoted version hold another stage of the capital."""
        place = self._place
        said = f"{standing.stage:.0%} to {stage:.0%} of the capital: {why}"
        if not self._said(agent, Kind.STAGED, None, candidate):
            acts.move(
                place.database, agent, stage, scope=place.scope, reason=why, at=place.now(),
                detail=self._footing(trial, candidate),
            )  # fmt: skip
        return said, replace(standing, stage=stage)

    def _footing(self, trial: Trial | None, candidate: Subject) -> dict[str, Any]:
        """What an act before the decision on this candidate rests on."""
        return footing(trial, candidate.bar_time, self._place.run_id, id_text(candidate.id))

    def _said(self, agent: str, kind: Kind, model: Model | None, candidate: Subject) -> bool:
        """Whether an attempt that was cut short has written it down already."""
        with self._place.database.read() as connection:
            record = record_in(connection, agent)
        return any(
            act.kind is kind
            and act.scope == self._place.scope
            and act.model == model
            and act.by == BY_ITSELF
            and act.detail.get("bar_time") == candidate.bar_time
            for act in record.acts
        )


def _words(trial: Trial) -> str:
    tests = [
        f"{name} E {math.exp(min(track.log_e, 700.0)):,.0f} of {1.0 / track.level:,.0f}"
        for name, track in trial.tracks.items()
        if track.crossed is not None
    ]
    days = (trial.blocks[-1].end_ms - trial.blocks[0].start_ms) / DAY_MS
    return f"{', '.join(tests)} after {trial.stream.decisions:,} decisions, {days:,.0f} days"

"""Promotion and demotion by evidence, while a run goes on.

It watches what agents decide and what comes of it, folds that into trials, and at the end of each
block of market time says which version has earned to act, which must act no longer, and which may
have more of the capital. What it says is an event in the log and, with the next decision, a fact of
the run. Everything hangs on recorded facts alone: whoever takes the run up again says the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from darwin.core.account import SafetyEvent
from darwin.core.agents import Decision, Model, Standing, Why
from darwin.core.candidate import Candidate, id_text
from darwin.core.facts import KILLED, STANDING, Input
from darwin.core.market import DAY_MS
from darwin.rl.graduation import acts
from darwin.rl.graduation.checklist import Condition, Validation, all_pass, conditions
from darwin.rl.graduation.contract import Terms, enter
from darwin.rl.graduation.decay import Decay
from darwin.rl.graduation.footing import footing
from darwin.rl.graduation.increments import Block, Entry, Outcome
from darwin.rl.graduation.judged import basis_of, told_by
from darwin.rl.graduation.latest import Latest
from darwin.rl.graduation.proof import proof_of
from darwin.rl.graduation.reading import sources_of, told_in_order
from darwin.rl.graduation.record import (
    BY_EVIDENCE,
    BY_ITSELF,
    DEPLOYMENT,
    FIRST_STAGE,
    NO_CAPITAL,
    Act,
    Kind,
    Promotion,
    read_record,
    record_in,
)
from darwin.rl.graduation.scorecard import score
from darwin.rl.graduation.trial import MISS, SKILL, UTILITY, Trial
from darwin.safety.circuit import OPENED, BreakerState
from darwin.safety.overrides import STORM
from darwin.safety.stages import DWELL_DAYS, next_stage
from darwin.store.db import Database

STUCK_OPENINGS = 5
"""A breaker that opened so often without closing is open for as long as it can be."""
FALLEN = "reducing"
"""What the account says of itself when its drawdown stops it."""


@dataclass(frozen=True, slots=True)
class Post:
    """One agent of the run: what its config lets it do, and what a version of it is judged by."""

    acts: bool  # mode active or auto
    rises: bool  # mode auto: promoted and given more capital by its evidence
    terms: Callable[[Model], Terms]
    validation: Callable[[Model], Validation]


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
    held_ms: Callable[[str, Model, datetime], int] | None  # a feed: market time heard since then
    take_over: Callable[[str], None] | None  # a feed: let the challenger of an agent serve

    @property
    def in_replay(self) -> bool:
        """Whether what it says is about this run alone."""
        return self.scope != DEPLOYMENT


class Promoter:
    """Implements `core.ports.Witness`, and is a source of inputs (`store.acts.Source`)."""

    def __init__(self, place: Place, posts: Mapping[str, Post]) -> None:
        """Know nothing yet."""
        self._place, self._posts = place, posts
        self._standings: dict[str, Standing] = {}
        self._trials: dict[tuple[str, Model], Trial] = {}
        self._decays: dict[str, Decay] = {}
        self._held: dict[str, Promotion] = {}  # of those that are promoted
        self._stage_since: dict[str, int] = {}  # bar at which an agent came to its stage
        self._breakers: dict[str, BreakerState] = {}
        self._keys: dict[int, str] = {}  # of candidates that are not settled, by row
        self._due: dict[str, bool] = {}  # agents with a block that was just scored
        self._hard: dict[str, str] = {}  # why an agent must act no longer
        self._lower: dict[str, str] = {}  # why it must hold less

    # -- what it is told

    def heard(self, one: Input) -> None:
        """Follow how agents stand; a kill takes capital back."""
        if one.kind == KILLED:
            for agent in self._posts:
                self._lower[agent] = "the kill switch was on"
        if one.kind != STANDING or one.agent not in self._posts:
            return
        before, now = self._standings.get(one.agent), Standing.read(one.detail)
        self._standings[one.agent] = now
        if before is None or (before.serving, before.promoted) != (now.serving, now.promoted):
            self._decays.pop(one.agent, None)
        if before is not None and before.stage != now.stage:
            self._stage_since[one.agent] = one.time
        if now.promoted:
            self._watch(one.agent, now, one.time)

    def noted(self, event: SafetyEvent) -> None:
        """Hear of breakers, storms of overrides, and of an account that has fallen."""
        if event.kind == FALLEN:
            for agent in self._posts:
                self._lower[agent] = f"the account has fallen: {event.detail}"
        if event.agent not in self._posts:
            return
        state = self._breakers.get(event.agent, BreakerState()).after(event.kind, event.detail)
        self._breakers[event.agent] = state
        if event.kind == OPENED:
            self._lower[event.agent] = "its breaker opened"
            if state.openings >= STUCK_OPENINGS:
                self._hard[event.agent] = f"its breaker opened {state.openings} times in a row"
        elif event.kind == STORM:
            self._hard[event.agent] = f"a storm of overrides: {event.detail}"

    def decided(
        self, candidate: Candidate, decisions: Sequence[Decision], take: bool | None
    ) -> None:
        """Add advice to the trials of those who gave it."""
        self._due.clear()  # what was due before this decision was said, or is on record
        self._hard.clear()
        self._lower.clear()
        said = float("nan") if take is None else float(take)
        key = id_text(candidate.id)
        for one in decisions:
            if one.action is None or one.model is None:
                continue
            trial = self._trial(one.agent, one.model, candidate)
            profit = trial.contract.terms.take_profit_r
            tp = profit[self._place.playbooks[candidate.playbook]]
            audited = one.why is Why.AUDIT
            self._keys[candidate.row] = key
            entry = Entry(key, candidate.bar_time, one.action, said, tp, audited)
            self._learn(one.agent, one.model, trial, trial.hear(key, entry))

    def settled(self, row: int, r: float, known_ms: int) -> None:
        """Tell all trials what became of a candidate."""
        key = self._keys.pop(row, None)
        if key is None:
            return
        for (agent, model), trial in self._trials.items():
            self._learn(agent, model, trial, trial.hear(key, Outcome(known_ms, r)))

    def _learn(self, agent: str, model: Model, trial: Trial, new: Sequence[Block]) -> None:
        if not new:
            return
        self._due[agent] = True
        standing, decay = self._standings.get(agent), self._decays.get(agent)
        if decay is not None and standing is not None and standing.serving == model:
            for block in new:
                decay.add(block)

    def _trial(self, agent: str, model: Model, candidate: Candidate) -> Trial:
        """The trial of a version; one that is not on trial yet is entered into one."""
        found = self._trials.get((agent, model))
        if found is not None:
            return found
        place, terms = self._place, self._posts[agent].terms(model)
        with place.database.write() as connection:
            contract = enter(
                connection, terms, place.scope, candidate.bar_time, by=BY_ITSELF,
                at=place.now(),
            )  # fmt: skip
            earlier = [one for one in sources_of(connection, contract) if one.number < place.number]
            told = told_in_order(connection, contract, earlier)
        trial = self._trials[agent, model] = Trial.of(contract, told)
        standing = self._standings.get(agent)
        if standing is not None and standing.promoted and standing.serving == model:
            self._watch(agent, standing, candidate.bar_time)
        return trial

    def _watch(self, agent: str, standing: Standing, time: int) -> None:
        """Set the detectors on a promoted version, by what its promotion rests on."""
        trial = self._trials.get((agent, standing.serving)) if standing.serving else None
        held = self._on_record(agent, time)
        if trial is None or held is None:
            return
        self._held[agent] = held
        self._stage_since.setdefault(agent, _since(held.stage_basis))
        basis, known = basis_of(agent, held), self._decays.get(agent)
        if known is not None and known.basis == basis:
            return
        decay = self._decays[agent] = Decay(trial.contract.terms, basis)
        for block in trial.blocks:
            decay.add(block)

    def _on_record(self, agent: str, time: int) -> Promotion | None:
        """The promotion under which an agent acts at a bar, as the log tells it."""
        scopes = {DEPLOYMENT, self._place.scope}
        record = read_record(self._place.database, agent)
        known = [act for act in record.acts if _since(act) <= time and act.scope in scopes]
        return replace(record, acts=tuple(known)).within(*scopes)

    # -- what it says

    def look(self, candidate: Candidate) -> Sequence[Input]:
        """What takes effect from the decision on this candidate on."""
        told: list[Input] = []
        for agent in self._posts:
            standing = self._standings.get(agent)
            if standing is None or not (self._due or self._hard or self._lower):
                continue
            for said, after in self._judge(agent, standing, candidate):
                if self._place.in_replay:
                    at = (candidate.row, candidate.id, candidate.bar_time)
                    text = after.text()
                    told.append(Input(*at, STANDING, BY_ITSELF, said, agent, text))
        return told

    def _judge(
        self, agent: str, standing: Standing, candidate: Candidate
    ) -> Iterator[tuple[str, Standing]]:
        """One change at most: what is said of it, and how the agent stands after it."""
        post = self._posts[agent]
        if not post.acts:
            return
        if standing.promoted and standing.serving is not None:
            why = self._hard.get(agent, "") or self._gone(agent)
            if why:
                yield self._demote(agent, standing, candidate, why)
                return
            lower = self._lower.get(agent, "")
            if lower and standing.stage > FIRST_STAGE:
                yield self._move(agent, standing, candidate, FIRST_STAGE, lower)
                return
        if not (post.rises and self._due.get(agent)):
            return
        for model in (standing.challenger, standing.serving):
            if model is None or (model == standing.serving and standing.promoted):
                continue
            if every := self._earned(agent, model, post, candidate):
                yield self._promote(agent, standing, candidate, model, every)
                return
        if standing.promoted and (above := self._next(agent, standing, candidate)):
            yield self._move(agent, standing, candidate, above, "its time there went well")

    def _gone(self, agent: str) -> str:
        decay = self._decays.get(agent)
        return decay.verdict if decay is not None and self._due.get(agent) else ""

    def _earned(
        self, agent: str, model: Model, post: Post, candidate: Candidate
    ) -> tuple[Condition, ...]:
        """The conditions of a version that has passed them all; empty: it has not."""
        trial = self._trials.get((agent, model))
        if trial is None or not has_crossed(trial):
            return ()
        every = self._conditions(agent, model, trial, post, candidate)
        return every if all_pass(every) else ()

    def _conditions(
        self, agent: str, model: Model, trial: Trial, post: Post, candidate: Candidate
    ) -> tuple[Condition, ...]:
        breaker = self._breakers.get(agent, BreakerState()).phase(candidate.bar_time)
        latest = Latest(
            self._place.run_id, candidate.bar_time, breaker, model=model,
            risk_per_trade=self._place.risk_per_trade,
        )  # fmt: skip
        card = score(agent, told_by(trial), latest)
        return conditions(card, post.validation(model), proof_of(trial))

    def _next(self, agent: str, standing: Standing, candidate: Candidate) -> float | None:
        """The stage above, where its dwell is over and its evidence is green."""
        above, decay = next_stage(standing.stage), self._decays.get(agent)
        if above is None or decay is None or not decay.is_green or standing.serving is None:
            return None
        held = self._held.get(agent)
        trial = self._trials.get((agent, standing.serving))
        if held is None or trial is None or held.scope != self._place.scope:
            return None
        if self._place.held_ms is not None:
            time = self._place.held_ms(agent, standing.serving, held.stage_since)
        else:
            time = candidate.bar_time - self._stage_since[agent]
        if time < DWELL_DAYS[standing.stage] * DAY_MS:
            return None
        post = self._posts[agent]
        every = self._conditions(agent, standing.serving, trial, post, candidate)
        return above if all_pass(every) else None

    # -- acts

    def _promote(
        self,
        agent: str,
        standing: Standing,
        candidate: Candidate,
        model: Model,
        passed: tuple[Condition, ...],
    ) -> tuple[str, Standing]:
        trial = self._trials[agent, model]
        said = f"version {model.version} has graduated: {_words(trial)}"
        detail = self._footing(trial, candidate)
        place = self._place
        if not self._said(agent, Kind.PROMOTED, model, candidate):
            if model == standing.challenger and place.take_over is not None:
                place.take_over(agent)
            acts.promote(
                place.database, agent, model, by=BY_ITSELF, reason=said, at=place.now(),
                scope=place.scope, conditions=passed, detail=detail,
            )  # fmt: skip
        training_end = trial.contract.terms.training_end_ms
        challenger = None if model == standing.challenger else standing.challenger
        after = replace(
            standing, serving=model, fault="", training_end_ms=training_end, promoted=True,
            stage=FIRST_STAGE, challenger=challenger, basis=BY_EVIDENCE,
        )  # fmt: skip
        return said, after

    def _demote(
        self, agent: str, standing: Standing, candidate: Candidate, why: str
    ) -> tuple[str, Standing]:
        model, place = standing.serving, self._place
        trial = self._trials.pop((agent, model)) if model in self._serving(agent) else None
        if (decay := self._decays.get(agent)) is not None:
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

    def _serving(self, agent: str) -> set[Model]:
        return {model for name, model in self._trials if name == agent}

    def _move(
        self, agent: str, standing: Standing, candidate: Candidate, stage: float, why: str
    ) -> tuple[str, Standing]:
        model, place = standing.serving, self._place
        said = f"{standing.stage:.0%} to {stage:.0%} of the capital: {why}"
        if model is not None and not self._said(agent, Kind.STAGED, None, candidate):
            detail = self._footing(self._trials.get((agent, model)), candidate)
            acts.move(
                place.database, agent, stage, scope=place.scope, reason=why, at=place.now(),
                detail=detail,
            )  # fmt: skip
        return said, replace(standing, stage=stage)

    def _footing(self, trial: Trial | None, candidate: Candidate) -> dict[str, Any]:
        """What an act before the decision on this candidate rests on."""
        return footing(trial, candidate.bar_time, self._place.run_id, id_text(candidate.id))

    def _said(self, agent: str, kind: Kind, model: Model | None, candidate: Candidate) -> bool:
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


def has_crossed(trial: Trial) -> bool:
    """Whether the tests of one way to graduate have all crossed."""
    ways = ((SKILL, UTILITY), (MISS, UTILITY))
    return any(
        all(name in trial.tracks and trial.tracks[name].crossed is not None for name in way)
        for way in ways
    )


def _since(act: Act) -> int:
    """The bar from which on an act holds; one whose time is not on record always did."""
    return int(act.detail.get("bar_time", -(1 << 62)))


def _words(trial: Trial) -> str:
    tests = [
        f"{name} E {math.exp(min(track.log_e, 700.0)):,.0f} of {1.0 / track.level:,.0f}"
        for name, track in trial.tracks.items()
        if track.crossed is not None
    ]
    days = (trial.blocks[-1].end_ms - trial.blocks[0].start_ms) / DAY_MS
    return f"{', '.join(tests)} after {trial.stream.decisions:,} decisions, {days:,.0f} days"

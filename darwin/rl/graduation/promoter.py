"""Promotion and demotion by evidence, while a run goes on.

It watches what agents decide and what comes of it, folds that into trials, and at the end of each
block of market time says which version has earned to act, which must act no longer, and which may
have more of the capital. What it says is an event in the log and, with the next decision, a fact of
the run. Everything hangs on recorded facts alone: whoever takes the run up again says the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from darwin.core.account import SafetyEvent
from darwin.core.agents import Decision, Model, Standing, Why
from darwin.core.candidate import Candidate, id_text
from darwin.core.facts import KILLED, STANDING, Input, Subject
from darwin.core.market import DAY_MS
from darwin.core.rebalance import BOOK_AGENTS
from darwin.rl.graduation.checklist import Condition, Validation, all_pass, conditions
from darwin.rl.graduation.contract import Terms, enter
from darwin.rl.graduation.decay import Decay
from darwin.rl.graduation.enacted import Clerk, Place
from darwin.rl.graduation.increments import Block, Entry, Outcome
from darwin.rl.graduation.judged import basis_of, told_by
from darwin.rl.graduation.latest import Latest
from darwin.rl.graduation.proof import proof_of
from darwin.rl.graduation.reading import sources_of, told_in_order
from darwin.rl.graduation.record import (
    BY_ITSELF,
    DEPLOYMENT,
    FIRST_STAGE,
    Act,
    Promotion,
    read_record,
)
from darwin.rl.graduation.scorecard import score
from darwin.rl.graduation.trial import MISS, SKILL, UTILITY, Trial
from darwin.safety.circuit import OPENED, BreakerState
from darwin.safety.overrides import STORM
from darwin.safety.stages import DWELL_DAYS, next_stage

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


class Promoter:
    """Implements `core.ports.Witness`, and is a source of inputs (`store.acts.Source`)."""

    def __init__(self, place: Place, posts: Mapping[str, Post]) -> None:
        """Know nothing yet."""
        self._place, self._posts, self._clerk = place, posts, Clerk(place)
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
        self._begin_anew()
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

    def _begin_anew(self) -> None:
        """What was due before this decision was said, or is on record."""
        self._due.clear()
        self._hard.clear()
        self._lower.clear()

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

    def _trial(self, agent: str, model: Model, candidate: Subject) -> Trial:
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

    def look(self, candidate: Subject) -> Sequence[Input]:
        """What takes effect from the decision on this candidate on."""
        told: list[Input] = []
        for agent in self._posts:
            standing = self._standings.get(agent)
            if standing is None or not (self._due or self._hard or self._lower):
                continue
            for said, after in self._judge(agent, standing, candidate):
                if self._place.tells:
                    at = (candidate.row, candidate.id, candidate.bar_time)
                    text = after.text()
                    told.append(Input(*at, STANDING, BY_ITSELF, said, agent, text))
        return told

    def _judge(
        self, agent: str, standing: Standing, candidate: Subject
    ) -> Iterator[tuple[str, Standing]]:
        """One change at most: what is said of it, and how the agent stands after it."""
        post = self._posts[agent]
        if not post.acts:
            return
        if standing.promoted and standing.serving is not None:
            why = self._hard.get(agent, "") or self._gone(agent)
            if why:
                trial = self._trials.pop((agent, standing.serving), None)
                decay = self._decays.get(agent)
                yield self._clerk.demote(agent, standing, candidate, trial, why, decay)
                return
            lower = self._lower.get(agent, "")
            if lower and standing.stage > FIRST_STAGE:
                trial = self._trials.get((agent, standing.serving))
                yield self._clerk.move(agent, standing, candidate, trial, FIRST_STAGE, lower)
                return
        if not (post.rises and self._due.get(agent)):
            return
        for model in (standing.challenger, standing.serving):
            if model is None or (model == standing.serving and standing.promoted):
                continue
            if every := self._earned(agent, model, post, candidate):
                trial = self._trials[agent, model]
                yield self._clerk.promote(agent, standing, candidate, trial, every)
                return
        if standing.promoted and (above := self._next(agent, standing, candidate)):
            trial = self._trials.get((agent, standing.serving)) if standing.serving else None
            why = "its time there went well"
            yield self._clerk.move(agent, standing, candidate, trial, above, why)

    def _gone(self, agent: str) -> str:
        decay = self._decays.get(agent)
        return decay.verdict if decay is not None and self._due.get(agent) else ""

    def _earned(
        self, agent: str, model: Model, post: Post, candidate: Subject
    ) -> tuple[Condition, ...]:
        """The conditions of a version that has passed them all; empty: it has not."""
        trial = self._trials.get((agent, model))
        if trial is None or not has_crossed(trial):
            return ()
        every = self._conditions(agent, model, trial, post, candidate)
        return every if all_pass(every) else ()

    def _conditions(
        self, agent: str, model: Model, trial: Trial, post: Post, candidate: Subject
    ) -> tuple[Condition, ...]:
        breaker = self._breakers.get(agent, BreakerState()).phase(candidate.bar_time)
        latest = Latest(
            self._place.run_id, candidate.bar_time, breaker, model=model,
            risk_per_trade=self._place.risk_per_trade,
        )  # fmt: skip
        card = score(agent, told_by(trial), latest)
        return conditions(card, post.validation(model), proof_of(trial))

    def _next(self, agent: str, standing: Standing, candidate: Subject) -> float | None:
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


def has_crossed(trial: Trial) -> bool:
    """Whether the tests of one way to graduate have all crossed."""
    if trial.contract.terms.agent in BOOK_AGENTS:
        return all(track.crossed is not None for track in trial.tracks.values())
    ways = ((SKILL, UTILITY), (MISS, UTILITY))
    return any(
        all(name in trial.tracks and trial.tracks[name].crossed is not None for name in way)
        for way in ways
    )


def _since(act: Act) -> int:
    """The bar from which on an act holds; one whose time is not on record always did."""
    return int(act.detail.get("bar_time", -(1 << 62)))

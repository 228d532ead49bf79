"""The door: the one place where an agent is asked, and where safety says whether it is heard.

What it is asked about is a matter (`engine.matter`): a candidate, or a whole book.

Advise, rule, record, return what stands. The questions come in one order, and the first "no" is the
ruling: kill switch, agent enabled, model there, breaker, observation finite, within the range of
training, inference sound, mode, override limit, capital, audit. On any "no" the baseline stands.
Whatever happens in here, the walk gets a ruling, and every consultation leaves a decision.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from darwin.core.account import Alert, SafetyEvent
from darwin.core.agents import (
    FURTHEST_SD,
    Advice,
    Decision,
    Mode,
    Model,
    Role,
    Ruling,
    Standing,
    Why,
)
from darwin.core.candidate import Candidate, CandidateTable
from darwin.core.facts import ALLOWED, KILLED, STANDING, TIMEOUT, Input
from darwin.core.ports import AnyPolicies, AnyPolicy, Moment, Page, Policies
from darwin.core.rebalance import BookAdvice, BookPage
from darwin.engine.matter import CandidateMatter, Matter, book_flaw, candidate_flaw
from darwin.engine.seat import AgentTerms, BookTerms, Chair, Seat
from darwin.safety.breaker import BreakerSettings
from darwin.safety.circuit import Transition
from darwin.safety.monitor import Monitor
from darwin.safety.overrides import STORM
from darwin.safety.stages import is_audited

WHOLE = 1.0
"""All of the capital."""
_SAID_AT_MOST = 160  # characters of an exception that are recorded
_ADDRESS = re.compile(r"0x[0-9a-fA-F]+")


def _no_watch() -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Terms:
    """What a run is given to open its door with."""

    agents: tuple[AgentTerms, ...]
    policies: Policies
    max_override_rate: float = 0.2
    breaker: BreakerSettings = field(default_factory=BreakerSettings)
    stopwatch_ns: Callable[[], int] = _no_watch

    @property
    def needs(self) -> tuple[str, ...]:
        """The features that candidates must carry for all agents to be asked."""
        return tuple(dict.fromkeys(key for one in self.agents for key in one.page.needs))


@dataclass(frozen=True, slots=True)
class TermsOfBook:
    """The same for a run of a book; no expert is there to be overridden."""

    agents: tuple[BookTerms, ...]
    policies: AnyPolicies
    max_override_rate: float = 1.0
    breaker: BreakerSettings = field(default_factory=BreakerSettings)
    stopwatch_ns: Callable[[], int] = _no_watch


class Asked(NamedTuple):
    """One consultation, as it went."""

    matter: Matter
    role: Role
    mode: Mode
    model: Model | None
    advice: Any  # Advice or BookAdvice, whichever the matter wants; None: no sound one
    ruling: Ruling
    latency_us: int


class Door:
    """All agents of a run. `decisions` are drained by whoever keeps them."""

    def __init__(
        self,
        terms: Terms | TermsOfBook,
        playbooks: Sequence[str],
        bar_ms: int,
        tell: Callable[[SafetyEvent], None],
        note: Callable[[Input], None],
        monitor: Monitor,
        alerts: list[Alert],
        overdue: Callable[[int], bool] | None = None,
    ) -> None:
        """Open it before the first candidate, with no model behind it yet.

        `tell` hears what the breakers do, `note` of time-outs, `monitor` of both and of all that is
        decided; what it finds joins `alerts`. `overdue` says of a latency in ns that it was too
        long; None: latency changes nothing, as in a replay.
        """
        self._policies, self._bar_ms = terms.policies, bar_ms
        self._tell, self._journal = tell, note
        self._monitor, self._alerts = monitor, alerts
        self._now_ns, self._overdue = terms.stopwatch_ns, overdue
        self._seats = {
            one.page.name: Seat(one, playbooks, terms.breaker, terms.max_override_rate)
            for one in terms.agents
        }
        self._killed = False
        self.decisions: list[Decision] = []

    def __contains__(self, agent: str) -> bool:
        """Whether that agent takes part in the run."""
        return agent in self._seats

    def show(self, table: CandidateTable, first_row: int) -> None:
        """Let the next consultations be about candidates of `table`; its first is `first_row`."""
        for seat in self._seats.values():
            seat.sight.show(table, first_row)

    def heed(self, one: Input) -> None:
        """Let an input take effect that is about agents; others are not the door's business."""
        if one.kind in (KILLED, ALLOWED):
            self._killed = one.kind == KILLED
        elif one.kind == STANDING and one.agent in self._seats:
            standing = Standing.read(one.detail)
            self._seats[one.agent].stand(standing)
            self._monitor.serves(one.agent, standing.serving, standing.training_end_ms)
            if standing.refused:
                self._alerts.extend(self._monitor.refused(one.time, one.agent, standing.fault))
        elif one.kind == TIMEOUT and one.agent in self._seats:
            self._seats[one.agent].too_slow_for = one.candidate_id

    def consult(self, agent: str, candidate: Candidate, moment: Moment) -> Ruling:
        """Ask `agent` about `candidate`; what comes back stands."""
        seat = self._seats[agent]
        sight = seat.sight
        take = moment.verdict is None or moment.verdict.take
        matter = CandidateMatter(sight.page, candidate, take, sight.observe(candidate.row, moment))
        asked = self.ask(agent, lambda model: matter)
        for one in asked:
            self.decisions.append(
                matter.decision(
                    one.role, one.mode, one.model, one.advice, one.ruling, one.latency_us
                )
            )
        return asked[0].ruling

    def ask(self, agent: str, look: Callable[[Model | None], Matter]) -> list[Asked]:
        """Ask the model that serves, then its challenger, if it has one; only the first may stand.

        `look` says what a model sees of the matter; None: there is no model.
        """
        seat = self._seats[agent]
        matter = look(seat.standing.serving)
        advice, why, latency_us = self._advice(seat, seat.serving, matter)
        if advice is not None:
            why = self._rule(seat, advice, matter)
        ruling = _ruling(matter, seat.standing.stage, seat.most_usd, advice, why)
        self._alerts.extend(self._monitor.consulted(matter.bar_time, agent, why))
        serving = seat.standing.serving
        asked = [Asked(matter, Role.SERVING, seat.mode, serving, advice, ruling, latency_us)]
        if seat.challenger is not None:
            asked.append(self._shadow(seat, seat.challenger, look(seat.challenger.model)))
        return asked

    def _advice(self, seat: Seat, chair: Chair | None, matter: Matter) -> tuple[Any, Why, int]:
        """Sound advice, or why there is none; and what inference took, in µs."""
        if self._killed:
            return None, Why.KILLED, 0
        if not seat.terms.enabled:
            return None, Why.DISABLED, 0
        if chair is None:
            return None, Why.NO_MODEL, 0
        if not chair.breaker.admits(self._now_ms(matter)):
            return None, Why.BREAKER_OPEN, 0
        policy = chair.policy(seat.page.name, self._policies)
        began_ns = self._now_ns()
        advice, why, said = _asked(policy, matter.observation, matter.flaw)
        latency_ns = self._now_ns() - began_ns
        if advice is not None and self._too_slow(seat, chair, matter, latency_ns):
            advice, why = None, Why.TIMED_OUT
        if why.is_failure:
            told = chair.breaker.failed(self._now_ms(matter), said or why.value)
            self._note(seat, matter, told, chair.role)
        elif advice is None:
            chair.breaker.abandoned()
        else:
            self._note(seat, matter, chair.breaker.succeeded(self._now_ms(matter)), chair.role)
        return advice, why, latency_ns // 1000

    def _now_ms(self, matter: Matter) -> int:
        """The run's clock: the close of the bar of the matter."""
        return matter.bar_time + self._bar_ms

    def _too_slow(self, seat: Seat, chair: Chair, matter: Matter, latency_ns: int) -> bool:
        """Whether inference was too slow, as measured now or as it is on record."""
        if chair.role is Role.CHALLENGER:
            return False
        if seat.too_slow_for == matter.id:
            return True
        if self._overdue is None or not self._overdue(latency_ns):
            return False
        why = "inference took too long"
        at = (matter.row, matter.id, matter.bar_time)
        self._journal(Input(*at, TIMEOUT, "door", why, seat.page.name))
        return True

    def _rule(self, seat: Seat, advice: Any, matter: Matter) -> Why:
        """Whether sound advice stands; what was requested counts against the override limit."""
        requested, now_ms = matter.overrides(advice), self._now_ms(matter)
        why = _objection(seat, advice, requested, matter, now_ms)
        if seat.limit is not None:
            seat.limit.record(now_ms, requested, requested and why is Why.ACTIVE)
            if seat.limit.storm and seat.serving is not None:
                said = seat.limit.words
                opened = seat.serving.breaker.tripped(now_ms, said)
                self._note(seat, matter, [Transition(STORM, said), *opened] if opened else [])
        return why

    def _shadow(self, seat: Seat, chair: Chair, matter: Matter) -> Asked:
        """Ask the challenger; its advice is recorded and never stands."""
        advice, why, latency_us = self._advice(seat, chair, matter)
        why = why if advice is None else Why.CHALLENGER
        ruling = _ruling(matter, 0.0, seat.most_usd, advice, why)
        return Asked(matter, Role.CHALLENGER, Mode.OBSERVE, chair.model, advice, ruling, latency_us)

    def _note(
        self,
        seat: Seat,
        matter: Matter,
        told: Sequence[Transition],
        role: Role = Role.SERVING,
    ) -> None:
        at = (matter.bar_time, matter.row)
        for one in told:
            event = one.event(*at, seat.page.name, role)
            self._tell(event)
            self._alerts.extend(self._monitor.happened(event))


def _objection(seat: Seat, advice: Any, requested: bool, matter: Matter, now_ms: int) -> Why:
    """Why sound advice does not stand, or that it does: mode, override limit, capital, audit."""
    if seat.mode is Mode.OBSERVE:
        return Why.OBSERVE
    if requested and seat.limit is not None and not seat.limit.permits(now_ms):
        return Why.OVERRIDE_LIMIT
    stage, model = seat.standing.stage, seat.standing.serving
    if not stage > 0.0:
        return Why.STAGE_ZERO
    if (
        matter.would_skip(advice)
        and stage == WHOLE
        and model is not None
        and is_audited(matter.id, model.sha256)
    ):
        return Why.AUDIT
    return Why.ACTIVE


def _ruling(matter: Matter, stage: float, most_usd: float, advice: Any, why: Why) -> Ruling:
    """What stands: the baseline, and on the agent's share of the capital what it advised.

    Where it is followed, no position may be worth more than `most_usd`, be it that it advises what
    would stand without it.
    """
    stands = matter.share(None)
    if advice is None or why is not Why.ACTIVE:
        return Ruling(stands, False, why)
    heard = matter.share(advice)
    if heard == stands:
        return Ruling(stands, True, why, most_usd)
    return Ruling(stage * heard + (1.0 - stage) * stands, True, why, most_usd)


def advise(
    page: Page, policy: AnyPolicy, observation: NDArray[np.float32]
) -> tuple[Advice | None, Why, str]:
    """Ask a model about a candidate. Whatever it does ends here: as advice, or as a `Why`.

    Whoever makes a decision again asks in the same way (`rl.serving.audit`).
    """
    return _asked(policy, observation, lambda advice: candidate_flaw(page, advice))


def advise_on_book(
    page: BookPage, policy: AnyPolicy, observation: NDArray[np.float32]
) -> tuple[BookAdvice | None, Why, str]:
    """The same of a model of a book (`rl.serving.book_audit`)."""
    return _asked(policy, observation, lambda advice: book_flaw(page, advice))


def _asked(
    policy: AnyPolicy,
    observation: NDArray[np.float32],
    flaw_of: Callable[[object], Why | None],
) -> tuple[Any, Why, str]:
    """Ask a model. Whatever it does ends here: as sound advice, or as a `Why` with its words."""
    if not np.isfinite(observation).all():
        return None, Why.NOT_FINITE, ""
    try:
        strangeness = policy.strangeness(observation)
        if not strangeness <= FURTHEST_SD:
            return None, Why.OUT_OF_RANGE, ""
        advice = policy.advise(observation)
        flaw = flaw_of(advice)
    # the door: whatever a model raises is a failure of it, also that it wants to leave
    except (Exception, SystemExit, GeneratorExit) as fault:  # noqa: BLE001
        return None, Why.RAISED, _said(fault)
    return (advice, Why.ACTIVE, "") if flaw is None else (None, flaw, "")


def _said(fault: BaseException) -> str:
    """The words of an exception, without addresses: a replay must say the same.

    An exception that fails to say itself is named all the same, and what is no UTF-8 is spelt out.
    """
    lines = traceback.format_exception_only(fault)
    first = next((line for line in lines if not line.startswith(" ")), type(fault).__name__)
    words = _ADDRESS.sub("0x", first.strip()).encode("utf-8", "backslashreplace").decode()
    return words[:_SAID_AT_MOST]

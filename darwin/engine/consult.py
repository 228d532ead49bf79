"""The door: the one place where an agent is asked, and where safety says whether it is heard.

Advise, rule, record, return what stands. The questions come in one order, and the first "no" is the
ruling: kill switch, agent enabled, model there, breaker, observation finite, within the range of
training, inference sound, mode, override limit, capital, audit. On any "no" the baseline stands.
Whatever happens in here, the walk gets a ruling, and every consultation leaves a decision.
"""

from __future__ import annotations

import math
import re
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from darwin.core.account import Alert, SafetyEvent
from darwin.core.agents import (
    FURTHEST_SD,
    GATE,
    SKIP,
    Advice,
    Decision,
    Mode,
    Role,
    Ruling,
    Standing,
    Why,
)
from darwin.core.candidate import Candidate, CandidateTable
from darwin.core.facts import ALLOWED, KILLED, STANDING, TIMEOUT, Input
from darwin.core.ports import Moment, Page, Policies, Policy
from darwin.engine.seat import AgentTerms, Chair, Seat
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


class _Question(NamedTuple):
    """What is asked of an agent: about whom, when, and what it sees."""

    candidate: Candidate
    now_ms: int  # the run's clock: the close of the candidate's bar
    take: bool  # what the expert said; True where it was not asked yet
    observation: NDArray[np.float32]


class Door:
    """All agents of a run. `decisions` are drained by whoever keeps them."""

    def __init__(
        self,
        terms: Terms,
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
        question = _Question(
            candidate,
            candidate.bar_time + self._bar_ms,
            moment.verdict is None or moment.verdict.take,
            seat.sight.observe(candidate.row, moment),
        )
        advice, why, latency_us = self._ask(seat, seat.serving, question)
        if advice is not None:
            why = self._rule(seat, advice, question)
        ruling = _ruling(seat.page, seat.standing.stage, advice, why, question.take)
        self._record(seat, Role.SERVING, question, advice, ruling, latency_us)
        if seat.challenger is not None:
            self._shadow(seat, seat.challenger, question)
        return ruling

    def _ask(
        self, seat: Seat, chair: Chair | None, question: _Question
    ) -> tuple[Advice | None, Why, int]:
        """Sound advice, or why there is none; and what inference took, in µs."""
        if self._killed:
            return None, Why.KILLED, 0
        if not seat.terms.enabled:
            return None, Why.DISABLED, 0
        if chair is None:
            return None, Why.NO_MODEL, 0
        if not chair.breaker.admits(question.now_ms):
            return None, Why.BREAKER_OPEN, 0
        policy = chair.policy(seat.page.name, self._policies)
        began_ns = self._now_ns()
        advice, why, said = advise(seat.page, policy, question.observation)
        latency_ns = self._now_ns() - began_ns
        if advice is not None and self._too_slow(seat, chair, question.candidate, latency_ns):
            advice, why = None, Why.TIMED_OUT
        if why.is_failure:
            told = chair.breaker.failed(question.now_ms, said or why.value)
            self._note(seat, question, told, chair.role)
        elif advice is None:
            chair.breaker.abandoned()
        else:
            self._note(seat, question, chair.breaker.succeeded(question.now_ms), chair.role)
        return advice, why, latency_ns // 1000

    def _too_slow(self, seat: Seat, chair: Chair, candidate: Candidate, latency_ns: int) -> bool:
        """Whether inference was too slow, as measured now or as it is on record."""
        if chair.role is Role.CHALLENGER:
            return False
        if seat.too_slow_for == candidate.id:
            return True
        if self._overdue is None or not self._overdue(latency_ns):
            return False
        why = "inference took too long"
        at = (candidate.row, candidate.id, candidate.bar_time)
        self._journal(Input(*at, TIMEOUT, "door", why, seat.page.name))
        return True

    def _rule(self, seat: Seat, advice: Advice, question: _Question) -> Why:
        """Whether sound advice stands; what was requested counts against the override limit."""
        requested = seat.page.overrides(advice.action, question.take)
        why = _objection(seat, advice, requested, question)
        if seat.limit is not None:
            seat.limit.record(question.now_ms, requested, requested and why is Why.ACTIVE)
            if seat.limit.storm and seat.serving is not None:
                said = seat.limit.words
                opened = seat.serving.breaker.tripped(question.now_ms, said)
                self._note(seat, question, [Transition(STORM, said), *opened] if opened else [])
        return why

    def _shadow(self, seat: Seat, chair: Chair, question: _Question) -> None:
        """Ask the challenger; its advice is recorded and never stands."""
        advice, why, latency_us = self._ask(seat, chair, question)
        why = why if advice is None else Why.CHALLENGER
        ruling = _ruling(seat.page, 0.0, advice, why, question.take)
        self._record(seat, Role.CHALLENGER, question, advice, ruling, latency_us)

    def _record(
        self,
        seat: Seat,
        role: Role,
        question: _Question,
        advice: Advice | None,
        ruling: Ruling,
        latency_us: int,
    ) -> None:
        serves = role is Role.SERVING
        if serves:
            at = question.candidate.bar_time
            self._alerts.extend(self._monitor.consulted(at, seat.page.name, ruling.why))
        self.decisions.append(
            Decision(
                question.candidate.row,
                seat.page.name,
                role,
                seat.mode if serves else Mode.OBSERVE,
                None if advice is None else advice.action,
                None if advice is None else advice.probability,
                seat.page.baseline,
                ruling.share,
                ruling.followed,
                ruling.why,
                seat.standing.serving if serves else seat.standing.challenger,
                seat.page.schema,
                question.observation.tobytes(),
                latency_us,
            )
        )

    def _note(
        self,
        seat: Seat,
        question: _Question,
        told: Sequence[Transition],
        role: Role = Role.SERVING,
    ) -> None:
        at = (question.candidate.bar_time, question.candidate.row)
        for one in told:
            event = one.event(*at, seat.page.name, role)
            self._tell(event)
            self._alerts.extend(self._monitor.happened(event))


def _objection(seat: Seat, advice: Advice, requested: bool, question: _Question) -> Why:
    """Why sound advice does not stand, or that it does: mode, override limit, capital, audit."""
    if seat.mode is Mode.OBSERVE:
        return Why.OBSERVE
    if requested and seat.limit is not None and not seat.limit.permits(question.now_ms):
        return Why.OVERRIDE_LIMIT
    stage, model = seat.standing.stage, seat.standing.serving
    if not stage > 0.0:
        return Why.STAGE_ZERO
    would_skip = seat.page.name == GATE and advice.action == SKIP
    if (
        would_skip
        and stage == WHOLE
        and model is not None
        and is_audited(question.candidate.id, model.sha256)
    ):
        return Why.AUDIT
    return Why.ACTIVE


def _ruling(page: Page, stage: float, advice: Advice | None, why: Why, take: bool) -> Ruling:
    """What stands: the baseline, and on the agent's share of the capital what it advised."""
    stands = page.share(page.baseline, take)
    if advice is None or why is not Why.ACTIVE:
        return Ruling(stands, False, why)
    heard = page.share(advice.action, take)
    if heard == stands:
        return Ruling(stands, True, why)
    return Ruling(stage * heard + (1.0 - stage) * stands, True, why)


def advise(
    page: Page, policy: Policy, observation: NDArray[np.float32]
) -> tuple[Advice | None, Why, str]:
    """Ask a model. Whatever it does ends here: as sound advice, or as a `Why` with its words.

    Whoever makes a decision again asks in the same way (`rl.serving.audit`).
    """
    if not np.isfinite(observation).all():
        return None, Why.NOT_FINITE, ""
    try:
        strangeness = policy.strangeness(observation)
        if not strangeness <= FURTHEST_SD:
            return None, Why.OUT_OF_RANGE, ""
        advice = policy.advise(observation)
        flaw = _flaw(page, advice)
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


def _flaw(page: Page, advice: Advice) -> Why | None:
    """What is wrong with advice, if anything; a model may have handed out whatever it liked."""
    if not isinstance(advice, Advice) or len(advice) != 2:
        return Why.WRONG_SHAPE
    action, probability = advice
    if type(action) is not float or not (probability is None or type(probability) is float):
        return Why.WRONG_SHAPE
    if not math.isfinite(action):
        return Why.ADVICE_NOT_FINITE
    if not page.is_legal(action):
        return Why.ILLEGAL
    if probability is not None and not 0.0 <= probability <= 1.0:
        return Why.ILLEGAL if math.isfinite(probability) else Why.ADVICE_NOT_FINITE
    return None

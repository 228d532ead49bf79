"""The door, question by question: what stands, why, and what is written down of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from darwin.core.account import Account, Alert, SafetyEvent
from darwin.core.agents import (
    AGENTS,
    GATE,
    KEEP,
    META_LEARNER,
    PASS,
    PORTFOLIO,
    SKIP,
    TO_SKIP,
    TO_TAKE,
    Advice,
    Decision,
    Mode,
    Model,
    Role,
    Ruling,
    Why,
)  # fmt: skip
from darwin.core.candidate import Candidate
from darwin.core.decision import Verdict
from darwin.core.facts import ALLOWED, KILLED, RELEASE, STANDING, TIMEOUT, Input
from darwin.core.ports import Moment, Policy
from darwin.engine.consult import Door, Terms
from darwin.engine.seat import AgentTerms
from darwin.errors import ModelError
from darwin.safety.breaker import Breaker, BreakerSettings
from darwin.safety.circuit import BreakerState, state_of
from darwin.safety.monitor import Monitor
from darwin.safety.stages import is_audited
from tests.engine.doors import ONE, TWO, Does, Plain, Shelf, always, standing
from tests.engine.worlds import grid_bars, session_over

HOUR_MS = 3_600_000
LONG = BreakerSettings(open_s=10**7, max_open_s=10**7)
"""Once open, open for good."""
ACCOUNT = Account(10_000.0, 2_000.0, 0.0, 1, -0.01)
TAKE, LEAVE = Verdict(True, 0.7, 0.5, (), 0.01), Verdict(False, 0.3, 0.5, (), 0.01)
TABLE = session_over(grid_bars(400, 3, gaps=False), rate=0.9).run().candidates


@dataclass
class Hall:
    """A door with everything that it tells others."""

    door: Door
    events: list[SafetyEvent] = field(default_factory=list)
    inputs: list[Input] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)

    def ask(self, row: int = 0, agent: str = GATE, verdict: Verdict | None = None) -> Ruling:
        return self.door.consult(agent, candidate(row), Moment(ACCOUNT, 10_000.0, verdict))

    def stand(self, agent: str = GATE, **other: Any) -> Hall:
        told = standing(agent, **other)
        self.door.heed(Input(0, 0, 0, STANDING, "anna", "because", agent, told.text()))
        return self

    def say(self, kind: str, agent: str = "", candidate_id: int = 0) -> Hall:
        self.door.heed(Input(0, candidate_id, 0, kind, "anna", "because", agent))
        return self

    @property
    def last(self) -> Decision:
        return self.door.decisions[-1]


def candidate(row: int) -> Candidate:
    """Candidate `row`, an hour after the one before it."""
    identity = int(TABLE.id[row])
    return Candidate(identity, row, 0, 0, 1, row * HOUR_MS, row, 100.0, 2.0, 4.0)


def hall(
    policy: Policy | None = None,
    agent: str = GATE,
    *,
    challenger: Policy | None = None,
    may_act: bool = True,
    enabled: bool = True,
    watch: Callable[[], int] | None = None,
    overdue: Callable[[int], bool] | None = None,
    rate: float = 0.2,
    breaker: BreakerSettings | None = None,
) -> Hall:
    """A door with one agent, not yet seated."""
    shelf = Shelf({(agent, ONE): policy or always(SKIP), (agent, TWO): challenger or always(PASS)})
    terms = Terms(
        (AgentTerms(Plain(agent), enabled, may_act),), shelf, rate, breaker or BreakerSettings(),
        watch or (lambda: 0),
    )  # fmt: skip
    events: list[SafetyEvent] = []
    inputs: list[Input] = []
    alerts: list[Alert] = []
    door = Door(terms, ("x",), HOUR_MS, events.append, inputs.append, Monitor(), alerts, overdue)
    door.show(TABLE, 0)
    return Hall(door, events, inputs, alerts)


def test_an_agent_takes_part_if_it_is_named() -> None:
    door = hall().door
    assert GATE in door
    assert PORTFOLIO not in door


def test_active_promoted_and_with_all_the_capital_its_advice_stands() -> None:
    told = hall(always(SKIP, 0.8)).stand()
    assert not is_audited(candidate(1).id, ONE.sha256)
    assert told.ask(1) == Ruling(0.0, True, Why.ACTIVE)
    page = Plain(GATE)
    assert told.last._replace(observation=b"") == Decision(
        1, GATE, Role.SERVING, Mode.ACTIVE, SKIP, 0.8, PASS, 0.0, True, Why.ACTIVE, ONE,
        page.schema, b"", 0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("spoil", "why", "mode"),
    [
        (lambda told: told.say(KILLED), Why.KILLED, Mode.ACTIVE),
        (lambda told: told.stand(serving=None), Why.NO_MODEL, Mode.OBSERVE),
        (lambda told: told.stand(promoted=False), Why.OBSERVE, Mode.OBSERVE),
        (lambda told: told.stand(stage=0.0), Why.STAGE_ZERO, Mode.ACTIVE),
    ],
)
def test_one_no_is_enough_for_the_baseline(
    spoil: Callable[[Hall], object], why: Why, mode: Mode
) -> None:
    told = hall().stand()
    spoil(told)
    assert told.ask(1) == Ruling(1.0, False, why)
    assert (told.last.mode, told.last.followed, told.last.final_action) == (mode, False, 1.0)
    assert (told.last.action is None) == (not why.inferred)


def test_a_disabled_agent_is_not_asked_and_one_that_may_not_act_is() -> None:
    told = hall(enabled=False).stand()
    assert told.ask(1).why is Why.DISABLED
    assert told.last.action is None
    told = hall(may_act=False).stand()
    assert told.ask(1) == Ruling(1.0, False, Why.OBSERVE)
    assert told.last.action == SKIP


def test_killed_comes_before_everything_and_no_model_is_read() -> None:
    told = hall(enabled=False).say(KILLED).stand()
    assert told.ask(1).why is Why.KILLED
    told = hall().stand().say(KILLED)
    told.ask(1)
    assert told.door._policies.asked == []  # type: ignore[attr-defined]
    told.say(ALLOWED)
    assert told.ask(2).why is Why.ACTIVE
    assert told.door._policies.asked == [(GATE, ONE)]  # type: ignore[attr-defined]


def test_a_model_is_read_once_and_one_that_is_gone_stops_the_walk() -> None:
    told = hall().stand()
    for row in range(1, 5):
        told.ask(row)
    assert told.door._policies.asked == [(GATE, ONE)]  # type: ignore[attr-defined]
    told.stand(serving=Model("20260103_000000", "3" * 64))
    with pytest.raises(ModelError):
        told.ask(5)


def test_inputs_about_others_change_nothing() -> None:
    told = hall().stand()
    told.door.heed(
        Input(0, 0, 0, STANDING, "a", "b", PORTFOLIO, standing(PORTFOLIO, stage=0.0).text())
    )
    told.say(RELEASE)
    told.say(TIMEOUT, PORTFOLIO, candidate(1).id)
    assert told.ask(1).why is Why.ACTIVE


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Advice(math.nan, None), Why.ADVICE_NOT_FINITE),
        (Advice(math.inf, None), Why.ADVICE_NOT_FINITE),
        (Advice(1.0, math.nan), Why.ADVICE_NOT_FINITE),
        (Advice(1.0, 1.5), Why.ILLEGAL),
        (Advice(1.0, -0.1), Why.ILLEGAL),
        (Advice(0.5, None), Why.ILLEGAL),
        (Advice(2.0, None), Why.ILLEGAL),
        (Advice(-1.0, None), Why.ILLEGAL),
        (Advice(1, None), Why.WRONG_SHAPE),
        (Advice(True, None), Why.WRONG_SHAPE),
        (Advice(np.float64(1.0), None), Why.WRONG_SHAPE),
        (Advice(1.0, "sure"), Why.WRONG_SHAPE),  # type: ignore[arg-type]
        ((1.0, None), Why.WRONG_SHAPE),
        (1.0, Why.WRONG_SHAPE),
        (None, Why.WRONG_SHAPE),
        (np.array([0.2, 0.8]), Why.WRONG_SHAPE),
    ],
)
def test_unsound_advice_leaves_the_baseline_and_is_a_failure(answer: object, why: Why) -> None:
    told = hall(Does(lambda _: answer)).stand()
    assert told.ask(1) == Ruling(1.0, False, why)
    assert (told.last.action, told.last.probability) == (None, None)
    [event] = told.events
    assert (event.kind, event.agent, event.row, event.time) == (
        "breaker_failure", GATE, 1, HOUR_MS,
    )  # fmt: skip
    assert event.detail.endswith(why.value)


@pytest.mark.parametrize("probability", [0.0, 1.0, 0.5, None])
def test_a_probability_may_be_any_from_nothing_to_one(probability: float | None) -> None:
    told = hall(always(SKIP, probability)).stand()
    assert told.ask(1).why is Why.ACTIVE
    assert told.last.probability == probability


def test_an_exception_is_written_down_in_words_that_a_replay_repeats() -> None:
    class Thing:
        pass

    def fall(_: object) -> None:
        raise ValueError(f"no good: {Thing()}" + "!" * 500)

    told = hall(Does(fall)).stand()
    assert told.ask(1).why is Why.RAISED
    [event] = told.events
    assert "ValueError: no good: <" in event.detail
    assert "object at 0x>" in event.detail
    assert len(event.detail) < 200


class WordlessError(RuntimeError):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (SystemExit(0), "SystemExit: 0"),
        (GeneratorExit(), "GeneratorExit"),
        (ValueError("\udc80"), r"ValueError: \udc80"),
        (WordlessError(), "WordlessError: <exception str() failed>"),
        (SyntaxError("odd", ("file", 1, 1, "text")), "SyntaxError: odd"),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, BaseException) else "",
)
def test_whatever_a_model_raises_is_a_failure_that_can_be_written_down(
    fault: BaseException, words: str
) -> None:
    def fall(_: object) -> None:
        raise fault

    told = hall(Does(fall)).stand()
    assert told.ask(1).why is Why.RAISED
    [event] = told.events
    assert words in event.detail
    event.detail.encode()


def test_a_model_cannot_change_what_is_recorded_of_what_it_saw() -> None:
    def spoil(observation: Any) -> Advice:
        observation[:] = 0.0
        return Advice(SKIP, 1.0)

    sound, spoilt = hall(always(SKIP)).stand(), hall(Does(spoil)).stand()
    sound.ask(1)
    assert spoilt.ask(1).why is Why.RAISED
    assert spoilt.last.observation == sound.last.observation


def test_what_is_no_exception_of_the_model_goes_through() -> None:
    def stop(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hall(Does(stop)).stand().ask(1)


@pytest.mark.parametrize(
    ("away", "why"),
    [(10.0, Why.ACTIVE), (10.000001, Why.OUT_OF_RANGE), (math.nan, Why.OUT_OF_RANGE)],
)
def test_beyond_ten_standard_deviations_no_advice_is_asked_and_it_is_no_failure(
    away: float, why: Why
) -> None:
    told = hall(replace(always(SKIP), away=away)).stand()
    assert told.ask(1).why is why
    assert told.events == []
    assert (told.last.action is None) == (why is Why.OUT_OF_RANGE)


def test_strangers_never_open_the_breaker_nor_use_up_its_probe() -> None:
    told = hall(Does(lambda _: None)).stand()
    for row in range(1, 6):
        told.ask(row)
    assert told.events[-1].kind == "breaker_opened"
    told.door._seats[GATE].serving._policy = replace(always(SKIP), away=99.0)  # type: ignore[union-attr]
    for row in range(20, 40):
        assert told.ask(row).why is Why.OUT_OF_RANGE
    assert told.events[-1].kind == "breaker_opened"
    told.door._seats[GATE].serving._policy = always(SKIP)  # type: ignore[union-attr]
    for row in (41, 42, 43):
        assert told.ask(row).why in (Why.ACTIVE, Why.AUDIT)
    assert told.events[-1].kind == "breaker_closed"


@pytest.mark.parametrize(
    "silence",
    [
        lambda: hall().stand().say(KILLED),
        lambda: hall(enabled=False).stand(),
        lambda: hall().stand(serving=None),
        lambda: hall(breaker=LONG).stand(),
    ],
)
def test_where_no_inference_was_made_it_took_no_time(silence: Callable[[], Hall]) -> None:
    told = silence()
    chair = told.door._seats[GATE].serving
    if chair is not None:
        chair.breaker.tripped(0, "a test")
    told.ask(1)
    assert told.last.action is None
    assert told.last.latency_us == 0


def test_a_model_that_is_refused_raises_one_alert_for_each_reason() -> None:
    told = hall()
    for fault in ("is torn", "is torn", "is gone"):
        told.stand(serving=None, promoted=False, fault=fault)
    assert [(one.kind, one.agent, one.detail) for one in told.alerts] == [
        ("model refused", GATE, "is torn"),
        ("model refused", GATE, "is gone"),
    ]


def test_what_an_exception_says_is_recorded_up_to_160_characters() -> None:
    def wordy(_: object) -> Advice:
        raise ValueError("x" * 1000)

    told = hall(Does(wordy)).stand()
    told.ask(1)
    assert told.events[-1].detail == "call 1: ValueError: " + "x" * 148


def test_an_observation_that_is_not_finite_is_not_judged_and_is_a_failure() -> None:
    told = hall().stand()
    broken = Moment(ACCOUNT._replace(drawdown=math.nan), 10_000.0)
    assert told.door.consult(GATE, candidate(1), broken).why is Why.NOT_FINITE
    assert [event.kind for event in told.events] == ["breaker_failure"]


def test_the_observation_is_the_page_of_the_candidate_and_the_moment() -> None:
    seen: list[np.ndarray] = []

    def look(observation: np.ndarray) -> Advice:
        seen.append(observation.copy())
        return Advice(PASS, None)

    told = hall(Does(look)).stand()
    for row in (3, 250, 4):
        told.ask(row)
    columns = Plain(GATE).columns(TABLE, ())
    for row, observation in zip((3, 250, 4), seen, strict=True):
        expected = [*columns[row], *np.float32((0.2, -0.01, 0.5, 0.5))]
        assert observation.tolist() == expected
        assert observation.dtype == np.float32
    assert told.last.observation == seen[-1].tobytes()


def test_what_was_never_shown_cannot_be_observed() -> None:
    terms = Terms((AgentTerms(Plain(GATE)),), Shelf({}))
    door = Door(terms, (), HOUR_MS, print, print, Monitor(), [])
    with pytest.raises(IndexError, match="no candidates were shown"):
        door.consult(GATE, candidate(0), Moment(ACCOUNT, 10_000.0))


def test_five_failures_open_the_breaker_and_then_no_inference_is_made() -> None:
    calls: list[int] = []

    def fail(_: object) -> Advice:
        calls.append(1)
        return Advice(math.nan, None)

    settings = BreakerSettings(open_s=7_200, max_open_s=7_200)
    told = hall(Does(fail), breaker=settings).stand()
    whys = [told.ask(row).why for row in range(1, 7)]
    assert whys == [Why.ADVICE_NOT_FINITE] * 5 + [Why.BREAKER_OPEN]
    assert len(calls) == 5
    opened = told.events[-1]
    assert (opened.kind, opened.time, opened.row) == ("breaker_opened", 5 * HOUR_MS, 5)
    assert "until 1970-01-01T08:00:00.000Z" in opened.detail  # bar 5 closes at 6 h
    assert [alert.kind for alert in told.alerts] == ["breaker opened"]


def test_a_new_model_does_not_close_the_breaker_of_its_agent() -> None:
    told = hall(Does(lambda _: None), challenger=always(SKIP), breaker=LONG)
    told.stand()
    for row in range(1, 6):
        told.ask(row)
    told.stand(serving=TWO)
    assert told.ask(6).why is Why.BREAKER_OPEN


def test_the_faults_of_one_agent_never_open_the_breaker_of_another() -> None:
    shelf = Shelf(
        {(name, ONE): always(1.0) for name in AGENTS} | {(GATE, ONE): Does(lambda _: None)}
    )
    seats = tuple(AgentTerms(Plain(name), may_act=True) for name in AGENTS)
    terms = Terms(seats, shelf, breaker=LONG)
    events: list[SafetyEvent] = []
    door = Door(terms, (), HOUR_MS, events.append, print, Monitor(), [])
    door.show(TABLE, 0)
    for name in AGENTS:
        door.heed(Input(0, 0, 0, STANDING, "a", "b", name, standing(name).text()))
    for row in range(10):
        for name in AGENTS:
            verdict = None if name == GATE else LEAVE
            door.consult(name, candidate(row), Moment(ACCOUNT, 10_000.0, verdict))
    assert {event.agent for event in events} == {GATE}
    whys = {one.agent: one.why for one in door.decisions[-3:]}
    assert whys == {GATE: Why.BREAKER_OPEN, META_LEARNER: Why.ACTIVE, PORTFOLIO: Why.ACTIVE}


@pytest.mark.parametrize("overdue", [False, True])
def test_live_an_inference_that_took_too_long_is_dropped_and_journaled(overdue: bool) -> None:
    ticks = iter(range(0, 10**9, 60_000_000))
    told = hall(watch=lambda: next(ticks), overdue=lambda ns: overdue and ns == 60_000_000).stand()
    assert told.ask(1).why is (Why.TIMED_OUT if overdue else Why.ACTIVE)
    assert told.last.latency_us == 60_000
    if overdue:
        assert told.inputs == [
            Input(1, candidate(1).id, HOUR_MS, TIMEOUT, "door", "inference took too long", GATE)
        ]
        assert told.events[-1].detail.endswith(Why.TIMED_OUT.value)
    else:
        assert told.inputs == []


def test_a_time_out_on_record_is_one_again_for_that_candidate_alone() -> None:
    told = hall().stand().say(TIMEOUT, GATE, candidate(2).id)
    whys = [told.ask(row).why for row in (1, 2, 3)]
    assert whys[1] is Why.TIMED_OUT
    assert Why.TIMED_OUT not in (whys[0], whys[2])
    assert told.inputs == []


def test_a_failure_is_no_time_out_however_long_it_took() -> None:
    told = hall(Does(lambda _: None), overdue=lambda _: True).stand()
    assert told.ask(1).why is Why.WRONG_SHAPE
    assert told.inputs == []


def test_an_audit_lets_a_skip_pass_at_full_capital_and_nowhere_else() -> None:
    row = next(row for row in range(300) if is_audited(candidate(row).id, ONE.sha256))
    assert hall().stand().ask(row) == Ruling(1.0, False, Why.AUDIT)
    assert hall().stand(stage=0.5).ask(row) == Ruling(0.5, True, Why.ACTIVE)
    assert hall(always(PASS)).stand().ask(row) == Ruling(1.0, True, Why.ACTIVE)
    zero = hall(always(0.0), PORTFOLIO).stand(PORTFOLIO)
    assert zero.ask(row, PORTFOLIO, TAKE) == Ruling(0.0, True, Why.ACTIVE)


def test_an_audit_is_recorded_with_the_skip_it_let_pass() -> None:
    row = next(row for row in range(300) if is_audited(candidate(row).id, ONE.sha256))
    told = hall().stand()
    told.ask(row)
    assert (told.last.action, told.last.final_action, told.last.followed) == (SKIP, 1.0, False)


@pytest.mark.parametrize(
    ("action", "verdict", "share"),
    [
        (KEEP, TAKE, 1.0), (KEEP, LEAVE, 0.0), (TO_SKIP, TAKE, 0.75), (TO_SKIP, LEAVE, 0.0),
        (TO_TAKE, LEAVE, 0.25), (TO_TAKE, TAKE, 1.0),
    ],
)  # fmt: skip
def test_a_meta_learner_changes_the_verdict_on_its_share_of_the_capital(
    action: float, verdict: Verdict, share: float
) -> None:
    told = hall(always(action), META_LEARNER).stand(META_LEARNER, stage=0.25)
    assert told.ask(1, META_LEARNER, verdict).share == share


def test_overrides_that_stand_keep_to_their_limit_and_the_rest_keep_the_verdict() -> None:
    turn = iter([TO_SKIP, KEEP, KEEP] * 100)
    told = hall(Does(lambda _: Advice(next(turn), None)), META_LEARNER, rate=0.2).stand(
        META_LEARNER
    )
    for row in range(60):
        told.ask(row, META_LEARNER, TAKE)
    stood = [one.followed and one.action == TO_SKIP for one in told.door.decisions]
    refused = [one for one in told.door.decisions if one.why is Why.OVERRIDE_LIMIT]
    assert sum(stood[:19]) == 4
    assert refused
    assert all((one.final_action, one.action) == (1.0, TO_SKIP) for one in refused)
    assert sum(stood) <= 0.2 * 60
    assert "excessive overrides" in {alert.kind for alert in told.alerts}


def test_an_override_limit_of_nothing_lets_none_stand_but_agreement_is_none() -> None:
    told = hall(always(TO_SKIP), META_LEARNER, rate=0.0).stand(META_LEARNER)
    assert told.ask(1, META_LEARNER, TAKE).why is Why.OVERRIDE_LIMIT
    assert told.ask(2, META_LEARNER, LEAVE).why is Why.ACTIVE  # it would have been skipped anyway


@pytest.mark.parametrize("promoted", [False, True])
def test_a_storm_of_requests_opens_the_breaker_in_observe_too(promoted: bool) -> None:
    told = hall(always(TO_SKIP), META_LEARNER, rate=1.0, breaker=LONG)
    told.stand(META_LEARNER, promoted=promoted)
    whys = [told.ask(row, META_LEARNER, TAKE).why for row in range(25)]
    assert whys[19] is (Why.ACTIVE if promoted else Why.OBSERVE)
    assert set(whys[20:]) == {Why.BREAKER_OPEN}
    assert [event.kind for event in told.events] == ["override_storm", "breaker_opened"]
    assert {event.row for event in told.events} == {19}
    assert {"breaker opened", "excessive overrides"} <= {alert.kind for alert in told.alerts}


def test_a_challenger_is_asked_after_the_serving_model_and_has_a_breaker_of_its_own() -> None:
    told = hall(always(PASS), challenger=Does(lambda _: None), breaker=LONG).stand(challenger=TWO)
    for row in range(1, 8):
        assert told.ask(row) == Ruling(1.0, True, Why.ACTIVE)
    roles = [one.role for one in told.door.decisions]
    assert roles == [Role.SERVING, Role.CHALLENGER] * 7
    beside = [one.why for one in told.door.decisions[1::2]]
    assert beside == [Why.WRONG_SHAPE] * 5 + [Why.BREAKER_OPEN] * 2
    assert {one.model for one in told.door.decisions[1::2]} == {TWO}


def test_what_a_challengers_breaker_does_is_not_taken_for_the_agents() -> None:
    bad = Does(lambda _: None)
    told = hall(bad, challenger=bad, breaker=LONG).stand(challenger=TWO)
    for row in range(1, 6):
        told.ask(row)
    kinds = [event.kind for event in told.events]
    mine = ["breaker_failure"] * 4 + ["breaker_opened"]
    assert [kind for kind in kinds if not kind.startswith("challenger_")] == mine
    assert kinds[1::2] == [f"challenger_{kind}" for kind in mine]
    assert {event.agent for event in told.events} == {GATE}
    assert {alert.kind for alert in told.alerts} == {"breaker opened", "challenger breaker opened"}


def test_a_challengers_breaker_leaves_no_trace_in_the_fold_of_the_agents() -> None:
    told = hall(always(PASS), challenger=Does(lambda _: None), breaker=LONG).stand(challenger=TWO)
    for row in range(1, 6):
        told.ask(row)
    assert "challenger_breaker_opened" in {event.kind for event in told.events}
    assert state_of(told.events, GATE) == BreakerState()
    folded = Breaker.fold(told.events, GATE, BreakerSettings())
    assert folded.state == BreakerState()
    assert [alert.kind for alert in told.alerts] == ["challenger breaker opened"]


def test_a_challenger_that_is_slow_disturbs_nobody() -> None:
    told = hall(always(PASS), challenger=always(SKIP), overdue=lambda _: False)
    told.stand(challenger=TWO).say(TIMEOUT, GATE, candidate(1).id)
    told.ask(1)
    assert [one.why for one in told.door.decisions] == [Why.TIMED_OUT, Why.CHALLENGER]
    assert told.last.final_action == 1.0
    assert not told.last.followed
    assert told.last.action == SKIP


def test_an_observing_agent_with_a_challenger_records_both() -> None:
    told = hall(challenger=always(PASS)).stand(promoted=False, challenger=TWO)
    told.ask(1)
    assert [(one.role, one.mode, one.why) for one in told.door.decisions] == [
        (Role.SERVING, Mode.OBSERVE, Why.OBSERVE),
        (Role.CHALLENGER, Mode.OBSERVE, Why.CHALLENGER),
    ]


def test_the_challenger_that_stays_keeps_its_breaker_when_the_stage_changes() -> None:
    told = hall(always(PASS), challenger=Does(lambda _: None), breaker=LONG)
    told.stand(challenger=TWO)
    for row in range(1, 6):
        told.ask(row)
    told.stand(challenger=TWO, stage=0.5)
    told.ask(6)
    assert told.last.why is Why.BREAKER_OPEN
    told.stand(challenger=None)
    told.ask(7)
    assert told.last.role is Role.SERVING


def test_a_stale_model_raises_one_alert() -> None:
    told = hall(always(PASS)).stand(training_end_ms=-40 * 24 * HOUR_MS)
    for row in range(1, 5):
        told.ask(row)
    assert [alert.kind for alert in told.alerts] == ["model stale"]


def test_the_challengers_silence_raises_no_alert() -> None:
    told = hall(always(PASS), challenger=replace(always(SKIP), away=99.0)).stand(challenger=TWO)
    for row in range(1, 60):
        told.ask(row)
    assert told.alerts == []


def test_the_run_clock_is_the_close_of_the_bar() -> None:
    settings = BreakerSettings(open_s=3_600, max_open_s=10**6)
    told = hall(Does(lambda _: None), breaker=settings).stand()
    whys = [told.ask(row).why for row in range(1, 9)]
    # opened at the close of bar 5 for an hour: bar 6 closes just then, its probe fails, two hours
    assert whys == [*[Why.WRONG_SHAPE] * 6, Why.BREAKER_OPEN, Why.WRONG_SHAPE]


def test_features_that_agents_need_are_those_of_their_pages_once_each() -> None:
    pages = [replace(Plain(GATE), needs=("a", "b")), replace(Plain(PORTFOLIO), needs=("b", "c"))]
    assert Terms(tuple(map(AgentTerms, pages)), Shelf({})).needs == ("a", "b", "c")

"""The circuit breaker: what opens it, what it lets through, and that facts alone rebuild it."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, replace
from fractions import Fraction
from itertools import takewhile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darwin.core.account import SafetyEvent
from darwin.errors import IntegrityError
from darwin.safety.breaker import Breaker, BreakerSettings
from darwin.safety.circuit import (
    CLOSED,
    FAILURE,
    KINDS,
    OPENED,
    SUCCESS,
    BreakerState,
    Phase,
    Transition,
    state_of,
)

S = 1000
START = 1_700_000_000_000
USUAL = BreakerSettings()


def called(breaker: Breaker, calls: str, now: int = START) -> list[Transition]:
    """Make calls one after the other: F fails, S succeeds; what was recorded of them."""
    recorded = []
    for call in calls:
        assert breaker.admits(now)
        recorded += breaker.failed(now, "boom") if call == "F" else breaker.succeeded(now)
    return recorded


def opened_breaker(now: int = START) -> Breaker:
    breaker = Breaker(USUAL)
    called(breaker, "FFFFF", now)
    return breaker


def kinds(recorded) -> list[str]:
    return [one.kind for one in recorded]


def test_the_fifth_failure_in_a_row_opens_it_and_says_until_when():
    breaker = Breaker(USUAL)
    assert called(breaker, "FFFF") == [Transition(FAILURE, f"call {n}: boom") for n in (1, 2, 3, 4)]
    assert breaker.state == BreakerState()
    assert breaker.admits(START)
    assert breaker.failed(START, "raised") == [
        Transition(
            OPENED, "until 2023-11-14T22:18:20.000Z: 5 failures in a row, the last one: raised"
        )
    ]
    assert breaker.state == BreakerState(START + 300 * S, 1)
    assert not breaker.admits(START)


def test_a_success_in_between_starts_the_row_anew():
    breaker = Breaker(USUAL)
    assert OPENED not in kinds(called(breaker, "SSSSSSSSSS" + "FFFFS" + "FFFF"))


@pytest.mark.parametrize("calls", ["SFSFSFSFSF", "FSFSFSFSFS", "SSSSSSFFFSFFFF", "SSFFFFSSSF"])
def test_half_of_the_last_calls_failing_opens_it_from_ten_calls_on(calls):
    breaker = Breaker(USUAL)
    assert OPENED not in kinds(called(breaker, calls[:-1]))
    [opened] = called(breaker, calls[-1])
    assert opened.kind == OPENED
    assert f": {calls.count('F')} of the last {len(calls)} calls failed" in opened.detail


def test_fewer_than_half_never_open_it():
    breaker = Breaker(USUAL)
    assert OPENED not in kinds(called(breaker, "SSF" * 200))


def test_only_the_last_twenty_calls_count():
    nine_of_twenty = "SS" + "SF" * 9
    breaker = Breaker(USUAL)
    assert OPENED not in kinds(called(breaker, nine_of_twenty))
    [opened] = called(breaker, "F")
    assert opened.detail.endswith(": 10 of the last 20 calls failed, the last one: boom")


def test_the_last_twenty_calls_count_all():
    breaker = Breaker(USUAL)
    assert OPENED not in kinds(called(breaker, "FSSSSSFSFSFFSFSFSFF"))
    [opened] = called(breaker, "F")
    assert opened.detail.endswith(": 10 of the last 20 calls failed, the last one: boom")


@pytest.mark.parametrize(("numerator", "opens_at"), [(7, 7), (8, 8), (9, 9)])
def test_the_share_is_compared_exactly(numerator, opens_at):
    share = BreakerSettings(failure_share=Fraction(numerator, 10), failures_in_a_row=99)
    breaker = Breaker(share)
    calls = "S" * (10 - opens_at) + "F" * opens_at
    assert kinds(called(breaker, calls)) == [FAILURE] * (opens_at - 1) + [OPENED]
    breaker = Breaker(share)
    assert OPENED not in kinds(called(breaker, "S" + calls[:-1]))


def test_it_is_open_for_300_seconds_and_half_open_from_then_on():
    breaker = opened_breaker()
    until = START + 300 * S
    assert not breaker.admits(until - 1)
    assert breaker.state.phase(START - 1) is Phase.OPEN
    assert breaker.state.phase(until - 1) is Phase.OPEN
    assert breaker.state.phase(until) is Phase.HALF_OPEN
    assert breaker.admits(until)
    assert Breaker(USUAL).state.phase(until) is Phase.CLOSED


def test_each_failed_probe_doubles_the_time_up_to_an_hour():
    breaker, now, waits = opened_breaker(), START, [300]
    for _ in range(6):
        now += waits[-1] * S
        assert not breaker.admits(now - 1)
        assert breaker.admits(now)
        [opened] = breaker.failed(now, "still broken")
        assert opened.kind == OPENED
        assert opened.detail.endswith("Z: the probe failed: still broken")
        waits.append((breaker.state.open_until_ms - now) // S)
    assert waits == [300, 600, 1200, 2400, 3600, 3600, 3600]


def test_three_successful_probes_close_it_and_reset_the_time():
    breaker = opened_breaker()
    now = START + 300 * S
    called_once = called(breaker, "F", now)
    assert kinds(called_once) == [OPENED]
    now += 600 * S
    assert called(breaker, "SSS", now) == [
        Transition(SUCCESS, "probe 1 of 3 went well"),
        Transition(SUCCESS, "probe 2 of 3 went well"),
        Transition(CLOSED, "3 probes in a row went well"),
    ]
    assert breaker.state == BreakerState()
    assert kinds(called(breaker, "FFFFF", now)) == [FAILURE] * 4 + [OPENED]
    assert breaker.state == BreakerState(now + 300 * S, 1)


def test_successes_before_a_failed_probe_do_not_count():
    breaker = opened_breaker()
    assert kinds(called(breaker, "SSF", START + 300 * S)) == [SUCCESS, SUCCESS, OPENED]
    assert breaker.state == BreakerState(START + 900 * S, 2, 0)
    assert kinds(called(breaker, "SSS", START + 900 * S)) == [SUCCESS, SUCCESS, CLOSED]


def test_while_a_probe_is_out_all_others_are_turned_away_at_once():
    breaker = opened_breaker()
    now = START + 300 * S
    assert breaker.admits(now)
    assert not breaker.admits(now)
    assert not breaker.admits(now + 10**9)
    breaker.succeeded(now)
    assert breaker.admits(now)
    assert not breaker.admits(now)


def test_of_twenty_concurrent_callers_exactly_one_gets_the_probe():
    with ThreadPoolExecutor(20) as pool:
        for _ in range(50):
            breaker, gate = opened_breaker(), threading.Barrier(20)

            def ask(breaker=breaker, gate=gate) -> bool:
                gate.wait()
                return breaker.admits(START + 300 * S)

            answers = [one.result() for one in [pool.submit(ask) for _ in range(20)]]
            assert sum(answers) == 1


def test_a_probe_that_was_never_made_goes_to_the_next_caller():
    breaker = opened_breaker()
    now = START + 300 * S
    before = breaker.state
    assert breaker.admits(now)
    breaker.abandoned()
    assert breaker.state == before
    assert called(breaker, "S", now) == [Transition(SUCCESS, "probe 1 of 3 went well")]
    closed = Breaker(USUAL)
    called(closed, "FFFF")
    closed.abandoned()
    assert kinds(called(closed, "F")) == [OPENED]


def test_answers_to_calls_from_before_it_opened_change_nothing():
    breaker = opened_breaker()
    before = breaker.state
    assert breaker.succeeded(START) == []
    assert breaker.failed(START, "late") == []
    assert breaker.tripped(START + 300 * S - 1, "late") == []
    assert breaker.state == before


def test_it_can_be_tripped_whatever_the_calls_were_like():
    breaker = Breaker(USUAL)
    called(breaker, "SSS")
    [opened] = breaker.tripped(START, "an override storm")
    assert opened == Transition(OPENED, "until 2023-11-14T22:18:20.000Z: an override storm")
    assert breaker.state == BreakerState(START + 300 * S, 1)


@pytest.mark.parametrize("reported", [True, False])
def test_a_probe_that_trips_it_has_failed_whether_or_not_it_was_reported(reported):
    breaker = opened_breaker()
    now = START + 300 * S
    assert breaker.admits(now)
    if reported:
        breaker.succeeded(now)
    assert kinds(breaker.tripped(now, "an override storm")) == [OPENED]
    assert breaker.state == BreakerState(now + 600 * S, 2)
    assert not breaker.admits(now + 600 * S - 1)
    assert breaker.admits(now + 600 * S)


def test_a_probe_out_while_time_goes_back_can_still_trip_it():
    breaker = opened_breaker()
    assert breaker.admits(START + 300 * S)
    assert kinds(breaker.tripped(START, "storm")) == [OPENED]
    assert breaker.admits(START + 600 * S)


def test_after_closing_the_last_calls_are_counted_from_none():
    breaker = Breaker(USUAL)
    called(breaker, "FSFSFSFSFS")
    called(breaker, "SSS", START + 300 * S)
    assert called(breaker, "FFFF") == [Transition(FAILURE, f"call {n}: boom") for n in (1, 2, 3, 4)]
    assert breaker.state == BreakerState()


def test_a_transition_becomes_a_fact_of_its_agent_and_decision():
    assert Transition(FAILURE, "call 1: boom").event(START, 7, "gate") == SafetyEvent(
        START, "breaker_failure", "call 1: boom", 7, "gate"
    )


def by_hand(calls: list[tuple[str, int]]) -> list[tuple[str, bool]]:
    """Each call's phase before it, and whether a breaker opened at it; lists and nothing clever."""
    seen: list[tuple[str, bool]] = []
    history: list[bool] = []
    until, wait, good = None, 300, 0
    for call, now in calls:
        phase = "closed" if until is None else "open" if now < until else "half-open"
        opened = False
        if phase == "closed":
            history.append(call == "F")
            last = history[-20:]
            opened = history[-5:] == [True] * 5 or (
                len(last) >= 10 and sum(last) / len(last) >= 0.5
            )
        elif phase == "half-open":
            opened = call == "F"
            good = 0 if opened else good + 1
            if good == 3:
                until, wait, good, history = None, 300, 0, []
        if opened:
            until, wait, good, history = now + wait * S, min(2 * wait, 3600), 0, []
        seen.append((phase, opened))
    return seen


def walk(breaker: Breaker, calls: list[tuple[str, int]]) -> list[list[Transition] | None]:
    """Make those of the calls that are admitted; what was recorded of each, None: not admitted."""
    return [
        None if breaker.state.phase(now) is Phase.OPEN else called(breaker, call, now)
        for call, now in calls
    ]


def some_walk(seed: int, most: int = 150) -> list[tuple[str, int]]:
    """Calls as (F or S, time), of an agent that has spells of failing; times may be equal."""
    chance = random.Random(seed)
    calls, now = [], START
    while len(calls) < most:
        share = chance.choice((0.0, 0.2, 0.4, 0.5, 0.7, 1.0))
        for _ in range(chance.randrange(1, 30)):
            now += chance.choice((0, 1, 60 * S, 299_999, 300 * S, 3600 * S))
            calls.append(("F" if chance.random() < share else "S", now))
    return calls[: chance.randrange(most)]


SEEDS = st.integers(0, 2**32)


@settings(max_examples=300)
@given(SEEDS)
def test_it_does_what_a_plain_reckoning_of_all_calls_does(seed):
    breaker, seen = Breaker(USUAL), []
    for call, now in some_walk(seed):
        phase = breaker.state.phase(now)
        [recorded] = walk(breaker, [(call, now)])
        assert (recorded is None) is (phase is Phase.OPEN)
        seen.append((phase.value, OPENED in kinds(recorded or [])))
    assert seen == by_hand(some_walk(seed))


@settings(max_examples=100)
@given(SEEDS)
def test_where_it_stands_is_told_by_its_facts_at_each_prefix(seed):
    breaker, facts, told = Breaker(USUAL), [], BreakerState()
    for one in some_walk(seed):
        for change in walk(breaker, [one])[0] or []:
            facts.append(change.event(START, 1, "gate"))
            facts.append(SafetyEvent(START, OPENED, "until 2100-01-01T00:00:00.000Z: x", 1, "else"))
            facts.append(SafetyEvent(START, "override_storm", "x", 1, "gate"))
            told = state_of(facts, "gate")
            assert Breaker.fold(facts, "gate", USUAL).state == told
        assert breaker.state == told


@settings(max_examples=300)
@given(SEEDS, st.integers(0, 2**32))
def test_killed_and_folded_it_goes_on_as_if_nothing_had_happened(seed, kill):
    before = some_walk(seed)
    after = [(call, now + 10**9) for call, now in some_walk(seed + 1)]
    before = before[: kill % (len(before) + 1)]
    breaker = Breaker(USUAL)
    recorded = [one for one in walk(breaker, before) if one is not None]
    facts = [change.event(START, 1, "gate") for one in recorded for change in one]
    folded = Breaker.fold(facts, "gate", USUAL)
    without_facts = len(list(takewhile(lambda one: not one, reversed(recorded))))
    called(folded, "S" * without_facts)  # the successes after the last fact
    assert walk(folded, after) == walk(breaker, after)


def test_a_killed_run_opens_at_the_fifth_failure_all_the_same():
    facts = [one.event(START, 1, "gate") for one in called(Breaker(USUAL), "SSFFFF")]
    resumed = Breaker.fold(facts, "gate", USUAL)
    assert kinds(called(resumed, "F")) == [OPENED]


def test_the_fold_knows_the_successes_between_failures():
    calls = "SSSSSSSSSSFFFFSFFF"
    facts = [one.event(START, 1, "gate") for one in called(Breaker(USUAL), calls)]
    resumed = Breaker.fold(facts, "gate", USUAL)
    assert called(resumed, "F") == [Transition(FAILURE, "call 19: boom")]


def test_a_restart_does_not_close_a_breaker():
    breaker = Breaker(USUAL)
    facts = [one.event(START, 1, "gate") for one in called(breaker, "FFFFF")]
    resumed = Breaker.fold(facts, "gate", USUAL)
    assert not resumed.admits(START + 300 * S - 1)
    assert resumed.admits(START + 300 * S)
    assert not resumed.admits(START + 300 * S)


def test_the_faults_of_one_agent_never_open_the_breaker_of_another():
    facts = [one.event(START, 1, "gate") for one in called(Breaker(USUAL), "FFFFF")]
    assert state_of(facts, "gate") == BreakerState(START + 300 * S, 1)
    for other in ("meta_learner", "portfolio", ""):
        assert state_of(facts, other) == BreakerState()
        assert Breaker.fold(facts, other, USUAL).admits(START)


def test_the_state_can_be_told_without_knowing_the_settings():
    patient = replace(USUAL, probes_to_close=5, open_s=7, max_open_s=20, failures_in_a_row=1)
    breaker, facts = Breaker(patient), []
    for calls, now in (("F", 0), ("F", 7), ("F", 21), ("SSSS", 41), ("S", 41)):
        recorded = called(breaker, calls, START + now * S)
        facts += [one.event(START, 1, "gate") for one in recorded]
        assert state_of(facts, "gate") == breaker.state
    assert kinds(recorded) == [CLOSED]
    assert breaker.state == BreakerState()


def test_times_are_told_to_the_millisecond():
    until = 1_234_567_890_123
    told = Transition.opened(until, "why")
    assert told.detail == "until 2009-02-13T23:31:30.123Z: why"
    assert BreakerState().after(*told).open_until_ms == until


@pytest.mark.parametrize(
    ("kind", "detail"),
    [
        (FAILURE, "boom"),
        (FAILURE, "call x: boom"),
        (OPENED, "for a while: boom"),
        (OPENED, "until tomorrowZ: boom"),
        (OPENED, "until 2009-02-13T23:31:30.123: boom"),
    ],
)
def test_a_detail_that_no_breaker_has_written_is_refused(kind, detail):
    facts = [SafetyEvent(START, kind, detail, 1, "gate")]
    with pytest.raises(IntegrityError, match="no circuit breaker has written") as caught:
        Breaker.fold(facts, "gate", USUAL)
    assert caught.value.what == f"no circuit breaker has written {detail!r}"
    assert caught.value.where == "safety_events.detail"
    assert caught.value.mend == "`darwin verify RUN_ID` names the first row that was changed"


def test_the_kinds_of_its_events_are_what_stands_in_databases():
    assert KINDS == ("breaker_failure", "breaker_opened", "breaker_success", "breaker_closed")


def test_settings_and_state_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        USUAL.failures_in_a_row = 6
    with pytest.raises(FrozenInstanceError):
        opened_breaker().state.open_until_ms = None

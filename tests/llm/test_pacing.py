"""A rate that is never exceeded, and a breaker that lets one probe through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darwin.deciders.llm.pacing import Breaker, RateLimit
from tests.llm.conftest import Time


@given(st.integers(1, 5), st.lists(st.floats(0, 40) | st.just(0.0), max_size=40))
def test_no_minute_has_more_requests_than_allowed(per_minute: int, gaps: list[float]) -> None:
    time = Time()
    limit = RateLimit(per_minute, clock=time.clock, sleep=time.sleep)
    begun = []
    for gap in gaps:
        time.now += gap
        assert limit.wait(3600.0)
        begun.append(time.now)
    for first, later in zip(begun, begun[per_minute:], strict=False):
        assert later - first >= 60.0 - 1e-9


def test_nobody_waits_where_there_is_room() -> None:
    time = Time()
    limit = RateLimit(3, clock=time.clock, sleep=time.sleep)
    assert all(limit.wait(0.5) for _ in range(3))
    time.now += 60.0
    assert all(limit.wait(0.5) for _ in range(3))
    assert time.slept == []


def test_who_would_wait_too_long_takes_no_slot() -> None:
    time = Time()
    limit = RateLimit(1, clock=time.clock, sleep=time.sleep)
    assert limit.wait(1.0)
    assert not any(limit.wait(59.0) for _ in range(9))
    assert not limit.wait(float("nan"))
    assert limit.wait(60.5)
    assert time.slept == [60.0]


@pytest.mark.parametrize("per_minute", [0, -1])
def test_a_rate_of_none_is_refused(per_minute: int) -> None:
    with pytest.raises(ValueError, match="per_minute"):
        RateLimit(per_minute)


def opened(time: Time) -> Breaker:
    breaker = Breaker(5, 30.0, 100.0, clock=time.clock)
    for _ in range(5):
        assert breaker.admits()
        breaker.failed()
    return breaker


def test_a_success_in_between_begins_the_count_anew() -> None:
    breaker = Breaker(clock=Time().clock)
    for _ in range(4):
        breaker.failed()
    breaker.succeeded()
    for _ in range(4):
        breaker.failed()
    assert breaker.admits()
    breaker.failed()
    assert not breaker.admits()


def test_half_open_it_admits_exactly_one() -> None:
    time = Time()
    breaker = opened(time)
    time.now += 29.9
    assert not breaker.admits()
    time.now += 0.1
    assert [breaker.admits() for _ in range(3)] == [True, False, False]
    breaker.succeeded()
    assert [breaker.admits() for _ in range(3)] == [True] * 3


def test_its_time_doubles_up_to_the_longest_and_begins_anew_once_closed() -> None:
    time = Time()
    breaker = opened(time)
    for open_s in (30.0, 60.0, 100.0, 100.0):
        time.now += open_s - 0.5
        assert not breaker.admits()
        time.now += 0.5
        assert breaker.admits()
        breaker.failed()
    time.now += 100.0
    assert breaker.admits()
    breaker.succeeded()
    for _ in range(5):
        breaker.failed()
    time.now += 30.0
    assert breaker.admits()


def test_it_says_how_long_to_wait() -> None:
    time = Time()
    breaker, limit = opened(time), RateLimit(1, clock=time.clock, sleep=time.sleep)
    assert (limit.room_in_s(), breaker.probe_in_s(), breaker.is_open) == (0.0, 30.0, True)
    limit.wait(1.0)
    time.now += 40.0
    assert (limit.room_in_s(), breaker.probe_in_s(), breaker.is_open) == (20.0, 0.0, True)
    assert breaker.admits()
    breaker.succeeded()
    assert (breaker.probe_in_s(), breaker.is_open) == (0.0, False)


def test_a_probe_that_was_not_made_leaves_its_place() -> None:
    time = Time()
    breaker = opened(time)
    time.now += 30.0
    assert breaker.admits()
    breaker.abandoned()
    assert breaker.admits()


def test_late_reports_of_calls_before_it_opened_change_nothing() -> None:
    time = Time()
    breaker = opened(time)
    breaker.succeeded()
    breaker.failed()
    time.now += 29.0
    assert not breaker.admits()
    time.now += 1.0
    assert breaker.admits()


@pytest.mark.parametrize(
    "numbers", [(0, 30.0, 60.0), (5, 0.0, 60.0), (5, 61.0, 60.0), (5, float("nan"), 60.0)]
)
def test_a_breaker_that_cannot_be_meant_is_refused(numbers: tuple[int, float, float]) -> None:
    with pytest.raises(ValueError):
        Breaker(*numbers)

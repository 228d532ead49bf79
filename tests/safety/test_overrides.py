"""The override limit: held against a reckoning of whole windows, decision by decision."""

from __future__ import annotations

import numpy as np
import pytest

from darwin.core.market import HOUR_MS, MINUTE_MS
from darwin.errors import ConfigError
from darwin.safety.overrides import STORM, OverrideLimit

START = 1_700_000_000_000

PERCENTS = (0, 1, 5, 10, 14, 20, 25, 29, 33, 50, 55, 57, 70, 100)
"""Among them some whose product with 100 is no whole number in floating point."""


def decide(limit: OverrideLimit, requests: str, now: int = START) -> str:
    """Make decisions at `now`: R asks for an override, k keeps; the answer shows O where one stood.

    Each is asked and told as the door does it.
    """
    answer = ""
    for one in requests:
        stood = one == "R" and limit.permits(now)
        limit.record(now, one == "R", stood)
        answer += "O" if stood else one
    return answer


def test_before_twenty_decisions_a_fifth_of_twenty_may_stand():
    assert decide(OverrideLimit(0.2), "R" * 20) == "OOOO" + "R" * 16


def test_from_twenty_decisions_on_the_rate_counts_this_one_too():
    limit = OverrideLimit(0.2)
    assert decide(limit, "RRRR" + "k" * 16) == "OOOO" + "k" * 16
    assert decide(limit, "RRRR") == "RRRR"  # 5 of 21, 22, 23 and 24
    assert decide(limit, "RR") == "OR"  # 5 of 25, 6 of 26


@pytest.mark.parametrize(("rate", "most"), [(0.0, 0), (0.04, 0), (0.05, 1), (0.14, 2), (1.0, 19)])
def test_the_early_bound_is_rounded_down(rate, most):
    assert decide(OverrideLimit(rate), "R" * 19).count("O") == most


@pytest.mark.parametrize("rate", [0.2, 0.29, 0.55, 0.57, 0.58, np.float64(0.29)])
def test_a_rate_is_what_is_written_not_its_float(rate):
    limit, percent = OverrideLimit(rate), round(rate * 100)
    for i in range(98):
        limit.record(START, requested=i < percent - 1, stood=i < percent - 1)
    assert not limit.permits(START)  # percent of 99
    limit.record(START, requested=False, stood=False)
    assert limit.permits(START)  # percent of 100


def test_what_is_older_than_an_hour_is_forgotten_beyond_the_last_fifty():
    limit = OverrideLimit(0.2)
    assert decide(limit, "RRRR" + "k" * 46, START).startswith("OOOO")
    late = START + 5 * HOUR_MS
    decide(limit, "kkkk", late)
    assert limit.words == "0 of the last 50 decisions asked for an override, 0 stood"


def test_an_hour_is_open_at_its_far_end():
    limit = OverrideLimit(0.5)
    decide(limit, "k" * 60, START)
    assert decide(limit, "R", START + HOUR_MS - 1) == "O"
    assert limit.words == "1 of the last 61 decisions asked for an override, 1 stood"
    limit.permits(START + HOUR_MS)
    assert limit.words == "1 of the last 50 decisions asked for an override, 1 stood"


def test_asking_forgets_as_telling_does():
    limit = OverrideLimit(0.1)
    decide(limit, "R" * 10 + "k" * 70, START)
    assert limit.words == "10 of the last 80 decisions asked for an override, 2 stood"
    assert limit.permits(START + HOUR_MS)
    assert limit.words == "0 of the last 50 decisions asked for an override, 0 stood"


def test_a_time_that_goes_back_counts_as_the_latest_one():
    limit = OverrideLimit(0.5)
    decide(limit, "k" * 10, START + HOUR_MS)
    decide(limit, "k" * 60, START)
    limit.permits(START + 2 * HOUR_MS - 1)
    assert limit.words.startswith("0 of the last 70 ")
    limit.permits(START + 2 * HOUR_MS)
    assert limit.words.startswith("0 of the last 50 ")


def test_memory_is_bounded_by_the_window():
    limit = OverrideLimit(0.2)
    for minute in range(5_000):
        limit.record(START + minute * MINUTE_MS, minute % 3 == 0, False)
    assert limit.words == "20 of the last 60 decisions asked for an override, 0 stood"


@pytest.mark.parametrize(
    ("requests", "storm"),
    [
        ("R" * 19, False),
        ("R" * 20, True),
        ("k" * 10 + "R" * 10, False),
        ("k" * 9 + "R" * 11, True),
        ("k" * 11 + "R" * 11, False),
        ("k" * 10 + "R" * 11, True),
        ("", False),
    ],
)
def test_more_than_half_of_twenty_or_more_asking_is_a_storm(requests, storm):
    limit = OverrideLimit(0.0)
    answer = decide(limit, requests)
    assert "O" not in answer  # what counts is what was asked for
    assert limit.storm is storm


def test_a_storm_has_its_kind_of_safety_event():
    assert STORM == "override_storm"


def test_a_storm_passes_with_its_window():
    limit = OverrideLimit(0.2)
    decide(limit, "R" * 30 + "k" * 10)
    assert limit.storm
    decide(limit, "k" * 20, START + 2 * HOUR_MS)
    assert not limit.storm


@pytest.mark.parametrize("rate", [-0.01, 1.01, float("nan"), float("inf")])
def test_what_is_no_share_is_refused(rate):
    with pytest.raises(ConfigError, match="is no share") as caught:
        OverrideLimit(rate)
    assert caught.value.what == f"max_override_rate is {rate}, which is no share"
    assert caught.value.where == "rl.max_override_rate"
    assert caught.value.mend == "set it to a number from 0 to 1"


def drawn(sequences: int, length: int, seed: int):
    """Times (n, length) that never go back, and requests (n, length); n percents."""
    chance = np.random.default_rng(seed)
    pace = np.array([0, 1, 20_000, MINUTE_MS, 3 * MINUTE_MS, HOUR_MS - 1, HOUR_MS])
    usual = chance.integers(0, len(pace), (sequences, 1))
    at_random = chance.integers(0, len(pace), (sequences, length))
    step = pace[np.where(chance.random((sequences, length)) < 0.9, usual, at_random)]
    requested = chance.random((sequences, length)) < chance.random((sequences, 1))
    return START + step.cumsum(axis=1), requested, chance.choice(PERCENTS, sequences)


def reckoned(time, requested, percent):
    """What may stand and where a storm is, each (n, length): every window counted anew."""
    n, length = time.shape
    stood, may, storm = (np.zeros((n, length), dtype=bool) for _ in range(3))
    index = np.arange(length)

    def window(upto: int, now) -> np.ndarray:
        """Which of the first `upto` decisions, (n, upto)."""
        in_hour = (time[:, :upto] > now[:, None] - 3_600_000) & (time[:, :upto] <= now[:, None])
        last_50 = np.broadcast_to(index[:upto] >= upto - 50, in_hour.shape)
        more = in_hour.sum(axis=1) > last_50.sum(axis=1)
        return np.where(more[:, None], in_hour, last_50)

    for t in range(length):
        now = time[:, t]
        inside = window(t, now)
        total = inside.sum(axis=1)
        standing = (inside & stood[:, :t]).sum(axis=1)
        early = (standing + 1) <= np.floor_divide(percent * 20, 100)
        later = (standing + 1) * 100 <= percent * (total + 1)
        may[:, t] = np.where(total >= 20, later, early)
        stood[:, t] = may[:, t] & requested[:, t]
        inside = window(t + 1, now)
        total = inside.sum(axis=1)
        asked = (inside & requested[:, : t + 1]).sum(axis=1)
        storm[:, t] = (total >= 20) & (asked > total - asked)
    return may, storm


def held_against_the_reckoning(sequences: int, length: int, seed: int) -> int:
    """Feed drawn sequences to limits; how many overrides stood. Each answer equals the reckoned."""
    time, requested, percent = drawn(sequences, length, seed)
    may, storm = reckoned(time, requested, percent)
    stood = 0
    for i in range(sequences):
        limit = OverrideLimit(int(percent[i]) / 100)
        permits, record = limit.permits, limit.record
        answers, storms = [], []
        for now, asked in zip(time[i].tolist(), requested[i].tolist(), strict=True):
            allowed = permits(now)
            record(now, asked, asked and allowed)
            answers.append(allowed)
            storms.append(limit.storm)
        assert answers == may[i].tolist()
        assert storms == storm[i].tolist()
        stood += int((may[i] & requested[i]).sum())
    return stood


@pytest.mark.parametrize("length", [25, 80, 200])
def test_each_answer_is_that_of_a_window_counted_anew(length):
    assert held_against_the_reckoning(24_000 // length, length, seed=length) > 1_000


@pytest.mark.slow
@pytest.mark.sweep
def test_each_answer_is_that_of_a_window_counted_anew_in_100_000_sequences():
    for length, sequences in ((23, 80_000), (62, 18_000), (110, 2_000)):
        assert held_against_the_reckoning(sequences, length, seed=7 + length) > 10_000

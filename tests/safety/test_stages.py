"""The stages of capital: how an agent climbs and falls, and which skips are audited."""

from __future__ import annotations

import hashlib

import pytest

from darwin.core.agents import STAGES
from darwin.core.market import DAY_MS
from darwin.safety.stages import DWELL_DAYS, is_audited, next_stage, objection

SINCE = 1_700_000_000_000
LONG_AFTER = SINCE + 10_000 * DAY_MS
FIRST_AUDITED = [21, 36, 61, 93, 102, 120, 125, 133]


def test_the_stages_follow_one_another():
    assert [next_stage(one) for one in STAGES] == [*STAGES[1:], None]
    with pytest.raises(ValueError, match="not in tuple"):
        next_stage(0.02)


def test_each_stage_between_none_and_all_has_its_dwell():
    assert DWELL_DAYS == {0.01: 7, 0.05: 14, 0.1: 14, 0.25: 14, 0.5: 14}
    assert tuple(DWELL_DAYS) == STAGES[1:-1]


@pytest.mark.parametrize(
    ("current", "wanted", "days"),
    [(0.01, 0.05, 7), (0.05, 0.1, 14), (0.1, 0.25, 14), (0.25, 0.5, 14), (0.5, 1.0, 14)],
)
def test_the_next_stage_is_reached_after_its_dwell_and_not_a_moment_before(current, wanted, days):
    at = SINCE + days * DAY_MS
    assert objection(current, SINCE, wanted, at, override=False) == ""
    assert (
        objection(current, SINCE, wanted, at - DAY_MS, override=False)
        == f"{current:.0%} was held for {days - 1}.0 of {days} days of market time"
    )
    assert (
        objection(current, SINCE, wanted, at - 1, override=False)
        == f"{current:.0%} was held for {days - 1}.9 of {days} days of market time"
    )
    assert objection(current, SINCE, wanted, at - 1, override=True) == ""


@pytest.mark.parametrize("current", STAGES)
@pytest.mark.parametrize("wanted", STAGES)
@pytest.mark.parametrize("override", [False, True])
def test_after_any_dwell_one_stage_up_any_number_down_and_the_rest_by_override(
    current, wanted, override
):
    said = objection(current, SINCE, wanted, LONG_AFTER, override)
    here, there = STAGES.index(current), STAGES.index(wanted)
    if there == here:
        assert said == f"the agent holds {current:.0%} already"
    elif there < here:
        assert said == ""
        assert objection(current, SINCE, wanted, SINCE, override) == ""
    elif here == 0:
        assert said == "an agent without capital gets its first by a promotion"
    elif there == here + 1 or override:
        assert said == ""
    else:
        assert said == (
            f"the stage after {current:.0%} is {STAGES[here + 1]:.0%}, not {wanted:.0%}"
        )


@pytest.mark.parametrize("strange", [0.03, -0.01, 1.01, float("nan"), float("inf"), 100, 5.0])
@pytest.mark.parametrize("override", [False, True])
def test_a_fraction_that_is_no_stage_is_refused_even_by_override(strange, override):
    said = f"{strange!r} is no stage of capital; those are 0%, 1%, 5%, 10%, 25%, 50%, 100%"
    assert objection(0.05, SINCE, strange, LONG_AFTER, override) == said
    assert objection(strange, SINCE, 0.05, LONG_AFTER, override) == said
    assert objection(strange, SINCE, 0.02, LONG_AFTER, override) == said


def test_one_skip_in_twenty_is_audited():
    audited = sum(is_audited(candidate, "ab" * 32) for candidate in range(40_000))
    assert abs(audited - 2_000) < 4 * (40_000 * 0.05 * 0.95) ** 0.5


def test_who_is_audited_depends_on_the_candidate_and_the_model_alone():
    audited = {c for c in range(4_000) if is_audited(c, "ab" * 32)}
    assert audited == {c for c in range(4_000) if is_audited(c, "ab" * 32)}
    by_another = {c for c in range(4_000) if is_audited(c, "cd" * 32)}
    assert len(audited & by_another) < 40
    assert sorted(audited)[:8] == FIRST_AUDITED


def test_an_audit_can_be_checked_with_any_tool():
    for candidate in (0, 1, 0xFFFFFFFFFFFFFFFF, 0x00AB_CDEF_0123_4567, *range(4_000)):
        text = f"{format(candidate, 'x').rjust(16, '0')} {'ab' * 32} audit"
        drawn = int(hashlib.sha256(text.encode()).hexdigest()[:16], 16) / 2**64
        assert is_audited(candidate, "ab" * 32) is (drawn < 0.05)

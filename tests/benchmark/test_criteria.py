"""Bounds by their intervals, and the verdict that they come to."""

from __future__ import annotations

import pytest

from darwin.allocation.benchmark_figures import Figures
from darwin.allocation.criteria import Criterion, Verdict, criteria_of, verdict_of
from darwin.stats.intervals import Interval

NAN = float("nan")
GOOD = {
    "sharpe_ratio": Interval(2.5, 1.6, 3.4),
    "max_drawdown": Interval(-0.08, -0.14, -0.05),
    "win_rate": Interval(0.6, 0.56, 0.64),
}


def held(over=(0.001, 0.0005, 0.0015), **figures):
    rest = dict.fromkeys(("total_return", "avg_return", "turnover"), Interval(0, 0, 0))
    criteria = criteria_of(Figures(**rest, **(GOOD | figures)), Interval(*over))
    return {one.name: one.held for one in criteria}


def test_what_lies_wholly_beyond_its_bound_is_held():
    assert set(held().values()) == {True}


@pytest.mark.parametrize(
    ("figure", "unknown", "missed"),
    [
        ("sharpe_ratio", (2.0, 1.4, 2.6), (1.0, 0.5, 1.5)),
        ("max_drawdown", (-0.12, -0.2, -0.1), (-0.3, -0.4, -0.15)),
        ("win_rate", (0.56, 0.5, 0.6), (0.5, 0.45, 0.55)),
    ],
)
def test_a_bound_within_the_interval_is_not_yet_known(figure, unknown, missed):
    assert held(**{figure: Interval(*unknown)})[figure] is None
    assert held(**{figure: Interval(*missed)})[figure] is False
    assert held(**{figure: Interval(unknown[0], NAN, NAN)})[figure] is None


def test_buy_and_hold_must_be_beaten_beyond_doubt():
    assert held(over=(0.001, -0.001, 0.003))["beats_buy_and_hold"] is None
    assert held(over=(-0.001, -0.003, 0.0))["beats_buy_and_hold"] is False


def bounds(*states):
    return tuple(Criterion("any", "", Interval(0, 0, 0), state) for state in states)


@pytest.mark.parametrize(
    ("states", "winner", "verdict"),
    [
        ((True, True), "agent", Verdict.PASSED),
        ((True, True), None, Verdict.UNDECIDED),
        ((True, None), "agent", Verdict.UNDECIDED),
        ((True, False), "agent", Verdict.REFUSED),
        ((True, True), "equal_weight", Verdict.REFUSED),
        ((None, None), "equal_weight", Verdict.REFUSED),
    ],
)
def test_the_verdict_wants_all_bounds_and_the_win(states, winner, verdict):
    assert verdict_of(bounds(*states), "agent", winner) is verdict

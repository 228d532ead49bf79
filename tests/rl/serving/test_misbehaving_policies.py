"""The policies that tests and drills put behind the door: each does what its name says."""

from __future__ import annotations

import math

import numpy as np
import pytest

from darwin.core.agents import Advice
from darwin.rl.agents.pages import PAGES
from darwin.testing.policies import (
    Constant,
    Illegal,
    NotANumber,
    Raising,
    Slow,
    Stopwatch,
    WrongShape,
)

ROW = np.zeros(5, np.float32)


def test_a_constant_says_the_same_of_everything():
    assert Constant(0.0, 0.75).advise(ROW) == Advice(0.0, 0.75)
    assert Constant(0.4, None).advise(ROW + 9) == Advice(0.4, None)


def test_one_raises_what_it_is_given():
    with pytest.raises(RuntimeError, match="fell over"):
        Raising().advise(ROW)
    with pytest.raises(ZeroDivisionError):
        Raising(ZeroDivisionError).advise(ROW)


def test_one_advises_what_is_no_number():
    assert math.isnan(NotANumber().advise(ROW).action)


def test_one_gives_no_advice_at_all():
    assert not isinstance(WrongShape().advise(ROW), Advice)
    assert WrongShape("pass").advise(ROW) == "pass"


def test_one_does_what_no_agent_may():
    assert not any(page.is_legal(Illegal().advise(ROW).action) for page in PAGES.values())


def test_a_slow_one_takes_its_time_on_the_clock_it_is_given():
    clock = Stopwatch()
    Slow(clock, ms=80).advise(ROW)
    Slow(clock, ms=0.5).advise(ROW)
    assert clock() == 80_500_000


@pytest.mark.parametrize(
    "policy", [Constant(1.0), NotANumber(), Illegal(), WrongShape(), Raising()]
)
def test_nothing_but_what_is_not_finite_is_strange_to_them(policy):
    assert policy.strangeness(ROW) == 0.0
    assert math.isnan(policy.strangeness(ROW + np.float32(np.nan)))

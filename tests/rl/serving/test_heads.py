"""Heads: worked by hand, and against plain formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darwin.core.agents import KEEP, PASS, SKIP, TO_SKIP, TO_TAKE
from darwin.rl.serving.heads import head
from darwin.rl.serving.spec_file import ARGMAX_Q, CATEGORICAL, CLIPPED_GAUSSIAN, TANH_GAUSSIAN

numbers = st.floats(-50, 50)
LOGS = [math.log(0.2), math.log(0.5), math.log(0.3)]


def gate(kind: str, threshold: float | None):
    return head(kind, 2, PASS, threshold)


def meta(kind: str, threshold: float | None):
    return head(kind, 3, KEEP, threshold)


def test_the_gate_skips_where_skipping_is_likely_enough():
    logits = [math.log(0.3), math.log(0.7)]
    assert gate(CATEGORICAL, 0.29)(logits) == (SKIP, 0.3)
    assert gate(CATEGORICAL, 0.3)(logits) == (SKIP, 0.3)
    assert gate(CATEGORICAL, 0.31)(logits) == (PASS, 0.7)
    assert gate(CATEGORICAL, None)(logits) == (PASS, 0.7)
    assert gate(CATEGORICAL, None)(logits[::-1]) == (SKIP, 0.7)


def test_the_meta_learner_overrides_to_the_likelier_side_where_both_together_are_likely_enough():
    assert meta(CATEGORICAL, 0.8)(LOGS) == (TO_SKIP, 0.5)
    assert meta(CATEGORICAL, 0.81)(LOGS) == (KEEP, 0.2)
    assert meta(CATEGORICAL, 0.8)([LOGS[0], LOGS[2], LOGS[1]]) == (TO_TAKE, 0.5)
    assert meta(CATEGORICAL, None)(LOGS) == (TO_SKIP, 0.5)
    # together the overrides are likelier than keeping; without a threshold each stands alone
    assert meta(CATEGORICAL, None)([math.log(0.4), math.log(0.35), math.log(0.25)]) == (KEEP, 0.4)


@pytest.mark.parametrize("kind", [CATEGORICAL, ARGMAX_Q])
def test_a_tie_leaves_the_baseline(kind):
    assert gate(kind, None)([1.0, 1.0]).action == PASS
    assert meta(kind, None)([1.0, 1.0, 1.0]).action == KEEP
    assert gate(kind, None)([1.0 + 1e-12, 1.0]).action == PASS


def test_values_leave_the_baseline_where_they_gain_the_margin():
    assert gate(ARGMAX_Q, 0.5)([1.5, 1.0]) == (SKIP, None)
    assert gate(ARGMAX_Q, 0.5)([1.49, 1.0]) == (PASS, None)
    assert gate(ARGMAX_Q, 0.0)([1.0, 1.0]) == (SKIP, None)
    assert gate(ARGMAX_Q, None)([1.1, 1.0]) == (SKIP, None)
    assert meta(ARGMAX_Q, 0.1)([0.0, 0.05, 0.2]) == (TO_TAKE, None)
    assert meta(ARGMAX_Q, 0.3)([0.0, 0.05, 0.2]) == (KEEP, None)


@pytest.mark.parametrize(
    ("mean", "fraction"),
    [(-7.0, 0.0), (-1.0, 0.0), (0.0, 0.5), (0.5, 0.75), (1.0, 1.0), (9.0, 1.0)],
)
def test_a_clipped_mean_is_a_fraction(mean, fraction):
    assert head(CLIPPED_GAUSSIAN, 1, 1.0, None)([mean]) == (fraction, None)


def test_a_bent_mean_is_a_fraction():
    bent = head(TANH_GAUSSIAN, 1, 1.0, None)
    assert bent([0.0]) == (0.5, None)
    assert bent([0.5]) == (round((math.tanh(0.5) + 1) / 2, 9), None)
    assert bent([1e122]) == (1.0, None)


@given(logits=st.lists(numbers, min_size=2, max_size=3), threshold=st.floats(0.01, 0.99))
def test_probabilities_are_those_of_softmax(logits, threshold):
    baseline = 1 if len(logits) == 2 else 0
    advice = head(CATEGORICAL, len(logits), float(baseline), threshold)(logits)
    weights = np.exp(np.array(logits) - np.max(logits))
    p = weights / weights.sum()
    leaving = 1.0 - p[baseline]
    others = np.delete(p, baseline)
    assert advice.probability == pytest.approx(p[int(advice.action)], abs=1e-9)
    assert advice.probability == round(advice.probability, 9)
    if abs(leaving - threshold) > 1e-8:
        assert (advice.action != baseline) == (leaving > threshold)
    if advice.action != baseline:
        assert p[int(advice.action)] >= others.max() - 1e-9


@given(mean=numbers, kind=st.sampled_from([CLIPPED_GAUSSIAN, TANH_GAUSSIAN]))
def test_fractions_lie_within_their_bounds_and_end_at_nine_decimals(mean, kind):
    action, probability = head(kind, 1, 1.0, None)([mean])
    bent = math.tanh(mean) if kind == TANH_GAUSSIAN else min(1.0, max(-1.0, mean))
    assert 0.0 <= action <= 1.0
    assert action == round(action, 9) == pytest.approx((bent + 1) / 2, abs=1e-9)
    assert probability is None


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("kind", [CATEGORICAL, ARGMAX_Q, CLIPPED_GAUSSIAN, TANH_GAUSSIAN])
def test_outputs_that_are_no_numbers_never_become_an_action(kind, place, bad):
    if kind in (CATEGORICAL, ARGMAX_Q):
        outputs = [0.0, 1.0, 2.0]
        outputs[place] = bad
        advice = meta(kind, 0.5)(outputs)
    else:
        advice = head(kind, 1, 1.0, None)([bad])
    assert math.isnan(advice.action)


@pytest.mark.parametrize("kind", [CATEGORICAL, ARGMAX_Q, CLIPPED_GAUSSIAN, TANH_GAUSSIAN])
def test_the_last_bits_of_a_processor_change_nothing(kind):
    outputs = [0.123456, -0.654321, 0.4][: 3 if kind in (CATEGORICAL, ARGMAX_Q) else 1]
    ask = head(kind, len(outputs), 0.0, None)
    advice = ask(outputs)
    for nudge in (-1e-15, 1e-15):
        assert ask([x + nudge for x in outputs]) == advice

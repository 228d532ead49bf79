"""Figures with intervals: the same numbers as the scorecard's, worked out by hand, and stable."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darwin.core.agents import GATE, META_LEARNER, PASS, PORTFOLIO, SKIP, TO_SKIP, TO_TAKE
from darwin.core.market import DAY_MS
from darwin.rl.graduation.evidence import fold_rows
from darwin.rl.graduation.latest import Latest
from darwin.rl.graduation.scorecard import score
from darwin.rl.graduation.vitals import vitals


def evidence(rows):
    """Of (day, action, reason, take, R); an R of "gapped" is a bracket that was never entered."""
    return fold_rows([
        (
            f"{number:016x}", round(day * DAY_MS), action, reason, take,
            "gapped" if r == "gapped" else None if r is None else "resolved",
            round(day * DAY_MS) if isinstance(r, float) else None,
            r if isinstance(r, float) else None, "feed",
        )
        for number, (day, action, reason, take, r) in enumerate(rows)
    ])  # fmt: skip


def found(agent, told, per_year=100.0):
    figures = vitals(agent, told, per_year, np.random.default_rng(1))
    return {one.name: one for one in figures}


def of(action, take=1, r=1.0, day=0.0, reason="observe"):
    return (day, action, reason, take, r)


def test_a_gate_agrees_with_the_expert_where_it_skips_what_he_skips():
    rows = [of(PASS, 1), of(PASS, 0), of(SKIP, 0), of(SKIP, 1), of(SKIP, None), of(SKIP, 0)]
    figures = found(GATE, evidence(rows))
    assert figures["agreement_with_expert"][1] == pytest.approx(3 / 5)
    assert figures["agreement_with_expert"].cases == 5
    assert figures["agreement_with_baseline"].value == pytest.approx(2 / 6)


def test_a_gate_gains_what_it_kept_away_and_loses_what_it_missed():
    rows = [
        of(SKIP, 1, -1.0), of(SKIP, 1, 2.0), of(SKIP, 0, 5.0), of(PASS, 1, -9.0),
        of(SKIP, 1, "gapped"), of(SKIP, 1, None), of(SKIP, None, 3.0),
    ]  # fmt: skip
    figures = found(GATE, evidence(rows))
    assert figures["gain_over_baseline"].value == pytest.approx((1.0 - 2.0) / 5)
    assert figures["gain_over_baseline"].cases == 5


def test_an_audited_skip_stands_for_those_that_nobody_was_asked_about():
    rows = [of(PASS, 1, 1.0), of(SKIP, 1, 1.0, reason="audit"), of(SKIP, None, 1.0)]
    figures = found(GATE, evidence(rows))
    assert figures["miss_rate"].value == pytest.approx(20 / 21)
    assert figures["gain_over_baseline"].value == pytest.approx(-20 / 21)
    # one case that stands for twenty is no twenty cases
    assert figures["miss_rate"].high - figures["miss_rate"].low > 0.5


def test_a_meta_learner_gains_what_its_overrides_changed():
    rows = [
        of(TO_SKIP, 1, -1.0), of(TO_TAKE, 0, 2.0), of(TO_SKIP, 0, -5.0), of(0.0, 1, 7.0),
        of(TO_SKIP, 1, "gapped"), of(TO_TAKE, 0, None),
    ]  # fmt: skip
    figures = found(META_LEARNER, evidence(rows))
    assert figures["gain_over_baseline"].value == pytest.approx((1.0 + 2.0) / 5)
    assert figures["override_rate"].value == pytest.approx(4 / 6)
    assert (figures["override_accuracy"].value, figures["override_accuracy"].cases) == (1.0, 2)


def test_a_portfolio_gains_by_what_it_left_out():
    rows = [of(0.5, 1, -1.0), of(1.0, 1, 3.0), of(0.0, 1, 2.0), of(0.2, 1, "gapped")]
    figures = found(PORTFOLIO, evidence(rows))
    assert figures["gain_over_baseline"].value == pytest.approx((0.5 + 0.0 - 2.0 + 0.0) / 4)
    assert figures["agreement_with_baseline"].value == 0.25
    assert figures["mean_size"].value == pytest.approx(1.7 / 4)


def test_the_difference_of_two_sharpe_ratios_is_reckoned_on_the_same_days():
    rng = np.random.default_rng(4)
    rows = [of(0.8, 1, float(r), day) for day, r in enumerate(rng.normal(0.1, 1, 60))]
    figures = found(PORTFOLIO, evidence(rows))
    # at one size for all the ratios agree, however the days are drawn
    assert figures["sharpe_difference"][1:4] == pytest.approx((0.0, 0.0, 0.0), abs=1e-9)
    assert figures["sharpe"].low < figures["sharpe"].value < figures["sharpe"].high


@pytest.mark.parametrize("agent", [GATE, META_LEARNER, PORTFOLIO])
def test_of_nothing_no_figure_is_said(agent):
    for one in vitals(agent, evidence([]), math.nan, np.random.default_rng(1)):
        assert math.isnan(one.value)
        assert (one.cases, one.has_interval) == (0, False)


rows_of = st.lists(
    st.tuples(
        st.floats(0, 40),
        st.sampled_from([0.0, 1.0, 2.0]),
        st.sampled_from(["observe", "audit"]),
        st.sampled_from([None, 0, 1]),
        st.sampled_from([None, "gapped", -1.0, 0.0, 0.5, 2.0]),
    ),
    max_size=40,
)


@given(rows_of)
def test_what_the_scorecard_tells_too_is_the_same_number(rows):
    told = evidence(rows)
    names = {
        GATE: (("saved_calls", "saved_share"), ("miss_rate", "miss_rate")),
        META_LEARNER: (
            ("agreement_with_expert", "agreement"), ("override_accuracy", "override_accuracy"),
        ),
        PORTFOLIO: (("sharpe", "sharpe"), ("sharpe_equal_weight", "sharpe_equal_weight")),
    }  # fmt: skip
    for agent, pairs in names.items():
        card = score(agent, told, Latest())
        figures = found(agent, told, getattr(card.figures, "per_year", 1.0))
        assert figures["settled_share"].value == pytest.approx(card.settled_share, nan_ok=True)
        for ours, theirs in pairs:
            expected = getattr(card.figures, theirs)
            assert figures[ours].value == pytest.approx(expected, nan_ok=True, abs=1e-9)

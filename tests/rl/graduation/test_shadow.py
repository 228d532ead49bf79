"""The shadow ledger, decision by decision, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from darwin.core.agents import (
    GATE,
    KEEP,
    META_LEARNER,
    PASS,
    PORTFOLIO,
    SKIP,
    TO_SKIP,
    TO_TAKE,
    Why,
)
from darwin.rl.graduation.evidence import Evidence, fold_rows
from darwin.rl.graduation.shadow import means, shadow_of, totals

NOBODY = None


def evidence(*rows: tuple[float, int | None, float | None], reason: str = "observe") -> Evidence:
    """Decisions one after the other: what was advised, what the expert said, what came of it."""
    return fold_rows(
        [
            (
                f"{at:016x}", at, action, reason, take,
                "unresolved" if r is None else "resolved", None if r is None else at + 1, r,
                "replay",
            )
            for at, (action, take, r) in enumerate(rows)
        ]
    )  # fmt: skip


def test_a_skip_saves_the_loss_and_the_call_and_a_pass_changes_nothing() -> None:
    told = evidence((SKIP, 1, -1.0), (SKIP, 0, 2.0), (PASS, 1, 1.5), (PASS, 0, 2.0))
    ledger = shadow_of(GATE, told, call_cost_r=0.1)
    assert_allclose(ledger.baseline, [-1.1, -0.1, 1.4, -0.1])
    assert_allclose(ledger.obeyed, [0.0, 0.0, 1.4, -0.1])
    assert_allclose(ledger.difference, [1.1, 0.1, 0.0, 0.0])


def test_an_audited_skip_stands_for_those_that_nobody_was_asked_about() -> None:
    told = evidence((SKIP, 1, -1.0), reason=Why.AUDIT.value)
    assert_allclose(shadow_of(GATE, told, call_cost_r=0.0).difference, [20.0])


def test_an_override_turns_the_verdict_round() -> None:
    told = evidence((TO_SKIP, 1, -1.0), (TO_TAKE, 0, 2.0), (KEEP, 1, 0.5), (KEEP, 0, 0.7))
    ledger = shadow_of(META_LEARNER, told, call_cost_r=0.1)
    assert_allclose(ledger.baseline, [-1.0, 0.0, 0.5, 0.0])
    assert_allclose(ledger.obeyed, [0.0, 2.0, 0.5, 0.0])


def test_a_size_cuts_what_the_trade_came_to() -> None:
    ledger = shadow_of(PORTFOLIO, evidence((0.25, NOBODY, -2.0), (1.0, NOBODY, 1.0)), 0.1)
    assert_allclose(ledger.baseline, [-2.0, 1.0])
    assert_allclose(ledger.obeyed, [-0.5, 1.0])


@pytest.mark.parametrize("agent", [GATE, META_LEARNER])
def test_what_is_not_known_stands_in_neither_and_is_counted(agent: str) -> None:
    action = PASS if agent == GATE else KEEP
    ledger = shadow_of(
        agent, evidence((action, NOBODY, 1.0), (action, 1, None), (action, 1, 1.0)), 0
    )
    assert (len(ledger), ledger.unknown) == (1, 2)


def test_intervals_hold_the_figure_and_are_the_same_each_time() -> None:
    values = np.random.default_rng(1).normal(0.2, 1.0, 400)
    block = np.arange(400) // 10
    for figure, value in ((totals, values.sum()), (means, values.mean())):
        found = figure(values, block)
        assert found.value == pytest.approx(value)
        assert found.low < value < found.high
        assert found == figure(values, block)

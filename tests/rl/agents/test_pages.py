"""Pages: what the account looks like to agents, what they may do, what that leaves and earns."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from darwin.core.account import Account
from darwin.core.agents import AGENTS, KEEP, PASS, SKIP, TO_SKIP, TO_TAKE
from darwin.core.decision import Verdict
from darwin.core.ports import Moment
from darwin.rl.agents import meta_learner, portfolio
from darwin.rl.agents.pages import PAGES
from darwin.rl.agents.spec import Consequences, Stage

GATE, META, PORTFOLIO = (PAGES[name] for name in AGENTS)
ACCOUNT = Account(8_000.0, 3_000.0, 1_000.0, 2, -0.2)
VERDICT = Verdict(True, 0.7, 0.9, ("thin volume", "overstretched"), 0.01)
MOMENT = Moment(ACCOUNT, 10_000.0, VERDICT, 0.6, 0.4)


def shown(page, moment=MOMENT) -> dict[str, float]:
    names = [column.name for column in page.moments]
    values = page.moment(moment)
    assert page.names[-len(names) :] == tuple(names)
    assert {type(value) for value in values} == {float}
    return dict(zip(names, values, strict=True))


def test_pages_stand_in_the_order_in_which_a_candidate_meets_them():
    assert tuple(PAGES) == AGENTS
    assert [page.stage for page in PAGES.values()] == list(Stage)
    assert [page.baseline for page in PAGES.values()] == [PASS, KEEP, 1.0]
    assert [page.outputs for page in PAGES.values()] == [2, 3, 1]


def test_every_agent_sees_the_account_as_fractions():
    for page in PAGES.values():
        seen = shown(page)
        assert (seen["exposure"], seen["open_positions"], seen["drawdown"]) == (0.5, 2.0, -0.2)


def test_the_meta_learner_sees_the_verdict_and_how_often_the_expert_was_right():
    seen = shown(META)
    assert (seen["verdict_take"], seen["confidence"], seen["quality"]) == (1.0, 0.7, 0.9)
    assert (seen["risk_flags"], seen["accuracy_by_playbook"], seen["accuracy_by_symbol"]) == (
        2.0, 0.6, 0.4,
    )  # fmt: skip
    skipped = MOMENT._replace(verdict=VERDICT._replace(take=False, risk_flags=()))
    assert shown(META, skipped)["verdict_take"] == shown(META, skipped)["risk_flags"] == 0.0


def test_the_portfolio_agent_sees_how_the_account_has_grown():
    assert shown(PORTFOLIO)["equity_growth"] == pytest.approx(math.log(0.8))
    assert "verdict_take" not in shown(PORTFOLIO)


def test_the_gate_knows_nothing_of_the_verdict():
    assert GATE.moment(MOMENT) == GATE.moment(MOMENT._replace(verdict=None))


def test_a_verdict_that_is_not_there_is_not_a_number():
    unasked = MOMENT._replace(verdict=None)
    for name in ("verdict_take", "confidence", "quality", "risk_flags"):
        assert math.isnan(shown(META, unasked)[name])


@pytest.mark.parametrize(
    ("account", "exposure", "growth"),
    [
        (ACCOUNT._replace(equity=0.0), 100.0, -1.0),
        (ACCOUNT._replace(equity=-5.0), 100.0, -1.0),
        (Account(0.0, 0.0, 0.0, 0, -1.0), 0.0, -1.0),
        (ACCOUNT._replace(equity=1e-300), 100.0, -1.0),
        (ACCOUNT._replace(equity=1.0), 100.0, -1.0),
        (ACCOUNT._replace(equity=math.nan), math.nan, math.nan),
        (ACCOUNT._replace(equity=-1.0, gross_exposure=math.nan), math.nan, -1.0),
    ],
)
def test_ruin_looks_the_same_however_it_comes(account, exposure, growth):
    seen = shown(PORTFOLIO, MOMENT._replace(account=account))
    assert_allclose([seen["exposure"], seen["equity_growth"]], [exposure, growth])


@given(
    equity=st.floats(allow_nan=False, allow_infinity=False),
    held=st.floats(0, 1e12),
    start=st.floats(1.0, 1e9),
)
@example(equity=5e-324, held=0.0, start=10_000.0)
def test_no_finite_account_looks_infinite(equity, held, start):
    account = Account(equity, held, 0.0, 1, -0.5)
    for page in PAGES.values():
        assert all(math.isfinite(x) for x in page.moment(Moment(account, start, VERDICT)))


def test_the_moment_reads_numbers_of_numpy_as_plain_floats():
    account = Account(np.float64(8e3), np.float64(0.0), np.float64(0.0), 2, np.float64(-0.1))
    for page in PAGES.values():
        shown(page, MOMENT._replace(account=account))


@pytest.mark.parametrize(
    ("page", "legal"),
    [
        (GATE, [SKIP, PASS, 0, 1, np.float64(1.0)]),
        (META, [KEEP, TO_SKIP, TO_TAKE]),
        (PORTFOLIO, [0.0, 0, 1, 0.25, 1.0, 5e-324, np.float64(0.5)]),
    ],
)
def test_what_an_agent_may_do(page, legal):
    assert all(page.is_legal(action) for action in legal)


@pytest.mark.parametrize("page", PAGES.values(), ids=list(PAGES))
@pytest.mark.parametrize(
    "action",
    [math.nan, math.inf, -math.inf, -1.0, 3.0, 1.0000001, -5e-324, 10**400, "1", None, True,
     False, [1.0], 1j, np.float32(1.0), np.array(1.0)],
    ids=repr,
)  # fmt: skip
def test_what_no_agent_may_do(page, action):
    assert page.is_legal(action) is False


@pytest.mark.parametrize("action", [0.5, 2.0])
def test_the_gate_may_do_nothing_in_between(action):
    assert not GATE.is_legal(action)


@pytest.mark.parametrize("take", [True, False])
def test_a_skip_leaves_nothing_and_a_pass_leaves_all(take):
    assert (GATE.share(SKIP, take), GATE.share(PASS, take)) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("action", "take", "share", "overrides"),
    [
        (KEEP, True, 1.0, False), (KEEP, False, 0.0, False),
        (TO_SKIP, True, 0.0, True), (TO_SKIP, False, 0.0, False),
        (TO_TAKE, True, 1.0, False), (TO_TAKE, False, 1.0, True),
    ],
)  # fmt: skip
def test_an_override_is_what_changes_the_verdict(action, take, share, overrides):
    assert META.share(action, take) == share
    assert META.overrides(action, take) is overrides


@given(action=st.floats(0.0, 1.0), take=st.booleans())
def test_the_portfolio_agent_leaves_the_fraction_it_names(action, take):
    assert PORTFOLIO.share(action, take) == action


@pytest.mark.parametrize("page", [GATE, PORTFOLIO], ids=["gate", "portfolio"])
@pytest.mark.parametrize("take", [True, False])
def test_only_the_meta_learner_overrides(page, take):
    assert not any(page.overrides(action, take) for action in (0.0, 1.0))


@pytest.mark.parametrize("page", PAGES.values(), ids=list(PAGES))
@pytest.mark.parametrize("take", [True, False])
def test_the_baseline_is_legal_and_leaves_everything_as_it_is(page, take):
    assert page.is_legal(page.baseline)
    kept = float(take) if page.stage is Stage.AFTER_EXPERT else 1.0
    assert page.share(page.baseline, take) == kept
    assert not page.overrides(page.baseline, take)


AFTER = Consequences(
    r=np.array([2.0, -1.0, 2.0, -1.0, math.nan]),
    take=np.array([True, True, False, False, True]),
    call_cost_r=0.01,
)


def test_a_skip_spares_a_loser_costs_a_winner_and_saves_the_call():
    passed = GATE.reward(np.full(5, PASS), AFTER)
    skipped = GATE.reward(np.full(5, SKIP), AFTER)
    assert_allclose(passed, [1.99, -1.01, -0.01, -0.01, math.nan])
    assert_allclose(skipped, np.zeros(5))


def test_a_bracket_without_an_end_costs_the_call_alone_where_the_expert_skips():
    open_still = Consequences(r=np.array([math.nan]), take=np.array([False]), call_cost_r=0.01)
    assert_allclose(GATE.reward(np.array([PASS]), open_still), [-0.01])


def test_an_override_earns_what_then_stands_less_its_cost():
    cost = meta_learner.OVERRIDE_COST_R
    assert_allclose(META.reward(np.full(5, KEEP), AFTER), [2, -1, 0, 0, math.nan])
    assert_allclose(META.reward(np.full(5, TO_SKIP), AFTER), [-cost, -cost, 0, 0, -cost])
    assert_allclose(META.reward(np.full(5, TO_TAKE), AFTER), [2, -1, 2 - cost, -1 - cost, math.nan])


def test_a_fraction_earns_its_share_of_r_less_drawdown_and_exposure():
    after = AFTER._replace(drawdown=np.array([0.0, -0.1, -0.2, 0.0, 0.0]), exposure=0.5)
    held = 0.5 * portfolio.EXPOSURE_COST_R
    deep = 0.1 * portfolio.DRAWDOWN_COST_R
    assert_allclose(
        PORTFOLIO.reward(np.array([1.0, 0.5, 0.5, 0.0, 0.0]), after),
        [2 - held, -0.5 - held, 1 - deep - held, -held, -held],
    )


def test_pages_are_values():
    assert replace(GATE) == GATE
    assert GATE != META
    with pytest.raises(AttributeError):
        GATE.baseline = SKIP  # type: ignore[misc]

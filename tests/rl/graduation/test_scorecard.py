"""An agent's figures: worked out by hand, held against a plain reference, and quick."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darwin.core.agents import GATE, KEEP, META_LEARNER, PASS, PORTFOLIO, SKIP, TO_SKIP, TO_TAKE
from darwin.core.market import DAY_MS
from darwin.errors import IntegrityError
from darwin.rl.graduation.evidence import fold_rows, read_evidence
from darwin.rl.graduation.latest import Latest, read_latest
from darwin.rl.graduation.scorecard import score
from darwin.safety.circuit import Phase, Transition
from tests.rl.graduation.desk import OTHER, OURS, START


def card(desk, agent, run_id=None):
    with desk.database.read() as connection:
        evidence = read_evidence(connection, agent, OURS.sha256, run_id)
        return score(agent, evidence, read_latest(connection, agent))


@pytest.fixture
def desk(desk):
    desk.run("one")
    return desk


def test_without_a_decision_every_share_is_unknown(desk):
    for agent in (GATE, META_LEARNER, PORTFOLIO):
        found = card(desk, agent)
        assert (found.decisions, found.resolved, found.days) == (0, 0, 0.0)
        assert math.isnan(found.settled_share)
        assert math.isnan(found.silent_share)
        assert math.isnan(found.figures[0])
        assert found.latest == Latest()


def test_a_decision_without_sound_advice_is_no_evidence_and_its_share_is_told(desk):
    desk.decide(GATE, [0, 1, 2], PASS, take=1, r=1.0)
    desk.decide(GATE, 3, None, reason="killed")
    found = card(desk, GATE)
    assert (found.decisions, found.silent_share, found.days) == (3, 0.25, 2.0)


def test_only_the_model_that_serves_is_judged_in_its_serving_role(desk):
    desk.decide(GATE, [0, 1], SKIP)
    desk.decide(GATE, [2, 3], PASS, model=OTHER)
    desk.decide(GATE, [4, 5], PASS, role="challenger")
    desk.decide(PORTFOLIO, [6, 7], 1.0)
    assert card(desk, GATE).decisions == 2
    assert card(desk, GATE).figures.saved_share == 1.0


def test_a_candidate_of_several_runs_counts_as_it_was_first_recorded(desk):
    desk.run("two", mode="replay")
    desk.decide(GATE, [0, 1], SKIP, run="two", take=1, r=1.0, first=100)
    desk.decide(GATE, 0, None, run="one", reason="killed", first=100)
    desk.decide(GATE, [1, 2], PASS, run="one", take=1, r=2.0, first=101)
    found = card(desk, GATE)
    assert (found.decisions, found.fed) == (3, 2)
    assert found.figures.saved_share == pytest.approx(1 / 3)
    assert card(desk, GATE, "two").figures.saved_share == 1.0


def test_a_bracket_that_was_never_entered_is_settled_and_has_no_r(desk):
    desk.decide(GATE, 0, PASS, take=1, r=1.0)
    desk.decide(GATE, 1, PASS, take=1, status="gapped")
    desk.decide(GATE, 2, PASS, take=1, status="unresolved")
    desk.decide(GATE, 3, PASS, take=1)
    found = card(desk, GATE)
    assert (found.resolved, found.settled_share) == (1, 0.5)


def test_the_gate_misses_the_winners_that_the_expert_takes_and_it_skips(desk):
    desk.decide(GATE, [0, 1, 2], PASS, take=1, r=2.0)
    desk.decide(GATE, 3, SKIP, take=1, r=0.1)
    desk.decide(GATE, [4, 5], SKIP, take=1, r=-1.0)
    desk.decide(GATE, [6, 7], SKIP, take=0, r=3.0)
    desk.decide(GATE, [8, 9], SKIP, take=1, r=0.0)
    assert card(desk, GATE).figures == (7 / 10, 1 / 4, 4)


def test_at_full_capital_an_audited_skip_stands_for_all_that_nobody_asked_about(desk):
    desk.decide(GATE, range(80), PASS, take=1, r=1.0, reason="active")
    desk.decide(GATE, 80, SKIP, take=1, r=1.0, reason="audit")
    desk.decide(GATE, range(81, 100), SKIP, r=1.0, reason="active")
    assert card(desk, GATE).figures == (0.2, pytest.approx(0.2), 81)


def test_an_override_is_right_where_the_r_says_so(desk):
    desk.decide(META_LEARNER, range(10), KEEP, take=1, r=-1.0)
    desk.decide(META_LEARNER, [10, 11], TO_SKIP, take=1, r=-1.0)
    desk.decide(META_LEARNER, 12, TO_SKIP, take=1, r=0.0)
    desk.decide(META_LEARNER, 13, TO_SKIP, take=1, r=0.5)
    desk.decide(META_LEARNER, 14, TO_TAKE, take=0, r=0.5)
    desk.decide(META_LEARNER, 15, TO_TAKE, take=0, r=0.0)
    desk.decide(META_LEARNER, 16, TO_TAKE, take=0)
    assert card(desk, META_LEARNER).figures == (10 / 17, 7, 6, 4 / 6)


def test_an_override_to_what_the_expert_said_anyway_is_none(desk):
    desk.decide(META_LEARNER, [0, 1], TO_SKIP, take=0, r=1.0)
    desk.decide(META_LEARNER, [2, 3], TO_TAKE, take=1, r=1.0)
    figures = card(desk, META_LEARNER).figures
    assert (figures.agreement, figures.overrides) == (1.0, 0)
    assert math.isnan(figures.override_accuracy)


def test_sizing_is_compared_with_full_size_per_decision_and_annualised(desk):
    for day, size, r in ((0, 1.0, 2.0), (100, 0.0, -1.0), (200, 0.5, 1.0), (365.25, 0.5, -1.0)):
        desk.decide(PORTFOLIO, day, size, take=1, r=r)
    figures = card(desk, PORTFOLIO).figures
    sized, equal = np.array([2.0, 0.0, 0.5, -0.5]), np.array([2.0, -1.0, 1.0, -1.0])
    assert figures.per_year == pytest.approx(4.0)
    assert figures.sharpe == pytest.approx(sized.mean() / sized.std(ddof=1) * 2)
    assert figures.sharpe_equal_weight == pytest.approx(equal.mean() / equal.std(ddof=1) * 2)
    assert (figures.trades, figures.drawdown_r) == (4, pytest.approx(0.5))


def test_the_shadow_drawdown_follows_exits_and_not_entries(desk):
    desk.decide(PORTFOLIO, 0, 1.0, take=1, r=3.0, exit_days=9)
    desk.decide(PORTFOLIO, 1, 1.0, take=1, r=-2.0, exit_days=1)
    desk.decide(PORTFOLIO, 3, 0.5, take=1, r=-2.0, exit_days=1)
    figures = card(desk, PORTFOLIO).figures
    assert figures.drawdown_r == pytest.approx(3.0)
    assert figures.drawdown == pytest.approx(1 - 0.98 * 0.99)


def test_ruin_is_a_drawdown_of_all():
    rows = [(f"{i:016x}", i, 1.0, "observe", 1, "resolved", i, r, "feed")
            for i, r in enumerate((-1.0, -30.0, 5.0))]  # fmt: skip
    figures = score(PORTFOLIO, fold_rows(rows), Latest(risk_per_trade=0.05)).figures
    assert figures.drawdown == 1.0


@pytest.mark.parametrize("config", [{}, {"portfolio": {"sizing": "equal_weight"}}])
def test_what_a_trade_risks_is_not_guessed(desk, config):
    desk.run("two", config=config)
    desk.decide(PORTFOLIO, [0, 1], 1.0, run="two", take=1, r=-1.0)
    figures = card(desk, PORTFOLIO).figures
    assert math.isnan(figures.drawdown)
    assert figures.drawdown_r == 2.0


class TestLatest:
    """The breaker and the alerts of the latest run that asked the agent."""

    def open(self, desk, agent, day, run="one", for_days=1.0):
        until = START + round((day + for_days) * DAY_MS)
        told = Transition.opened(until, "5 in a row")
        desk.safety(agent, day, told.kind, told.detail, run)

    def test_a_breaker_that_opened_is_open_until_its_time_is_over(self, desk):
        desk.decide(GATE, 0, PASS)
        assert card(desk, GATE).latest.breaker is Phase.CLOSED
        self.open(desk, GATE, 0)
        assert card(desk, GATE).latest.breaker is Phase.OPEN
        desk.decide(GATE, 2, PASS)
        assert card(desk, GATE).latest.breaker is Phase.HALF_OPEN
        desk.safety(GATE, 2, "breaker_closed", "3 probes went well")
        assert card(desk, GATE).latest.breaker is Phase.CLOSED

    def test_the_challengers_breaker_is_not_the_agents(self, desk):
        desk.decide(GATE, 1, PASS)
        desk.safety(GATE, 1, "challenger_breaker_opened", "until 2024-02-01T00:00:00.000Z: 5")
        assert card(desk, GATE).latest.breaker is Phase.CLOSED

    def test_another_agent_s_breaker_is_not_ours(self, desk):
        desk.decide(GATE, 0, PASS)
        self.open(desk, PORTFOLIO, 0)
        assert card(desk, GATE).latest.breaker is Phase.CLOSED

    def test_a_later_replay_does_not_hide_the_run_that_is_fed(self, desk):
        desk.decide(GATE, 0, PASS)
        self.open(desk, GATE, 0)
        desk.run("backtest", mode="replay")
        desk.decide(GATE, 5, PASS, run="backtest")
        assert card(desk, GATE).latest.run_id == "one"
        assert card(desk, GATE).latest.breaker is Phase.OPEN

    def test_a_run_that_never_asked_the_agent_is_not_its_latest(self, desk):
        desk.decide(GATE, 0, PASS)
        desk.run("two")
        desk.decide(PORTFOLIO, 1, 1.0, run="two")
        assert card(desk, GATE).latest.run_id == "one"
        assert card(desk, PORTFOLIO).latest.run_id == "two"

    def test_alerts_are_those_of_the_last_24_hours_before_the_last_decision(self, desk):
        desk.decide(GATE, [0, 10], PASS)
        for day, kind in ((8.9, "low decision rate"), (9.5, "model stale"), (9.9, "data gap")):
            desk.alert(GATE if kind != "data gap" else PORTFOLIO, day, kind)
        assert [alert.kind for alert in card(desk, GATE).latest.alerts] == ["model stale"]


def reference(rows):
    """Saved share, miss rate, agreement, override accuracy, one decision after the other."""
    seen, kept = set(), []
    for row in rows:
        if row[2] is not None and row[0] not in seen:
            seen.add(row[0])
            kept.append(row)
    skips = [row[2] == SKIP for row in kept]
    winners = [row for row in kept if row[4] == 1 and row[7] is not None and row[7] > 0]
    weight = [20 if row[2] == SKIP and row[3] == "audit" else 1 for row in winners]
    missed = [w for row, w in zip(winners, weight, strict=True) if row[2] == SKIP]
    overrides = [row for row in kept if (row[2], row[4]) in ((TO_SKIP, 1), (TO_TAKE, 0))]
    known = [row for row in overrides if row[7] is not None]
    right = [(row[7] <= 0) if row[2] == TO_SKIP else (row[7] > 0) for row in known]
    nan = math.nan
    return (
        sum(skips) / len(kept) if kept else nan,
        sum(missed) / sum(weight) if winners else nan,
        1 - len(overrides) / len(kept) if kept else nan,
        sum(right) / len(known) if known else nan,
    )


@given(
    st.lists(
        st.tuples(
            st.integers(0, 12),
            st.sampled_from((None, 0.0, 1.0, 2.0)),
            st.sampled_from(("observe", "active", "audit")),
            st.sampled_from((None, 0, 1)),
            st.sampled_from((None, -1.0, 0.0, 2.0)),
        ),
        max_size=30,
    )
)
def test_the_figures_are_those_of_a_plain_loop(told):
    rows = [
        (f"{number:016x}", number, action, reason, take,
         None if r is None else "resolved", None if r is None else number, r, "feed")
        for number, action, reason, take, r in told
    ]  # fmt: skip
    saved, missed, agreement, accuracy = reference(rows)
    gate = score(GATE, fold_rows(rows), Latest()).figures
    meta = score(META_LEARNER, fold_rows(rows), Latest()).figures
    found = (gate.saved_share, gate.miss_rate, meta.agreement, meta.override_accuracy)
    assert found == pytest.approx((saved, missed, agreement, accuracy), nan_ok=True)


def test_what_the_journal_keeps_is_what_is_read(tmp_path):
    from dataclasses import replace

    from darwin.core.agents import Decision, Mode, Role, Why
    from darwin.store.db import connect
    from darwin.store.journal import Journal
    from darwin.store.runs import begin_run
    from tests.store.conftest import NOW, facts_of, identity, worked_out

    run = worked_out()
    common = (OURS, "s" * 64, bytes(8), 3)
    decisions = [
        Decision(row, GATE, Role.SERVING, Mode.OBSERVE, action, 0.6, 1.0, 1.0, False, why, *common)
        for row, (action, why) in enumerate(
            [(SKIP, Why.OBSERVE), (PASS, Why.OBSERVE), (None, Why.BREAKER_OPEN)]
        )
    ]
    with connect(tmp_path / "state.sqlite") as database:
        journal = Journal(database, begin_run(database, identity(), at=NOW), run.playbooks)
        journal.append(replace(facts_of(run), decisions=decisions))
        with database.read() as connection:
            found = read_evidence(connection, GATE, OURS.sha256)
    assert found.action.tolist() == [SKIP, PASS]
    assert found.take.tolist() == [1.0, 0.0]
    assert found.r.tolist() == [1.95, -1.05]
    assert found.settled.tolist() == [True, True]
    assert found.silent_share == pytest.approx(1 / 3)


@pytest.mark.parametrize("config", [[], {"portfolio": {"sizing": "risk"}}, {"portfolio": 3}])
def test_a_config_that_is_none_is_refused(desk, config):
    desk.run("two", config=config)
    desk.decide(GATE, 0, PASS, run="two")
    with pytest.raises(IntegrityError, match="the config that run 'two' recorded is none"):
        card(desk, GATE)

"""What is on record of an agent's right to act, and what that lets which model do where."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darwin.core.agents import AGENTS, STAGES, Model
from darwin.core.market import DAY_MS
from darwin.errors import ConfigError, IntegrityError, RecordError
from darwin.rl.graduation.acts import demote, promote, set_stage
from darwin.rl.graduation.checklist import Condition, State
from darwin.rl.graduation.record import Act, Kind, Record, earned, read_record, scope_of
from darwin.store.logs import append, sound_rows
from darwin.store.scan import as_it_stands
from darwin.store.schema import graduation_events, rollout_events
from darwin.store.sealed import Source
from tests.rl.graduation.desk import NOW, OTHER, OURS, Desk, later

INERT = (False, 0.0)
SAID = {"by": "Ada", "reason": "a test"}


class Deployment:
    """One agent of a database, a minute after the other."""

    def __init__(self, desk: Desk, agent: str = "gate") -> None:
        self.desk, self.agent, self.now = desk, agent, NOW

    def _at(self) -> dict[str, object]:
        self.now += timedelta(minutes=1)
        return SAID | {"at": self.now}

    def promote(self, model: Model = OURS, **how: object) -> Record:
        how = {"override": True} | how
        return promote(self.desk.database, self.agent, model, **self._at(), **how)

    def demote(self, **how: object) -> object:
        return demote(self.desk.database, self.agent, **self._at(), **how)

    def stage(self, stage: float, **how: object) -> Record:
        how = {"override": True} | how
        return set_stage(self.desk.database, self.agent, stage, **self._at(), **how)

    def live(self, model: Model | None = OURS) -> tuple[bool, float]:
        return earned(read_record(self.desk.database, self.agent), model, "x", live=True)

    def replay(self, run_id: str, model: Model | None = OURS) -> tuple[bool, float]:
        return earned(read_record(self.desk.database, self.agent), model, run_id, live=False)


@pytest.fixture
def gate(desk):
    return Deployment(desk)


def test_without_a_promotion_no_model_may_act(gate):
    assert gate.live() == gate.replay("one") == gate.live(None) == INERT


def test_a_promotion_gives_one_percent_to_that_very_model(gate):
    gate.promote()
    assert gate.live() == gate.replay("one") == (True, 0.01)
    assert gate.live(OTHER) == gate.live(None) == INERT
    assert gate.live(Model(OURS.version, OTHER.sha256)) == INERT
    assert gate.live(Model(OTHER.version, OURS.sha256)) == INERT


def test_a_promotion_of_one_agent_is_none_of_another(desk, gate):
    gate.promote()
    for agent in AGENTS[1:]:
        assert Deployment(desk, agent).live() == INERT


def test_a_demotion_leaves_no_model_promoted_and_no_capital(gate):
    gate.promote()
    gate.stage(0.25)
    gate.demote()
    assert gate.live() == gate.replay("one") == INERT
    gate.promote()
    assert gate.live() == (True, 0.01)


def test_a_stage_holds_until_the_next_one(gate):
    gate.promote()
    for stage in (
        0.05,
        1.0,
        0.0,
    ):
        gate.stage(stage)
        assert gate.live() == (True, stage)


def test_a_promoted_model_that_comes_back_finds_its_promotion_as_it_was(gate):
    gate.promote(OURS)
    gate.stage(0.10)
    assert gate.live(OTHER) == INERT
    assert gate.live(OURS) == (True, 0.10)


def test_a_rollback_gives_an_old_model_nothing_once_another_was_promoted(gate):
    gate.promote(OURS)
    gate.promote(OTHER)
    gate.stage(0.50)
    assert gate.live(OTHER) == (True, 0.50)
    assert gate.live(OURS) == INERT
    gate.demote()
    assert gate.live(OURS) == gate.live(OTHER) == INERT


def test_a_promotion_in_a_replay_counts_in_that_replay_alone(gate):
    gate.promote(scope=scope_of("one"))
    assert gate.replay("one") == (True, 0.01)
    assert gate.replay("two") == gate.live() == INERT
    assert earned(read_record(gate.desk.database, "gate"), OURS, "one", live=True) == INERT


def test_a_change_of_stage_is_about_the_deployment_alone(gate):
    gate.promote()
    gate.promote(scope=scope_of("one"))
    gate.stage(0.50)
    assert (gate.live(), gate.replay("two")) == ((True, 0.50), (True, 0.50))
    assert gate.replay("one") == (True, 0.01)


def test_a_demotion_of_the_deployment_ends_every_replay_s_too(gate):
    gate.promote()
    gate.promote(scope=scope_of("one"))
    gate.demote()
    assert gate.replay("one") == INERT


def test_a_promotion_in_a_replay_is_none_that_the_deployment_could_end(gate):
    gate.promote(scope=scope_of("one"))
    with pytest.raises(ConfigError, match="promoted there"):
        gate.demote()
    assert gate.replay("one") == (True, 0.01)


def test_a_demotion_in_a_replay_is_about_that_replay_alone(gate):
    gate.promote()
    gate.demote(scope=scope_of("one"))
    assert gate.replay("one") == INERT
    assert gate.replay("two") == gate.live() == (True, 0.01)


def test_each_act_is_one_more_row_and_none_is_changed(gate):
    before = []
    for act in (gate.promote, lambda: gate.stage(0.05), gate.demote, gate.promote):
        act()
        now = [tuple(row) for row in gate.desk.rows("graduation_events")]
        now += [tuple(row) for row in gate.desk.rows("rollout_events")]
        assert len(now) == len(before) + 1
        assert set(before) < set(now)
        before = now
    with as_it_stands(gate.desk.database) as raw:
        for log in (graduation_events, rollout_events):
            assert len(list(sound_rows(Source(raw, gate.desk.path), log))) == len(
                gate.desk.rows(log.name)
            )


def test_who_said_it_and_why_stands_in_the_record(gate):
    gate.promote()
    (act,) = read_record(gate.desk.database, "gate").acts
    assert act == Act(
        Kind.PROMOTED,
        NOW + timedelta(minutes=1),
        "Ada",
        "a test",
        True,
        "deployment",
        OURS,
        0.01,
        {},
    )


@pytest.mark.parametrize("back", [timedelta(hours=1), timedelta(0), timedelta(microseconds=-1)])
def test_order_holds_where_the_clock_goes_back(gate, back):
    gate.promote()
    gate.stage(0.25)
    gate.now -= back + timedelta(minutes=1)
    gate.demote()
    assert gate.live() == INERT
    gate.now -= back + timedelta(minutes=1)
    gate.promote()
    gate.now -= back + timedelta(minutes=1)
    gate.stage(0.0)
    assert gate.live() == (True, 0.0)
    times = [act.at for act in read_record(gate.desk.database, "gate").acts]
    assert times == sorted(set(times))


def passed(*names: str) -> list[Condition]:
    return [Condition(name, State.PASSED, None, "") for name in names]


@pytest.mark.parametrize(
    "conditions",
    [
        [],
        passed("decisions"),
        [*passed("decisions"), Condition("evidence", State.MISSING, None, "")],
        [*passed("evidence"), Condition("decisions", State.INCONCLUSIVE, 1e9, "")],
        [*passed("evidence"), Condition("breaker", State.REFUTED, None, "")],
    ],
)
def test_nothing_is_promoted_without_evidence_but_by_an_override(gate, conditions):
    with pytest.raises(ConfigError, match="has not earned it"):
        gate.promote(conditions=conditions, override=False)
    assert gate.live() == INERT
    gate.promote(conditions=conditions)
    assert [row["override"] for row in gate.desk.rows("graduation_events")] == [1]


def test_nobody_overrides_unless_it_is_said(gate):
    said = SAID | {"at": NOW}
    lacking = [*passed("decisions"), Condition("evidence", State.MISSING, None, "")]
    with pytest.raises(ConfigError, match="has not earned it: evidence;"):
        promote(gate.desk.database, "gate", OURS, conditions=lacking, **said)
    with pytest.raises(ConfigError, match="nothing is known of it"):
        promote(gate.desk.database, "gate", OURS, **said)
    gate.promote()
    with pytest.raises(ConfigError, match="of 7 days"):
        set_stage(gate.desk.database, "gate", 0.05, **said)
    gate.demote()
    assert [row["override"] for row in gate.desk.rows("graduation_events")] == [1, 0]


def test_what_has_earned_it_needs_no_override(gate):
    gate.promote(conditions=passed("decisions", "evidence"), override=False)
    assert gate.live() == (True, 0.01)
    assert [row["override"] for row in gate.desk.rows("graduation_events")] == [0]


def test_promoting_twice_is_refused_so_that_no_stage_is_lost(gate):
    gate.promote()
    gate.stage(0.25)
    with pytest.raises(ConfigError, match="promoted already, and holds 25%"):
        gate.promote()
    assert gate.live() == (True, 0.25)


def test_a_model_without_capital_gets_its_first_by_a_promotion(gate):
    gate.promote()
    gate.stage(0.0)
    with pytest.raises(ConfigError, match="gets its first by a promotion"):
        gate.stage(0.01)
    gate.promote()
    assert gate.live() == (True, 0.01)


def test_there_is_nothing_to_take_back_or_to_give_where_nobody_is_promoted(gate):
    with pytest.raises(ConfigError, match="nothing to take back"):
        gate.demote()
    with pytest.raises(ConfigError, match="holds no capital"):
        gate.stage(0.05)
    assert gate.desk.rows("graduation_events") == gate.desk.rows("rollout_events") == []


@pytest.mark.parametrize("change", [{"stage": 0.3}, {"at": "yesterday"}])
def test_a_row_that_can_be_none_is_refused(gate, change):
    gate.promote()
    row = {"stage": 0.05, "at": "2026-01-13T09:30:00Z"} | change
    with gate.desk.database.write() as connection:
        append(connection, rollout_events, agent_name="gate", override=0, **SAID, **row)
    with pytest.raises(IntegrityError, match="nothing that was ever said of an agent"):
        gate.live()


FORGED = [
    "INSERT INTO graduation_events VALUES (2, 'gate', 'promoted', 'v', 'm', 'deployment', 'Eve',"
    " '', 0, NULL, '2026-02-01T00:00:00Z', zeroblob(32))",
    "INSERT INTO rollout_events VALUES (2, 'gate', 1.0, 'Eve', '', 0, NULL, NULL,"
    " NULL, '2026-02-01T00:00:00Z', zeroblob(32))",
    "UPDATE graduation_events SET version = 'v' WHERE id = 1",
    "UPDATE rollout_events SET stage = 1.0 WHERE id = 1",
]


@pytest.mark.parametrize("forged", FORGED)
def test_what_was_written_by_anybody_else_lets_nobody_act(gate, forged):
    gate.promote()
    gate.stage(0.05)
    with closing(sqlite3.connect(gate.desk.path)) as raw, raw:
        raw.execute(forged)
    table, row = forged.split()[2 if "INSERT" in forged else 1], 2 if "INSERT" in forged else 1
    for act in (gate.live, lambda: gate.stage(0.10), gate.demote, lambda: gate.promote(OTHER)):
        with pytest.raises(RecordError, match=f"row {row} of {table} was changed") as refused:
            act()
        assert len(refused.value.lines()) == 3


class TestClimbing:
    """Up one stage at a time, after its dwell in market time."""

    def heard(self, gate, days, run="one", **how):
        gate.desk.decide("gate", days, 1.0, run=run, **({"mode": "active"} | how))

    @pytest.fixture
    def gate(self, desk):
        desk.run("one")
        gate = Deployment(desk)
        gate.promote()
        desk.checkpoint(NOW)
        return gate

    def climbs(self, gate, stage=0.05):
        try:
            gate.stage(stage, override=False, conditions=passed("decisions", "evidence"))
        except ConfigError as refused:
            return refused.what
        return True

    def test_seven_days_at_one_percent_open_the_next_stage(self, gate):
        self.heard(gate, [0.0, 6.9])
        assert "held for 6.9 of 7 days" in self.climbs(gate)
        self.heard(gate, 7.0)
        gate.desk.checkpoint(gate.now)
        assert self.climbs(gate) is True
        assert gate.live() == (True, 0.05)
        assert "held for 0.0 of 14 days" in self.climbs(gate, 0.10)

    def test_a_millisecond_short_of_seven_days_is_too_short(self, gate):
        self.heard(gate, [0.0, 7.0 - 1 / DAY_MS])
        assert "held for 6.9 of 7 days" in self.climbs(gate)

    def test_what_was_kept_as_the_stage_was_set_came_before_it(self, gate):
        self.heard(gate, [0.0, 8.0])
        (act,) = read_record(gate.desk.database, "gate").acts
        gate.desk.checkpoint(act.at)
        assert "held for 0.0 of 7 days" in self.climbs(gate)

    def test_no_stage_is_skipped(self, gate):
        self.heard(gate, [0.0, 100.0])
        assert "the stage after 1% is 5%" in self.climbs(gate, 0.10)

    def test_down_is_possible_at_any_time_and_any_far(self, gate):
        gate.stage(0.50)
        assert self.climbs(gate, 0.05) is True
        assert [row["override"] for row in gate.desk.rows("rollout_events")] == [1, 0]

    def test_time_before_the_stage_counts_for_nothing(self, gate):
        self.heard(gate, [0.0, 6.0])
        gate.desk.checkpoint(later(days=1))
        gate.now = later(days=2)
        gate.stage(0.0)
        gate.promote()
        self.heard(gate, [6.1, 8.0])
        assert "held for 1.9 of 7 days" in self.climbs(gate)

    @pytest.mark.parametrize(
        "how",
        [
            {"mode": "observe"},
            {"role": "challenger"},
            {"model": OTHER},
            {"run": "replay"},
        ],
    )
    def test_only_time_in_which_that_model_was_heard_counts(self, gate, how):
        gate.desk.run("replay", mode="replay")
        self.heard(gate, [0.0, 30.0], **how)
        assert "held for 0.0 of 7 days" in self.climbs(gate)

    def test_time_without_advice_counts_for_nothing(self, gate):
        gate.desk.decide("gate", [0.0, 30.0], None, mode="active", reason="killed")
        assert "held for 0.0 of 7 days" in self.climbs(gate)

    def test_the_same_bars_fed_again_count_once(self, gate):
        self.heard(gate, [0.0, 4.0])
        gate.desk.run("two")
        self.heard(gate, [1.0, 4.0], run="two")
        assert "held for 4.0 of 7 days" in self.climbs(gate)
        gate.desk.run("three")
        self.heard(gate, [3.0, 7.0], run="three")
        assert self.climbs(gate) is True

    def test_bars_that_an_earlier_stage_was_fed_count_no_more(self, gate):
        """Fed again under new names, they would lead from 1% to 100% in a minute."""
        self.heard(gate, [0.0, 8.0])
        assert self.climbs(gate) is True
        gate.desk.checkpoint(gate.now)
        gate.desk.run("two")
        self.heard(gate, [0.0, 8.0], run="two")
        assert "held for 0.0 of 14 days" in self.climbs(gate, 0.10)
        self.heard(gate, [9.0, 22.9], run="two")
        assert "held for 13.9 of 14 days" in self.climbs(gate, 0.10)
        self.heard(gate, 23.0, run="two")
        assert self.climbs(gate, 0.10) is True

    @pytest.mark.parametrize("how", [{"model": OTHER}, {"mode": "observe"}])
    def test_nor_do_those_that_another_version_or_an_observer_was_fed_before(self, gate, how):
        self.heard(gate, [0.0, 8.0], **how)
        (act,) = read_record(gate.desk.database, "gate").acts
        gate.desk.checkpoint(act.at)
        self.heard(gate, [2.0, 8.0, 9.0, 10.0])
        assert "held for 1.0 of 7 days" in self.climbs(gate)

    def test_a_replay_of_newer_bars_takes_nothing_from_a_feed(self, gate):
        gate.desk.run("replay", mode="replay")
        self.heard(gate, [0.0, 90.0], run="replay")
        (act,) = read_record(gate.desk.database, "gate").acts
        gate.desk.checkpoint(act.at, run="replay")
        self.heard(gate, [0.0, 7.0])
        assert self.climbs(gate) is True

    @pytest.mark.parametrize("state", [State.REFUTED, State.INCONCLUSIVE, State.MISSING])
    def test_nobody_climbs_without_every_condition_passed(self, gate, state):
        self.heard(gate, [0.0, 8.0])
        lacking = [*passed("decisions", "evidence"), Condition("breaker", state, None, "closed")]
        with pytest.raises(ConfigError, match="it lacks breaker"):
            gate.stage(0.05, override=False, conditions=lacking)
        gate.stage(0.05, conditions=lacking)
        gate.stage(0.01, override=False, conditions=lacking)
        assert [row["override"] for row in gate.desk.rows("rollout_events")] == [1, 0]

    def test_nobody_climbs_where_nothing_is_known(self, gate):
        self.heard(gate, [0.0, 8.0])
        for conditions in ([], passed("decisions")):
            with pytest.raises(ConfigError, match="it lacks all evidence"):
                gate.stage(0.05, override=False, conditions=conditions)

    def test_a_stage_set_in_the_future_says_why_no_time_counts(self, gate):
        gate.now = datetime(2099, 1, 1, tzinfo=UTC)
        gate.stage(0.05)
        gate.now = NOW
        self.heard(gate, [0.0, 30.0])
        gate.desk.checkpoint(NOW)
        assert "2099-01-01 00:01 UTC by the clock of then, which lies in the future" in self.climbs(
            gate, 0.10
        )

    def test_an_override_that_was_not_needed_is_not_recorded_as_one(self, gate):
        self.heard(gate, [0.0, 8.0])
        gate.stage(0.05, conditions=passed("evidence"))
        assert [row["override"] for row in gate.desk.rows("rollout_events")] == [0]


ACTS = st.one_of(
    st.tuples(st.just(Kind.PROMOTED), st.sampled_from((OURS, OTHER)), st.just(0.01)),
    st.tuples(st.just(Kind.DEMOTED), st.sampled_from((OURS, OTHER)), st.just(0.0)),
    st.tuples(st.just(Kind.STAGED), st.none(), st.sampled_from(STAGES)),
)
SCOPES = st.sampled_from(("deployment", "run:one", "run:two"))


@given(st.lists(st.tuples(ACTS, SCOPES), max_size=20))
def test_whatever_was_said_live_knows_one_promoted_model_and_no_replay(told):
    acts = tuple(
        Act(kind, later(minutes=i), "Ada", "a test", False,
            "deployment" if kind is Kind.STAGED else scope, model, stage, {})
        for i, ((kind, model, stage), scope) in enumerate(told)
    )  # fmt: skip
    record = Record("gate", acts)
    live = {model: earned(record, model, "one", live=True) for model in (OURS, OTHER)}
    assert sum(promoted for promoted, _ in live.values()) <= 1
    assert all(promoted or stage == 0.0 for promoted, stage in live.values())
    without = Record("gate", tuple(act for act in acts if act.scope == "deployment"))
    assert live == {model: earned(without, model, "two", live=False) for model in live}
    ended = [i for i, act in enumerate(acts) if act.kind is Kind.DEMOTED]
    if ended and not any(act.kind is Kind.PROMOTED for act in acts[ended[-1] :]):
        assert acts[ended[-1]].scope != "deployment" or not any(p for p, _ in live.values())

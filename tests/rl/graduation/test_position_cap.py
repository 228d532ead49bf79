"""The cap on the positions of an agent: persons set and lift it, evidence keeps it."""

from __future__ import annotations

import pytest

from darwin.errors import ConfigError, IntegrityError
from darwin.rl.graduation.acts import move
from darwin.rl.graduation.record import cap_in_force, read_record, scope_of
from darwin.store.logs import append
from darwin.store.schema import rollout_events
from tests.rl.graduation.desk import NOW, OTHER, OURS
from tests.rl.graduation.test_record import SAID, Deployment


@pytest.fixture
def gate(desk):
    gate = Deployment(desk)
    gate.promote()
    return gate


def cap(gate, run_id="x", *, live=True):
    return cap_in_force(read_record(gate.desk.database, "gate"), run_id, live=live)


def promotion(gate):
    return read_record(gate.desk.database, "gate").promotion


def rows(gate):
    return [(row["stage"], row["max_position_usd"]) for row in gate.desk.rows("rollout_events")]


def test_without_one_positions_are_as_the_config_has_them(gate):
    gate.stage(0.05)
    assert cap(gate) is None
    assert promotion(gate).max_position_usd is None
    assert rows(gate) == [(0.05, None)]


def test_a_cap_stands_from_the_act_on_that_names_it_and_every_row_states_it_whole(gate):
    gate.stage(0.05, max_position_usd=2000.0)
    gate.stage(0.10)
    gate.stage(0.01, max_position_usd=500.0)
    assert rows(gate) == [(0.05, 2000.0), (0.10, 2000.0), (0.01, 500.0)]
    assert cap(gate) == cap(gate, live=False) == promotion(gate).max_position_usd == 500.0


def test_only_a_person_who_says_so_lifts_it(gate):
    gate.stage(0.05, max_position_usd=2000.0)
    move(gate.desk.database, "gate", 0.01, scope="deployment", reason="a fall", at=gate.now,
         detail={})  # fmt: skip
    assert cap(gate) == 2000.0
    gate.demote()
    assert cap(gate) == 2000.0
    gate.promote(OTHER)
    assert promotion(gate).max_position_usd == cap(gate) == 2000.0
    gate.stage(0.01, lift_cap=True)
    assert cap(gate) is promotion(gate).max_position_usd is None
    assert rows(gate)[-1] == (0.01, None)


NO_SIZES = [0.0, 0.001, -1.0, 2e15, float("nan"), float("inf"), -float("inf")]


@pytest.mark.parametrize("usd", NO_SIZES)
def test_what_is_no_size_of_a_position_is_refused_and_nothing_is_written(gate, usd):
    with pytest.raises(ConfigError, match="is no size of a position"):
        gate.stage(0.05, max_position_usd=usd)
    assert rows(gate) == []


def test_with_another_cap_the_stage_may_be_the_one_that_is_held(gate):
    for change in ({"max_position_usd": 900.0}, {"max_position_usd": 1000.0}, {"lift_cap": True}):
        gate.stage(0.01, override=False, **change)
    assert rows(gate) == [(0.01, 900.0), (0.01, 1000.0), (0.01, None)]
    for same in ({}, {"lift_cap": True}):
        with pytest.raises(ConfigError, match="holds 1% already"):
            gate.stage(0.01, **same)
    gate.stage(0.01, max_position_usd=900.0)
    with pytest.raises(ConfigError, match="holds 1% already"):
        gate.stage(0.01, max_position_usd=900.0)


def test_a_cap_alone_needs_no_evidence_and_is_no_override(gate):
    gate.stage(0.01, max_position_usd=900.0)
    assert [row["override"] for row in gate.desk.rows("rollout_events")] == [0]


def test_a_cap_opens_no_stage(gate):
    with pytest.raises(ConfigError, match="of 7 days"):
        gate.stage(0.05, override=False, max_position_usd=10.0)
    assert rows(gate) == []


def test_less_room_lets_the_time_at_the_stage_go_on_and_more_room_begins_it_anew(gate):
    began = promotion(gate).stage_since
    gate.stage(0.01, max_position_usd=900.0)
    gate.stage(0.01, max_position_usd=800.0)
    assert promotion(gate).stage_since == began
    for change in ({"max_position_usd": 801.0}, {"lift_cap": True}):
        gate.stage(0.01, **change)
        assert promotion(gate).stage_since == gate.now
    assert promotion(gate).stage_basis.kind == "promoted"


def test_where_nobody_is_promoted_there_is_nothing_to_cap(desk):
    with pytest.raises(ConfigError, match="holds no capital"):
        Deployment(desk).stage(0.0, max_position_usd=900.0)


def test_a_cap_of_one_agent_is_none_of_another(desk, gate):
    gate.stage(0.01, max_position_usd=900.0)
    other = Deployment(desk, "portfolio")
    other.promote()
    assert read_record(desk.database, "portfolio").promotion.max_position_usd is None


def test_what_a_replay_has_come_to_by_itself_is_under_the_cap_too(gate):
    gate.stage(0.01, max_position_usd=900.0)
    scope = scope_of("one")
    gate.promote(OURS, scope=scope)
    move(gate.desk.database, "gate", 0.05, scope=scope, reason="well", at=gate.now, detail={})
    assert rows(gate)[-1] == (0.05, 900.0)
    held = read_record(gate.desk.database, "gate").within("deployment", scope)
    assert (held.stage, held.max_position_usd) == (0.05, 900.0)
    assert cap(gate, "one", live=False) == 900.0
    gate.stage(0.01, max_position_usd=300.0)
    held = read_record(gate.desk.database, "gate").within("deployment", scope)
    assert (held.stage, held.max_position_usd) == (0.05, 300.0)


@pytest.mark.parametrize("usd", [0.0, -5.0, float("inf")])
def test_a_row_with_a_cap_that_can_be_none_is_refused(gate, usd):
    row = {"stage": 0.05, "override": 0, "at": "2026-01-13T09:40:00Z", "max_position_usd": usd}
    with gate.desk.database.write() as connection:
        append(connection, rollout_events, agent_name="gate", **SAID, **row)
    with pytest.raises(IntegrityError, match="is no size of a position"):
        cap(gate)


def test_the_newest_row_of_before_there_were_caps_names_none(gate):
    with gate.desk.database.write() as connection:
        append(
            connection, rollout_events, agent_name="gate", stage=0.05, override=0, **SAID,
            at=NOW.replace(hour=12).isoformat(),
        )  # fmt: skip
    assert cap(gate) is None

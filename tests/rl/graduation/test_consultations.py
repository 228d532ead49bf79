"""How often an agent was asked, held against a plain loop over the same rows."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from darwin.core.agents import GATE, PASS, PORTFOLIO
from darwin.core.market import DAY_MS, HOUR_MS
from darwin.rl.graduation.consultations import (
    BEFORE,
    INSIDE,
    OURS,
    Window,
    newest_bar,
    read_consultations,
    read_observations,
    read_runs,
)
from tests.rl.graduation.desk import OTHER, START, Desk, hours, later
from tests.rl.graduation.desk import OURS as MODEL


def count(desk, since, until, *, run_id=None, model=MODEL):
    """The consultations of the gate, with the runs they are of; days from START."""
    window = Window(START + round(since * DAY_MS), START + round(until * DAY_MS))
    with desk.database.read() as connection:
        among = read_runs(connection, run_id)
        return read_consultations(connection, GATE, model, among, window), among


def newest(desk, agent=GATE, run_id=None):
    with desk.database.read() as connection:
        time = newest_bar(connection, agent, read_runs(connection, run_id))
    return None if time is None else (time - START) / DAY_MS


def total(counted, among, part):
    rows, _ = counted.daily(counted.spans(among), part)
    return tuple(rows.sum(axis=0))


class TestNewest:
    """Where the window ends."""

    def test_it_is_the_last_bar_that_a_run_has_reached_though_the_agent_was_not_asked(self, desk):
        desk.run("one", mode="replay")
        desk.run("two", mode="replay")
        desk.decide(GATE, [0, 3], PASS, run="one")
        desk.checkpoint(later(), run="two", reached=9.0)
        assert newest(desk) == 9.0
        assert newest(desk, run_id="one") == 3.0

    def test_a_replay_of_later_bars_does_not_hide_the_run_that_is_fed(self, desk):
        desk.run("fed")
        desk.run("old", mode="replay")
        desk.decide(GATE, [0, 3], PASS, run="fed")
        desk.decide(GATE, [0, 300], PASS, run="old")
        assert newest(desk) == 3.0
        assert newest(desk, run_id="old") == 300.0

    def test_a_fed_run_without_the_agent_says_nothing_of_it(self, desk):
        desk.run("fed")
        desk.run("old", mode="replay")
        desk.decide(PORTFOLIO, [0, 3], 1.0, run="fed")
        desk.decide(GATE, [0, 300], PASS, run="old")
        assert newest(desk) == 300.0

    def test_without_a_bar_there_is_none(self, desk):
        assert newest(desk) is None
        desk.run("one")
        assert newest(desk) is None


def test_the_window_holds_its_end_and_not_its_beginning(desk):
    desk.run("one")
    desk.decide(GATE, [0, 3, 3 + 1 / 24, 10, 10 + 1 / 24], PASS)
    counted, among = count(desk, 3, 10)
    assert total(counted, among, INSIDE)[0] == 2
    assert total(counted, among, BEFORE)[0] == 2
    assert total(counted, among, None)[0] == 5


def test_days_are_those_from_the_first_decision_on_to_what_the_run_has_reached(desk):
    desk.run("one")
    desk.decide(GATE, [2.5, 6.0], PASS)
    desk.checkpoint(later(), reached=10.0)
    counted, among = count(desk, 3, 10)
    assert total(counted, among, INSIDE) == (1, 7.0)
    assert total(counted, among, BEFORE) == (1, 0.5)
    assert total(counted, among, None) == (2, 7.5)


def test_days_of_another_model_are_not_ours(desk):
    desk.run("one")
    desk.decide(GATE, [0, 1], PASS, model=OTHER)
    desk.decide(GATE, [2, 3], PASS)
    desk.decide(GATE, [5, 6], PASS, model=OTHER)
    desk.checkpoint(later(), reached=9.0)
    counted, among = count(desk, 0, 9)
    assert counted.spans(among) == {1: (START + 2 * DAY_MS, START + 3 * DAY_MS)}
    assert total(counted, among, None) == (2, 1.0)


def test_days_of_runs_beside_each_other_count_each(desk):
    for run in ("one", "two"):
        desk.run(run, mode="replay")
        desk.decide(GATE, hours(0.0, 49), PASS, run=run)
    counted, among = count(desk, 0, 2)
    assert total(counted, among, None) == (98, 4.0)
    counted, among = count(desk, 0, 2, run_id="two")
    assert total(counted, among, None) == (49, 2.0)


def test_what_was_asked_of_no_model_is_a_silence_and_of_another_one_is_not(desk):
    desk.run("one")
    desk.decide(GATE, [1, 2], PASS)
    desk.decide(GATE, [3, 4, 5], None, reason="killed")
    desk.decide(GATE, 6, None, reason="no model", model=(None, None))
    desk.decide(GATE, [7, 8], None, reason="killed", model=OTHER)
    desk.decide(GATE, [7, 8], None, reason="out of range", role="challenger")
    counted, _ = count(desk, 0, 9)
    assert counted.silences(counted.inside) == {"killed": 3, "no model": 1}
    assert counted.asked[counted.relevant].sum() == 6
    counted, _ = count(desk, 3, 9)
    assert counted.silences(counted.inside) == {"killed": 2, "no model": 1}


def test_without_a_model_nothing_is_ours(desk):
    desk.run("one")
    desk.decide(GATE, [1, 2], PASS)
    counted, among = count(desk, 0, 9, model=None)
    assert not (counted.whose == OURS).any()
    assert counted.spans(among) == {}
    assert total(counted, among, None) == (0.0, 0.0)


def test_the_rows_to_be_read_are_those_of_the_window_alone(desk):
    for run in ("one", "two"):
        desk.run(run, mode="replay")
        desk.decide(GATE, hours(0.0, 240), PASS, run=run)
    counted, _ = count(desk, 8, 9)
    ids = [(row["id"], row["bar_time"]) for row in desk.rows("agent_decisions")]
    inside = [number for number, time in ids if START + 8 * DAY_MS < time <= START + 9 * DAY_MS]
    assert counted.ids() == [(inside[0], inside[23]), (inside[24], inside[47])]


def test_what_was_seen_is_read_once_a_candidate_of_the_window_where_it_is_finite(desk):
    for run in ("one", "two"):
        desk.run(run, mode="replay")

    def saw(days, *row, run="one", **how):
        seen = np.array(row, dtype="<f4").tobytes()
        desk.decide(GATE, days, PASS, run=run, observation=seen, **how)

    saw(5, 1, 1, first=1)
    saw(1, 2, 2, first=2)  # before the window, though it was recorded within
    saw(5, 3, math.nan, first=3)
    saw(5, 4, 4, 4, first=4)
    saw(5, 5, 5, first=5, schema="z" * 64)
    saw(5, 6, 6, first=6, role="challenger")
    saw(5, 7, 7, first=7, model=OTHER)
    saw(6, 8, 8, first=8)
    saw(9, 9, 9, first=9)
    saw(5, 10, 10, run="two", first=1)
    saw(5, 11, 11, run="two", first=11)
    counted, _ = count(desk, 4, 6)
    with desk.database.read() as connection:
        found = read_observations(connection, GATE, "s" * 64, 2, counted)
    assert found.tolist() == [[1, 1], [7, 7], [8, 8], [11, 11]]
    counted, _ = count(desk, 20, 30)
    with desk.database.read() as connection:
        assert read_observations(connection, GATE, "s" * 64, 2, counted).shape == (0, 2)


told = st.lists(
    st.tuples(
        st.sampled_from(["one", "two"]),
        st.integers(0, 24 * 12),
        st.sampled_from([None, PASS]),
        st.sampled_from(["observe", "killed", "out of range"]),
        st.sampled_from([MODEL, OTHER, (None, None)]),
    ),
    max_size=25,
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told, st.integers(0, 24 * 12), st.integers(1, 24 * 12))
def test_the_counts_are_those_of_a_plain_loop(
    tmp_path_factory, empty_database, rows, since, length
):
    path = tmp_path_factory.mktemp("desk") / "state.sqlite"
    path.write_bytes(empty_database.read_bytes())
    desk = Desk(path)
    for run in ("one", "two"):
        desk.run(run, mode="replay")
    rows = sorted(rows, key=lambda row: row[1])
    for run, hour, action, reason, model in rows:
        desk.decide(GATE, hour / 24, action, run=run, reason=reason, model=model)
    until = since + length
    counted, among = count(desk, since / 24, until / 24)
    desk.database.close()
    inside = [row for row in rows if since < row[1] <= until]
    silent = Counter(r[3] for r in inside if r[2] is None and r[4] is not OTHER)
    assert counted.silences(counted.inside) == silent
    assert total(counted, among, INSIDE)[0] == sum(
        r[2] is not None and r[4] is MODEL for r in inside
    )
    days = 0.0
    for run in ("one", "two"):
        mine = [row for row in rows if row[0] == run]
        ours = [row[1] for row in mine if row[4] is MODEL]
        if ours:
            end = max(ours) if mine[-1][4] is OTHER else mine[-1][1]
            days += max(min(end, until) - max(min(ours), since), 0) * HOUR_MS / DAY_MS
    assert math.isclose(total(counted, among, INSIDE)[1], days, abs_tol=1e-9)

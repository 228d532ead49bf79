"""What can be asked of a recorded run."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from darwin.core.account import SafetyEvent
from darwin.core.agents import AGENTS
from darwin.core.decision import STAGES, Verdict
from darwin.errors import ConfigError, IntegrityError
from darwin.store.db import connect, connect_readonly
from darwin.store.queries import Ending, events_of, find_run, funnel, list_runs, verdicts_of
from darwin.store.runs import begin_run
from darwin.store.story import beginning, candidate
from tests.store.conftest import (
    BLOCKED,
    GAPPED,
    HELD,
    IDS,
    NO_BAR,
    NOW,
    SKIPPED,
    TAKEN,
    hour,
    identity,
    record,
    worked_out,
)


def test_runs_are_listed_in_the_order_they_began(recorded: Path) -> None:
    with connect(recorded) as database:
        begin_run(database, identity("a-later"), at=NOW + timedelta(hours=1))
        finished, running = list_runs(database)
    assert (finished.run_id, finished.status, finished.bars) == ("one", "finished", 120)
    assert (finished.candidates, finished.taken, finished.equity_usd) == (6, 2, 10_059.0)
    assert (running.run_id, running.status, running.bars) == ("a-later", "running", 0)
    assert (running.candidates, running.taken, running.equity_usd) == (0, 0, None)


def test_an_unknown_run_is_refused_with_the_closest_name(recorded: Path) -> None:
    with connect_readonly(recorded) as database:
        for ask in (find_run, funnel, events_of, verdicts_of):
            with pytest.raises(ConfigError) as fault:
                ask(database, "onn")
            assert fault.value.lines()[2] == "  mend: did you mean 'one'?"
        with pytest.raises(ConfigError, match="`darwin runs` lists them"):
            find_run(database, "qqqqqq")


def test_the_funnel_adds_up_and_follows_the_stages(recorded: Path) -> None:
    with connect_readonly(recorded) as database:
        endings = funnel(database, "one")
        assert sum(end.candidates for end in endings) == find_run(database, "one").candidates
    assert endings == [
        Ending("account", "position open", 1),
        Ending("expert", "expert skip", 1),
        Ending("entry", "gapped", 1),
        Ending("entry", "no next bar", 1),
        Ending("taken", "taken", 2),
    ]


def test_safety_events_come_in_their_order(recorded: Path) -> None:
    with connect_readonly(recorded) as database:
        assert events_of(database, "one") == [
            SafetyEvent(hour(30), "daily_loss", "-5.1 %"),
            SafetyEvent(hour(31), "reducing", "drawdown"),
        ]


def test_recorded_verdicts_are_what_the_expert_said(recorded: Path) -> None:
    with connect_readonly(recorded) as database:
        said = verdicts_of(database, "one")
    assert list(said) == [*IDS[:2], *IDS[3:]]
    assert said[IDS[0]] == Verdict(True, 0.61, 0.5, (), 0.01)
    assert said[IDS[1]] == Verdict(False, 0.3, 0.25, ("thin volume", 'odd "name" é'), 0.01)
    assert said[IDS[0]].take is True


def test_an_unfinished_run_has_no_verdicts_to_give(recorded: Path) -> None:
    with connect(recorded) as database:
        begin_run(database, identity("two"), at=NOW)
        with pytest.raises(ConfigError, match="not finished"):
            verdicts_of(database, "two")


def test_damaged_flags_are_an_integrity_error(recorded: Path) -> None:
    with closing(sqlite3.connect(recorded)) as raw:
        raw.execute("UPDATE verdicts SET risk_flags = '[\"cut'")
        raw.commit()
    with connect_readonly(recorded) as database, pytest.raises(IntegrityError, match="damaged"):
        verdicts_of(database, "one")


def test_the_story_of_a_taken_candidate_holds_every_number(recorded: Path) -> None:
    with connect_readonly(recorded) as database:
        story = candidate(database, TAKEN)
    assert (story.candidate.symbol, story.candidate.playbook) == ("BTC/USDT", "breakout")
    assert story.verdict == Verdict(True, 0.61, 0.5, (), 0.01)
    assert story.order is not None
    assert (story.order.units, story.order.clipped_by) == (2.0, "exposure")
    assert story.entry is not None
    assert story.exit is not None
    assert (story.entry.time, story.exit.reason) == (hour(11), "target")
    assert story.net_pnl_usd == pytest.approx(2 * 4 - 0.1 - 0.1 - 0.3)
    assert story.realised_r == pytest.approx(7.5 / (2 * 2))
    assert story.outcome is not None
    assert story.outcome.r == 1.95
    assert story.features == {"rsi_14": 0.25, "return_1": 0.0}
    assert story.cancelled is None


def test_a_short_earns_when_the_price_falls(path: Path) -> None:
    run = worked_out()
    short = [fill._replace(side=-1, stop_price=104.0) for fill in run.fills[:2]]
    run.fills[:2] = short  # type: ignore[index]
    record(path, run)
    with connect(path) as database:
        story = candidate(database, TAKEN)
    assert story.net_pnl_usd == pytest.approx(-8 - 0.5)
    assert story.realised_r == pytest.approx(-8.5 / 8)


@pytest.mark.parametrize(
    ("name", "states"),
    [
        (BLOCKED, ["ended: position open", *5 * ["not reached"]]),
        (SKIPPED, ["passed", "ended: expert skip", *4 * ["not reached"]]),
        (GAPPED, [*5 * ["passed"], "ended: gapped", "not reached"]),
        (NO_BAR, [*4 * ["passed"], "ended: no next bar", "not reached"]),
        (HELD, [*5 * ["passed"], "taken"]),
        (TAKEN, [*7 * ["passed"], "taken"]),
    ],
)
def test_the_stages_are_passed_up_to_the_one_it_ended_at(
    recorded: Path, name: str, states: list[str]
) -> None:
    with connect_readonly(recorded) as database:
        stages = candidate(database, name).stages()
    asked = {GAPPED: {"gate"}, TAKEN: {"gate", "portfolio"}}.get(name, set())
    assert [stage for stage, _ in stages] == [
        stage for stage in STAGES[1:] if stage not in AGENTS or stage in asked
    ]
    assert [state for _, state in stages] == states


def test_what_did_not_happen_is_absent_from_the_story(recorded: Path) -> None:
    with connect_readonly(recorded) as database:
        blocked, gapped = candidate(database, BLOCKED), candidate(database, GAPPED)
    assert (blocked.verdict, blocked.order, blocked.entry, blocked.exit) == (None,) * 4
    assert (blocked.net_pnl_usd, blocked.realised_r) == (None, None)
    assert gapped.cancelled is not None
    assert (gapped.cancelled.time, gapped.cancelled.reason) == (hour(21), "gapped")


@pytest.mark.parametrize("digits", ["FFFF", "ffffff", "000000000000abcd"])
def test_the_first_digits_of_an_id_are_enough(recorded: Path, digits: str) -> None:
    with connect_readonly(recorded) as database:
        assert candidate(database, digits).candidate.candidate_id.startswith(digits.lower())


@pytest.mark.parametrize("digits", ["fff", "", "xyzw", "0" * 17, "ff%f", "12 34"])
def test_what_is_no_id_is_refused(recorded: Path, digits: str) -> None:
    with (
        connect_readonly(recorded) as database,
        pytest.raises(ConfigError, match="is no candidate id"),
    ):
        candidate(database, digits)


def test_an_ambiguous_or_unknown_id_is_refused_with_what_to_write(recorded: Path) -> None:
    with connect_readonly(recorded) as database:
        with pytest.raises(ConfigError) as several:
            candidate(database, "1111")
        with pytest.raises(ConfigError, match="no candidate 'eeee'"):
            candidate(database, "eeee")
    assert several.value.what == f"2 candidates begin with '1111': {TAKEN}, {SKIPPED}"
    assert several.value.mend == "write more digits"


def test_a_candidate_of_several_runs_needs_the_run(recorded: Path) -> None:
    record(recorded, worked_out(), "two", at=NOW + timedelta(hours=1))
    with connect(recorded) as database:
        with pytest.raises(ConfigError) as fault:
            candidate(database, TAKEN)
        assert candidate(database, TAKEN, "two").candidate.run_id == "two"
        with pytest.raises(ConfigError, match="no run called 'three'"):
            candidate(database, TAKEN, "three")
    assert fault.value.what == f"candidate {TAKEN} is in 2 runs: one, two"
    assert fault.value.mend == "name one: --run two"


@pytest.mark.parametrize("run_id", [None, "one"])
def test_an_id_is_looked_up_and_not_searched_for_in_all_rows(
    recorded: Path, run_id: str | None
) -> None:
    with connect_readonly(recorded) as database, database.read() as connection:
        query = beginning("1111", run_id).compile(
            connection, compile_kwargs={"literal_binds": True}
        )
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}").all()
    looked_up = "(run_id=? AND candidate_id>? AND candidate_id<?)"
    assert [row[-1] for row in plan if "candidates" in row[-1]] == [
        f"SEARCH candidates USING INDEX sqlite_autoindex_candidates_1 {looked_up}"
    ]

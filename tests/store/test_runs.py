"""Beginning a run: what stands already, what may go on, and what is refused by name."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from darwin.errors import ConfigError
from darwin.store.db import connect, connect_readonly
from darwin.store.journal import Journal
from darwin.store.runs import Begun, Standing, begin_run, find_begun
from tests.store.conftest import NOW, facts_of, identity, record, worked_out
from tests.store.outsider import facts, rows, tables

pytestmark = pytest.mark.slow

LATER = NOW + timedelta(days=1)
OTHER_CONFIG = {
    "config_json": '{"limits": {"max_orders_per_bar": 7}, "run_id": "one"}',
    "config_digest": "e" * 64,
}


def begin(path: Path, *, resume: bool = False, accept_code: bool = False, **other: Any) -> Begun:
    """Begin or take up the run `one`, with `other` parts of its identity."""
    with connect(path) as database:
        return begin_run(
            database, identity(**other), at=LATER, resume=resume, accept_code=accept_code
        )


def events(path: Path) -> list[tuple[Any, ...]]:
    """What happened to the run `one`, without when."""
    query = "SELECT kind, facts, code_version, detail FROM run_events WHERE run_id = 'one'"
    return [tuple(row.values()) for row in rows(path, query + " ORDER BY id")]


@pytest.fixture
def unfinished(path: Path) -> Path:
    """A database that holds all facts of the run `one`, which is not finished."""
    with connect(path) as database:
        begun = begin_run(database, identity(), at=NOW)
        Journal(database, begun, worked_out().playbooks).append(facts_of(worked_out()))
    return path


def test_a_new_run_begins_before_its_first_fact(path: Path) -> None:
    begun = begin(path)
    assert (begun.standing, begun.number, begun.identity) == (Standing.NEW, 1, identity())
    assert (begun.place.facts, begun.place.head) == (0, identity().genesis())
    assert (begun.place.reached, begun.place.bars) == (None, 0)
    assert events(path) == [("begun", 0, "0.1.0", "")]
    assert rows(path, "SELECT run_id, status FROM run_states") == [
        {"run_id": "one", "status": "running"}
    ]


def test_a_run_says_what_it_was_made_of(recorded: Path) -> None:
    (run,) = rows(recorded, "SELECT * FROM runs")
    assert len(run.pop("seal")) == 32
    assert run == {
        "run_id": "one",
        "number": 1,
        "mode": "replay",
        "config_json": '{"limits": {"max_orders_per_bar": 5}, "run_id": "one"}',
        "config_digest": "c" * 64,
        "data_digest": "d" * 64,
        "code_version": "0.1.0",
        "symbols": '["BTC/USDT", "ETH/USDT"]',
        "feature_names": '["rsi_14", "return_1"]',
        "started_at": "2024-06-01T12:00:00.000Z",
    }
    (state,) = rows(recorded, "SELECT * FROM run_states")
    assert (state["status"], state["facts"], state["bars"]) == ("finished", 29, 120)
    assert datetime.fromisoformat(state["finished_at"]) > NOW


def test_wall_clock_times_are_written_in_utc(path: Path) -> None:
    local = datetime(2024, 6, 1, 14, tzinfo=timezone(timedelta(hours=2)))
    with connect(path) as database:
        begin_run(database, identity(), at=local)
    assert rows(path, "SELECT started_at, at FROM runs JOIN run_events USING (run_id)") == [
        {"started_at": "2024-06-01T12:00:00.000Z", "at": "2024-06-01T12:00:00.000Z"}
    ]


def test_runs_are_numbered_in_the_order_in_which_they_were_begun(recorded: Path) -> None:
    for nth, run_id in enumerate(("zebra", "aardvark"), start=2):
        record(recorded, worked_out(), run_id)
        with connect_readonly(recorded) as database:
            assert find_begun(database, run_id).number == nth
    ids = [row["id"] for run_id in ("one", "zebra", "aardvark") for row in facts(recorded, run_id)]
    assert ids == sorted(set(ids))


def test_an_unfinished_run_is_not_taken_up_by_accident(unfinished: Path) -> None:
    before = tables(unfinished, "runs", "run_events", "checkpoints")
    for other in ({}, {"code_version": "0.2.0"}, OTHER_CONFIG):
        with pytest.raises(ConfigError) as fault:
            begin(unfinished, **other)
        assert fault.value.what == "run 'one' was begun and is not finished: 29 facts are kept"
        assert fault.value.mend == "go on with --resume, or give this one another run_id"
        assert fault.value.exit_code == 2
    assert tables(unfinished, "runs", "run_events", "checkpoints") == before


def test_an_unfinished_run_is_taken_up_where_its_last_checkpoint_stands(unfinished: Path) -> None:
    (kept,) = rows(unfinished, "SELECT * FROM checkpoints")
    begun = begin(unfinished, resume=True)
    assert begun.standing is Standing.UNFINISHED
    assert (begun.place.facts, begun.place.head) == (29, kept["head"])
    assert (begun.place.reached, begun.place.bars) == (kept["reached"], 120)
    assert events(unfinished) == [("begun", 0, "0.1.0", ""), ("resumed", 29, "0.1.0", "")]


def test_a_new_run_may_be_begun_with_resume(path: Path) -> None:
    assert begin(path, resume=True).standing is Standing.NEW
    assert [kind for kind, *_ in events(path)] == ["begun"]


@pytest.mark.parametrize("resume", [False, True])
def test_the_same_run_again_is_finished_already_and_nothing_is_noted(
    recorded: Path, resume: bool
) -> None:
    before = tables(recorded, "runs", "run_events", "checkpoints")
    begun = begin(recorded, resume=resume)
    assert (begun.standing, begun.place.facts) == (Standing.FINISHED, 29)
    assert begun.place.head == facts(recorded)[-1]["hash"]
    assert tables(recorded, "runs", "run_events", "checkpoints") == before


DIFFERENT = [
    (OTHER_CONFIG, "config (limits.max_orders_per_bar)"),
    ({"data_digest": "e" * 64}, "data (digest dddddddddddd then, digest eeeeeeeeeeee now)"),
    ({"code_version": "0.2.0"}, "code (0.1.0 then, 0.2.0 now)"),
    ({"mode": "feed", "data_digest": None}, "mode (replay then, feed now)"),
    ({"data_digest": "e" * 64, "code_version": "9"}, "now), another code (0.1.0 then, 9 now)"),
    ({"config_digest": "e" * 64}, "config (its digest)"),
]
"""What may differ in a run of the same name, and how that is said."""


@pytest.mark.parametrize(("other", "named"), DIFFERENT)
def test_a_finished_run_is_not_begun_with_anything_else(
    recorded: Path, other: dict[str, Any], named: str
) -> None:
    for resume in (False, True):
        with pytest.raises(ConfigError, match="run 'one' was finished with another") as fault:
            begin(recorded, resume=resume, **other)
        assert named in fault.value.what
        assert fault.value.mend.endswith("give this one another run_id")
        assert ("leave out --feed" in fault.value.mend) == ("mode" in named)
        assert (fault.value.exit_code, fault.value.where) == (2, str(recorded))


@pytest.mark.parametrize(("other", "named"), DIFFERENT)
def test_an_unfinished_run_does_not_go_on_with_anything_else(
    unfinished: Path, other: dict[str, Any], named: str
) -> None:
    with pytest.raises(ConfigError, match="run 'one' was begun with another") as fault:
        begin(unfinished, resume=True, **other)
    assert named in fault.value.what
    only_code = set(other) == {"code_version"}
    assert ("--accept-code" in fault.value.mend) is only_code
    assert "another run_id" in fault.value.mend
    assert events(unfinished) == [("begun", 0, "0.1.0", "")]


def test_other_code_is_accepted_where_that_is_said_and_noted(unfinished: Path) -> None:
    begun = begin(unfinished, resume=True, accept_code=True, code_version="0.2.0")
    assert begun.standing is Standing.UNFINISHED
    assert (begun.code_version, begun.identity.code_version) == ("0.2.0", "0.1.0")
    assert begun.identity.genesis() == identity().genesis()
    assert events(unfinished)[1:] == [
        ("code accepted", 29, "0.2.0", "in place of 0.1.0"),
        ("resumed", 29, "0.2.0", ""),
    ]


def test_code_that_was_accepted_is_the_code_from_then_on(unfinished: Path) -> None:
    begin(unfinished, resume=True, accept_code=True, code_version="0.2.0")
    with pytest.raises(ConfigError, match=r"another code \(0.2.0 then, 0.1.0 now\)"):
        begin(unfinished, resume=True)
    begin(unfinished, resume=True, code_version="0.2.0")
    assert [kind for kind, *_ in events(unfinished)] == [
        "begun", "code accepted", "resumed", "resumed",
    ]  # fmt: skip
    begin(unfinished, resume=True, accept_code=True)
    assert events(unfinished)[-2][-1] == "in place of 0.2.0"


def test_accepting_code_that_is_the_same_notes_nothing_of_it(unfinished: Path) -> None:
    begin(unfinished, resume=True, accept_code=True)
    assert [kind for kind, *_ in events(unfinished)] == ["begun", "resumed"]


@pytest.mark.parametrize(
    "other", [{"data_digest": "e" * 64}, OTHER_CONFIG, {"mode": "feed", "data_digest": None}]
)
def test_nothing_but_code_is_accepted(unfinished: Path, other: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"another code \(0.1.0 then, 0.2.0 now\)") as fault:
        begin(unfinished, resume=True, accept_code=True, **other, code_version="0.2.0")
    assert fault.value.mend == "give this one another run_id"
    assert [kind for kind, *_ in events(unfinished)] == ["begun"]


def test_code_is_accepted_by_a_resume_alone(unfinished: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not finished"):
        begin(unfinished, accept_code=True, code_version="0.2.0")
    finished = tmp_path / "finished.sqlite"
    record(finished, worked_out())
    with pytest.raises(ConfigError, match="finished with another code"):
        begin(finished, accept_code=True, code_version="0.2.0")


def test_nothing_is_noted_of_code_that_is_accepted_for_a_finished_run(recorded: Path) -> None:
    before = tables(recorded, "runs", "run_events")
    begun = begin(recorded, resume=True, accept_code=True, code_version="0.2.0")
    assert (begun.standing, begun.code_version) == (Standing.FINISHED, "0.1.0")
    assert tables(recorded, "runs", "run_events") == before


def test_a_finished_run_with_accepted_code_is_known_by_that_code(unfinished: Path) -> None:
    with connect(unfinished) as database:
        other = identity(code_version="0.2.0")
        begun = begin_run(database, other, at=NOW, resume=True, accept_code=True)
        journal = Journal(database, begun, worked_out().playbooks)
        journal.append(facts_of(worked_out()))
        journal.finish()
    assert begin(unfinished, code_version="0.2.0").standing is Standing.FINISHED
    with pytest.raises(ConfigError, match=r"another code \(0.2.0 then, 0.1.0 now\)"):
        begin(unfinished)


def test_a_feed_is_taken_up_without_knowing_its_bars_beforehand(path: Path) -> None:
    fed = {"mode": "feed", "data_digest": None}
    begin(path, **fed)
    assert begin(path, resume=True, **fed).standing is Standing.UNFINISHED


def test_an_unknown_run_is_not_found_but_the_closest_name_is(recorded: Path) -> None:
    with connect_readonly(recorded) as database:
        with pytest.raises(ConfigError) as fault:
            find_begun(database, "onne")
        assert find_begun(database, "one").identity == identity()
    assert fault.value.mend == "did you mean 'one'?"


def test_the_end_of_a_run_is_no_secret(recorded: Path) -> None:
    *_, (kind, count, _, detail) = events(recorded)
    assert (kind, count) == ("finished", 29)
    assert set(json.loads(detail)) == {"head", "checkpoints", "equity_marks"}

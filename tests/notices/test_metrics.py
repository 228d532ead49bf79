"""What `/metrics` answers: the figures of the record, with labels that stay few."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from darwin.core.agents import Model
from darwin.rl.graduation import acts
from darwin.service.metrics import FRESH_S, Metrics, exposition, metrics_of
from darwin.service.place import Place
from darwin.service.snapshot import LATEST_RUNS
from darwin.service.tallies import Tally
from darwin.store import jobs, kill_log, logs, schema
from darwin.store.db import connect
from darwin.store.runs import begin_run, iso_time
from tests.store.conftest import NOW, identity, keep, record, worked_out

Figures = dict[tuple[str, ...], float]


def figures(place: Place, metrics: Metrics | None = None) -> Figures:
    """Every sample, by its name and the values of its labels, in the order of these."""
    text = (metrics or Metrics(place)).exposition().decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def place(tmp_path: Path) -> Place:
    one = Place(str(tmp_path))
    one.make()
    return one


def test_counts_are_those_of_the_record(place: Place) -> None:
    path = place.deployment.db
    record(path, worked_out(), "one")
    with connect(path) as database:
        begin_run(database, identity("two"), at=NOW)
    found = figures(place)
    with closing(sqlite3.connect(path)) as raw:
        (alerts,) = raw.execute("SELECT count(*) FROM alerts WHERE kind = 'drawdown'").fetchone()
        query = "SELECT count(*) FROM agent_decisions WHERE agent_name = 'gate'"
        (decisions,) = raw.execute(query).fetchone()
        (equity,) = raw.execute(
            "SELECT equity_usd FROM equity_marks ORDER BY id DESC LIMIT 1"
        ).fetchone()
    assert found["darwin_record_readable",] == 1
    assert found["darwin_runs", "finished"] == 1
    assert found["darwin_runs", "running"] == 1
    assert found["darwin_decisions_total", "gate", "observe", "serving"] == decisions == 2
    assert found["darwin_alerts_total", "drawdown"] == alerts == 1
    assert found["darwin_equity_usd", "one"] == equity
    assert ("darwin_last_checkpoint_age_seconds", "one") not in found  # it is over
    age = (datetime.now(UTC) - NOW).total_seconds()
    assert found["darwin_last_checkpoint_age_seconds", "two"] == pytest.approx(age, abs=60)


def test_how_agents_stand_is_told(place: Place) -> None:
    model = Model("20260101_000000", "a" * 64)
    said = {"by": "Ada", "reason": "a test", "at": NOW, "override": True}
    with place.write() as database:
        with database.write() as connection:
            logs.append(
                connection, schema.model_events, agent_name="gate", kind="deployed",
                version=model.version, manifest_sha256=model.sha256, zip_sha256="b" * 64,
                by="Ada", reason="a test", at=iso_time(NOW),
            )  # fmt: skip
        acts.promote(database, "gate", model, **said)
        acts.set_stage(database, "gate", 0.05, **said)
    found = figures(place)
    assert found["darwin_model_info", "gate", "serving", model.version] == 1
    assert found["darwin_agent_promoted", "gate"] == 1
    assert found["darwin_agent_stage", "gate"] == 0.05
    assert found["darwin_agent_promoted", "portfolio"] == found["darwin_agent_stage", "market"] == 0


def test_the_kill_switch_shows(place: Place) -> None:
    assert figures(place)["darwin_killed",] == 0
    with place.write() as database:
        kill_log.switch_on(database, by="Ada", reason="odd", at=NOW)
    assert figures(place)["darwin_killed",] == 1


def test_a_breaker_shows_while_it_is_not_closed(place: Place) -> None:
    with connect(place.deployment.db) as database:
        begun = begin_run(database, identity("two"), at=NOW)
    for kind, is_open in (("breaker_opened", 1), ("breaker_closed", 0)):
        event(place, begun.number, kind)
        assert figures(place)["darwin_breaker_open", "gate", "two"] == is_open


def event(place: Place, run: int, kind: str) -> None:
    """Write a safety event past the chain, which no figure looks at."""
    with closing(sqlite3.connect(place.deployment.db)) as raw, raw:
        (last,) = raw.execute("SELECT coalesce(max(id), 0) FROM safety_events").fetchone()
        raw.execute(
            "INSERT INTO safety_events (id, run_id, time, kind, detail, agent_name, hash)"
            " VALUES (?, 'two', 0, ?, '', 'gate', zeroblob(32))",
            [max(last, run << schema.SEQ_BITS) + 1, kind],
        )


def test_jobs_are_counted_by_state_and_kind(place: Place) -> None:
    with place.write() as database:
        for _ in range(2):
            jobs.enqueue(
                database, "train", (), lane="training", agent="gate", by="A", reason="", at=NOW
            )
        jobs.claim(database, 1, "w", NOW)
    found = figures(place)
    assert found["darwin_jobs", "train", "running"] == found["darwin_jobs", "train", "queued"] == 1
    assert found["darwin_jobs", "train", "failed"] == 0


def test_labels_of_runs_are_the_latest_alone(place: Place) -> None:
    with connect(place.deployment.db) as database:
        for number in range(LATEST_RUNS + 5):
            begin_run(database, identity(f"run-{number}"), at=NOW)
    found = figures(place)
    ages = [key[1] for key in found if key[0] == "darwin_last_checkpoint_age_seconds"]
    assert len(ages) == LATEST_RUNS
    assert "run-0" not in ages
    assert found["darwin_runs", "running"] == LATEST_RUNS + 5


def test_what_runs_add_is_counted_once(place: Place) -> None:
    path, tally = place.deployment.db, Tally(schema.agent_decisions, ("agent_name",))

    def look() -> dict[str, int]:
        with place.read() as database, database.read() as connection:
            return {labels[0]: count for labels, count in tally.look(connection).items()}

    assert look() == {}
    record(path, worked_out(), "one")
    assert look() == look() == {"gate": 2, "portfolio": 1}
    with connect(path) as database:
        keep(database, begin_run(database, identity("two"), at=NOW), worked_out())
    assert look() == {"gate": 4, "portfolio": 2}


def test_a_scrape_reads_no_more_often_than_every_few_seconds(place: Place) -> None:
    metrics = Metrics(place)
    assert figures(place, metrics)["darwin_killed",] == 0
    (Path(place.artifacts_dir) / "KILL").touch()
    assert FRESH_S > 1
    assert figures(place, metrics)["darwin_killed",] == 0  # what was just read is told again
    assert figures(place)["darwin_killed",] == 1


@pytest.mark.parametrize("damage", ["missing", "not a database", "changed log"])
def test_a_record_that_cannot_be_read_is_a_figure_and_no_error(damage: str, place: Place) -> None:
    path = place.deployment.db
    if damage == "changed log":
        with place.write() as database:
            kill_log.switch_on(database, by="Ada", reason="odd", at=NOW)
            with database.write() as connection:
                logs.append(
                    connection, schema.rollout_events, agent_name="gate", stage=0.05, by="Ada",
                    reason="green", override=0, at=iso_time(NOW),
                )  # fmt: skip
        with closing(sqlite3.connect(path)) as raw, raw:
            raw.execute("UPDATE rollout_events SET stage = 1.0")
    else:
        for name in path.parent.glob(f"{path.name}*"):
            name.unlink()
        if damage == "not a database":
            path.write_text("no database at all, but long enough to look like something" * 50)
    found = figures(place)
    assert found["darwin_record_readable",] == 0
    assert any(name.startswith("process_") for name, *_ in found)


def test_requests_are_observed_by_route(place: Place) -> None:
    metrics = metrics_of(place)
    metrics.observe("GET", "/api/v1/runs/{run_id}", 200, 0.02)
    text = exposition(place).decode()
    labels = 'method="GET",route="/api/v1/runs/{run_id}",status="200"'
    assert f"darwin_http_request_duration_seconds_count{{{labels}}} 1.0" in text


def test_names_and_units_follow_the_conventions_of_prometheus(place: Place) -> None:
    record(place.deployment.db, worked_out())
    text = exposition(place).decode()
    kinds = dict(re.findall(r"^# TYPE (darwin_\w+) (\w+)$", text, re.M))
    assert set(kinds.values()) == {"gauge", "counter", "histogram"}
    assert all(name.endswith("_total") == (kind == "counter") for name, kind in kinds.items())
    helped = set(re.findall(r"^# HELP (darwin_\w+) \S", text, re.M))
    assert helped == set(kinds)

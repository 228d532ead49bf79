"""Recording: a run is either fully there or not at all, and every number comes back."""

from __future__ import annotations

import math
import sqlite3
import struct
import sys
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from darwin.errors import ConfigError, IntegrityError, StorageError
from darwin.store.columns import (
    candidate_columns,
    equity_columns,
    fill_columns,
    order_columns,
    outcome_columns,
    safety_columns,
    verdict_columns,
)
from darwin.store.db import connect
from darwin.store.features import pack, unpack
from darwin.store.queries import list_runs
from darwin.store.record import Standing, begin_run, record_run
from tests.store.conftest import (
    IDS,
    NO_BAR,
    NOW,
    TAKEN,
    hour,
    identity,
    no_candidates,
    worked_out,
)

pytestmark = pytest.mark.slow

FINITE = st.floats(allow_nan=False, allow_infinity=False)
FACT_TABLES = (
    "candidates", "verdicts", "orders", "fills", "outcomes", "equity_marks", "safety_events",
)  # fmt: skip


def rows(path: Path, sql: str, *values: object) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(path)) as raw:
        raw.row_factory = sqlite3.Row
        return [dict(row) for row in raw.execute(sql, values)]


def record(path: Path, run: Any, run_id: str = "one") -> None:
    with connect(path) as database:
        begin_run(database, identity(run_id), started_at=NOW)
        record_run(database, run_id, run, finished_at=NOW)


def test_every_fact_is_read_back_as_it_was_recorded(recorded: Path) -> None:
    run = worked_out()
    for table, told in (
        ("candidates", candidate_columns(run)),
        ("verdicts", verdict_columns(run)),
        ("orders", order_columns(run)),
        ("fills", fill_columns(run)),
        ("outcomes", outcome_columns(run)),
        ("equity_marks", equity_columns(run)),
        ("safety_events", safety_columns(run)),
    ):
        stored = rows(recorded, f"SELECT * FROM {table} ORDER BY rowid")
        assert stored, table
        for row in stored:
            assert row.pop("run_id") == "one"
            row.pop("id", None)
        assert {name: [row[name] for row in stored] for name in told} == told, table
        assert set(stored[0]) == set(told), table


def test_what_a_bracket_lacks_and_what_is_not_known_is_null(recorded: Path) -> None:
    (bare,) = rows(recorded, "SELECT * FROM candidates WHERE candidate_id = ?", NO_BAR)
    assert (bare["target_distance"], bare["time_stop_bars"]) == (None, None)
    assert (bare["trail_activation_r"], bare["trail_distance"], bare["anchor"]) == (1, 2.5, "fill")
    (plain,) = rows(recorded, "SELECT * FROM candidates WHERE candidate_id = ?", TAKEN)
    assert (plain["target_distance"], plain["time_stop_bars"]) == (4.0, 32)
    assert (plain["trail_activation_r"], plain["trail_distance"]) == (None, None)
    statuses = rows(recorded, "SELECT status, entry_time, target_price, r FROM outcomes")
    assert [tuple(row.values()) for row in statuses] == [
        ("resolved", hour(11), 104.0, 1.95),
        ("resolved", hour(12), 97.0, -1.05),
        ("resolved", hour(13), None, -0.5),
        ("gapped", hour(21), None, None),
        ("unresolved", hour(41), 108.0, None),
        ("unresolved", None, None, None),
    ]


def test_only_what_the_expert_was_asked_is_a_verdict(recorded: Path) -> None:
    verdicts = rows(recorded, "SELECT candidate_id, risk_flags FROM verdicts")
    assert [int(row["candidate_id"], 16) for row in verdicts] == [*IDS[:2], *IDS[3:]]
    assert verdicts[1]["risk_flags"] == '["thin volume", "odd \\"name\\" \\u00e9"]'


def test_a_cancellation_is_a_fact_of_its_own_in_the_order_of_events(recorded: Path) -> None:
    orders = rows(recorded, "SELECT candidate_id, kind, time, reason, clipped_by FROM orders")
    assert [(row["kind"], row["time"], row["reason"]) for row in orders] == [
        ("submitted", hour(10), None),
        ("submitted", hour(20), None),
        ("cancelled", hour(21), "gapped"),
        ("submitted", hour(40), None),
        ("submitted", hour(59), None),
        ("cancelled", hour(59), "no next bar"),
    ]
    assert [row["clipped_by"] for row in orders] == ["exposure", "", "", "", "cash", "cash"]


def test_equity_is_marked_once_per_utc_day_at_its_last_close(recorded: Path) -> None:
    marks = rows(
        recorded, "SELECT day, time, equity_usd, exposure_usd, positions FROM equity_marks"
    )
    assert [tuple(row.values()) for row in marks] == [
        ("2024-01-01", hour(23), 10_023.0, 46.0, 2),
        ("2024-01-02", hour(47), 10_047.0, 94.0, 2),
        ("2024-01-03", hour(59), 10_059.0, 118.0, 2),
    ]


def test_a_finished_run_says_what_it_was(recorded: Path) -> None:
    (run,) = rows(recorded, "SELECT * FROM runs")
    assert run == {
        "run_id": "one",
        "status": "finished",
        "mode": "replay",
        "config_json": '{"limits": {"max_orders_per_bar": 5}, "run_id": "one"}',
        "config_digest": "c" * 64,
        "data_digest": "d" * 64,
        "code_version": "0.1.0",
        "bars": 120,
        "feature_names": '["rsi_14", "return_1"]',
        "started_at": "2024-06-01T12:00:00.000Z",
        "finished_at": "2024-06-01T12:00:00.000Z",
    }


def test_wall_clock_times_are_written_in_utc(path: Path) -> None:
    local = datetime(2024, 6, 1, 14, tzinfo=timezone(timedelta(hours=2)))
    with connect(path) as database:
        begin_run(database, identity(), started_at=local)
    assert rows(path, "SELECT started_at FROM runs") == [{"started_at": "2024-06-01T12:00:00.000Z"}]


def test_a_run_without_a_candidate_is_recorded_too(path: Path) -> None:
    record(path, no_candidates())
    assert rows(path, "SELECT status FROM runs") == [{"status": "finished"}]
    assert rows(path, "SELECT * FROM candidates") == []
    assert len(rows(path, "SELECT * FROM equity_marks")) == 3


def test_two_runs_hold_the_same_candidates_side_by_side(recorded: Path) -> None:
    record(recorded, worked_out(), "two")
    counted = rows(recorded, "SELECT run_id, COUNT(*) AS n FROM candidates GROUP BY run_id")
    assert counted == [{"run_id": "one", "n": 6}, {"run_id": "two", "n": 6}]


def changed(what: str, table: str, row: int, value: float) -> Any:
    run = worked_out()
    part = getattr(run, table)
    column = getattr(part, what).copy()
    column[row] = value
    return replace(run, **{table: replace(part, **{what: column})})


def with_fills(*fills: Any) -> Any:
    return replace(worked_out(), fills=list(fills))


FILLS = worked_out().fills

CONTRADICTIONS = {
    "a candidate twice": changed("id", "candidates", 1, IDS[0]),
    "a close that is NaN": changed("close", "candidates", 0, math.nan),
    "a stop that is infinite": changed("stop_distance", "candidates", 0, math.inf),
    "a target that is NaN": changed("target_distance", "candidates", 0, math.nan),
    "half a bar as time stop": changed("time_stop_bars", "candidates", 0, 1.5),
    "a confidence of 1.2": changed("confidence", "verdicts", 0, 1.2),
    "a confidence that is NaN": changed("confidence", "verdicts", 0, math.nan),
    "a resolved outcome without R": changed("r", "outcomes", 0, math.nan),
    "an R that is infinite": changed("r", "outcomes", 0, math.inf),
    "a resolved outcome that never left": changed("exit_bar", "outcomes", 0, -1),
    "a reason to leave what is still open": changed("exit_reason", "outcomes", 4, 1),
    "an equity that is NaN": changed("equity", "equity", 59, math.nan),
    "a fill twice": with_fills(FILLS[0], FILLS[0]),
    "a fill of no candidate": with_fills(FILLS[0]._replace(candidate_id=5)),
    "a fill at an infinite price": with_fills(FILLS[0]._replace(price=math.inf)),
    "an entry without a stop": with_fills(FILLS[0]._replace(stop_price=math.nan)),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_contradicting_facts_are_refused_and_nothing_is_kept(path: Path, name: str) -> None:
    with connect(path) as database:
        begin_run(database, identity(), started_at=NOW)
        with pytest.raises(IntegrityError) as fault:
            record_run(database, "one", CONTRADICTIONS[name], finished_at=NOW)
        assert len(fault.value.lines()) == 3
        assert {table: rows(path, f"SELECT * FROM {table}") for table in FACT_TABLES} == {
            table: [] for table in FACT_TABLES
        }
        assert rows(path, "SELECT status FROM runs") == [{"status": "running"}]
        record_run(database, "one", worked_out(), finished_at=NOW)
    assert rows(path, "SELECT status FROM runs") == [{"status": "finished"}]


def test_a_disk_that_fills_up_half_way_leaves_nothing(path: Path) -> None:
    with connect(path) as database:
        begin_run(database, identity(), started_at=NOW)
        with database.read() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        run = worked_out()
        wide = replace(run.candidates, features=np.zeros((6, 2000)))
        with pytest.raises(StorageError, match="disk is full"):
            record_run(database, "one", replace(run, candidates=wide), finished_at=NOW)
    assert rows(path, "SELECT * FROM candidates") == []
    assert rows(path, "SELECT status FROM runs") == [{"status": "running"}]


@pytest.mark.parametrize("run_id", ["one", "never begun"])
def test_only_a_running_run_can_be_recorded(recorded: Path, run_id: str) -> None:
    with connect(recorded) as database, pytest.raises(ConfigError, match="is not running"):
        record_run(database, run_id, no_candidates(), finished_at=NOW)
    assert len(rows(recorded, "SELECT * FROM equity_marks")) == 3


def test_a_new_run_begins(path: Path) -> None:
    with connect(path) as database:
        assert begin_run(database, identity(), started_at=NOW) is Standing.NEW
    assert rows(path, "SELECT run_id, status FROM runs") == [{"run_id": "one", "status": "running"}]


def test_the_same_run_again_is_already_finished(recorded: Path) -> None:
    later = NOW + timedelta(days=1)
    with connect(recorded) as database:
        assert begin_run(database, identity(), started_at=later) is Standing.FINISHED
    assert rows(recorded, "SELECT started_at FROM runs")[0]["started_at"].startswith("2024-06-01")


OTHER_CONFIG = '{"limits": {"max_orders_per_bar": 7}, "run_id": "one"}'


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (
            {"config_json": OTHER_CONFIG, "config_digest": "e" * 64},
            "config (limits.max_orders_per_bar)",
        ),
        ({"data_digest": "e" * 64}, "data (digest dddddddddddd then, eeeeeeeeeeee now)"),
        ({"code_version": "0.2.0"}, "code (0.1.0 then, 0.2.0 now)"),
        ({"mode": "paper"}, "mode (replay then, paper now)"),
        ({"data_digest": "e" * 64, "code_version": "9"}, "now), another code (0.1.0 then, 9 now)"),
    ],
)
def test_a_finished_run_is_not_begun_with_anything_else(
    recorded: Path, other: dict[str, str], named: str
) -> None:
    with connect(recorded) as database, pytest.raises(ConfigError) as fault:
        begin_run(database, identity(**other), started_at=NOW)
    assert named in fault.value.what
    assert "another run_id" in fault.value.mend
    assert fault.value.exit_code == 2


def test_an_unfinished_run_is_taken_up_with_the_same_inputs_alone(path: Path) -> None:
    changed_run = identity(code_version="0.2.0")
    with connect(path) as database:
        begin_run(database, identity(), started_at=NOW)
        assert begin_run(database, changed_run, started_at=NOW) is Standing.UNFINISHED
        with pytest.raises(ConfigError, match=r"another code \(0.1.0 then, 0.2.0 now\)"):
            begin_run(database, changed_run, started_at=NOW, start_over=True)
        assert rows(path, "SELECT code_version FROM runs")[0]["code_version"] == "0.1.0"
        again = begin_run(database, identity(), started_at=NOW, start_over=True)
        assert again is Standing.UNFINISHED
        record_run(database, "one", worked_out(), finished_at=NOW)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One database for all examples of a property; each example is a run of its own."""
    return tmp_path_factory.mktemp("shared") / "state.sqlite"


@settings(max_examples=25, deadline=None)
@given(values=st.lists(st.tuples(FINITE, FINITE, FINITE), min_size=1, max_size=3))
@example(
    values=[(-0.0, -0.0, 0.0), (5e-324, -5e-324, 2.2e-308), (sys.float_info.max, -1e308, 2.0**63)]
)
def test_any_finite_number_comes_back_to_the_last_bit(
    shared: Path, values: list[tuple[float, float, float]]
) -> None:
    run = worked_out()
    for row, (close, r, equity) in enumerate(values):
        run.candidates.close[row] = close
        run.outcomes.r[row] = r
        run.equity.equity[59 - row] = equity
    with connect(shared) as database:
        run_id = f"example-{len(list_runs(database))}"
    record(shared, run, run_id)

    def column(name: str, table: str) -> list[bytes | None]:
        query = f"SELECT {name} AS value FROM {table} WHERE run_id = ? ORDER BY rowid"
        return [bits(row["value"]) for row in rows(shared, query, run_id)]

    assert column("close", "candidates") == [bits(value) for value in run.candidates.close]
    assert column("r", "outcomes") == [*(bits(value) for value in run.outcomes.r[:3]), *3 * [None]]
    assert column("equity_usd", "equity_marks")[-1] == bits(run.equity.equity[59])


def bits(value: float | None) -> bytes | None:
    """What of a float SQLite keeps: all of it but the sign of zero."""
    return None if value is None else struct.pack("<d", value + 0.0)


@given(features=arrays(np.float64, st.tuples(st.integers(0, 5), st.integers(0, 4))))
def test_features_come_back_bit_for_bit(features: np.ndarray) -> None:
    packed = pack(features)
    assert len(packed) == len(features)
    for raw, row in zip(packed, features, strict=True):
        assert len(raw) == 8 * features.shape[1]
        assert unpack(raw).tobytes() == row.tobytes()


def test_packed_features_are_little_endian_float64() -> None:
    assert pack(np.array([[1.0, -2.0]])) == [struct.pack("<dd", 1.0, -2.0)]


def test_recorded_features_are_what_the_table_said(recorded: Path) -> None:
    stored = rows(recorded, "SELECT features FROM candidates ORDER BY id")
    told = worked_out().candidates.features
    assert b"".join(row["features"] for row in stored) == told.tobytes()

"""Rows: every number of a run comes back, and what contradicts itself is refused."""

from __future__ import annotations

import math
import struct
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from darwin.core.facts import TABLES
from darwin.errors import IntegrityError
from darwin.store.columns import Names, columns_of
from darwin.store.db import connect
from darwin.store.features import pack, unpack
from darwin.store.runs import begin_run
from tests.store.conftest import (
    BLOCKED,
    GAPPED,
    HELD,
    IDS,
    NO_BAR,
    NOW,
    SKIPPED,
    TAKEN,
    facts_of,
    hour,
    identity,
    keep,
    no_candidates,
    record,
    worked_out,
)
from tests.store.outsider import CHAINED, OF_BOOKS, facts, rows, tables

pytestmark = pytest.mark.slow

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def test_every_fact_is_read_back_as_it_was_recorded(recorded: Path) -> None:
    run = worked_out()
    told = facts_of(run)
    kind, number = told.order()
    columns = columns_of(told, Names(run.symbols, run.playbooks))
    for code, table in enumerate(TABLES):
        if table in OF_BOOKS:
            continue  # a run of candidates has none
        at = number[kind == code].tolist()
        stored = tables(recorded, table)[table]
        assert len(stored) == len(at)
        for name, values in columns[table].items():
            assert [row[name] for row in stored] == [values[i] for i in at], (table, name)
        links = {"id", "seq", "run_id", "hash"}
        links |= {"prev_hash"} if table == "agent_decisions" else set()
        assert all(set(row) == {*columns[table], *links} for row in stored), table


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


def test_a_candidate_carries_how_its_decision_ended_and_a_view_folds_the_rest(
    recorded: Path,
) -> None:
    query = "SELECT candidate_id, stage, reason FROM {} WHERE run_id = 'one'"
    decided, ended = (
        {row["candidate_id"]: (row["stage"], row["reason"]) for row in rows(recorded, text)}
        for text in (query.format("candidates"), query.format("endings"))
    )
    at_once = {SKIPPED: ("expert", "expert skip"), BLOCKED: ("account", "position open")}
    ordered = (TAKEN, GAPPED, HELD, NO_BAR)
    assert decided == at_once | dict.fromkeys(ordered, (None, None))
    assert ended == at_once | {
        TAKEN: ("taken", "taken"),
        HELD: ("taken", "taken"),
        GAPPED: ("entry", "gapped"),
        NO_BAR: ("entry", "no next bar"),
    }


def test_an_order_that_is_not_answered_yet_has_no_ending(path: Path) -> None:
    run = worked_out()
    record(path, replace(run, fills=[], cancels=[]))
    ended = rows(path, "SELECT stage, reason FROM endings WHERE candidate_id = ?", TAKEN)
    assert ended == [{"stage": None, "reason": None}]


def test_a_run_without_a_candidate_is_recorded_too(path: Path) -> None:
    record(path, no_candidates())
    assert rows(path, "SELECT status, facts, bars FROM run_states") == [
        {"status": "finished", "facts": 0, "bars": 120}
    ]


def test_two_runs_hold_the_same_candidates_side_by_side(recorded: Path) -> None:
    record(recorded, worked_out(), "two")
    counted = rows(recorded, "SELECT run_id, COUNT(*) AS n FROM candidates GROUP BY run_id")
    assert counted == [{"run_id": "one", "n": 6}, {"run_id": "two", "n": 6}]
    ended = rows(recorded, "SELECT run_id, COUNT(reason) AS n FROM endings GROUP BY run_id")
    assert ended == counted


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
    "a fill twice": with_fills(FILLS[0], FILLS[0]),
    "a fill of no candidate": with_fills(FILLS[0]._replace(candidate_id=5)),
    "a fill at an infinite price": with_fills(FILLS[0]._replace(price=math.inf)),
    "an entry without a stop": with_fills(FILLS[0]._replace(stop_price=math.nan)),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_contradicting_facts_are_refused_and_nothing_is_kept(path: Path, name: str) -> None:
    with connect(path) as database:
        begun = begin_run(database, identity(), at=NOW)
        with pytest.raises(IntegrityError) as fault:
            keep(database, begun, CONTRADICTIONS[name])
        assert len(fault.value.lines()) == 3
        nothing: list[dict[str, Any]] = []
        assert tables(path, *CHAINED, "checkpoints") == dict.fromkeys(
            (*CHAINED, "checkpoints"), nothing
        )
        assert rows(path, "SELECT status FROM run_states") == [{"status": "running"}]
        keep(database, begin_run(database, identity(), at=NOW, resume=True), worked_out())
    assert rows(path, "SELECT status FROM run_states") == [{"status": "finished"}]


def test_a_mark_that_is_no_number_is_refused_and_the_run_is_not_finished(path: Path) -> None:
    with pytest.raises(IntegrityError, match=r"equity_marks\.equity_usd would be nan"):
        record(path, changed("equity", "equity", 59, math.nan))
    assert rows(path, "SELECT * FROM equity_marks") == []
    assert rows(path, "SELECT status FROM run_states") == [{"status": "running"}]


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
    run_id = f"example-{time.monotonic_ns()}"
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
    stored = [row["features"] for row in facts(recorded) if row["fact"] == "candidates"]
    assert b"".join(stored) == worked_out().candidates.features.tobytes()

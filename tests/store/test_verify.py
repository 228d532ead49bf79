"""`darwin verify`: whatever is changed, lost, added, moved or damaged is found and named."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from darwin.store import logs
from darwin.store.db import connect
from darwin.store.journal import Journal
from darwin.store.migrate import upgrade
from darwin.store.runs import begin_run
from darwin.store.schema import LOGS
from tests.store.conftest import GAPPED, HELD, NOW, SKIPPED, TAKEN, facts_of, worked_out
from tests.store.outsider import BESIDE, CHAINED, facts, hashes_by_hand, plain, rows
from tests.store.verified import (
    EVERY,
    UNGUARDED,
    columns,
    copy_of,
    folded,
    manifest_of,
    overwrite,
    root_page,
    sound,
    sound_identity,
    tampering,
    write_manifest,
)

pytestmark = pytest.mark.slow

Call = Callable[..., tuple[int, str, str]]
FACTS, EVENTS, MARKS, ALERTS = 33, 2, 3, 2
BATCH = 11  # facts: three checkpoints
WHERE = "artifacts/rl_state/agent_state.sqlite"
BASE = 1 << 40  # what the ids of the first run follow


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A deployment with two finished runs, `one` and `two`, each in three checkpoints."""
    path = tmp_path_factory.mktemp("kept") / WHERE
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("darwin.store.journal.BATCH_FACTS", BATCH)
        sound(path, "one", "two")
    folded(path)
    return path


@pytest.fixture
def path(kept: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may damage."""
    return copy_of(kept, tmp_path / "artifacts")


def found(darwin: Call, run_id: str = "one") -> dict[str, Any]:
    """What verifying a damaged run says, for a machine; people are told in three lines."""
    code, out, err = darwin("verify", run_id, "--json")
    assert code == 4, (code, out, err)
    lines = err.splitlines()
    assert len(lines) == 3, err
    assert lines[0].startswith("error: ")
    assert lines[1] == f"  at: {WHERE}"
    assert lines[2].startswith("  mend: ")
    told = json.loads(out)
    assert told["sound"] is False
    assert lines[0] == f"error: {told['what']}"
    return told


def place(told: dict[str, Any]) -> tuple[str | None, int | None]:
    """The row that was found."""
    return told["table"], told["seq"]


def test_a_sound_run_is_said_to_be_so_with_what_was_read(
    kept: Path, path: Path, darwin: Call
) -> None:
    code, out, err = darwin("verify", "one")
    assert (code, err) == (0, "")
    assert out.startswith("run 'one' is as it was recorded\n")
    said = dict(re.findall(r"^(\S+(?: \S+)*?) {2,}(\S.*?) *$", out, re.M))
    assert said == {
        "facts": str(FACTS), "head": hashes_by_hand(path)[-1].hex(), "checkpoints": "3",
        "equity marks": str(MARKS), "alerts": str(ALERTS), "run events": str(EVENTS), "acts": "1",
        "manifest": "none in the folder of the run",
        "not made again, of other columns than today's": "3",
    }  # fmt: skip
    code, out, _ = darwin("verify", "two", "--json")
    assert code == 0
    assert json.loads(out) == {
        "run_id": "two", "sound": True, "finished": True, "facts": FACTS,
        "head": hashes_by_hand(path, "two")[-1].hex(), "checkpoints": 3, "equity_marks": MARKS,
        "alerts": ALERTS, "run_events": EVENTS, "acts": 1, "manifest": False, "recomputed": 0,
        "without_model": 0, "older_schema": 3,
    }  # fmt: skip
    assert path.read_bytes() == kept.read_bytes()


def test_a_manifest_that_agrees_is_said_to_agree(path: Path, darwin: Call) -> None:
    write_manifest(path, manifest_of(path))
    code, out, _ = darwin("verify", "one")
    assert code == 0
    assert re.search(r"^manifest +agrees *$", out, re.M)


def test_an_unfinished_run_is_verified_as_far_as_it_is_kept(tmp_path: Path, darwin: Call) -> None:
    path = tmp_path / WHERE
    sound(path, "one", finished=False)
    code, out, _ = darwin("verify", "one")
    assert code == 0
    assert out.startswith("run 'one' is not finished; what is kept is as it was recorded\n")
    with tampering(path) as raw:
        raw.execute("UPDATE fills SET price = price + 1 WHERE kind = 'exit'")
    assert found(darwin)["table"] == "fills"


def test_a_run_that_has_only_begun_is_sound(tmp_path: Path, darwin: Call) -> None:
    with connect(tmp_path / WHERE) as database:
        begin_run(database, sound_identity(), at=NOW)
    code, out, _ = darwin("verify", "one", "--json")
    told = json.loads(out)
    assert (code, told["facts"], told["finished"]) == (0, 0, False)


def test_an_unknown_run_is_a_slip_of_the_tongue(path: Path, darwin: Call) -> None:
    code, out, err = darwin("verify", "onne")
    assert (code, out) == (2, "")
    assert "did you mean 'one'?" in err
    assert darwin("verify", "../one")[0] == 2


def test_without_a_database_there_is_nothing_to_verify(tmp_path: Path, darwin: Call) -> None:
    code, _, err = darwin("verify", "one")
    assert code == 4
    assert "there is no database yet" in err


# -- every column of every table


def other_value(value: object) -> object:
    """A value of the same type that is another one."""
    if isinstance(value, str):
        return value[:-1] + ("1" if value[-1:] == "0" else "0")
    if isinstance(value, bytes):
        return bytes([value[0] ^ 1]) + value[1:]
    return 7 if value is None else value + 1  # type: ignore[operator]


@pytest.mark.parametrize("table", EVERY)
def test_every_column_of_every_row_is_guarded(table: str, path: Path, darwin: Call) -> None:
    sound_file = path.read_bytes()
    own = rows(path, f"SELECT rowid AS place, * FROM {table} WHERE run_id = 'one'")
    assert own, "the worked-out run leaves no table empty"
    for row in (own[0], own[-1]):
        for name, kind, nullable in columns(table):
            if name in UNGUARDED:
                continue
            changed = other_value(row[name])
            if name in {"id", "number"}:
                changed = row[name] + 1000
            if row[name] is None and kind == "TEXT":
                changed = "made up"
            values = [changed] + ([None] if nullable and row[name] is not None else [])
            for value in values:
                with tampering(path) as raw:
                    raw.execute(
                        f'UPDATE {table} SET "{name}" = ? WHERE rowid = ?', (value, row["place"])
                    )
                told = found(darwin)
                if name not in {"id", "run_id", "number"}:
                    seq = None if table == "runs" else row.get("seq", row["place"] % BASE)
                    assert place(told) == (table, seq), (name, value)
                    assert re.search(r"was changed|another (config|fact before)", told["what"])
                path.write_bytes(sound_file)
    assert darwin("verify", "one")[0] == 0


def test_how_long_inference_took_is_guarded_by_nothing(path: Path, darwin: Call) -> None:
    """By the wall clock, so no two runs agree on it: it stands in no hash and no export."""
    for value in (7, None):
        with tampering(path) as raw:
            raw.execute("UPDATE agent_decisions SET latency_us = ?", (value,))
        assert darwin("verify", "one")[0] == 0


WHO = {"by": "Ada", "reason": "tried", "at": "2026-01-02T03:04:05Z"}
SERVING = {"agent_name": "gate", "version": "gate_v1", "manifest_sha256": "ab" * 32}
LOGGED: dict[str, dict[str, object]] = {
    "model_events": SERVING | WHO | {"kind": "deployed", "zip_sha256": "cd" * 32},
    "graduation_events": SERVING | WHO | {"kind": "promoted", "scope": "deployment", "override": 1},
    "rollout_events": {"agent_name": "gate", "stage": 0.01, "override": 0} | WHO,
    "contracts": SERVING
    | WHO
    | {"scope": "deployment", "number": 1, "entered": 1, "terms": "{}", "digest": "cd" * 32},
    "kill_events": {"kind": "on"} | WHO,
    "llm_calls": {
        "kind": "answered",
        "run_id": "one",
        "candidate_id": "ab" * 8,
        "request_sha256": "cd" * 32,
        "model": "m",
        "text": "{}",
        "input_tokens": 7,
        "output_tokens": 2,
        "usd": 0.25,
        "latency_us": 9,
        "at": "2026-01-02T03:04:05Z",
    },
    "tokens": {"kind": "created", "name": "Ada", "role": "viewer", "sha256": "ab" * 32}
    | {"by": "Ada", "at": "2026-01-02T03:04:05Z"},
    "service_acts": {"act": "kill on", "role": "operator", "detail": "{}", "status": 200} | WHO,
    "schedule_events": {
        "agent_name": "gate",
        "enabled": 1,
        "cron": None,
        "interval_days": 7,
        "timezone": "UTC",
        "last_days": 30.0,
        "timesteps": 1000,
    }
    | WHO,
    "notices": {
        "key": "alert",
        "severity": "info",
        "text": "told",
        "sent": 1,
        "detail": "{}",
        "at": "2026-01-02T03:04:05Z",
    },
    "trials": {
        "agent_name": "gate",
        "kind": "seed",
        "finished": 1,
        "data_digest": "ab" * 32,
        "plan_digest": "cd" * 32,
        "algo": "ppo",
        "seed": 0,
        "timesteps": 8192,
        "rows_from": 1,
        "test_from": 2,
        "rows_until": 3,
        "gain_r": 0.125,
        "sharpe": None,
        "by": "Ada",
        "at": "2026-01-02T03:04:05Z",
    },
}


@pytest.mark.parametrize("table", sorted(LOGS))
def test_every_column_of_the_deployments_logs_is_guarded(
    table: str, path: Path, darwin: Call
) -> None:
    with connect(path) as database, database.write() as connection:
        for _ in range(3):
            logs.append(connection, LOGS[table], **LOGGED[table])
    folded(path)
    sound_file = path.read_bytes()
    assert darwin("verify", "one")[0] == 0
    (row,) = rows(path, f"SELECT * FROM {table} WHERE id = 2")
    for name, value in row.items():
        with tampering(path) as raw:
            changed = 1000 if name == "id" else other_value(value)
            raw.execute(f'UPDATE {table} SET "{name}" = ? WHERE id = 2', (changed,))
        assert place(found(darwin)) == (table, 2), name
        path.write_bytes(sound_file)
    with tampering(path) as raw:
        raw.execute(f"DELETE FROM {table} WHERE id = 2")
    assert place(found(darwin)) == (table, 2)


@pytest.mark.parametrize("table", EVERY)
def test_values_of_another_type_and_broken_text_are_named(
    table: str, path: Path, darwin: Call
) -> None:
    sound_file = path.read_bytes()
    (row,) = rows(path, f"SELECT rowid AS place, * FROM {table} WHERE run_id = 'one' LIMIT 1")
    expected = (table, None if table == "runs" else row.get("seq", row["place"] % BASE))
    for name, kind, _ in columns(table):
        if name in {"id", "run_id"} | UNGUARDED:
            continue
        wrong = {"INTEGER": "2.5", "REAL": "x'00ff'", "BLOB": "'text'", "TEXT": "x'ff41'"}[kind]
        tries = [(wrong, f"in {name}")]
        if kind == "TEXT":
            tries.append(("CAST(x'ff41' AS TEXT)", f"has no UTF-8 in {name}"))
        for value, words in tries:
            with tampering(path, loose=True) as raw:
                raw.execute(
                    f'UPDATE {table} SET "{name}" = {value} WHERE rowid = ?', (row["place"],)
                )
            told = found(darwin)
            assert place(told) == expected, (name, value)
            assert words in told["what"]
            path.write_bytes(sound_file)


def test_what_belongs_to_a_candidate_is_named_with_it(path: Path, darwin: Call) -> None:
    with tampering(path) as raw:
        raw.execute(
            "UPDATE verdicts SET take = 1 WHERE candidate_id = ? AND run_id = 'one'", [SKIPPED]
        )
    (row,) = rows(
        path, "SELECT seq FROM verdicts WHERE candidate_id = ? AND run_id = 'one'", SKIPPED
    )
    told = found(darwin)
    assert told["candidate_id"] == SKIPPED
    assert told["what"] == f"row {row['seq']} of verdicts, candidate {SKIPPED}, was changed"
    sound_facts = f"the first {row['seq'] - 1} facts are sound"
    assert sound_facts in darwin("verify", "one")[2]


def test_the_damage_of_one_run_is_not_that_of_another(path: Path, darwin: Call) -> None:
    with tampering(path) as raw:
        for table in (*CHAINED, *BESIDE):
            raw.execute(f"UPDATE {table} SET run_id = 'two ' WHERE run_id = 'two'")
    assert darwin("verify", "one")[0] == 0
    assert found(darwin, "two")


# -- rows lost, added, moved


def cut(raw: sqlite3.Connection, last: int, *tables: str) -> None:
    """Delete the facts of run `one` after `last`, and its rows of `tables` that tell of them."""
    for table in CHAINED:
        raw.execute(f"DELETE FROM {table} WHERE run_id = 'one' AND seq > ?", (last,))
    for table in tables:
        extra = " AND kind = 'finished'" if table == "run_events" else ""
        raw.execute(f"DELETE FROM {table} WHERE run_id = 'one' AND facts > ?{extra}", (last,))


def test_cut_facts_are_missed_by_the_checkpoints(path: Path, darwin: Call) -> None:
    with tampering(path) as raw:
        cut(raw, FACTS - 3)
    told = found(darwin)
    assert place(told) == (None, FACTS - 2)
    assert told["what"] == f"fact {FACTS - 2} is missing, like all up to fact {FACTS}"


def test_facts_cut_with_their_checkpoint_are_missed_by_the_last_event(
    path: Path, darwin: Call
) -> None:
    with tampering(path) as raw:
        cut(raw, 2 * BATCH, "checkpoints")
    assert place(found(darwin)) == (None, 2 * BATCH + 1)


def test_a_cut_that_takes_the_last_event_along_is_missed_by_the_manifest(
    path: Path, darwin: Call
) -> None:
    write_manifest(path, manifest_of(path))
    with tampering(path) as raw:
        cut(raw, 2 * BATCH, "checkpoints", "run_events")
    told = found(darwin)
    assert place(told) == (None, 2 * BATCH + 1)
    assert "manifest.json" in told["what"]


def test_a_last_event_cut_alone_is_missed_by_the_manifest(path: Path, darwin: Call) -> None:
    write_manifest(path, manifest_of(path))
    with tampering(path) as raw:
        raw.execute("DELETE FROM run_events WHERE kind = 'finished' AND run_id = 'one'")
    told = found(darwin)
    assert place(told) == ("run_events", EVENTS)
    assert "it was finished" in told["what"]


@pytest.mark.parametrize(
    ("table", "last"), [("checkpoints", 3), ("equity_marks", MARKS), ("alerts", ALERTS)]
)
def test_a_row_cut_from_the_end_of_a_sealed_table_is_missed_by_the_last_event(
    table: str, last: int, path: Path, darwin: Call
) -> None:
    with tampering(path) as raw:
        raw.execute(f"DELETE FROM {table} WHERE id = ?", (BASE + last,))
    assert place(found(darwin)) == (table, last)


@pytest.mark.parametrize("table", BESIDE)
def test_a_row_cut_from_the_start_of_a_sealed_table_is_missed(
    table: str, path: Path, darwin: Call
) -> None:
    with tampering(path) as raw:
        raw.execute(f"DELETE FROM {table} WHERE id = ?", (BASE + 1,))
    assert place(found(darwin)) == (table, 1)


def test_a_run_whose_events_are_all_gone_was_never_begun(path: Path, darwin: Call) -> None:
    with tampering(path) as raw:
        raw.execute("DELETE FROM run_events WHERE run_id = 'one'")
    assert place(found(darwin)) == ("run_events", 1)


def test_a_whole_batch_cut_from_the_middle_is_missed(path: Path, darwin: Call) -> None:
    with tampering(path) as raw:
        for table in CHAINED:
            raw.execute(f"DELETE FROM {table} WHERE run_id = 'one' AND seq BETWEEN 12 AND 22")
        raw.execute("DELETE FROM checkpoints WHERE run_id = 'one' AND facts = 22")
    told = found(darwin)
    assert told["what"] == "fact 12 is missing, like all up to fact 22"


def test_any_fact_that_is_deleted_is_missed(path: Path, darwin: Call) -> None:
    sound_file = path.read_bytes()
    for fact in facts(path):
        with tampering(path) as raw:
            raw.execute(f"DELETE FROM {fact['fact']} WHERE id = ?", (fact["id"],))
        told = found(darwin)
        assert place(told) == (None, fact["seq"])
        assert told["what"] == f"fact {fact['seq']} is missing"
        path.write_bytes(sound_file)


def doubled(raw: sqlite3.Connection, table: str, id_: int, new: int, **changed: Any) -> None:
    """Insert a row once more under a new id."""
    names = [name for name, _, _ in columns(table)]
    shown = ", ".join("?" if n == "id" or n in changed else f'"{n}"' for n in names)
    values = [new if n == "id" else changed[n] for n in names if n == "id" or n in changed]
    listed = ", ".join(f'"{name}"' for name in names)
    copied = f"INSERT INTO {table} ({listed}) SELECT {shown} FROM {table} WHERE id = ?"
    raw.execute(copied, [*values, id_])


def test_a_row_doubled_behind_the_last_is_one_too_many(path: Path, darwin: Call) -> None:
    last = [fact for fact in facts(path) if fact["fact"] == "safety_events"][-1]
    with tampering(path) as raw:
        doubled(raw, "safety_events", last["id"], BASE + FACTS + 1)
    told = found(darwin)
    assert place(told) == ("safety_events", FACTS + 1)
    assert "stands after the last checkpoint" in told["what"]


def test_a_row_doubled_into_another_table_is_found_beside_the_one_it_doubles(
    path: Path, darwin: Call
) -> None:
    verdict = next(fact for fact in facts(path) if fact["fact"] == "verdicts")
    event = next(fact for fact in facts(path) if fact["fact"] == "safety_events")
    with tampering(path) as raw:
        doubled(raw, "safety_events", event["id"], verdict["id"])
    told = found(darwin)
    assert place(told) == ("safety_events", verdict["seq"])
    assert "doubled" in told["what"]


@pytest.mark.parametrize("table", BESIDE)
def test_a_row_doubled_behind_a_sealed_table_is_found(table: str, path: Path, darwin: Call) -> None:
    (last,) = rows(path, f"SELECT max(id) AS id FROM {table} WHERE run_id = 'one'")
    other = {"day": "2030-01-01"} if table == "equity_marks" else {}
    with tampering(path) as raw:
        doubled(raw, table, last["id"], last["id"] + 1, **other)
    assert place(found(darwin)) == (table, last["id"] % BASE + 1)


def test_two_rows_that_changed_places_are_found_at_the_first(path: Path, darwin: Call) -> None:
    one, two = [fact for fact in facts(path) if fact["fact"] == "candidates"][1:3]
    with tampering(path) as raw:
        for id_, new in ((one["id"], 1), (two["id"], one["id"]), (1, two["id"])):
            raw.execute("UPDATE candidates SET id = ? WHERE id = ?", (new, id_))
    assert place(found(darwin)) == ("candidates", one["seq"])


def test_a_row_that_got_another_number_is_known_by_its_hash(path: Path, darwin: Call) -> None:
    fact = next(fact for fact in facts(path) if fact["fact"] == "verdicts")
    with tampering(path) as raw:
        raw.execute("UPDATE verdicts SET id = ? WHERE id = ?", (BASE + 500, fact["id"]))
    told = found(darwin)
    assert place(told) == ("verdicts", 500)
    assert f"has another number than when it was fact {fact['seq']}" in told["what"]


@pytest.mark.parametrize("table", [*CHAINED, *BESIDE])
def test_a_row_given_to_another_run_is_missed_in_its_own(
    table: str, path: Path, darwin: Call
) -> None:
    (row,) = rows(path, f"SELECT * FROM {table} WHERE run_id = 'one' LIMIT 1")
    other = {"candidate_id": "00000000000000ee"} if "candidate_id" in row else {}
    if "day" in row:
        other = {"day": "2030-01-01"}
    sets = "".join(f", {name} = '{value}'" for name, value in other.items())
    with tampering(path) as raw:
        raw.execute(f"UPDATE {table} SET run_id = 'two'{sets} WHERE id = ?", (row["id"],))
    told = found(darwin)
    assert place(told) == (table, row["id"] % BASE)
    assert told["what"].endswith("stands under run 'two'")


@pytest.mark.parametrize("table", [*CHAINED, *BESIDE])
def test_a_row_of_another_run_under_the_name_of_this_one_is_found(
    table: str, path: Path, darwin: Call
) -> None:
    (row,) = rows(path, f"SELECT * FROM {table} WHERE run_id = 'two' LIMIT 1")
    other = {"candidate_id": "00000000000000ee"} if "candidate_id" in row else {}
    if "day" in row:
        other = {"day": "2030-01-01"}
    sets = "".join(f", {name} = '{value}'" for name, value in other.items())
    with tampering(path) as raw:
        raw.execute(f"UPDATE {table} SET run_id = 'one'{sets} WHERE id = ?", (row["id"],))
    told = found(darwin)
    assert place(told) == (table, row["id"] % BASE)
    assert "of run number 2" in told["what"]


def test_a_row_of_another_run_moved_in_whole_is_found(path: Path, darwin: Call) -> None:
    (row,) = rows(path, "SELECT max(id) AS id FROM outcomes WHERE run_id = 'one'")
    (other,) = rows(path, "SELECT max(id) AS id FROM outcomes WHERE run_id = 'two'")
    with tampering(path) as raw:
        raw.execute("DELETE FROM outcomes WHERE id = ?", (row["id"],))
        moved = "UPDATE outcomes SET id = ?, run_id = 'one' WHERE id = ?"
        raw.execute(moved, (row["id"], other["id"]))
    told = found(darwin)
    assert place(told) == ("outcomes", row["id"] % BASE)
    assert "was changed" in told["what"]


@pytest.mark.parametrize("name", ["run_id", "number"])
def test_a_run_that_lost_its_name_or_number_is_not_taken_for_unknown(
    name: str, path: Path, darwin: Call
) -> None:
    value: object = "onf" if name == "run_id" else 3
    with tampering(path) as raw:
        raw.execute(f"UPDATE runs SET {name} = ? WHERE run_id = 'one'", (value,))
    assert place(found(darwin)) == ("runs", None)


def test_a_run_whose_row_is_deleted_is_not_taken_for_unknown(path: Path, darwin: Call) -> None:
    with tampering(path) as raw:
        raw.execute("DELETE FROM runs WHERE run_id = 'one'")
    assert place(found(darwin)) == ("runs", None)


# -- acts, manifest, rewritten chains


def test_an_act_that_was_changed_or_deleted_is_found(path: Path, darwin: Call) -> None:
    sound_file = path.read_bytes()
    for sql in (
        "UPDATE acts SET reason = 'nobody asked' WHERE id = 1",
        "DELETE FROM acts WHERE id = 1",
    ):
        with tampering(path) as raw:
            raw.execute(sql)
        assert place(found(darwin)) == ("acts", 1)
        path.write_bytes(sound_file)


def test_an_input_of_a_feed_that_nobody_asked_for_is_found(path: Path, darwin: Call) -> None:
    with tampering(path) as raw:
        raw.execute("DELETE FROM acts")
    told = found(darwin)
    assert told["table"] == "inputs"
    assert "no act that a person asked for" in told["what"]


@pytest.mark.parametrize(
    ("key", "value", "table"),
    [
        ("run_id", "two", "runs"),
        ("mode", "replay", "runs"),
        ("code_version", "9", "runs"),
        ("config_digest", "0" * 64, "runs"),
        ("data_digest", "0" * 64, "runs"),
        ("head", "0" * 64, None),
        ("head", None, None),
        ("facts", FACTS - 1, None),
        ("facts", FACTS + 1, None),
        ("facts", "many", None),
    ],
)
def test_a_run_that_is_not_the_one_of_its_manifest_is_found(
    key: str, value: object, table: str | None, path: Path, darwin: Call
) -> None:
    write_manifest(path, manifest_of(path) | {key: value})
    told = found(darwin)
    assert told["table"] == table
    assert "manifest.json" in told["what"]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"one"'])
def test_a_damaged_manifest_is_said_to_be_one(text: str, path: Path, darwin: Call) -> None:
    write_manifest(path, text)
    assert found(darwin)["what"] == "manifest.json of the run is damaged"


def test_a_manifest_of_a_darwin_without_journal_says_nothing_of_an_unfinished_run(
    tmp_path: Path, darwin: Call
) -> None:
    path = tmp_path / WHERE
    sound(path, "one", finished=False)
    write_manifest(path, {"run_id": "one", "config_digest": "of another time"})
    assert darwin("verify", "one")[0] == 0


def test_a_folder_in_the_place_of_the_manifest_is_a_storage_fault(path: Path, darwin: Call) -> None:
    (path.parent.parent / "runs" / "one" / "manifest.json").mkdir(parents=True)
    code, _, err = darwin("verify", "one")
    assert code == 4
    assert err.startswith("error: cannot read the manifest of the run")
    assert len(err.splitlines()) == 3


def hashed_anew(path: Path) -> None:
    """Hash and seal run `one` as it is now, as if it had always been so."""
    hashes = hashes_by_hand(path)
    with tampering(path) as raw:
        for fact, head in zip(facts(path), hashes, strict=True):
            raw.execute(f"UPDATE {fact['fact']} SET hash = ? WHERE id = ?", (head, fact["id"]))
            after = "UPDATE agent_decisions SET prev_hash = ? WHERE id = ? + 1"
            raw.execute(after, (head, fact["id"]))
        for row in rows(path, "SELECT id, facts FROM checkpoints WHERE run_id = 'one'"):
            head = hashes[row["facts"] - 1]
            raw.execute("UPDATE checkpoints SET head = ? WHERE id = ?", (head, row["id"]))
        raw.commit()
        _seal_anew(path, raw, "checkpoints")
        (end,) = rows(path, "SELECT * FROM run_events WHERE kind = 'finished' AND run_id = 'one'")
        (own,) = rows(
            path, "SELECT seal FROM checkpoints WHERE run_id = 'one' ORDER BY id DESC LIMIT 1"
        )
        detail = json.loads(end["detail"]) | {
            "head": hashes[-1].hex(),
            "checkpoints": own["seal"].hex(),
        }
        raw.execute(
            "UPDATE run_events SET detail = ? WHERE id = ?",
            (json.dumps(detail, sort_keys=True), end["id"]),
        )
        raw.commit()
        _seal_anew(path, raw, "run_events")


def _seal_anew(path: Path, raw: sqlite3.Connection, table: str) -> None:
    seal = b""
    for row in rows(path, f"SELECT * FROM {table} WHERE run_id = 'one' ORDER BY id"):
        seal = sha256(seal + plain({"fact": table} | row, but="seal")).digest()
        raw.execute(f"UPDATE {table} SET seal = ? WHERE id = ?", (seal, row["id"]))
    raw.commit()


def test_who_hashes_everything_anew_is_betrayed_by_the_manifest_alone(
    path: Path, darwin: Call
) -> None:
    manifest = manifest_of(path)
    with tampering(path) as raw:
        raw.execute("UPDATE verdicts SET confidence = 0.99 WHERE run_id = 'one'")
    hashed_anew(path)
    assert darwin("verify", "one")[0] == 0
    write_manifest(path, manifest)
    told = found(darwin)
    assert told["what"] == f"fact {FACTS} is not the last one of manifest.json"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"facts": FACTS - 1}, "does not tell where the chain ends"),
        ({"detail": "no JSON"}, "does not tell where the chain ends"),
        ({"detail": "[]"}, "does not tell where the chain ends"),
        ({"head": "0" * 64}, "has another head than the chain"),
        ({"kind": "waited"}, None),
    ],
)
def test_a_last_event_that_was_sealed_anew_must_still_fit_the_chain(
    changed: dict[str, Any], words: str | None, path: Path, darwin: Call
) -> None:
    (end,) = rows(path, "SELECT * FROM run_events WHERE kind = 'finished' AND run_id = 'one'")
    if "head" in changed:
        changed = {"detail": json.dumps(json.loads(end["detail"]) | changed)}
    write_manifest(path, manifest_of(path))
    with tampering(path) as raw:
        for name, value in changed.items():
            raw.execute(f"UPDATE run_events SET {name} = ? WHERE id = ?", (value, end["id"]))
        raw.commit()
        _seal_anew(path, raw, "run_events")
    told = found(darwin)
    if words:
        assert place(told) == ("run_events", EVENTS)
        assert told["what"].endswith(words)
    else:  # without an end it looks as if it went on
        assert place(told) == ("run_events", EVENTS + 1)
        assert "it was finished" in told["what"]


def test_nothing_happens_to_a_run_after_its_end(path: Path, darwin: Call) -> None:
    (end,) = rows(path, "SELECT max(id) AS id FROM run_events WHERE run_id = 'one'")
    with tampering(path) as raw:
        doubled(raw, "run_events", end["id"], end["id"] + 1, kind="resumed")
        raw.commit()
        _seal_anew(path, raw, "run_events")
    told = found(darwin)
    assert place(told) == ("run_events", EVENTS + 1)
    assert "follows the end of the run" in told["what"]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_checkpoint_that_was_sealed_anew_must_still_fit_the_chain(
    number: int, path: Path, darwin: Call
) -> None:
    sound_file = path.read_bytes()
    for change in ("facts = facts - 1", "head = zeroblob(32)"):
        with tampering(path) as raw:
            raw.execute(f"UPDATE checkpoints SET {change} WHERE id = ?", (BASE + number,))
            raw.commit()
            _seal_anew(path, raw, "checkpoints")
        told = found(darwin)
        assert place(told) == ("checkpoints", number), change
        assert "has another head than the chain" in told["what"]
        path.write_bytes(sound_file)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("config_json", '{"limits":{"max_orders_per_bar":6},"run_id":"one"}', "another config"),
        ("config_json", "{", "has no JSON in config_json"),
        ("symbols", "{", "has no JSON in symbols"),
        ("symbols", '"BTC/USDT"', "has no list of names in symbols"),
        ("feature_names", "[1, 2]", "has no list of names in feature_names"),
    ],
)
def test_what_a_run_is_made_of_must_make_sense_though_it_was_sealed_anew(
    column: str, value: str, words: str, path: Path, darwin: Call
) -> None:
    with tampering(path) as raw:
        raw.execute(f"UPDATE runs SET {column} = ? WHERE run_id = 'one'", (value,))
        raw.commit()
        (row,) = rows(path, "SELECT * FROM runs WHERE run_id = 'one'")
        seal = sha256(plain({"fact": "runs"} | row, but="seal")).digest()
        raw.execute("UPDATE runs SET seal = ? WHERE run_id = 'one'", (seal,))
    told = found(darwin)
    assert place(told) == ("runs", None)
    assert words in told["what"]


def test_two_runs_of_one_name_are_told_apart_by_nobody(path: Path, darwin: Call) -> None:
    """The rules of SQLite forbid it; a damaged page knows no rules."""
    page = root_page(path, "runs")
    content = path.read_bytes()[page.start : page.stop]
    overwrite(path, page.start + content.index(b"two"), b"one")
    told = found(darwin)
    assert place(told) == ("runs", None)
    assert "is doubled" in told["what"]


REWRITTEN = {
    "UPDATE fills SET units = units + 1 WHERE kind = 'exit' AND candidate_id = '{taken}'": (
        "fills", "does not balance: it closes 3.0 of 2.0 units",
    ),
    "UPDATE fills SET symbol = 'DOGE' WHERE kind = 'entry' AND candidate_id = '{taken}'": (
        "fills", "is no fact of its kind (long DOGE)",
    ),
    "UPDATE candidates SET stage = NULL, reason = NULL WHERE candidate_id = '{skipped}'": (
        "candidates", "never had its order and ending",
    ),
    "UPDATE candidates SET stage = 'entry', reason = 'gapped' WHERE candidate_id = '{gapped}'": (
        "orders", "is a second order of its candidate, or of none that is open",
    ),
    "UPDATE outcomes SET candidate_id = 'ffffffffffffff0' || 0 WHERE candidate_id = '{skipped}'": (
        "outcomes", "is a second outcome of its candidate, or of none that is open",
    ),
    "UPDATE verdicts SET candidate_id = 'ffffffffffffff0' || 0 WHERE candidate_id = '{skipped}'": (
        "verdicts", "judges no candidate that is open",
    ),
    "UPDATE agent_decisions SET final_action = 0.5 WHERE candidate_id = '{taken}'": (
        "agent_decisions", "let 0.5 of the order stand where 1.0 was due",
    ),
    "UPDATE agent_decisions SET action = 1.0 WHERE candidate_id = '{taken}'": (
        "agent_decisions", "has advice, which 'no model' does not go with",
    ),
    "UPDATE agent_decisions SET followed = 1 WHERE candidate_id = '{gapped}'": (
        "agent_decisions", "does not say truly whether its advice was followed",
    ),
    "UPDATE agent_decisions SET reason = 'a whim' WHERE candidate_id = '{gapped}'": (
        "agent_decisions", "gives a reason that does not exist",
    ),
    "UPDATE agent_decisions SET model_version = 'v1' WHERE candidate_id = '{gapped}'": (
        "agent_decisions", "names another model than stood there",
    ),
    "UPDATE agent_decisions SET candidate_id = '00000000000000ff'"
    " WHERE candidate_id = '{gapped}'": (
        "agent_decisions", "is about no candidate that is open",
    ),
    "UPDATE agent_decisions SET agent_name = 'oracle' WHERE candidate_id = '{gapped}'": (
        "agent_decisions", "is no decision of an agent",
    ),
}  # fmt: skip


@pytest.mark.parametrize("sql", REWRITTEN)
def test_facts_that_do_not_add_up_are_found_though_their_chain_holds(
    sql: str, path: Path, darwin: Call
) -> None:
    table, words = REWRITTEN[sql]
    with tampering(path) as raw:
        raw.execute(sql.format(taken=TAKEN, skipped=SKIPPED, gapped=GAPPED) + " AND run_id = 'one'")
    hashed_anew(path)
    told = found(darwin)
    assert (told["table"], told["what"].partition(", ")[2].partition(", ")[2] or told["what"])[
        0
    ] == table
    assert words in told["what"]


# -- a damaged file


@pytest.mark.parametrize("table", EVERY)
def test_a_page_that_cannot_be_read_is_named_by_its_first_row(
    table: str, path: Path, darwin: Call
) -> None:
    sound_facts = facts(path)
    overwrite(path, root_page(path, table).start, b"\0")  # no kind of page begins so
    told = found(darwin)
    assert told["table"] == table
    firsts = {fact["fact"]: fact["seq"] for fact in reversed(sound_facts)}
    assert told["seq"] == (None if table == "runs" else firsts.get(table, 1))
    assert "cannot be read" in told["what"]


def varint(number: int) -> bytes:
    """An id as SQLite stores it: seven bits to a byte, the high bit set on all but the last.

    https://www.sqlite.org/fileformat2.html#varint
    """
    groups = [number >> shift & 0x7F for shift in range(35, -1, -7)]
    return bytes(group | 0x80 for group in groups[:-1]) + bytes(groups[-1:])


def test_damage_behind_the_rows_of_a_run_may_hide_more_of_them(path: Path, darwin: Call) -> None:
    """The row that cannot be read is the next run's, but who can tell."""
    (second,) = rows(path, "SELECT min(id) AS id FROM outcomes WHERE run_id = 'two'")
    page = root_page(path, "outcomes")
    cell = path.read_bytes()[page.start : page.stop].index(varint(second["id"]))
    # Its key says that it is of the first run, its header that it is longer than any row.
    overwrite(path, page.start + cell, varint(BASE + FACTS + 1) + b"\xff\xff\xff\x7f")
    told = found(darwin)
    assert place(told) == ("outcomes", FACTS + 1)
    assert "may follow, behind what cannot be read" in told["what"]


def test_a_text_page_of_a_row_that_is_no_text_is_not_a_traceback(path: Path, darwin: Call) -> None:
    page = root_page(path, "safety_events")
    content = path.read_bytes()[page.start : page.stop]
    overwrite(path, page.start + content.rindex(b"daily_loss"), b"\xff\xfe")
    told = found(darwin)
    assert told["table"] == "safety_events"
    assert "has no UTF-8 in kind" in told["what"]


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_truncated_file_is_damaged(share: float, path: Path, darwin: Call) -> None:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert found(darwin)["what"].startswith("the row of the run in runs cannot be read")


@pytest.mark.parametrize("at", [0, 16, 100])
def test_a_damaged_header_is_damage_of_all_rows(at: int, path: Path, darwin: Call) -> None:
    overwrite(path, at, b"\xff\xff")
    assert place(found(darwin)) == ("runs", None)


def test_a_damaged_index_is_named_and_can_be_made_anew(path: Path, darwin: Call) -> None:
    page = root_page(path, "sqlite_autoindex_verdicts_1")
    content = path.read_bytes()[page.start : page.stop]
    overwrite(path, page.start + content.index(b"one" + SKIPPED.encode()) + 3, b"2")
    told = found(darwin)
    assert told["table"] == "verdicts"
    assert "is not as the index sqlite_autoindex_verdicts_1 knows it" in told["what"]
    assert "REINDEX" in darwin("verify", "one")[2]
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("REINDEX")
    assert darwin("verify", "one")[0] == 0


def test_an_index_that_cannot_be_read_is_named(path: Path, darwin: Call) -> None:
    overwrite(path, root_page(path, "sqlite_autoindex_outcomes_1").start, b"\0")
    told = found(darwin)
    assert told["what"].startswith("the index sqlite_autoindex_outcomes_1 cannot be read")
    assert "REINDEX" in darwin("verify", "one")[2]


def test_an_index_that_knows_too_much_is_named(path: Path, darwin: Call) -> None:
    """An entry of the run that no row has: of the other run, by a changed name."""
    page = root_page(path, "sqlite_autoindex_fills_1")
    content = path.read_bytes()[page.start : page.stop]
    overwrite(path, page.start + content.index(b"two" + HELD.encode() + b"entry"), b"one")
    told = found(darwin)
    assert told["what"].startswith(
        "the index sqlite_autoindex_fills_1 knows rows that are not there"
    )


def test_a_constraint_that_nobody_wrote_is_named(path: Path, darwin: Call) -> None:
    """Readers never look at it, but it would refuse the next row, or let a wrong one in."""
    content = path.read_bytes()
    overwrite(path, content.index(b"CHECK (kind IN ('entry', 'exit'))"), b"CHECK (kind IN ('entrz'")
    assert found(darwin)["what"].startswith("fills is not laid out as it was made")


def test_a_place_that_is_reckoned_otherwise_is_that_of_a_changed_row(
    path: Path, darwin: Call
) -> None:
    odd = next(f["seq"] for f in facts(path) if f["fact"] == "outcomes" and f["seq"] % 2)
    content = path.read_bytes()
    mask = content.index(b"1099511627775", content.index(b"CREATE TABLE outcomes"))
    overwrite(path, mask, b"1099511627774")
    told = found(darwin)
    assert place(told) == ("outcomes", odd)
    assert "was changed" in told["what"]


def test_a_migrated_database_is_laid_out_as_a_fresh_one(tmp_path: Path, darwin: Call) -> None:
    path = tmp_path / WHERE
    path.parent.mkdir(parents=True)
    migrated = create_engine(f"sqlite:///{path}")
    with migrated.begin() as connection:
        upgrade(connection)
    migrated.dispose()
    sound(path, "one")
    assert darwin("verify", "one")[0] == 0


def test_what_only_the_write_ahead_log_holds_is_verified_too(tmp_path: Path, darwin: Call) -> None:
    path = tmp_path / WHERE
    sound(path, "one")
    with closing(sqlite3.connect(path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM runs").fetchall()
        with tampering(path) as raw:
            raw.execute("UPDATE verdicts SET quality = 0.75 WHERE candidate_id = ?", (TAKEN,))
        assert path.with_name(path.name + "-wal").stat().st_size > 0
        assert found(darwin)["candidate_id"] == TAKEN


def test_a_run_that_grows_meanwhile_is_verified_as_it_was(tmp_path: Path, darwin: Call) -> None:
    path = tmp_path / WHERE
    with connect(path) as database:
        journal = Journal(database, begin_run(database, sound_identity(), at=NOW), ("a", "b"))
        assert json.loads(darwin("verify", "one", "--json")[1])["facts"] == 0
        journal.append(facts_of(worked_out()))
        assert json.loads(darwin("verify", "one", "--json")[1])["facts"] == FACTS - 1


def test_a_copy_elsewhere_is_verified_by_its_name(path: Path, tmp_path: Path, darwin: Call) -> None:
    shutil.copy(path, tmp_path / "backup.sqlite")
    assert darwin("verify", "one", "--db", "backup.sqlite")[0] == 0
    with tampering(path) as raw:
        raw.execute("UPDATE runs SET started_at = 'never'")
    assert darwin("verify", "one", "--db", "backup.sqlite")[0] == 0
    assert darwin("verify", "one")[0] == 4

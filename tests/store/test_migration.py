"""A database of an older Darwin: what it kept stays as it is, new runs work beside it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from darwin.core.account import Alert
from darwin.core.facts import Facts, Input
from darwin.engine.marks import daily_marks
from darwin.errors import RecordError, StorageError
from darwin.rl.training.trials import recorded
from darwin.store import logs, schema
from darwin.store.columns import alert_columns
from darwin.store.db import connect, connect_readonly
from darwin.store.journal import Journal
from darwin.store.layout import require_layout
from darwin.store.queries import list_runs
from darwin.store.rows import add_beside
from darwin.store.runs import begin_run, find_begun
from darwin.store.scan import as_it_stands
from darwin.store.sealed import Source
from darwin.store.verify import Checked, verify
from darwin.trading.bookkeeping import Bookkeeping
from tests.store.conftest import IDS, NOW, facts_of, hour, record, worked_out
from tests.store.outsider import LATER, facts, hashes_by_hand, rows, seals_by_hand, tables, tell
from tests.store.verified import sound_identity

NEWER = {
    "trials", "contracts", "llm_calls", "bars", "rebalances", "holdings",
    "tokens", "service_acts", "schedule_events", "notices", "jobs",
}  # fmt: skip
"""Tables that came after schema 0003."""
MEASURED: dict[str, dict[str, None]] = {"verdicts": {"latency_us": None}}
"""Columns that came later and are in no line."""

pytestmark = pytest.mark.slow

Darwin = Callable[..., tuple[int, str, str]]

OLD = {
    "runs": [
        ("one", "finished", "replay", '{"run_id": "one"}', "c" * 64, "d" * 64, "0.0.9", 120,
         '["rsi_14"]', "2024-01-01T00:00:00.000Z", "2024-01-01T00:01:00.000Z"),
        ("cut", "running", "replay", "{}", "c" * 64, "d" * 64, "0.0.9", None, None,
         "2024-01-02T00:00:00.000Z", None),
    ],
    "candidates": [
        (1, "one", "00000000000000aa", "BTC/USDT", "breakout", "long", hour(1), 100.0, 2.0, 4.0,
         32, None, None, "signal", "taken", "taken", "1-abcd", b"\0" * 8),
    ],
    "verdicts": [(1, "one", "00000000000000aa", 1, 0.5, 0.5, '["thin \u00e9"]', 0.01)],
    "orders": [
        (1, "one", "00000000000000aa", "submitted", "BTC/USDT", "long", hour(1), 2.0, 100.0, "",
         None),
    ],
    "fills": [
        (1, "one", "00000000000000aa", "entry", "BTC/USDT", "long", hour(2), 0, 2.0, 100.0, 100.0,
         0.1, 0.0, 98.0, None),
    ],
    "outcomes": [
        (1, "one", "00000000000000aa", "resolved", hour(2), 100.0, 98.0, 104.0, hour(5), 104.0, 1,
         "target", 0, 0.0, 1.9),
    ],
    "equity_marks": [("one", "2024-01-01", hour(23), 10_023.0, 46.0, 2)],
    "safety_events": [(1, "one", hour(30), "daily_loss", "-5.1 %")],
}  # fmt: skip
"""A row or two for every table of schema 0001."""


def lay_out(path: Path, revision: str) -> None:
    """Make a database of an older schema."""
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine

    import darwin.store

    path.parent.mkdir(parents=True)
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        settings = Config()
        folder = Path(darwin.store.__file__).parent / "migrations"
        settings.set_main_option("script_location", str(folder))
        settings.set_main_option("path_separator", "os")
        settings.attributes["connection"] = connection
        command.upgrade(settings, revision)
    engine.dispose()


@pytest.fixture
def old(path: Path) -> Path:
    """A database of schema 0001 that holds a finished run and an unfinished one."""
    lay_out(path, "0001")
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA foreign_keys = ON")
        for table, told in OLD.items():
            marks = ", ".join("?" * len(told[0]))
            raw.executemany(f"INSERT INTO {table} VALUES ({marks})", told)
        raw.commit()
    return path


def ask(path: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as raw:
        return raw.execute(sql).fetchall()


def test_an_old_run_is_put_aside_row_by_row(old: Path) -> None:
    before = tables(old, *OLD)
    connect(old).close()
    after = tables(old, *(f"before_0002_{name}" for name in OLD))
    assert after == {f"before_0002_{name}": kept for name, kept in before.items()}
    assert {name: len(kept) for name, kept in before.items()} == {
        name: len(told) for name, told in OLD.items()
    }
    assert ask(old, "PRAGMA integrity_check") == [("ok",)]
    assert ask(old, "PRAGMA foreign_key_check") == []


def test_rows_put_aside_still_belong_to_the_runs_put_aside(old: Path) -> None:
    connect(old).close()
    for name in set(OLD) - {"runs"}:
        parents = {key[2] for key in ask(old, f"PRAGMA foreign_key_list(before_0002_{name})")}
        assert parents
        assert parents <= {"before_0002_runs", "before_0002_candidates"}


def test_a_run_put_aside_is_made_anew_under_its_old_name(old: Path) -> None:
    connect(old).close()
    before = tables(old, *(f"before_0002_{name}" for name in OLD))
    record(old, worked_out(), "one")
    assert [row["hash"] for row in facts(old)] == hashes_by_hand(old)
    assert tables(old, *(f"before_0002_{name}" for name in OLD)) == before


def test_only_runs_with_a_journal_are_listed(old: Path, darwin: Darwin) -> None:
    connect(old).close()
    code, out, err = darwin("runs")
    assert (code, err, len(out.splitlines())) == (0, "", 1)
    record(old, worked_out(), "new")
    code, out, err = darwin("runs")
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["new"]
    assert darwin("runs", "show", "new")[0] == 0
    code, _, err = darwin("runs", "show", "one")
    assert (code, "no run called 'one'" in err) == (2, True)


def test_a_run_put_aside_is_not_called_damaged(old: Path, darwin: Darwin) -> None:
    connect(old).close()
    folder = old.parent.parent / "runs" / "one"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text('{"run_id": "one"}')
    code, _, err = darwin("verify", "one")
    assert (code, len(err.splitlines())) == (2, 3)
    assert "recorded by an older Darwin" in err
    assert "before_0002_runs" in err


def test_an_old_database_is_not_touched_by_a_question(old: Path, darwin: Darwin) -> None:
    before = old.read_bytes()
    with pytest.raises(StorageError, match="schema 0001"):
        connect_readonly(old)
    code, _, err = darwin("runs")
    assert (code, len(err.splitlines())) == (4, 3)
    assert "`darwin run` on it brings it up to date" in err
    assert old.read_bytes() == before


def test_it_is_brought_up_to_date_once(old: Path) -> None:
    connect(old).close()
    record(old, worked_out(), "new")
    schema = rows(old, "SELECT name, sql FROM sqlite_master ORDER BY name")
    with connect(old) as database:
        assert [run.run_id for run in list_runs(database)] == ["new"]
    assert rows(old, "SELECT name, sql FROM sqlite_master ORDER BY name") == schema


def test_a_migration_that_fails_half_way_leaves_the_old_database(old: Path) -> None:
    """A table in the way of the last one that is made, as some other tool may have left it."""
    with closing(sqlite3.connect(old)) as raw:
        raw.execute("CREATE TABLE run_events (mine TEXT)")
        raw.commit()
    before = tables(old, *OLD)
    with pytest.raises(StorageError, match="already exists"):
        connect(old)
    assert tables(old, *OLD) == before
    assert ask(old, "SELECT version_num FROM alembic_version") == [("0001",)]
    names = {name for (name,) in ask(old, "SELECT name FROM sqlite_master")}
    assert not {name for name in names if name.startswith("before_0002_")}


# -- before there were agents

RELEASED = Input(4, IDS[4], hour(40), "release", "Ada", "a call")
HEAD_THEN = "b595fa80086b8e35cd4c0d24c6ec7d9ced0df80b47803f2e318c30c2dc183b4f"
"""Of this run, as the code of schema 0002 recorded it."""
TABLES_THEN = (
    "runs", "run_events", "checkpoints", "inputs", "candidates", "verdicts", "orders", "fills",
    "outcomes", "safety_events", "equity_marks",
)  # fmt: skip


def then() -> Facts:
    """The worked-out run of a time without agents and alerts."""
    return replace(facts_of(worked_out(), [RELEASED]), decisions=(), alerts=())


@pytest.fixture
def without_agents(path: Path, tmp_path: Path) -> Path:
    """A database of schema 0002 that holds a finished run, as that schema kept it."""
    now = tmp_path / "now.sqlite"
    with connect(now) as database:
        begun = begin_run(database, sound_identity(), at=NOW)
        journal = Journal(database, begun, worked_out().playbooks)
        journal.append(then())
        journal.finish(daily_marks(worked_out().equity))
    lay_out(path, "0002")
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("ATTACH ? AS now", [str(now)])
        for table in TABLES_THEN:
            told = raw.execute(f"PRAGMA main.table_info({table})")  # without what is reckoned
            names = ", ".join(f'"{name}"' for _, name, *_ in told)
            raw.execute(f"INSERT INTO main.{table} ({names}) SELECT {names} FROM now.{table}")
        raw.execute(
            "UPDATE main.run_events SET detail = json_remove(detail, '$.alerts')"
            " WHERE kind = 'finished'"
        )
        raw.commit()
    seals = seals_by_hand(path, "run_events")
    for row, seal in zip(rows(path, "SELECT id FROM run_events ORDER BY id"), seals, strict=True):
        tell(path, "UPDATE run_events SET seal = ? WHERE id = ?", seal, row["id"])
    return path


def verified(path: Path) -> Checked:
    with connect(path) as database:
        return verify(database, "one", lambda run: [Bookkeeping(run.symbols)])


def test_a_run_of_before_agents_keeps_every_row_and_its_chain(without_agents: Path) -> None:
    before = tables(without_agents, *TABLES_THEN)
    checked = verified(without_agents)
    assert (checked.finished, checked.facts, checked.alerts) == (True, len(then()), 0)
    assert checked.head == HEAD_THEN
    after = tables(without_agents, *TABLES_THEN)
    assert after == {
        name: [row | dict.fromkeys(LATER.get(name, ())) | MEASURED.get(name, {}) for row in kept]
        for name, kept in before.items()
    }
    assert [row["hash"] for row in facts(without_agents)] == hashes_by_hand(without_agents)


def test_a_run_of_before_agents_comes_out_as_it_was_recorded(without_agents: Path) -> None:
    with connect(without_agents) as database:
        begun = find_begun(database, "one")
        again = Journal(database, begun, worked_out().playbooks, only_compare=True)
        again.append(then())
        again.finish(daily_marks(worked_out().equity))
        assert again.place.head.hex() == HEAD_THEN


def test_a_run_of_before_agents_is_as_well_guarded_as_ever(without_agents: Path) -> None:
    connect(without_agents).close()
    tell(without_agents, "UPDATE safety_events SET agent_name = 'gate' WHERE kind = 'reducing'")
    with pytest.raises(RecordError, match="of safety_events was changed"):
        verified(without_agents)


def test_an_alert_slipped_under_a_run_of_before_agents_is_found(without_agents: Path) -> None:
    with connect(without_agents) as database, database.write() as connection:
        told = alert_columns([Alert(hour(31), "drawdown", "", "made up")])
        add_beside(connection, schema.alerts, "one", 1, told)
    with pytest.raises(RecordError, match="alerts is missing") as fault:
        verified(without_agents)
    assert fault.value.table == "alerts"


def test_a_run_with_agents_stands_beside_one_of_before(without_agents: Path) -> None:
    record(without_agents, worked_out(), "new")
    assert [row["hash"] for row in facts(without_agents, "new")] == hashes_by_hand(
        without_agents, "new"
    )
    assert verified(without_agents).head == HEAD_THEN
    assert rows(without_agents, "SELECT DISTINCT run_id FROM agent_decisions") == [
        {"run_id": "new"}
    ]


# -- before trials were counted


@pytest.fixture
def without_trials(path: Path, tmp_path: Path) -> Path:
    """A database of schema 0003 that holds a finished run with agents, and acts of persons."""
    now = tmp_path / "now.sqlite"
    record(now, worked_out(), "one")
    who = {"by": "Ada", "reason": "tried", "at": "2026-01-02T03:04:05Z"}
    with connect(now) as database, database.write() as connection:
        logs.append(connection, schema.kill_events, kind="on", **who)
        logs.append(
            connection, schema.rollout_events, agent_name="gate", stage=0.01, override=0, **who
        )
    lay_out(path, "0003")
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("ATTACH ? AS now", [str(now)])
        for table in set(schema.metadata.tables) - NEWER:
            told = raw.execute(f"PRAGMA main.table_info({table})")
            names = ", ".join(f'"{name}"' for _, name, *_ in told)
            raw.execute(f"INSERT INTO main.{table} ({names}) SELECT {names} FROM now.{table}")
        raw.commit()
    return path


def test_a_database_of_before_trials_keeps_every_row_and_counts_from_then_on(
    without_trials: Path,
) -> None:
    kept = sorted(set(schema.metadata.tables) - NEWER)
    before = tables(without_trials, *kept)
    assert len(before["agent_decisions"]) > 0
    assert len(before["kill_events"]) == len(before["rollout_events"]) == 1
    assert ask(without_trials, "SELECT version_num FROM alembic_version") == [("0003",)]
    with connect(without_trials) as database:
        assert recorded(database, "gate") == []
        with as_it_stands(database) as raw:
            logs.require_sound(Source(raw, without_trials))
            require_layout(Source(raw, without_trials))
    after = tables(without_trials, *kept)
    for verdict in after["verdicts"]:
        assert {verdict.pop(name) for name in (*LATER["verdicts"], *MEASURED["verdicts"])} == {None}
    (staged,) = after["rollout_events"]
    assert [staged.pop(name) for name in ("scope", "detail", "max_position_usd")] == [None] * 3
    assert after == before
    assert [row["hash"] for row in facts(without_trials)] == hashes_by_hand(without_trials)
    assert ask(without_trials, "SELECT version_num FROM alembic_version") == [(schema.VERSION,)]

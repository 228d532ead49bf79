"""The ledger of trials: what is on record, and how much of it counts."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darwin.errors import IntegrityError, RecordError
from darwin.rl.training.trials import (
    SEARCH,
    SEED,
    Count,
    Trial,
    counted,
    recorded,
    require_ready,
)
from darwin.rl.training.trials import record as write_down
from darwin.store.db import Database, connect
from tests.store.conftest import darwin as darwin  # noqa: PLC0414  a fixture

DAY_MS = 86_400_000
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ONE = Trial(
    agent_name="gate", kind=SEED, finished=True, data_digest="ab" * 32, plan_digest="cd" * 32,
    algo="ppo", seed=0, timesteps=8192, rows_from=0, test_from=80 * DAY_MS,
    rows_until=100 * DAY_MS, gain_r=0.02, sharpe=0.1,
)  # fmt: skip
TEST = (80 * DAY_MS, 100 * DAY_MS)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with connect(tmp_path / "state.sqlite") as database:
        yield database


def record(database: Database, *trials: Trial, resumed: bool = False) -> None:
    for one in trials:
        write_down(database, one, by="Ada", at=NOW, resumed=resumed)


def other(**changed: Any) -> Trial:
    return replace(ONE, **changed)


def test_what_was_tried_is_read_back_as_it_was_written(database: Database) -> None:
    search = other(kind=SEARCH, seed=7, gain_r=-0.0, sharpe=math.nan)
    record(database, ONE, search, other(agent_name="portfolio"))
    found = recorded(database, "gate")
    assert [one.trial for one in found] == [ONE, replace(search, gain_r=0.0, sharpe=None)]
    assert [(one.id, one.by, one.at) for one in found] == [
        (1, "Ada", "2026-03-01T12:00:00.000Z"),
        (2, "Ada", "2026-03-01T12:00:00.000Z"),
    ]
    require_ready(database)


def test_numbers_of_numpy_are_kept_as_plain_ones(database: Database) -> None:
    record(database, other(gain_r=np.float64(0.1), sharpe=np.float64(-0.0)))
    assert recorded(database, "gate")[0].trial == other(gain_r=0.1, sharpe=0.0)


def test_each_network_counts_and_their_ratios_tell_how_much_they_differ(
    database: Database,
) -> None:
    assert counted(database, "gate", *TEST) == Count(0, 0, 0.0)
    ratios = [0.1, -0.2, 0.05, 0.3]
    for seed, ratio in enumerate(ratios):
        record(database, other(seed=seed, kind=SEARCH if seed else SEED, sharpe=ratio))
        variance = float(np.var(ratios[: seed + 1], ddof=1)) if seed else 0.0
        found = counted(database, "gate", *TEST)
        assert found == Count(seed + 1, seed + 1, pytest.approx(variance))
    record(database, other(seed=9, sharpe=None), other(agent_name="portfolio"))
    assert counted(database, "gate", *TEST) == Count(5, 5, pytest.approx(np.var(ratios, ddof=1)))


def test_of_several_that_have_no_two_ratios_nobody_knows_how_much_they_differ(
    database: Database,
) -> None:
    unknown = pytest.approx(math.nan, nan_ok=True)
    record(database, other(sharpe=None))
    assert counted(database, "gate", *TEST) == Count(1, 1, 0.0), "nothing was chosen"
    record(database, other(kind=SEARCH, seed=1, sharpe=None))
    assert counted(database, "gate", *TEST) == Count(2, 2, unknown)
    record(database, other(seed=2, sharpe=0.1))
    assert counted(database, "gate", *TEST) == Count(3, 3, unknown)
    record(database, other(seed=3, sharpe=0.1))
    assert counted(database, "gate", *TEST) == Count(4, 4, 0.0), "two that are alike do not differ"


def test_the_same_training_made_again_adds_nothing_to_choose_from(database: Database) -> None:
    record(database, ONE, other(seed=1, gain_r=0.05, sharpe=0.4), ONE)
    assert counted(database, "gate", *TEST) == Count(3, 2, pytest.approx(0.045))
    record(database, other(gain_r=0.021))
    assert counted(database, "gate", *TEST)[:2] == (4, 3), "it came out otherwise: another network"


@pytest.mark.parametrize(
    "changed",
    [
        {"data_digest": "ef" * 32}, {"plan_digest": "ef" * 32}, {"algo": "a2c"}, {"seed": 1},
        {"kind": SEARCH},
    ],
)  # fmt: skip
def test_other_rows_plans_algorithms_and_seeds_are_other_trials(
    changed: dict[str, Any], database: Database
) -> None:
    record(database, ONE, other(**changed))
    assert counted(database, "gate", *TEST)[:2] == (2, 2)


def test_one_that_was_stopped_counts_until_it_is_finished(database: Database) -> None:
    stopped = other(finished=False, timesteps=2048, gain_r=0.01, sharpe=None)
    record(database, stopped)
    assert counted(database, "gate", *TEST) == Count(1, 1, 0.0)
    record(database, replace(stopped, timesteps=4096, gain_r=0.015), resumed=True)
    assert counted(database, "gate", *TEST) == Count(2, 1, 0.0)
    record(database, ONE, resumed=True)
    assert counted(database, "gate", *TEST) == Count(3, 1, 0.0)
    record(database, ONE, resumed=True)
    assert counted(database, "gate", *TEST) == Count(3, 1, 0.0)
    record(database, replace(stopped, seed=5))
    assert counted(database, "gate", *TEST)[:2] == (4, 2)


@pytest.mark.parametrize(
    ("first", "last", "counts"),
    [
        (0, 79, False), (0, 80, True), (0, 200, True), (90, 95, True), (100, 120, True),
        (101, 120, False),
    ],
)  # fmt: skip
def test_a_trial_counts_where_its_rows_reach_into_the_time_of_the_test(
    first: int, last: int, counts: bool, database: Database
) -> None:
    record(database, other(rows_from=first * DAY_MS, rows_until=last * DAY_MS))
    assert counted(database, "gate", *TEST)[:2] == (counts, counts)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE trials SET gain_r = 0.5 WHERE id = 2",
        "UPDATE trials SET agent_name = 'portfolio' WHERE id = 2",
        "DELETE FROM trials WHERE id = 2",
    ],
)
def test_nobody_counts_on_a_ledger_that_was_changed(sql: str, database: Database) -> None:
    record(database, ONE, other(seed=1), other(seed=2))
    with closing(sqlite3.connect(database.path)) as raw:
        raw.execute(sql)
        raw.commit()
    for ask in (
        lambda: counted(database, "gate", *TEST),
        lambda: recorded(database, "gate"),
        lambda: require_ready(database),
        lambda: record(database, ONE, resumed=True),
    ):
        with pytest.raises(RecordError, match="row 2 of trials"):
            ask()


@pytest.mark.parametrize("changed", [{"agent_name": "nobody"}, {"kind": "guess"}])
def test_what_the_schema_refuses_is_not_counted(
    changed: dict[str, Any], database: Database
) -> None:
    with pytest.raises(IntegrityError):
        record(database, other(**changed))
    assert counted(database, "gate", *TEST)[:2] == (0, 0)


def test_the_command_lists_them(darwin: Any, tmp_path: Path) -> None:
    path = tmp_path / "listed.sqlite"
    with connect(path) as database:
        record(database, ONE, ONE, other(seed=1, finished=False, sharpe=None, gain_r=-0.5))
    code, out, err = darwin("rl", "trials", "gate", "--db", str(path))
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split()[:4] == ["trial", "kind", "algo", "seed"]
    assert "1970-03-22  1970-04-11  +0.0200  +0.1000" in lines[1]
    assert "-0.5000" in lines[3]
    assert lines[3].endswith("Ada  2026-03-01 12:00  stopped")
    assert lines[-1] == "gate: 3 trained on record, 2 different networks"
    code, out, _ = darwin("rl", "trials", "portfolio", "--db", str(path))
    assert (code, out) == (0, "portfolio: 0 trained on record, 0 different networks\n")
    code, _, err = darwin("rl", "trials", "gate", "--db", str(tmp_path / "nowhere.sqlite"))
    assert (code, len(err.splitlines())) == (4, 3)

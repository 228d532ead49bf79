"""`darwin rl train` writes down each network that it trains, and its report pays for all."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from darwin.rl.training.trials import record
from darwin.store.db import connect
from tests.rl.training.test_train_command import ROOM
from tests.rl.training.test_trials import ONE
from tests.run.agents import rules
from tests.run.command import Desk, clean_environment
from tests.store.outsider import tell

pytest.importorskip("stable_baselines3")
pytestmark = pytest.mark.slow

MOST = 24_576
WORDS = ("rl", "train", "gate", "--run-ids", "small", "--allow-small", "--total-timesteps",
         str(MOST), "--eval-freq", "4096", "--by", "Ada", "--reason", "a test")  # fmt: skip
COLUMNS = "id, finished, seed, timesteps, gain_r, sharpe"


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A deployment with a run that the gate has seen."""
    desk = Desk(tmp_path_factory.mktemp("seen"))
    market = {"bars": 3000, "edge": 0.5, "symbols": ["BTC/USDT", "ETH/USDT"]}
    desk.config(market=market, rl=rules(agents=["gate"]), **ROOM)
    done = desk.darwin("run", "config.json")
    assert done.returncode == 0, done.stderr
    return desk


@pytest.fixture
def desk(seen: Desk, tmp_path: Path) -> Desk:
    """The same for one test alone."""
    shutil.copytree(seen.folder, tmp_path, dirs_exist_ok=True)
    return Desk(tmp_path)


def train(desk: Desk, *more: str) -> dict[str, Any]:
    done = desk.darwin(*WORDS, *more, "--json")
    assert done.returncode in (0, 10), done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def ms(iso: str) -> int:
    return round(datetime.fromisoformat(iso).timestamp() * 1000)


@pytest.mark.sweep
def test_each_network_is_on_record_and_the_report_pays_for_all_of_them(desk: Desk) -> None:
    first = train(desk, "--seeds", "2")
    rows = desk.ask(f"SELECT {COLUMNS} FROM trials ORDER BY id")
    for row, curve in zip(rows, first["curves"].values(), strict=True):
        assert row[4] == max(one["learned_gain"] for one in curve)
        assert row[3] == curve[-1]["steps"] >= MOST
    assert [row[:3] for row in rows] == [(1, 1, 0), (2, 1, 1)]
    same = ("agent_name", "kind", "algo", "data_digest", "plan_digest", "test_from", "by")
    assert desk.ask(f"SELECT DISTINCT {', '.join(same)} FROM trials") == [
        ("gate", "seed", "ppo", first["data_digest"], first["plan_digest"],
         ms(first["cuts"]["test_from"]), "Ada")
    ]  # fmt: skip
    ((since, until),) = desk.ask("SELECT DISTINCT rows_from, rows_until FROM trials")
    bars = desk.ask("SELECT min(bar_time), max(bar_time) FROM candidates")[0]
    assert bars[0] < since < ms(first["cuts"]["validation_from"])
    assert ms(first["cuts"]["test_from"]) < until <= bars[1] + 40 * 3_600_000

    again = train(desk, "--seeds", "2")
    assert len(desk.ask("SELECT id FROM trials")) == 4
    assert (again["trained"], again["trials"]["trials"]) == (4, 2)
    done = desk.darwin(*WORDS, "--seeds", "1", "--seed", "5")
    page = Path(desk.folder, done.stdout.split("report: ")[1].split(",")[0])
    other = json.loads(page.with_name("report.json").read_text())
    sharpe = other["trials"]
    assert sharpe["trials"] == 3
    assert sharpe["told"] in page.read_text()
    assert (
        f"Sharpe ratio of the learned gain: {sharpe['per_day']:+.4f} per day"
        f" ({sharpe['annualised']:+.2f} annualised) over {sharpe['days']} days; deflated for"
        f" 3 networks that saw this time it is {sharpe['deflated']:.1%} sure."
    ) in done.stdout

    for told, ids in ((first, (1, 2)), (again, (1, 2)), (other, (1, 2, 5))):
        ratios = [row[5] for row in desk.ask(f"SELECT {COLUMNS} FROM trials") if row[0] in ids]
        assert told["trials"]["variance_of_trials"] == pytest.approx(np.var(ratios, ddof=1))
        held_against_scipy(told["trials"])
        days = (until - ms(told["cuts"]["test_from"])) / 86_400_000
        assert days - 4 < told["trials"]["days"] <= days + 1

    listed = json.loads(desk.darwin("rl", "trials", "gate", "--json").stdout)
    assert [one["seed"] for one in listed] == [0, 1, 0, 1, 5]
    assert datetime.fromisoformat(listed[0]["at"]) < datetime.now(UTC)


def held_against_scipy(sharpe: dict[str, Any]) -> None:
    ratio, n, count = sharpe["per_day"], sharpe["effective_days"], sharpe["trials"]
    euler, z = 0.5772156649015329, stats.norm.ppf
    highest = (1 - euler) * z(1 - 1 / count) + euler * z(1 - 1 / (count * np.e))
    due = np.sqrt(sharpe["variance_of_trials"]) * highest
    assert sharpe["expected_maximum_per_day"] == pytest.approx(due)
    spread = 1 - sharpe["skew"] * ratio + (sharpe["kurtosis"] - 1) / 4 * ratio**2
    sure = stats.norm.cdf((ratio - due) * np.sqrt((n - 1) / spread))
    assert sharpe["deflated"] == pytest.approx(sure, abs=1e-9)
    assert sharpe["annualised"] == pytest.approx(ratio * np.sqrt(365))
    assert 1 < n <= sharpe["days"]


@contextmanager
def under_way(desk: Desk, *more: str, until: str) -> Iterator[subprocess.Popen[str]]:
    """A training that has just said so."""
    with subprocess.Popen(
        [sys.executable, "-m", "darwin.cli.main", *WORDS, "--seeds", "2", *more],
        cwd=desk.folder, env=clean_environment(), stderr=subprocess.PIPE, text=True,
        stdout=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        assert any(line.startswith(until) for line in process.stderr)
        yield process


@pytest.mark.sweep
def test_what_is_killed_stopped_and_resumed_counts_once(desk: Desk) -> None:
    with under_way(desk, until="seed 1: ") as process:
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert desk.ask("SELECT finished, seed FROM trials") == [(1, 0)]
    with under_way(desk, "--resume", until="seed 1: ") as process:
        process.send_signal(signal.SIGTERM)
    assert process.returncode == 128 + signal.SIGTERM
    kept = desk.ask(f"SELECT finished, seed, timesteps < {MOST}, sharpe FROM trials")
    assert [row[:3] for row in kept] == [(1, 0, 0), (0, 1, 1)]
    assert kept[1][3] is None
    told = train(desk, "--seeds", "2", "--resume")
    assert desk.ask("SELECT finished, seed FROM trials") == [(1, 0), (0, 1), (1, 1)]
    assert (told["trained"], told["trials"]["trials"]) == (3, 2)


def test_a_ledger_that_was_changed_stops_a_training_before_it_begins(desk: Desk) -> None:
    state = desk.folder / "artifacts" / "rl_state" / "agent_state.sqlite"
    with connect(state) as database:
        record(database, ONE, by="Ada", at=datetime.now(UTC))
    tell(state, "UPDATE trials SET gain_r = gain_r + 0.5")
    done = desk.darwin(*WORDS)
    assert done.returncode == 4
    assert "row 1 of trials was changed" in done.stderr
    assert len(done.stderr.splitlines()) <= 3, "no look at validation either"
    done = desk.darwin("verify", "small")
    assert done.returncode == 4
    assert "row 1 of trials was changed" in done.stderr


@pytest.mark.sweep
def test_where_no_two_trials_have_a_ratio_the_deflated_one_cannot_be_said(desk: Desk) -> None:
    ((last,),) = desk.ask("SELECT max(bar_time) FROM candidates")
    state = desk.folder / "artifacts" / "rl_state" / "agent_state.sqlite"
    given_up = replace(ONE, kind="search", finished=False, sharpe=None, rows_until=last)
    with connect(state) as database:
        for seed in (0, 1):
            record(database, replace(given_up, seed=seed), by="Ada", at=datetime.now(UTC))
    done = desk.darwin(*WORDS, "--seeds", "1")
    assert done.returncode in (0, 10), done.stderr
    assert (
        "deflated it cannot be said: of 3 networks that saw this time fewer than two have a ratio"
    ) in done.stdout
    assert "nan" not in done.stdout
    path = Path(desk.folder, done.stdout.split("report: ")[1].split(",")[0])
    told = json.loads(path.with_name("report.json").read_text(), parse_constant=pytest.fail)
    trials = told["trials"]
    for unknown in ("deflated", "expected_maximum_per_day", "variance_of_trials"):
        assert trials[unknown] is None
    assert trials["per_day"] is not None
    assert trials["told"] in path.read_text()


@pytest.mark.sweep
def test_of_a_test_of_few_days_nothing_is_claimed(desk: Desk) -> None:
    ((last,),) = desk.ask("SELECT max(bar_time) FROM candidates")
    day = datetime.fromtimestamp(last / 1000, UTC) - timedelta(days=6)
    few = ("--seeds", "1", "--total-timesteps", "4096", "--test-from", f"{day:%Y-%m-%d}")
    done = desk.darwin(*WORDS, *few)
    assert done.returncode == 10, done.stderr
    assert " R per decision, on too few days for an interval." in done.stdout
    assert "Sharpe ratio of the learned gain: cannot be said of " in done.stdout
    assert "on record: 1 network that saw this time." in done.stdout
    assert "nan" not in done.stdout
    path = Path(desk.folder, done.stdout.split("report: ")[1].split(",")[0]).with_name(
        "report.json"
    )
    told = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert told["trials"]["per_day"] is told["trials"]["deflated"] is None
    assert told["trials"]["days"] < 10
    assert told["test"]["learned_gain_r"]["low"] is None

"""Canaries of training: they notice planted bugs, and are quiet where there is none."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import chdir, closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from darwin.core.agents import AGENTS, GATE
from darwin.rl.agents.pages import PAGES
from darwin.rl.training.rows import Normaliser
from darwin.store.db import connect_readonly
from tests.rl.training.planted_bugs import (
    IN_THE_ROWS,
    IN_THE_RUN,
    IN_TRAINING,
    UNSEEN,
    Bug,
    planted,
)
from tests.rl.training.test_train_command import ROOM, Call
from tests.rl.training.test_worlds import made_rows
from tests.run.agents import rules
from tests.run.command import Desk
from tests.store.conftest import darwin as darwin  # noqa: PLC0414  a fixture

pytest.importorskip("stable_baselines3")
pytestmark = pytest.mark.slow

EXPERT = ROOM | {"decider": {"provider": "rules"}}


def recorded(desk: Desk, run_id: str, agents: Sequence[str] = AGENTS, **market: Any) -> None:
    """Make a run by the command, within this process, whose code may hold a bug."""
    from darwin.cli.run import run

    defaults = {"bars": 1500, "edge": 0.5, "symbols": ["BTC/USDT", "ETH/USDT", "SOL/USDT"]}
    desk.config(run_id=run_id, market=defaults | market, rl=rules(agents=agents), **EXPERT)
    with chdir(desk.folder):
        done = CliRunner().invoke(run, ["config.json"], standalone_mode=False)
    assert done.exception is None, done.exception


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A planted and a null run with costs and an expert that skips, seen by three agents."""
    desk = Desk(tmp_path_factory.mktemp("kept"))
    recorded(desk, "planted", bars=3500)
    recorded(desk, "null", bars=3500, edge=0.0, seed=8)
    return desk


class _EnoughError(Exception):
    """Nothing is asked of canaries after that."""


def sung(
    desk: Desk, agent: str, run_id: str = "planted", *, calls: bool = False, seeds: int = 1
) -> dict[str, bool | None]:
    """Train a little; gives what each canary found until one of them ended it."""
    from darwin.rl.training.canaries.finding import CanaryError
    from darwin.rl.training.canaries.told import read_told
    from darwin.rl.training.canaries.watch import Watch
    from darwin.rl.training.course import Plan, run_course
    from darwin.rl.training.dataset import Source, read_rows
    from darwin.rl.training.recipes import recipe_of
    from darwin.rl.training.trainer import Budget

    class Watched(Watch):
        def before_test(self, *told: Any) -> None:
            super().before_test(*told)
            raise _EnoughError

    with connect_readonly(desk.folder / "artifacts/rl_state/agent_state.sqlite") as database:
        sources = [Source(database, (run_id,))]
        rows = read_rows(PAGES[agent], sources, allow_small=True)
        told = read_told(PAGES[agent], sources, rows)
    budget = Budget(5, 50) if calls else None
    watch = Watched(told)
    with pytest.raises((CanaryError, _EnoughError)):
        run_course(
            rows, Plan(recipe_of(agent), 4096, 4096, seeds=seeds, budget=budget), inspector=watch
        )
    return {one.name: one.passed for one in watch.findings}


def singers(found: dict[str, bool | None]) -> set[str]:
    return {name for name, passed in found.items() if passed is False}


def named(bug: Bug) -> str:
    return bug.says


SOME = ("fee sign", "same-bar fill", "a lag that looks ahead", "constant observation",
        "the target wins the bar that touches both")  # fmt: skip


@pytest.mark.parametrize(
    "bug",
    [
        pytest.param(bug, marks=() if bug.says in SOME else pytest.mark.sweep, id=bug.says)
        for bug in IN_THE_RUN
    ],
)
def test_a_bug_of_the_run_is_noticed_in_what_it_recorded(bug: Bug, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    with planted(bug):
        recorded(desk, "planted", [bug.agent])
        found = sung(desk, bug.agent)
    print(f"{bug.says}: {', '.join(sorted(singers(found)))}")
    assert bug.by in singers(found)


@pytest.mark.parametrize("bug", (*IN_THE_ROWS, *IN_TRAINING), ids=named)
def test_a_bug_of_training_is_noticed(bug: Bug, kept: Desk) -> None:
    with planted(bug):
        found = sung(kept, bug.agent, calls=bug.calls, seeds=bug.seeds)
    print(f"{bug.says}: {', '.join(sorted(singers(found)))}")
    assert bug.by in singers(found)


@pytest.mark.sweep
@pytest.mark.parametrize("bug", UNSEEN, ids=named)
def test_what_no_canary_notices_is_known(bug: Bug, kept: Desk) -> None:
    with planted(bug):
        found = sung(kept, bug.agent)
    assert singers(found) == set()


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("run_id", ["null"])  # `test_train_command` trains on planted ones
def test_no_canary_sings_without_a_bug(agent: str, run_id: str, kept: Desk) -> None:
    found = sung(kept, agent, run_id)
    assert singers(found) == set()
    assert list(found.values()).count(True) == len(found) == (14 if agent == "portfolio" else 15)


@pytest.mark.sweep
@pytest.mark.parametrize("seed", range(20, 28))
@pytest.mark.parametrize("edge", [0.0, 0.5])
def test_no_canary_sings_without_a_bug_whatever_the_seed(
    edge: float, seed: int, tmp_path: Path
) -> None:
    desk = Desk(tmp_path)
    recorded(desk, "one", bars=4000, edge=edge, seed=seed)
    for agent in AGENTS:
        assert singers(sung(desk, agent, "one")) == set()


@pytest.mark.parametrize("agent", AGENTS)
def test_permuted_outcomes_hold_no_gain_and_raise_no_alarm(agent: str) -> None:
    from darwin.rl.training.canaries.learners import FURTHEST_ERRORS, errors_from_zero

    away = []
    for seed in range(60):
        rows, rng = made_rows(agent, n=200, seed=seed), np.random.default_rng(seed)
        count = len(rows.page.actions)
        actions = rng.integers(0, count, 200).astype(float) if count else rng.random(200)
        away.append(errors_from_zero(rows, actions, rng) or 0.0)
    assert max(np.abs(away)) < FURTHEST_ERRORS
    assert 0.8 < np.std(away) < 1.2


def test_a_column_of_noise_is_no_leak_and_one_that_follows_the_outcome_is() -> None:
    from darwin.rl.training.canaries.parts import no_column_tells_the_outcome

    for seed in range(300):
        rows = made_rows(GATE, n=40 if seed % 2 else 400, seed=seed)
        assert no_column_tells_the_outcome(rows).passed
    rows = made_rows(GATE, n=400)
    seen = rows.observations.copy()
    seen[:, 7] = rows.r + np.random.default_rng(0).normal(0.0, 1.0, len(rows))
    found = no_column_tells_the_outcome(rows.with_observations(seen))
    assert found.passed is False
    assert rows.page.names[7] in found.said


def test_rows_of_training_beyond_ten_sd_are_noticed() -> None:
    from darwin.rl.training.canaries.parts import columns_are_standardised_by_training_alone

    rows = made_rows(GATE, n=2000)
    normaliser = Normaliser.of(rows)
    assert columns_are_standardised_by_training_alone(rows, normaliser).passed
    spoilt = rows.observations.copy()
    spoilt[7, 3] = 1e4
    rows = rows.with_observations(spoilt)
    found = columns_are_standardised_by_training_alone(rows, Normaliser.of(rows))
    assert found.said == "rows beyond 10 sd (1)"


@pytest.fixture
def spoilt(kept: Desk, tmp_path: Path) -> Callable[[str], Desk]:
    """A copy of the deployment whose database was changed by a statement."""

    def change(sql: str) -> Desk:
        state = "artifacts/rl_state/agent_state.sqlite"
        (tmp_path / state).parent.mkdir(parents=True)
        with closing(sqlite3.connect(tmp_path / state)) as copy:
            with closing(sqlite3.connect(kept.folder / state)) as database:
                database.backup(copy)
            copy.execute(sql)
            copy.commit()
        return Desk(tmp_path)

    return change


QUICK = ("--allow-small", "--total-timesteps", "4096", "--eval-freq", "4096", "--seeds", "1",
         "--by", "Ada", "--reason", "a test")  # fmt: skip
ONE_BETTER = "UPDATE outcomes SET r = r + 0.5 WHERE id = (SELECT min(id) FROM outcomes WHERE r > 0)"


def test_an_alarm_ends_the_training_and_the_report_has_every_finding(
    spoilt: Callable[[str], Desk], darwin: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = spoilt(ONE_BETTER)
    monkeypatch.chdir(desk.folder)
    code, out, err = darwin("rl", "train", "gate", "--run-ids", "planted", *QUICK)
    assert code == 3
    assert out == ""
    said = err.splitlines()
    assert len(said) == 3
    assert said[0].startswith(
        "error: the canary 'outcomes' sings: outcomes that costs made better (1)"
    )
    [report] = (desk.folder / "artifacts/rl_training/gate").glob("*/report.json")
    assert str(report.relative_to(desk.folder)) in said[1]
    told = json.loads(report.read_text())
    assert told["learned"] is False
    assert told["version"] is None
    assert "test" not in told
    assert {one["name"]: one["passed"] for one in told["canaries"]}["outcomes"] is False
    assert len(told["canaries"]) == 11
    assert not (desk.folder / "artifacts/rl_models").exists()
    assert desk.ask("SELECT count(*) FROM model_events") == [(0,)]

    code, out, err = darwin("rl", "train", "gate", "--run-ids", "planted", *QUICK,
                            "--skip-canaries")  # fmt: skip
    assert code in (0, 10), err
    assert out.startswith("Canaries were left out (--skip-canaries)")
    assert json.loads(report.read_text())["canaries"] is None


def test_what_cannot_be_checked_is_said(
    spoilt: Callable[[str], Desk], darwin: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = spoilt(f"UPDATE runs SET data_digest = '{'0' * 64}'")
    monkeypatch.chdir(desk.folder)
    code, out, err = darwin("rl", "train", "gate", "--run-ids", "planted", *QUICK)
    assert code in (0, 10), err
    why = "not checked: the bars of run 'planted' are no longer those it was made of"
    assert out.startswith(f"Canaries: 13 of 15 quiet; brackets {why}; prefix {why}.")
    [report] = (desk.folder / "artifacts/rl_training/gate").glob("*/report.json")
    told = {one["name"]: one["passed"] for one in json.loads(report.read_text())["canaries"]}
    assert [name for name, passed in told.items() if passed is None] == ["brackets", "prefix"]


@pytest.mark.sweep
@pytest.mark.parametrize("agent", AGENTS)
def test_who_sees_the_outcome_learns_it_nearly_always(agent: str) -> None:
    from darwin.rl.training.canaries.learners import outcome_is_learned_when_seen
    from darwin.rl.training.recipes import recipe_of
    from darwin.rl.training.trainer import Job

    missed = 0
    for seed in range(40):
        rows, rng = (
            made_rows(agent, n=150 if seed % 2 else 1500, seed=seed),
            np.random.default_rng(seed),
        )
        ended = rng.choice(
            [-1.05, 1.95, 0.3], len(rows), p=[0.62, 0.33, 0.05]
        )  # stop, target, time
        rows = rows.with_outcomes(ended)
        job = Job(rows, rows, Normaliser.of(rows), recipe_of(agent), 0, 1, 1)
        missed += outcome_is_learned_when_seen(job).passed is False
    assert missed == 0

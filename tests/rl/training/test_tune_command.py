"""`darwin rl tune`: from recorded candidates to a recipe, whatever stops it on the way."""

from __future__ import annotations

import json
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.rl.training.test_train_command import ROOM
from tests.run.agents import rules
from tests.run.command import Desk, clean_environment
from tests.store.conftest import darwin as darwin  # noqa: PLC0414  a fixture

pytest.importorskip("stable_baselines3")
optuna = pytest.importorskip("optuna")
pytestmark = pytest.mark.slow

Call = Callable[..., tuple[int, str, str]]
QUICK = ("--run-ids", "planted", "--allow-small", "--total-timesteps", "8192", "--eval-freq",
         "4096")  # fmt: skip
STORAGE = "artifacts/rl_training/gate/search.sqlite"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A deployment with one small run in a planted market."""
    desk = Desk(tmp_path_factory.mktemp("tuned"))
    desk.config(run_id="planted", market={"bars": 4000, "edge": 0.5}, rl=rules(), **ROOM)
    done = desk.darwin("run", "config.json")
    assert done.returncode == 0, done.stderr
    return desk


def words(agent: str, *more: str) -> list[str]:
    return ["rl", "tune", agent, *QUICK, *more]


def begun(desk: Desk, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "darwin.cli.main", *words("gate", *more)],
        cwd=desk.folder, env=clean_environment(), stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def children(process: subprocess.Popen[str]) -> list[int]:
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(pid) for pid in listed.read_text().split()]


def lives(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def kept(desk: Desk, study: str) -> list[Any]:
    """The trials of a study, as Optuna reads them from the file."""
    storage = optuna.storages.RDBStorage(f"sqlite:///{desk.folder / STORAGE}")
    trials: list[Any] = optuna.load_study(study_name=study, storage=storage).trials
    storage.remove_session()
    storage.engine.dispose()
    return trials


def states(desk: Desk, study: str) -> list[str]:
    """What stands in the file of each trial, in order."""
    with closing(sqlite3.connect(desk.folder / STORAGE)) as database:
        found = database.execute(
            "SELECT state FROM trials JOIN studies USING (study_id) WHERE study_name = ?"
            " ORDER BY number", [study],
        )  # fmt: skip
        return [state for (state,) in found]


def recipes(trials: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """What finished trials chose, and what it gained."""
    return [
        (one["chosen"], one["gains_of_seeds"]) for one in trials if one["state"] != "interrupted"
    ]


@pytest.fixture
def here(desk: Desk, darwin: Call, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Call `darwin` at the desk, without a process of its own."""
    monkeypatch.chdir(desk.folder)
    return darwin


@pytest.mark.sweep
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_a_search_that_is_killed_goes_on_to_the_same_recipe_and_that_can_be_trained_with(
    desk: Desk, here: Call
) -> None:
    code, out, _ = here(*words("gate", "--trials", "4", "--study", "whole", "--json"))
    assert code == 0
    whole = json.loads(out)

    process = begun(desk, "--trials", "4", "--study", "killed")
    assert process.stderr is not None
    with process.stderr as said:
        assert next(said).startswith("trial 0: learned gain ")
        while "RUNNING" not in states(desk, "killed"):
            assert process.poll() is None
        workers = children(process)
        process.kill()
    assert process.wait() == -signal.SIGKILL
    assert states(desk, "killed")[0] == "COMPLETE"
    assert "RUNNING" in states(desk, "killed")
    while any(map(lives, workers)):
        time.sleep(0.01)  # they end with whom they work for

    code, out, err = here(*words("gate", "--trials", "4", "--study", "killed", "--json"))
    assert code == 0
    resumed = json.loads(out)
    assert "trial 0:" not in err
    assert resumed["trials"][0] == whole["trials"][0] | {"where": resumed["trials"][0]["where"]}
    assert recipes(resumed["trials"]) == recipes(whole["trials"])
    assert "RUNNING" not in states(desk, "killed")
    assert resumed["best_learned_gain_r"] == max(
        one["learned_gain_r"] for one in whole["trials"] if one["state"] == "complete"
    )
    assert resumed["default_learned_gain_r"] == whole["trials"][0]["learned_gain_r"]

    recipe = json.loads((desk.folder / resumed["recipe_file"]).read_text())
    assert recipe == resumed["recipe"]
    trainer = shlex.split(resumed["command"])
    code, out, err = here(*trainer[1:], "--seeds", "1", "--by", "Ada", "--reason", "x", "--json")
    assert code in (0, 10), err
    told = json.loads(out)
    assert told["recipe"] == recipe
    curve = [one["learned_gain"] for one in told["curves"]["0"]]
    assert max(curve) == resumed["best_learned_gain_r"], "trained just as it was tried"
    tried = [gain for (gain,) in desk.ask("SELECT gain_r FROM trials WHERE kind = 'search'")]
    assert (len(tried), max(tried)) == (4, max(curve)), "each once, though searched for twice"
    assert told["trials"]["trials"] == 5, "the search is counted"
    asked = "SELECT sharpe FROM trials WHERE agent_name = 'gate' ORDER BY kind, id"
    *ratios, of_training = (ratio for (ratio,) in desk.ask(asked))
    assert of_training in ratios, "measured just as a training measures it"
    assert told["trials"]["variance_of_trials"] == pytest.approx(
        np.var([*ratios, of_training], ddof=1)
    )
    assert told["trials"]["expected_maximum_per_day"] > 0.0, "and it has to be paid for"


@pytest.mark.sweep
def test_a_stopped_search_keeps_what_was_finished_and_leaves_nothing_under_way(
    desk: Desk, here: Call
) -> None:
    process = begun(desk, "--trials", "1000", "--study", "stopped", "--jobs", "2", "--seeds", "2")
    assert process.stderr is not None
    with process.stderr as said:
        next(said)
        code, _, err = here(*words("gate", "--study", "stopped"))
        assert code == 5, "one process at a time"
        assert "another process searches there" in err
        process.send_signal(signal.SIGTERM)
        last = said.readlines()[-1]
    assert (process.wait(), last) == (143, "stopped\n")
    assert set(states(desk, "stopped")) <= {"COMPLETE", "PRUNED", "FAIL"}
    complete = [trial for trial in kept(desk, "stopped") if trial.state.name == "COMPLETE"]
    assert {len(trial.user_attrs["gains"]) for trial in complete} == {2}
    assert len({json.dumps(trial.params) for trial in complete}) == len(complete)


def test_the_test_is_not_looked_at(desk: Desk) -> None:
    from darwin.rl.cli.training_options import observing, rows_of
    from darwin.rl.training.course import Plan, prepare
    from darwin.rl.training.recipes import recipe_of
    from darwin.rl.training.search import Task, evaluate

    database = desk.folder / "artifacts" / "rl_state" / "agent_state.sqlite"
    rows = rows_of(
        "portfolio",
        ("planted",),
        (database,),
        True,
        observing("portfolio", str(desk.folder / "artifacts")),
    )
    plan = Plan(recipe_of("portfolio"), timesteps=4096, eval_freq=4096, seeds=1)
    tested = np.isin(rows.ids, prepare(rows, plan).parts.test.ids)
    assert 0 < tested.sum() < len(rows)
    changed = rows.with_outcomes(np.where(tested, -rows.r, rows.r))
    assert changed.digest != rows.digest
    shown = evaluate(Task.of(rows, plan), plan.recipe)
    assert evaluate(Task.of(changed, plan), plan.recipe) == shown
    validated = np.isin(rows.ids, prepare(rows, plan).parts.validation.ids)
    other = rows.with_outcomes(np.where(validated, -rows.r, rows.r))
    assert evaluate(Task.of(other, plan), plan.recipe) != shown


@pytest.mark.sweep
def test_a_worker_tells_what_cannot_be_computed_and_one_that_is_killed_is_replaced(
    desk: Desk,
) -> None:
    import os
    from dataclasses import replace

    from darwin.rl.cli.training_options import observing, rows_of
    from darwin.rl.training.course import Plan
    from darwin.rl.training.recipes import recipe_of
    from darwin.rl.training.search import Ended, Looked, Lost, News, Task, evaluate
    from darwin.rl.training.search_local import LocalEngine

    database = desk.folder / "artifacts" / "rl_state" / "agent_state.sqlite"
    rows = rows_of("gate", ("planted",), (database,), True, observing("gate", str(desk.folder)))
    plan = Plan(recipe_of("gate"), timesteps=4096, eval_freq=4096, seeds=1)
    task = Task.of(rows, plan)

    def heard(engine: LocalEngine) -> News:
        while not (news := engine.wait(1.0)):
            pass
        return news[0]

    with LocalEngine(task, 1) as engine:
        engine.give(0, replace(plan.recipe, learning_rate=1e30))
        runaway = heard(engine)
        assert isinstance(runaway, Ended)
        assert runaway.fault.startswith("ValueError: ")
        engine.give(1, plan.recipe)
        assert isinstance(heard(engine), Looked)
        os.kill(int(runaway.where.removeprefix("process ")), signal.SIGKILL)
        engine.answer(1, True)
        assert heard(engine) == Lost(1, "its process ended with -9")
        engine.give(1, plan.recipe)
        look = heard(engine)
        assert isinstance(look, Looked)
        engine.answer(1, True)
        ended = heard(engine)
        assert isinstance(ended, Ended)
        assert ended.seeds == evaluate(task, plan.recipe)
        assert ended.where != runaway.where
        engine.give(2, plan.recipe)
        assert isinstance(heard(engine), Looked)
        engine.answer(2, False)
        assert heard(engine) == Ended(2, where=ended.where), "given up, and no fault"


def test_the_command_to_train_with_it_asks_for_the_same_rows_and_plan() -> None:
    import click

    from darwin.rl.cli.training_options import plan_options, row_options
    from darwin.rl.cli.tuning_page import _PASSED_ON

    asked = {one.name for one in click.command()(plan_options(row_options(lambda: None))).params}
    assert asked - set(_PASSED_ON) == {"seeds", "algo"}, "the recipe names the algorithm"


def test_the_space_is_printed_without_a_run(here: Call) -> None:
    code, out, err = here("rl", "tune", "--space")
    assert (code, err) == (0, "")
    assert "portfolio     sac   gamma          0 to 0.95" in out
    assert "gate          ppo   learning_rate  0.001 to 0.03, by its logarithm" in out


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (("--study", "taken"), 2, "was begun on another plan"),
        (("--study", "taken", "--total-timesteps", "4096", "--algo", "a2c"), 2,
         "was begun on another plan, another space"),
        (("--study", "taken", "--test-from", "2020-05-01"), 2, "was begun on another plan"),
        (("--study", "../taken"), 2, "is a name of letters"),
        (("--storage", "search.sqlite"), 2, "write sqlite:///search.sqlite"),
        (("--storage", "postgresql://ada@host:port/base"), 2, "write sqlite:///search.sqlite"),
        (("--storage", "sqlite://"), 2, "a search in memory"),
        (("--storage", "sqlite:///config.json"), 4, "file is not a database"),
        (("--storage", "nosuch://ada:secret@host/base"), 2, "no driver for this database"),
        (("--trials", "0"), 2, "0 is not in the range"),
        (("--timeout", "nan"), 2, "is not a number of seconds"),
        (("--jobs", "0"), 2, "0 is not in the range"),
        (("--ray-address", "auto"), 2, "add --engine ray"),
        (("--algo", "sac"), 2, "use ppo, a2c, dqn"),
        (("--run-ids", "plantet"), 2, "did you mean 'planted'?"),
    ],
    ids=lambda one: " ".join(one[-2:]) if isinstance(one, tuple) else "",
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_in_three_lines(
    more: tuple[str, ...], code: int, said: str, desk: Desk, here: Call
) -> None:
    if not (desk.folder / "taken").exists():
        (desk.folder / "taken").touch()
        begin = words("gate", "--study", "taken", "--timeout", "1e-9", "--total-timesteps", "4096")
        ended, out, _ = here(*begin)
        assert ended == 11
        assert "No trial was completed; there is no best recipe." in out
    ended, out, err = here(*words("gate", *more))
    assert ended == code, err
    assert said in err
    assert "secret" not in err
    assert 0 < len(err.splitlines()) <= 3
    assert out == ""

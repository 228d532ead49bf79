"""A search for a recipe: what it draws, when it gives up, and what it does with what is lost."""

# ruff: noqa: E402  what these imports need may be missing: skip before them

from __future__ import annotations

import json
import math
import sqlite3
import warnings
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Self

import pytest

pytest.importorskip("stable_baselines3")
optuna = pytest.importorskip("optuna")

from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from darwin.core.agents import GATE, META_LEARNER, PORTFOLIO
from darwin.errors import ConfigError
from darwin.rl.training.course import Plan
from darwin.rl.training.recipe_file import read_recipe, recipe_text, tree_of_recipe
from darwin.rl.training.recipes import A2C, PPO, Recipe, recipe_of
from darwin.rl.training.search import Ended, Looked, Lost, News, Search, Shown
from darwin.rl.training.search_space import SPACES, digest_of
from darwin.rl.training.search_study import Beat, kept_study

pytestmark = pytest.mark.slow
Answer = Callable[[int, Recipe], list[News]]


def gain(recipe: Recipe) -> float:
    """Best at a learning rate of 0.004 and ten epochs."""
    return -abs(math.log10(recipe.learning_rate / 0.004)) - abs(recipe.epochs - 10) / 50


def done(number: int, recipe: Recipe) -> list[News]:
    return [Ended(number, (Shown(gain(recipe)),), "the bench")]


class StoppedError(BaseException):
    """As a signal stops a search."""


class Bench:
    """An engine whose answers are worked out on the spot, oldest first."""

    def __init__(self, answer: Answer = done, slots: int = 1, stop_at: int | None = None) -> None:
        self.slots, self.given = slots, list[tuple[int, Recipe]]()
        self.answers = list[tuple[int, bool]]()
        self._answer, self._stop_at, self._news = answer, stop_at, list[News]()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._news.clear()

    def give(self, number: int, recipe: Recipe) -> None:
        self.given.append((number, recipe))
        if len(self.given) == self._stop_at:
            raise StoppedError
        self._news += self._answer(number, recipe)

    def wait(self, timeout_s: float) -> list[News]:
        return [self._news.pop(0)]

    def answer(self, number: int, go_on: bool) -> None:
        self.answers.append((number, go_on))
        if not go_on:
            self._news = [news for news in self._news if news.number != number]
            self._news.append(Ended(number, where="the bench"))


def plan(recipe: Recipe, seed: int = 0) -> Plan:
    return Plan(recipe, timesteps=1000, eval_freq=100, seed=seed, seeds=1)


def search(
    bench: Bench, trials: int, study: Any = None, *, pair: tuple[str, str] = (GATE, PPO),
    seed: int = 0, timeout_s: float | None = None,
) -> tuple[Any, list[FrozenTrial]]:  # fmt: skip
    """Search with `bench`; gives the study, and each trial as it was told when it had finished."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = study or optuna.create_study(direction="maximize")
    finished: list[FrozenTrial] = []
    Search(
        study, SPACES[pair], plan(recipe_of(*pair), seed), finished.append, lambda trials: None
    ).run(bench, trials, timeout_s)
    return study, finished


def states(study: Any) -> list[str]:
    return [trial.state.name for trial in study.trials]


@pytest.mark.parametrize("pair", SPACES, ids="-".join)
def test_the_default_recipe_is_tried_first_and_others_leave_what_is_not_searched_for(
    pair: tuple[str, str],
) -> None:
    bench = Bench(lambda number, recipe: [Ended(number, (Shown(0.1),))])
    search(bench, 3, pair=pair)
    default, *others = (recipe for _, recipe in bench.given)
    assert default == recipe_of(*pair)
    for other in others:
        assert other != default
        assert (other.algo, other.environments) == (default.algo, default.environments)
        assert len(set(other.hidden)) == 1
        assert (other.gamma == default.gamma) == (pair[0] != PORTFOLIO)


@pytest.mark.parametrize("stop_at", [1, 2, 7, 13])
def test_a_search_that_is_stopped_goes_on_to_the_same_recipes(stop_at: int) -> None:
    whole, _ = search(Bench(), 14)
    study = optuna.create_study(direction="maximize")
    with pytest.raises(StoppedError):
        search(Bench(stop_at=stop_at), 14, study)
    assert states(study) == ["COMPLETE"] * (stop_at - 1) + ["FAIL"]
    _, finished = search(Bench(), 14, study)
    assert len(finished) == 15 - stop_at
    kept = [trial for trial in study.trials if trial.state is TrialState.COMPLETE]
    assert [one.params for one in kept] == [one.params for one in whole.trials]
    assert [one.user_attrs["recipe"] for one in kept] == [
        one.user_attrs["recipe"] for one in whole.trials
    ]
    search(none := Bench(), 14, study)
    assert none.given == []


def test_a_search_finds_better_recipes_than_the_first_ones_and_another_seed_finds_others() -> None:
    study, finished = search(Bench(), 40)
    values = [trial.value for trial in finished]
    assert max(values[25:]) > max(values[:10])
    assert study.best_trial.params["learning_rate"] == pytest.approx(0.004, rel=0.3)
    _, others = search(Bench(), 3, seed=1)
    assert others[0].params == finished[0].params
    assert others[1].params != finished[1].params


def test_several_at_a_time_are_different_recipes_and_none_is_asked_for_too_much() -> None:
    bench = Bench(slots=4)
    study, finished = search(bench, 10)
    assert len(bench.given) == len(finished) == 10
    assert len({recipe for _, recipe in bench.given}) == 10
    assert sorted(trial.user_attrs["draw"] for trial in study.trials) == list(range(10))


def test_what_is_lost_is_tried_again_and_what_is_lost_twice_has_failed() -> None:
    bench = Bench()

    def answer(number: int, recipe: Recipe) -> list[News]:
        first = [one for one, _ in bench.given].count(number) == 1
        return [Lost(number, "killed")] if number == 2 or first else done(number, recipe)

    bench._answer = answer
    study, finished = search(bench, 4)
    assert [number for number, _ in bench.given] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert bench.given[0] == bench.given[1]
    assert states(study) == ["COMPLETE", "COMPLETE", "FAIL", "COMPLETE"]
    assert study.trials[2].user_attrs["fault"] == "lost 2 times: killed"
    assert [trial.number for trial in finished] == [0, 1, 2, 3], "a failed one counts as tried"


@pytest.mark.parametrize(
    ("ended", "fault"),
    [
        (Ended(0, (Shown(math.nan),)), "its gain is no number"),
        (Ended(0, fault="ValueError: nan"), "ValueError: nan"),
    ],
)
def test_a_recipe_that_cannot_be_computed_has_failed_and_the_search_ends(
    ended: Ended, fault: str
) -> None:
    study, _ = search(Bench(lambda number, recipe: [ended._replace(number=number)]), 3)
    assert states(study) == ["FAIL"] * 3
    assert {trial.user_attrs["fault"] for trial in study.trials} == {fault}


def test_a_recipe_below_the_median_of_the_others_at_a_look_is_given_up() -> None:
    def answer(number: int, recipe: Recipe) -> list[News]:
        value = -1.0 if number == 7 else float(number)
        looks: list[News] = [Looked(number, span, value) for span in (1, 2, 3)]
        return [*looks, Ended(number, (Shown(value),))]

    bench = Bench(answer)
    study, finished = search(bench, 9)
    assert states(study) == ["COMPLETE"] * 7 + ["PRUNED", "COMPLETE"]
    assert study.trials[7].intermediate_values == {1: -1.0, 2: -1.0}
    assert bench.answers.count((7, False)) == 1
    assert len(finished) == 9, "it counts among those that were asked for"


def test_once_the_time_is_over_no_recipe_is_begun() -> None:
    bench = Bench()
    study, _ = search(bench, 5, timeout_s=1e-9)
    assert bench.given == study.trials == []


def test_on_a_server_a_trial_is_failed_once_its_search_says_nothing(tmp_path: Path) -> None:
    file = tmp_path / "server.sqlite"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        storage = RDBStorage(f"sqlite:///{file}", heartbeat_interval=10, grace_period=60)
        study = optuna.create_study(storage=storage)
        dead, alive = study.ask(), study.ask()
        Beat(study, storage)([dead, alive])
        with closing(sqlite3.connect(file)) as database:
            database.execute("UPDATE trial_heartbeats SET heartbeat = '2020-01-01 00:00:00'")
            database.commit()
        Beat(study, storage, every_s=0.0)([alive])
    assert [trial.state for trial in study.trials] == [TrialState.FAIL, TrialState.RUNNING]
    assert dead.number == 0
    storage.remove_session()
    storage.engine.dispose()


def test_another_range_is_another_space() -> None:
    digests = {digest_of(space) for space in SPACES.values()}
    assert len(digests) == 6, "gate and meta-learner share theirs"


@pytest.mark.parametrize("pair", SPACES, ids="-".join)
def test_a_recipe_comes_back_from_its_file(pair: tuple[str, str], tmp_path: Path) -> None:
    agent, algo = pair
    bench = Bench(lambda number, recipe: [Ended(number, (Shown(0.0),))])
    search(bench, 2, pair=pair)
    recipe = bench.given[1][1]
    (tmp_path / "recipe.json").write_text(recipe_text(agent, recipe))
    assert read_recipe(tmp_path / "recipe.json", agent) == recipe != recipe_of(agent, algo)


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def said(**changes: Any) -> str:
    return json.dumps({**tree_of_recipe(GATE, recipe_of(GATE)), **changes})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (said(clip=math.nan), "holds NaN, which is no number"),
        (said(clip="0.2"), "'clip' is refused: Input should be a valid number"),
        (said(epochs=True), "'epochs' is refused: Input should be a valid integer"),
        (said(clp=0.2), "'clp' is refused"),
        (said(hidden=[]), "'hidden' is refused"),
        (said(hidden=[0]), "'hidden.0' is refused"),
        (said(averaging=1.0), "'averaging' is refused: Input should be less than 1"),
        (said(learning_rate=0), "'learning_rate' is refused: Input should be greater than 0"),
        (said(environments=1, steps=1), "one step in one environment is no rollout"),
        (said(algo="a2c"), "a2c does not read batch, epochs, clip"),
        (said(algo="sac"), "gate cannot be trained with sac"),
        (said(agent=PORTFOLIO), "no recipe of gate"),
        ('{"agent": "gate", "algo": "ppo", "clip": 0.1, "clip": 0.2}', "the key 'clip' twice"),
        ('{"agent": "gate"}', "'algo' is refused: Field required"),
        ("[]", "is not a JSON object"),
        ("{", "is not valid JSON"),
        (" " * 70_000, "larger than 64 KiB"),
    ],
    ids=lambda text: text[:40],
)
def test_a_recipe_that_cannot_be_meant_is_refused(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        read_recipe(written(tmp_path / "recipe.json", text), GATE)
    assert told in str(refused.value)
    assert len(refused.value.lines()) <= 3


def test_what_a_recipe_leaves_out_is_as_by_default(tmp_path: Path) -> None:
    file = written(tmp_path / "short.json", '{"agent": "meta_learner", "algo": "a2c", "steps": 9}')
    found = read_recipe(file, META_LEARNER)
    assert found.steps == 9
    assert found.learning_rate == recipe_of(META_LEARNER, A2C).learning_rate
    assert found.algo == A2C


@pytest.mark.parametrize("query", ["timeout=abc", "detect_types=x"])
def test_an_option_of_a_storage_that_means_nothing_is_one_clear_error(query, tmp_path):
    url = f"sqlite:///{tmp_path / 'search.sqlite'}?{query}"
    opened = kept_study(url, "one", {})
    with pytest.raises(ConfigError, match="cannot be opened as it is written") as refused, opened:
        pass
    assert len(refused.value.lines()) == 3

"""A course for an agent of books: what is planted is found, what is not is not handed over."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from darwin.allocation.allocator import allocator_page
from darwin.allocation.market import MARKET_PAGE
from darwin.allocation.reward import RETURN_ALONE
from darwin.core.rebalance import ALLOCATOR, MARKET
from darwin.data.planted_book import PlantedBook
from darwin.errors import ConfigError, DataError
from darwin.rl.serving import spec_file, weights_file
from darwin.rl.serving.book_policy import book_policy_of
from darwin.rl.serving.validation import validate_files
from darwin.rl.training.book_ground import Terms
from darwin.rl.training.book_judge import Figures, Judged, is_led, judged, verdict
from darwin.rl.training.book_recipes import ALGORITHMS, book_recipe
from darwin.rl.training.book_served import ground_of_model, served_targets
from darwin.stats.intervals import Interval
from tests.rl.books.test_experiences import recorded

pytest.importorskip("stable_baselines3")
from darwin.rl.training.book_course import BookCourse, BookPlan, run_book_course

TERMS = Terms(1, 0.0005, RETURN_ALONE)


def market_course(edge: float, *, episodes: int = 60, algo: str = "ppo", seed: int = 0,
                  folder: Path | None = None) -> BookCourse:  # fmt: skip
    recipe = replace(book_recipe(MARKET, algo), hidden=(32,), batch=512, learning_rate=2e-3)
    panel = PlantedBook(1, 8_000, seed + 3, edge).panel()
    plan = BookPlan(recipe, episodes, TERMS, seed, length=100)
    return run_book_course(MARKET_PAGE, panel, plan, folder=folder)


@pytest.fixture(scope="module")
def learned() -> BookCourse:
    return market_course(2.0, episodes=200)


@pytest.mark.slow
def test_what_is_planted_is_found_and_may_be_handed_over(learned: BookCourse) -> None:
    assert learned.learned
    assert learned.judged.decisive.low > 0.0
    assert learned.verdict().startswith("Learned: ")
    card = validate_files(MARKET, learned.files)
    assert card.spec.held_out is not None and card.spec.held_out.gain > 0.0


@pytest.mark.slow
def test_what_is_served_walks_as_what_was_judged(learned: BookCourse) -> None:
    policy = book_policy_of(*(learned.files[n] for n in (spec_file.FILE, weights_file.FILE)))
    panel = learned.ground.panel
    on, over = ground_of_model(MARKET_PAGE, panel, policy, TERMS, None)
    assert over == learned.stretches.test
    found = judged(on, over, *served_targets(on, over, policy))
    assert found.figures[0][1:] == pytest.approx(learned.judged.figures[0][1:], rel=1e-6)
    assert found.lead == pytest.approx(learned.judged.lead, rel=1e-6)


@pytest.mark.slow
def test_where_nothing_is_planted_nothing_is_handed_over() -> None:
    found = market_course(0.0)
    assert not found.learned
    assert found.verdict().startswith("Nothing learnable found: ")


@pytest.mark.slow
def test_a_training_that_was_stopped_comes_to_the_same_weights(tmp_path: Path) -> None:
    whole = market_course(1.0, episodes=80)
    market_course(1.0, episodes=40, folder=tmp_path)
    on = market_course(1.0, episodes=80, folder=tmp_path)
    for one, other in zip(whole.trained.network.layers, on.trained.network.layers, strict=True):
        np.testing.assert_array_equal(one[0], other[0])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("agent", "algo"), [(agent, algo) for agent, algos in ALGORITHMS.items() for algo in algos]
)
def test_every_pair_of_agent_and_algorithm_trains_and_exports(agent: str, algo: str) -> None:
    recipe = replace(book_recipe(agent, algo), hidden=(16, 16), environments=8, batch=64)
    page = allocator_page(3) if agent == ALLOCATOR else MARKET_PAGE
    panel = PlantedBook(page.assets, 2_500, 1, 1.0).panel()
    plan = BookPlan(recipe, 20, Terms(2, 0.0005, RETURN_ALONE), length=50)
    found = run_book_course(page, panel, plan)
    policy = book_policy_of(*(found.files[n] for n in (spec_file.FILE, weights_file.FILE)))
    assert policy.spec.book is not None and policy.spec.book.every == 2
    assert policy.spec.book.symbols == panel.symbols
    assert np.isfinite(found.trained.best.reward)


def test_a_pair_that_does_not_fit_is_named() -> None:
    for agent, algo in ((ALLOCATOR, "dqn"), (MARKET, "sac"), (ALLOCATOR, "a2c")):
        with pytest.raises(ConfigError, match=f"{agent} cannot be trained with {algo}"):
            book_recipe(agent, algo)


def test_too_few_bars_are_refused() -> None:
    plan = BookPlan(book_recipe(MARKET), 1, TERMS)
    with pytest.raises(DataError, match="too few"):
        run_book_course(MARKET_PAGE, PlantedBook(1, 900, 1).panel(), plan)


def test_experiences_may_not_reach_into_what_validates_them() -> None:
    told = recorded()
    panel = PlantedBook(1, 3_000, 9).panel()
    late = replace(told, time=told.time + int(panel.time[-1] - told.time[0]))
    plan = BookPlan(book_recipe(MARKET), 1, TERMS)
    with pytest.raises(ConfigError, match="reach into the bars"):
        run_book_course(MARKET_PAGE, panel, plan, experiences=late)
    with pytest.raises(ConfigError, match="other observations"):
        run_book_course(MARKET_PAGE, panel, plan, experiences=replace(told, schema="0" * 64))


@pytest.mark.slow
def test_a_position_learns_from_experiences_alone() -> None:
    told = recorded()
    recipe = replace(book_recipe(MARKET), hidden=(16,), environments=16, batch=128)
    panel = PlantedBook(1, 6_000, 5, 1.0, start_ms=int(told.time[0])).panel()
    plan = BookPlan(recipe, 20, TERMS, length=50)
    found = run_book_course(MARKET_PAGE, panel, plan, experiences=told)
    assert found.trained.history[-1].steps >= plan.timesteps


def test_a_lead_that_95_percent_lets_pass_is_none_yet() -> None:
    nothing = np.zeros(0)
    lead, wide = Interval(0.001, 0.0001, 0.0019), Interval(0.001, -0.0001, 0.0021)
    figures = (Figures(MARKET, 0.1, 1.0, -0.1, 0.0, 0.0), Figures("flat", *[0.0] * 5))
    found = Judged(figures, lead, wide, 100, 1.0, nothing.astype(np.int64), (), nothing.astype(int))
    assert not is_led(found)
    assert verdict(found).startswith("Nothing learnable found: +10.00 bps a day beyond flat")
    assert is_led(replace(found, decisive=lead))
    unknown = replace(found, decisive=Interval(0.001, float("nan"), float("nan")))
    assert not is_led(unknown) and "too few for an interval" in verdict(unknown)


@pytest.mark.slow
def test_an_allocator_beats_equal_weights_where_assets_can_be_told_apart() -> None:
    recipe = replace(book_recipe(ALLOCATOR), hidden=(32,), batch=256, learning_rate=2e-3)
    panel = PlantedBook(3, 7_000, 2, 1.0).panel()
    plan = BookPlan(recipe, 200, TERMS, length=100)
    found = run_book_course(allocator_page(3), panel, plan)
    assert found.learned and found.judged.lead.low > 0.0
    assert found.judged.figures[0].total_return > found.judged.figures[1].total_return

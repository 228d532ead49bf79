"""The world of books pays what prices, costs and the reward say, however many books there are."""

from __future__ import annotations

import itertools
import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from darwin.allocation.reward import RETURN_ALONE, Reward
from darwin.allocation.weights import REACH, softmax
from darwin.core.rebalance import ALLOCATOR, MARKET
from darwin.errors import ConfigError
from darwin.rl.training.book_ground import Stretch, Terms, cut, normaliser_of
from darwin.rl.training.book_world import Bent, BookWorld
from tests.rl.books.grounds import AGENTS, ground, stretch

gymnasium = pytest.importorskip("gymnasium")
FREE = RETURN_ALONE


def random_actions(agent: str, size: int, rng: np.random.Generator) -> np.ndarray:
    if agent == MARKET:
        return rng.integers(0, 3, size)
    return rng.normal(0.0, 2.0, (size, 4)).astype(np.float32)


def test_constant_weights_without_costs_earn_what_the_formula_says() -> None:
    on = ground(ALLOCATOR, cost_rate=0.0, reward=FREE)
    weights = np.array([0.5, 0.2, 0.1])
    world = BookWorld(on, stretch(), 1, length=500, seed=1)
    world.start()
    first = int(world.rows[0])
    wealth = 1.0
    for _ in range(499):
        wealth *= 1.0 + float(world.step(weights[None]).rewards[0])
    opens, closes = on.panel.open, on.panel.close
    expected, held = 1.0, on.baseline
    for row in range(first, first + 499):
        gap = opens[row + 1] / closes[row]
        expected *= 1.0 + held @ (gap - 1.0)
        body = closes[row + 1] / opens[row + 1]
        grown = 1.0 + weights @ (body - 1.0)
        expected *= grown
        held = weights * body / grown
    assert wealth == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("every", [1, 3])
def test_one_environment_is_the_batched_world_step_for_step(agent: str, every: int) -> None:
    import darwin.rl.training.book_env as book_env

    on, over = ground(agent, every=every), stretch(every=every)
    env = gymnasium.make(book_env.IDS[agent], ground=on, stretch=over, length=40)
    world = BookWorld(on, over, 1, length=40)
    rng = np.random.default_rng(2)
    seen, _ = env.reset(seed=9)
    np.testing.assert_array_equal(seen, world.start(9)[0])
    for _ in range(150):
        action = random_actions(agent, 1, rng)
        told = env.step(action[0])
        moved = world.step(book_env.targets_of(on.page, action))
        assert told[1] == moved.rewards[0]
        np.testing.assert_array_equal(told[0], moved.last[0])
        assert (told[2] or told[3]) == moved.ended[0]
        if moved.ended[0]:
            seen, _ = env.reset()
            world.start()


@pytest.mark.parametrize("agent", AGENTS)
def test_a_book_gives_the_same_bits_among_others(agent: str) -> None:
    import darwin.rl.training.book_env as book_env

    on = ground(agent)
    many = BookWorld(on, stretch(), 5, length=60, seed=4)
    many.start()
    alone = BookWorld(on, stretch(), 1, length=60, seed=4)
    alone.start()
    alone.restore({name: one[2:3] for name, one in many.state().items()})
    rng = np.random.default_rng(3)
    for _ in range(59):
        actions = random_actions(agent, 5, rng)
        targets = book_env.targets_of(on.page, actions)
        both = many.step(targets), alone.step(targets[2:3])
        np.testing.assert_array_equal(both[0].rewards[2:3], both[1].rewards)
        np.testing.assert_array_equal(both[0].last[2:3], both[1].last)


def test_an_action_that_is_no_number_is_refused() -> None:
    import darwin.rl.training.book_env as book_env

    env = gymnasium.make(
        book_env.IDS["allocator"], ground=ground("allocator"), stretch=stretch(),
        disable_env_checker=True,
    )  # fmt: skip
    env.reset(seed=1)
    with pytest.raises(ConfigError, match="no number"):
        env.step(np.full(env.action_space.shape, np.nan, dtype=np.float32))


@pytest.mark.parametrize("agent", AGENTS)
def test_both_checkers_of_environments_pass(agent: str) -> None:
    from gymnasium.utils.env_checker import check_env as gymnasium_check
    from stable_baselines3.common.env_checker import check_env as sb3_check

    import darwin.rl.training.book_env as book_env

    env = gymnasium.make(book_env.IDS[agent], ground=ground(agent), stretch=stretch())
    with warnings.catch_warnings():
        # outputs are meant to be unconstrained: they are no share of anything before the softmax
        warnings.filterwarnings("ignore", message=".*symmetric and normalized.*")
        warnings.filterwarnings("ignore", message=".*action space.*")
        gymnasium_check(env.unwrapped, skip_render_check=True)
        sb3_check(env.unwrapped)


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.float64, (3, 4), elements=st.floats(-1e9, 1e9)),
    st.floats(0.0, 0.5),
)
def test_weights_are_valid_whatever_is_asked_and_however_a_book_stands(
    outputs: np.ndarray, cost_rate: float
) -> None:
    on = ground(ALLOCATOR)
    on = replace(on, terms=on.terms._replace(cost_rate=cost_rate))
    world = BookWorld(on, stretch(), 3, length=30)
    world.start(1)
    for turn in range(6):
        shares = softmax(np.roll(outputs, turn, axis=1))
        assert (shares >= 0.0).all()
        np.testing.assert_allclose(shares.sum(axis=1), 1.0, atol=1e-12)
        moved = world.step(shares[:, :3])
        weights = world.made.weights
        assert (weights >= 0.0).all()
        assert (weights.sum(axis=1) <= 1.0 + 1e-9).all()
        assert np.isfinite(moved.rewards).all() and np.isfinite(moved.observations).all()


def test_no_weight_is_more_than_the_reach_allows_times_another() -> None:
    shares = softmax(np.array([[1e6, -1e6, 0.0]]))
    assert shares[0, 0] / shares[0, 1] == pytest.approx(np.exp(2 * REACH))


@pytest.mark.parametrize("agent", AGENTS)
def test_higher_costs_never_pay_more(agent: str) -> None:
    import darwin.rl.training.book_env as book_env

    paid = []
    for cost_rate in (0.0, 0.0005, 0.002, 0.02):
        on = ground(agent, cost_rate=cost_rate)
        world = BookWorld(on, stretch(), 16, length=50, seed=6)
        world.start()
        rng = np.random.default_rng(8)
        steps = [world.step(book_env.targets_of(on.page, random_actions(agent, 16, rng)))
                 for _ in range(49)]  # fmt: skip
        paid.append(np.array([one.rewards for one in steps]))
    for cheaper, dearer in itertools.pairwise(paid):
        assert (dearer.sum(axis=0) <= cheaper.sum(axis=0) + 1e-12).all()
        assert (dearer[0] <= cheaper[0] + 1e-15).all()


def test_each_part_of_the_reward_is_paid_by_its_weight() -> None:
    returns, volatility = np.array([0.01, 0.01]), np.array([0.02, 0.02])
    drawdown, cost = np.array([-0.04, -0.15]), np.array([0.0, 0.001])
    paid = Reward().pay(returns, volatility, drawdown, cost)
    np.testing.assert_allclose(paid, [0.01 - 0.002, 0.01 - 0.002 - 2 * 0.10 - 10 * 0.001])
    other = Reward(volatility=1.0, drawdown=0.5, drawdown_from=0.1, cost=0.0)
    np.testing.assert_allclose(
        other.pay(returns, volatility, drawdown, cost), [-0.01, -0.01 - 0.5 * 0.05]
    )


def test_the_volatility_is_that_of_the_last_steps_of_the_same_episode() -> None:
    reward = Reward(volatility=1.0, drawdown=0.0, cost=0.0, steps=4)
    on = ground(ALLOCATOR, reward=reward, cost_rate=0.0)
    world = BookWorld(on, stretch(), 1, length=50)
    world.start(3)
    returns: list[float] = []
    for _ in range(12):
        moved = world.step(np.array([[0.6, 0.3, 0.0]]))
        returns.append(float(world.made.growth[0] - 1.0))
        known = returns[-4:]
        spread = float(np.std(known)) if len(known) > 1 else 0.0
        assert moved.rewards[0] == pytest.approx(returns[-1] - spread, abs=1e-12)


def test_where_a_row_is_strange_the_baseline_stands() -> None:
    on = ground(ALLOCATOR)
    wild = replace(on, columns=on.columns + np.float32(1e6))
    assert not wild.asked.any()
    one, other = (BookWorld(wild, stretch(), 4, length=20, seed=2) for _ in range(2))
    one.start(), other.start()
    for _ in range(10):
        bold = one.step(np.tile([1.0, 0.0, 0.0], (4, 1)))
        meek = other.step(np.tile(on.baseline, (4, 1)))
        np.testing.assert_array_equal(bold.rewards, meek.rewards)


def test_what_the_baseline_is_paid_is_taken_out_and_no_more() -> None:
    on = ground(ALLOCATOR)
    plain = BookWorld(on, stretch(), 8, length=30, seed=2)
    beside = BookWorld(on, stretch(), 8, length=30, seed=2, bent=Bent(True, 3.0))
    base = BookWorld(on, stretch(), 8, length=30, seed=2)
    rng = np.random.default_rng(0)
    for world in (plain, beside, base):
        world.start()
    for _ in range(75):
        targets = softmax(rng.normal(size=(8, 4)))[:, :3]
        paid = plain.step(targets).rewards
        stood = base.step(np.tile(on.baseline, (8, 1))).rewards
        np.testing.assert_allclose(beside.step(targets).rewards, 3.0 * (paid - stood), atol=1e-12)


def test_a_short_that_loses_all_ends_for_good() -> None:
    on = ground(MARKET)
    prices = on.panel.close.copy()
    prices[500:] *= 3.0
    panel = replace(on.panel, close=prices, high=np.maximum(on.panel.high, prices))
    world = BookWorld(replace(on, panel=panel), Stretch(490, 520), 1, length=25)
    world.start(0)
    ends = [world.step(np.array([[-1.0]])) for _ in range(20)]
    over = [bool(one.ruined[0]) for one in ends if one.ruined is not None]
    assert over.count(True) >= 1
    first = ends[over.index(True)]
    assert first.ended[0] and first.rewards[0] == -1.0


@pytest.mark.parametrize("agent", AGENTS)
def test_a_world_that_is_restored_goes_on_as_it_would_have(agent: str) -> None:
    import darwin.rl.training.book_env as book_env

    on, rng = ground(agent), np.random.default_rng(1)
    world = BookWorld(on, stretch(), 6, length=20, seed=1, bent=Bent(True))
    world.start()
    for _ in range(13):
        world.step(book_env.targets_of(on.page, random_actions(agent, 6, rng)))
    other = BookWorld(on, stretch(), 6, length=20, seed=99, bent=Bent(True))
    other.start()
    other.restore(world.state())
    other.chance().bit_generator.state = world.chance().bit_generator.state
    for _ in range(30):
        targets = book_env.targets_of(on.page, random_actions(agent, 6, rng))
        one, two = world.step(targets), other.step(targets)
        np.testing.assert_array_equal(one.rewards, two.rewards)
        np.testing.assert_array_equal(one.observations, two.observations)


def test_between_stretches_no_bar_is_seen_by_two() -> None:
    on = ground(ALLOCATOR, bars=3_000)
    for test_from in (None, int(on.panel.time[2_000])):
        train, validation, test = cut(on.page, on.panel, 2, test_from)
        assert train.start == on.page.warmup
        assert validation.start - on.page.warmup >= train.stop + 1
        assert test.start - on.page.warmup >= validation.stop
        assert test.stop == len(on.panel) - 2
        if test_from is not None:
            assert on.panel.time[test.start] == test_from


def test_training_rows_alone_standardise() -> None:
    on = ground(ALLOCATOR, bars=3_000)
    rows = on.columns[200:1_000]
    found = normaliser_of(on.page, rows)
    np.testing.assert_allclose(found.mean[: rows.shape[1]], rows.mean(axis=0), atol=1e-4)
    assert found.sd[-1] == pytest.approx(on.page.scales[-1].sd)


def test_terms_without_a_word_are_those_of_the_field() -> None:
    assert Terms().reward == Reward(0.1, 2.0, 0.05, 10.0)

"""The training worlds pay what pages pay, however many environments there are."""

from __future__ import annotations

import numpy as np
import pytest

from darwin.core.agents import GATE, META_LEARNER, PORTFOLIO
from darwin.rl.agents import gate, portfolio
from darwin.rl.agents.pages import PAGES
from darwin.rl.training.rows import Normaliser, Rows, without_strange
from darwin.rl.training.worlds import AccountWorld, BudgetWorld, TableWorld

HOUR_MS = 3_600_000
gymnasium = pytest.importorskip("gymnasium")


def made_rows(agent: str, n: int = 200, seed: int = 0) -> Rows:
    """Candidates by chance, an hour apart, each settled within twelve hours."""
    page, rng = PAGES[agent], np.random.default_rng(seed)
    observations = rng.normal(size=(n, len(page.names))).astype(np.float32)
    if agent == PORTFOLIO:
        observations[:, page.place("drawdown")] = -rng.uniform(0, 0.2, n)
        observations[:, page.place("equity_growth")] = rng.normal(0, 0.1, n)
    decided = np.arange(1, n + 1) * HOUR_MS
    return Rows(
        page=page,
        ids=np.array([f"{i:016x}" for i in range(n)], dtype="S16"),
        observations=observations,
        decided=decided,
        settled=decided + rng.integers(1, 12, n) * HOUR_MS,
        r=rng.choice([-1.0, 2.0, 0.3], n),
        take=rng.random(n) < 0.6,
        call_cost_r=np.full(n, 0.002),
        symbol=np.zeros(n, dtype=np.int64),
        stop=rng.uniform(0.01, 0.05, n),
        symbols=("BTC/USDT",),
        risk=0.01,
        most_exposure=1.0,
    )


@pytest.mark.parametrize("agent", [GATE, META_LEARNER])
def test_a_pass_over_the_rows_shows_each_candidate_once_and_pays_what_its_page_pays(
    agent: str,
) -> None:
    rows = made_rows(agent)
    normaliser = Normaliser.of(rows)
    seen = normaliser(rows.observations)
    world = TableWorld(rows, normaliser, size=8, seed=3)
    rng, met = np.random.default_rng(1), []
    shown = world.start()
    for _ in range(len(rows) // 8):
        at = [int(np.flatnonzero((seen == one).all(axis=1))[0]) for one in shown]
        met += at
        actions = rng.integers(0, len(rows.page.actions), 8).astype(float)
        moved = world.step(actions)
        expected = [rows.rewards[row, int(code)] for row, code in zip(at, actions, strict=True)]
        np.testing.assert_array_equal(moved.rewards, expected)
        assert moved.ended.all()
        shown = moved.observations
    assert sorted(met) == list(range(len(rows)))


def test_a_pass_is_worth_what_the_expert_makes_of_it_less_its_call() -> None:
    rows = made_rows(GATE)
    np.testing.assert_array_equal(rows.rewards[:, 0], 0.0)
    np.testing.assert_allclose(rows.rewards[:, 1], np.where(rows.take, rows.r, 0.0) - 0.002)


def test_a_budget_turns_the_passes_beyond_it_into_skips() -> None:
    rows = made_rows(GATE)
    world = BudgetWorld(rows, Normaliser.of(rows), 4, calls=3, stretch=10)
    world.start(seed=1)
    for _ in range(5):
        paid = [world.step(np.full(4, gate.PAGE.baseline)) for _ in range(10)]
        rewards = np.array([moved.rewards for moved in paid])
        assert (rewards[:3] != 0.0).all()
        assert (rewards[3:] == 0.0).all()
        assert [moved.ended.all() for moved in paid] == [False] * 9 + [True]


def slow_account(rows: Rows, start: int, steps: int, sizes: np.ndarray) -> list[tuple[float, ...]]:
    """One account, candidate by candidate, in plain Python."""
    told = rows.observations[start].astype(float)
    equity = float(np.exp(told[rows.page.place("equity_growth")]))
    peak = equity / max(1.0 + told[rows.page.place("drawdown")], 0.05)
    open_: list[tuple[int, float, float]] = []
    told_rows = []
    for step in range(steps):
        row = start + step
        size = sizes[step]
        worth = size * min(rows.risk / rows.stop[row], rows.most_exposure) * equity
        risk = min(rows.risk, rows.most_exposure * rows.stop[row])
        if size > 0.0:
            open_.append((int(rows.settled[row]), worth, size * risk * equity * rows.r[row]))
        drawdown, exposure = equity / peak - 1.0, sum(one[1] for one in open_) / equity
        reward = (
            size * rows.r[row]
            - portfolio.DRAWDOWN_COST_R * max(-drawdown - portfolio.DRAWDOWN_FROM, 0.0)
            - portfolio.EXPOSURE_COST_R * exposure
        )
        if row + 1 < len(rows):
            over = [one for one in open_ if one[0] <= rows.decided[row + 1]]
            open_ = [one for one in open_ if one[0] > rows.decided[row + 1]]
            equity += sum(one[2] for one in over)
            peak = max(peak, equity)
        told_rows.append(
            (reward, sum(one[1] for one in open_) / equity, len(open_), equity / peak - 1.0,
             float(np.clip(np.log(equity), -1.0, 1.0)))
        )  # fmt: skip
    return told_rows


def test_a_running_account_is_that_of_one_kept_by_hand() -> None:
    rows = made_rows(PORTFOLIO)
    page = rows.page
    flat = Normaliser(np.zeros(len(page.names)), np.ones(len(page.names)))
    world = AccountWorld(rows, flat, 16, stretch=40, seed=5)
    shown = world.start()
    starts = [int(np.flatnonzero(rows.observations[:, 0] == one[0])[0]) for one in shown]
    sizes = np.random.default_rng(2).choice([0.0, 0.25, 1.0], (40, 16))
    moved = [world.step(sizes[step]) for step in range(40)]
    names = ("exposure", "open_positions", "drawdown", "equity_growth")
    for env, start in enumerate(starts):
        expected = slow_account(rows, start, 40, sizes[:, env])
        for step, (reward, *account) in enumerate(expected):
            assert moved[step].rewards[env] == pytest.approx(reward, abs=1e-9)
            found = [moved[step].last[env, page.place(name)] for name in names]
            if start + step + 1 < len(rows):
                np.testing.assert_allclose(found, account, rtol=1e-5, atol=1e-6)
    assert moved[-1].ended.all()
    assert not any(one.ended.any() for one in moved[:-1])


@pytest.mark.parametrize("agent", [GATE, META_LEARNER, PORTFOLIO])
def test_what_was_kept_of_a_world_goes_on_as_the_world_did(agent: str) -> None:
    rows = made_rows(agent)
    normaliser = Normaliser.of(rows)

    def new(seed: int) -> TableWorld | AccountWorld:
        return (AccountWorld if agent == PORTFOLIO else TableWorld)(rows, normaliser, 4, seed=seed)

    world, other = new(1), new(2)
    world.start()
    other.start()
    for _ in range(30):
        world.step(np.ones(4))
    other.restore(world.state())
    other.chance().bit_generator.state = world.chance().bit_generator.state
    for _ in range(200):
        np.testing.assert_array_equal(world.look(), other.look())
        for one, two in zip(world.step(np.ones(4)), other.step(np.ones(4)), strict=True):
            np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("agent", [GATE, META_LEARNER, PORTFOLIO])
def test_the_scalar_environment_is_one_of_the_batched_ones_and_passes_both_checks(
    agent: str,
) -> None:
    from gymnasium.utils.env_checker import check_env
    from stable_baselines3.common.env_checker import check_env as check_sb3

    from darwin.rl.training import gym_env

    rows = made_rows(agent)
    normaliser = Normaliser.of(rows)
    env = gymnasium.make(gym_env.IDS[agent], rows=rows, normaliser=normaliser).unwrapped
    check_env(env, skip_render_check=True)
    check_sb3(env)
    world = (AccountWorld if agent == PORTFOLIO else TableWorld)(rows, normaliser, 1)
    seen, _ = env.reset(seed=11)
    np.testing.assert_array_equal(seen, world.start(11)[0])
    rng = np.random.default_rng(0)
    for _ in range(300):
        action = rng.uniform(-1, 1, 1).astype(np.float32) if agent == PORTFOLIO else rng.integers(2)
        own = (float(action[0]) + 1) / 2 if agent == PORTFOLIO else float(action)
        moved = world.step(np.array([own]))
        seen, reward, ended, cut, _ = env.step(action)
        np.testing.assert_allclose(seen, moved.last[0], rtol=1e-6, atol=1e-7)
        assert reward == pytest.approx(moved.rewards[0])
        assert (ended or cut) == moved.ended[0]
        if ended or cut:
            break


def test_rows_far_from_the_others_are_left_out_until_none_is_far() -> None:
    rows = made_rows(GATE, n=2000)
    spoilt = rows.observations.copy()
    spoilt[7, 3], spoilt[9, 4] = 1e6, 400.0
    kept, normaliser = without_strange(rows.with_observations(spoilt))
    assert dict(kept.left_out) == {"beyond 10 sd": 2}
    assert not np.isin(rows.ids[[7, 9]], kept.ids).any()
    assert not normaliser.is_strange(kept.observations).any()
    assert np.abs(normaliser.mean).max() < 0.2


@pytest.mark.parametrize("agent", [GATE, META_LEARNER, PORTFOLIO])
def test_how_far_an_account_fell_or_grew_is_never_strange(agent: str) -> None:
    rows, page = made_rows(agent), PAGES[agent]
    drifting = {
        name: ends
        for name, ends in {
            "drawdown": (-1.0, 0.0), "equity_growth": (-1.0, 1.0),
            "accuracy_by_playbook": (0.0, 1.0), "accuracy_by_symbol": (0.0, 1.0),
        }.items()
        if name in page.names
    }  # fmt: skip
    for near in (0, 1):
        calm = rows.observations.copy()
        for name, ends in drifting.items():
            calm[:, page.place(name)] = ends[near]
        normaliser = Normaliser.of(rows.with_observations(calm))
        ruined = calm.copy()
        for name, ends in drifting.items():
            ruined[:, page.place(name)] = ends[1 - near]
        assert not normaliser.is_strange(ruined).any()
        ruined[:, page.place("exposure")] = 100.0
        assert normaliser.is_strange(ruined).all()

"""A position learns from recorded experiences as it would from the prices behind them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from darwin.allocation.experiences import Experiences
from darwin.allocation.market import MARKET_PAGE, WEIGHTS
from darwin.allocation.reward import RETURN_ALONE
from darwin.core.rebalance import MARKET
from darwin.errors import DataError
from darwin.rl.training.book_world import BookWorld
from darwin.rl.training.experience_file import read_experiences, write_experiences
from darwin.rl.training.recorded_world import RecordedWorld
from tests.rl.books.grounds import ground, stretch

pytest.importorskip("gymnasium")
COST = 0.001


def recorded(runs: int = 1) -> Experiences:
    """What an observing run over the planted world would have recorded, in `runs` pieces."""
    on, over = ground(MARKET, cost_rate=COST), stretch()
    rows = over.rows(1)
    moments = np.zeros((len(rows), 3), dtype=np.float32)
    _, body, carry = (one[rows] for one in on.holding)
    earned = np.array(WEIGHTS) * (body - 1.0 - carry)  # the planted market opens where it closed
    ends = np.zeros(len(rows), dtype=bool)
    ends[np.linspace(0, len(rows), runs + 1).astype(int)[1:] - 1] = True
    return Experiences(
        MARKET_PAGE.schema, np.hstack([on.columns[rows], moments]), earned, ends,
        on.panel.time[rows] + on.panel.timeframe.ms,
    )  # fmt: skip


def test_what_was_recorded_pays_what_prices_pay() -> None:
    on = ground(MARKET, cost_rate=COST)
    told = recorded()
    real = BookWorld(on, stretch(), 4, length=60, seed=1)
    replayed = RecordedWorld(
        MARKET_PAGE, told, on.normaliser, RETURN_ALONE, COST, 4, length=60, seed=1
    )
    real.start()
    replayed.start()
    state = replayed.state()
    state["_at"] = real.state()["_at"] - stretch().start
    state["_end"] = np.full(4, len(told) - 1)
    replayed.restore(state)
    rng = np.random.default_rng(0)
    for _ in range(59):
        targets = np.take(WEIGHTS, rng.integers(0, 2, 4))[:, None]  # a short drifts between them
        one, two = real.step(targets), replayed.step(targets)
        np.testing.assert_allclose(one.rewards, two.rewards, atol=1e-12)
        np.testing.assert_allclose(one.last, two.last, atol=1e-5)


def test_a_change_of_position_is_charged_and_keeping_it_is_not() -> None:
    on = ground(MARKET)
    told = replace(recorded(), earned=np.zeros_like(recorded().earned))
    world = RecordedWorld(MARKET_PAGE, told, on.normaliser, RETURN_ALONE, 0.01, 1, length=50)
    world.start()
    paid = [float(world.step(np.array([[to]])).rewards[0]) for to in (1.0, 1.0, -1.0, -1.0, 0.0)]
    np.testing.assert_allclose(paid, [-0.01, 0.0, -0.02, 0.0, -0.01], atol=1e-15)


def test_no_episode_goes_on_from_one_run_to_the_next() -> None:
    told = recorded(runs=7)
    on = ground(MARKET)
    world = RecordedWorld(MARKET_PAGE, told, on.normaliser, RETURN_ALONE, COST, 16, length=500)
    world.start()
    for _ in range(300):
        before = world.rows.copy()
        moved = world.step(np.zeros((16, 1)))
        same_run = told.last_of_run[before] == told.last_of_run[np.minimum(before + 1, len(told))]
        assert same_run.all()
        assert (moved.ended == told.ends[before + 1]).all()


def test_experiences_come_back_from_their_file(tmp_path: Path) -> None:
    told, path = recorded(3), tmp_path / "observed.npz"
    write_experiences(path, told)
    again = read_experiences(path)
    assert again.schema == told.schema
    for name in ("observations", "earned", "ends", "time"):
        np.testing.assert_array_equal(getattr(again, name), getattr(told, name))
    assert [one.name for one in tmp_path.iterdir()] == ["observed.npz"]


def test_what_is_no_file_of_experiences_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.npz"
    other.write_bytes(b"PK nothing of the kind")
    np.savez(tmp_path / "half.npz", observations=np.zeros((3, 2)))
    np.savez(tmp_path / "objects.npz", schema=np.array([{}], dtype=object))
    for name in ("other.npz", "half.npz", "objects.npz", "missing.npz"):
        with pytest.raises(DataError, match="no file of experiences"):
            read_experiences(tmp_path / name)


def test_experiences_that_do_not_fit_together_are_refused() -> None:
    told = recorded()
    for change in (
        {"earned": told.earned[:-1]},
        {"ends": np.zeros_like(told.ends)},
        {"earned": np.full_like(told.earned, np.nan)},
        {"observations": told.observations[:0]},
    ):
        with pytest.raises(DataError):
            replace(told, **change)
    alone = replace(told, ends=np.ones_like(told.ends))
    with pytest.raises(DataError, match="a single decision"):
        RecordedWorld(MARKET_PAGE, alone, ground(MARKET).normaliser, RETURN_ALONE, COST, 2)

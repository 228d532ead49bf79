"""Superior predictive ability: who is called better, and how often that is chance."""

from __future__ import annotations

import numpy as np
import pytest

from darwin.stats.superior import best_of_all_p_values, is_installed, superior_p_value

REPS = 500


def chance(seed=0):
    return np.random.default_rng(seed)


def noise(seed, n=300, k=4):
    rng = np.random.default_rng([7, seed])
    return 0.02 * (0.7 * rng.standard_normal((n, 1)) + 0.7 * rng.standard_normal((n, k)))


def test_the_better_of_two_is_known_and_the_worse_is_not():
    gains = noise(1, k=2) + np.array([0.006, 0.0])
    assert superior_p_value(gains[:, 1], gains[:, :1], chance(), REPS) <= 0.01
    assert superior_p_value(gains[:, 0], gains[:, 1:], chance(), REPS) == 1.0


def test_what_is_the_same_is_not_better():
    gains = noise(2, k=1)
    assert superior_p_value(gains[:, 0], gains, chance(), REPS) == 1.0
    assert list(best_of_all_p_values(np.hstack([gains, gains]), chance(), REPS)) == [1.0, 1.0]


def test_a_wild_rival_does_not_hide_a_steady_one():
    """Of means alone the noise of the wild one would be all that is seen."""
    gains = noise(3, k=3) + np.array([0.0, 0.005, 0.0])
    gains[:, 2] *= 30
    gains[:, 2] -= gains[:, 2].mean()
    assert superior_p_value(gains[:, 0], gains[:, 1:], chance(), REPS) <= 0.05


def test_the_best_of_all_must_be_better_than_each():
    gains = noise(4) + np.array([0.008, 0.0, 0.0, 0.0])
    assert best_of_all_p_values(gains, chance(), REPS)[0] < 0.05
    twin = np.column_stack([gains, gains[:, 0] + 1e-4 * np.sign(noise(5)[:, 0])])
    assert (best_of_all_p_values(twin, chance(), REPS) > 0.05).all()


def test_the_more_try_the_more_a_lead_must_show():
    """Eight that are surely behind the first, and no better than the base, still are a search."""
    two = noise(8, k=2) - noise(8, k=2).mean(axis=0) + np.array([0.0028, 0.0])
    tries = 0.01 * np.random.default_rng(1).standard_normal((300, 8))
    others = two[:, :1] - 0.0028 + tries - tries.mean(axis=0)
    alone = best_of_all_p_values(two, chance(), 2000)[0]
    among = best_of_all_p_values(np.hstack([two, others]), chance(), 2000)[0]
    assert superior_p_value(others[:, 0], two[:, :1], chance(), 2000) < alone < 0.02
    assert among > 2 * alone


def test_the_same_seed_gives_the_same_answer():
    one, two = (best_of_all_p_values(noise(6), chance(3), REPS) for _ in range(2))
    assert list(one) == list(two)


def test_too_little_and_alone_is_unknown():
    assert np.isnan(superior_p_value(np.zeros(9), noise(1, 9), chance(), REPS))
    assert np.isnan(best_of_all_p_values(noise(1, k=1), chance(), REPS)).all()


def test_without_the_package_it_is_unknown(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert not is_installed()
    assert np.isnan(superior_p_value(noise(1)[:, 0], noise(1), chance(), REPS))


@pytest.mark.sweep
def test_of_equals_hardly_ever_one_is_called_the_best():
    found = [best_of_all_p_values(noise(seed, 250), chance(seed), 200).min() for seed in range(100)]
    assert np.mean(np.array(found) < 0.05) <= 0.05


@pytest.mark.sweep
def test_of_equals_one_in_twenty_seems_beaten():
    """The test alone keeps its level: 0.05, of 200 at most 0.09 within three standard errors."""
    found = [
        superior_p_value(g[:, 0], g[:, 1:], chance(seed), 200)
        for seed, g in ((seed, noise(seed, 250)) for seed in range(200))
    ]
    assert np.mean(np.array(found) < 0.05) <= 0.096

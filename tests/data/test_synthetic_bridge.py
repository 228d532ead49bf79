"""The joint law of a bridge's extremes, against bridges simulated in fine steps."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from darwin.data.brownian import draw_extremes, stay_probability, touch_probability

pytestmark = pytest.mark.slow

DRAWS = 200_000
STEPS = 256


def drawn(end: float, variance: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return draw_extremes(
        np.full(DRAWS, end),
        np.full(DRAWS, variance),
        1.0 - rng.random(DRAWS),
        1.0 - rng.random(DRAWS),
    )


def simulated(end: float, variance: float, paths: int = 8_000) -> tuple[np.ndarray, np.ndarray]:
    """Bridges in fine steps, within each of which the minimum and maximum hardly ever matter both.

    So each step's extremes are drawn on their own, from the law for one barrier.
    """
    rng = np.random.default_rng(2)
    walk = np.cumsum(rng.standard_normal((paths, STEPS)) / np.sqrt(STEPS), axis=1)
    clock = np.arange(1, STEPS + 1) / STEPS
    bridge = walk - clock * walk[:, -1:] + clock * end / np.sqrt(variance)
    bridge = np.concatenate([np.zeros((paths, 1)), bridge], axis=1)
    start, stop = bridge[:, :-1], bridge[:, 1:]
    reach = [
        np.sqrt((stop - start) ** 2 - 2.0 / STEPS * np.log(1.0 - rng.random(start.shape)))
        for _ in range(2)
    ]
    low = 0.5 * (start + stop - reach[0]).min(axis=1)
    high = 0.5 * (start + stop + reach[1]).max(axis=1)
    return low * np.sqrt(variance), high * np.sqrt(variance)


@pytest.mark.parametrize("end", [0.0, 0.4, -1.0, 2.5])
def test_minimum_maximum_and_range_have_the_law_of_simulated_bridges(end):
    low, high = drawn(end, 1.0)
    fine_low, fine_high = simulated(end, 1.0)
    for ours, theirs in ((low, fine_low), (high, fine_high), (high - low, fine_high - fine_low)):
        assert stats.ks_2samp(ours, theirs).statistic < 1.95 / np.sqrt(len(theirs))  # p ~ 0.001


@pytest.mark.parametrize("end", [0.0, 0.4, -1.0])
@pytest.mark.parametrize(("below", "above"), [(-0.4, 0.9), (-0.8, 0.8), (-0.2, 0.3), (-1.2, 0.5)])
def test_both_barriers_are_touched_as_often_as_by_simulated_bridges(end, below, above):
    low, high = drawn(end, 1.0)
    fine_low, fine_high = simulated(end, 1.0)
    ours = np.mean((low <= below) & (high >= above))
    theirs = np.mean((fine_low <= below) & (fine_high >= above))
    error = np.sqrt(max(theirs * (1.0 - theirs), 1e-3) / len(fine_low))
    assert abs(ours - theirs) < 4.0 * error


@pytest.mark.parametrize("end", [0.0, 0.4, -1.0])
@pytest.mark.parametrize(("below", "above"), [(-0.4, 0.9), (-1.2, 1.2), (-1.2, 0.5)])
def test_draws_stay_between_two_barriers_as_often_as_the_series_says(end, below, above):
    low, high = drawn(end, 1.0, seed=3)
    told = stay_probability(np.array(below), np.array(above), np.array(end), np.array(1.0))
    share = np.mean((low > below) & (high < above))
    assert abs(share - told) < 4.0 * np.sqrt(max(told * (1.0 - told), 1e-6) / DRAWS)


def test_conditional_law_is_uniform_when_fed_its_own_draws():
    """Inverting is exact: a bridge's second uniform comes back as a share of greater ranges."""
    low, high = drawn(0.7, 1.0, seed=5)
    near = np.abs(low + 0.5) < 0.02
    width = np.sort((high - low)[near])
    grid = np.quantile(width, [0.1, 0.5, 0.9])
    step, base = 1e-4, np.full(3, -0.5)
    end, one = np.full(3, 0.7), np.ones(3)

    def density_in_low(high_barrier: np.ndarray) -> np.ndarray:
        upper = stay_probability(base - step, high_barrier, end, one)
        return (upper - stay_probability(base + step, high_barrier, end, one)) / (2.0 * step)

    share = density_in_low(base + grid) / density_in_low(np.full(3, np.inf))
    np.testing.assert_allclose(share, [0.1, 0.5, 0.9], atol=0.02)


def test_extremes_scale_with_the_deviation_and_mirror_with_the_end():
    low, high = drawn(0.3, 1.0)
    wide_low, wide_high = drawn(0.3 * 0.01, 1e-4)
    np.testing.assert_allclose(wide_low, 0.01 * low, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(wide_high, 0.01 * high, rtol=1e-6, atol=1e-12)
    mirrored_low, mirrored_high = drawn(-0.3, 1.0, seed=9)
    assert stats.ks_2samp(low, -mirrored_high).pvalue > 1e-3
    assert stats.ks_2samp(high, -mirrored_low).pvalue > 1e-3


def test_extremes_hold_both_ends_whatever_the_uniforms():
    rng = np.random.default_rng(7)
    end = rng.standard_normal(5_000) * 4.0
    edges = rng.choice([1.0, 0.5, 2.0**-53], (2, 5_000))
    low, high = draw_extremes(end, np.ones(5_000), *edges)
    assert np.all(np.isfinite(low) & np.isfinite(high))
    assert np.all((low <= np.minimum(end, 0.0)) & (high >= np.maximum(end, 0.0)))


def test_touching_is_certain_at_the_ends_and_never_at_infinity():
    end, one = np.array([1.0, 1.0, 1.0, 1.0]), np.ones(4)
    level = np.array([0.0, 0.5, 1.0, np.inf])
    assert touch_probability(level, end, one).tolist() == [1.0, 1.0, 1.0, 0.0]

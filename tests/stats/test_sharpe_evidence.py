"""Evidence for a higher Sharpe ratio: against brute force, block by block, and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darwin.stats.evidence import Horizon, first_crossing, half_normal
from darwin.stats.sharpe_evidence import SharpeProcess, log_e_of_sharpe, numbers_of

TWO_DAYS = Horizon(2.0)
seeds = st.integers(0, 2**32 - 1)


def trades(seed: int, streams: int, blocks: int, skill: float = 0.0) -> tuple[np.ndarray, ...]:
    """Sized outcomes and plain ones, (streams, blocks, 8): sizes in 0..1 that know a little."""
    rng = np.random.default_rng(seed)
    r = rng.choice([2.0, -1.0], (streams, blocks, 8), p=[0.36, 0.64])
    size = np.clip(rng.random(r.shape) + skill * r, 0.0, 1.0)
    return size * r, r


def brute_force(a: np.ndarray, b: np.ndarray) -> float:
    """log E of all blocks, each (blocks, trades), straight from the definition."""

    def influence(x):
        z = (x - x.mean()) / x.std()
        return z - x.mean() / x.std() * (z**2 - 1) / 2

    psi = influence(a) - influence(b)
    assert abs(psi.sum()) < 1e-9 * psi.size, "they sum to nothing by construction"
    gain = a.size * (a.mean() / a.std() - b.mean() / b.std())
    return half_normal(gain, (psi.sum(axis=1) ** 2).sum(), len(a), TWO_DAYS)


@given(seeds, st.integers(20, 80), st.floats(0.0, 0.2))
def test_it_is_the_definition(seed, blocks, skill):
    a, b = trades(seed, 2, blocks, skill)
    found = log_e_of_sharpe(numbers_of(a, b), TWO_DAYS)
    for stream in range(2):
        for k in (20, blocks):
            expected = brute_force(a[stream, :k], b[stream, :k])
            assert found[stream, k - 1] == pytest.approx(expected, abs=1e-9)


@given(seeds, st.integers(1, 60))
def test_block_by_block_it_is_the_same_as_over_arrays(seed, blocks):
    a, b = trades(seed, 2, blocks, 0.05)
    arrays = log_e_of_sharpe(numbers_of(a, b), TWO_DAYS)
    for stream in range(2):
        process = SharpeProcess(TWO_DAYS)
        streamed = [
            process.add(np.column_stack([x, y])) for x, y in zip(a[stream], b[stream], strict=True)
        ]
        np.testing.assert_allclose(arrays[stream], streamed, rtol=0, atol=1e-12)
        assert (process.blocks, process.log_max) == (blocks, max(streamed))


@given(seeds, st.integers(1, 49))
def test_e_of_a_block_does_not_change_when_later_ones_arrive(seed, k):
    numbers = numbers_of(*trades(seed, 2, 50, 0.1))
    whole = log_e_of_sharpe(numbers, TWO_DAYS)
    np.testing.assert_array_equal(log_e_of_sharpe(numbers[:, :k], TWO_DAYS), whole[:, :k])


@given(seeds, st.floats(0.01, 100.0), st.floats(0.01, 100.0))
def test_the_units_of_either_side_do_not_matter(seed, unit_a, unit_b):
    a, b = trades(seed, 1, 40, 0.1)
    usual = log_e_of_sharpe(numbers_of(a, b), TWO_DAYS)
    scaled = log_e_of_sharpe(numbers_of(a * unit_a, b * unit_b), TWO_DAYS)
    np.testing.assert_allclose(scaled, usual, atol=1e-6)


def test_a_block_without_trades_counts_as_one():
    a, b = trades(3, 1, 40, 0.1)
    process, empty = SharpeProcess(TWO_DAYS), SharpeProcess(TWO_DAYS)
    for x, y in zip(a[0], b[0], strict=True):
        process.add(np.column_stack([x, y]))
        empty.add(np.column_stack([x, y]))
        empty.add([])
    assert empty.blocks == 2 * process.blocks
    assert empty.log_e != process.log_e
    assert math.isfinite(empty.log_e)


@pytest.mark.parametrize("size", [1.0, 0.5, 1e-3, 0.0])
def test_equal_sizes_are_no_evidence(size):
    _, b = trades(4, 5, 100)
    assert log_e_of_sharpe(numbers_of(size * b, b), TWO_DAYS).max() == -math.inf


def test_outcomes_that_do_not_vary_are_no_evidence():
    a, b = trades(5, 5, 40)
    assert log_e_of_sharpe(numbers_of(a, np.full_like(b, -1.08)), TWO_DAYS).max() == -math.inf


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_what_is_no_number_is_refused_and_nothing_is_learned(wrong):
    process = SharpeProcess(TWO_DAYS)
    with pytest.raises(ValueError, match=r"A at \[1\] is"):
        process.add([(0.5, 1.0), (wrong, -1.0)])
    with pytest.raises(ValueError, match=r"B at \[0\] is"):
        process.add([(0.5, wrong)])
    assert process.blocks == 0
    numbers = np.ones((1, 2, 5))
    numbers[0, 1, 3] = wrong
    with pytest.raises(ValueError, match=r"numbers at \[0, 1, 3\] is"):
        log_e_of_sharpe(numbers, TWO_DAYS)


def test_sizes_by_chance_seldom_cross_and_sizes_that_know_do():
    nothing = log_e_of_sharpe(numbers_of(*trades(6, 1_500, 200)), TWO_DAYS)
    skilled = log_e_of_sharpe(numbers_of(*trades(7, 300, 200, 0.15)), TWO_DAYS)
    assert (first_crossing(nothing, 0.05) >= 0).mean() <= 0.05
    assert (first_crossing(skilled, 0.008) >= 0).mean() > 0.95

"""Noticing that an edge has gone: by hand, block by block, by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darwin.stats.detector import (
    EDGE_BLOCKS,
    HARM_BLOCKS,
    Detector,
    first_alarm,
    log_m_over_blocks,
)

seeds = st.integers(0, 2**32 - 1)


def sums(seed: int, streams: int, blocks: int, mean: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 2.0, (streams, blocks))


def test_two_blocks_by_hand():
    detector = Detector(1.0)
    found = [detector.add(total, 4.0) for total in (-1.0, 3.0)]
    stakes = [0.95 / 6.0 / 2**j for j in range(4)]
    first = [1.0 + stake * 2.0 for stake in stakes]
    second = [(m + 1.0) * (1.0 - stake * 2.0) for m, stake in zip(first, stakes, strict=True)]
    assert found == pytest.approx([math.log(sum(m) / 4) for m in (first, second)])


@given(seeds, st.integers(1, 60), st.floats(-1.0, 1.0))
def test_block_by_block_it_is_the_same_as_over_arrays(seed, blocks, floor):
    rng = np.random.default_rng(seed)
    told = sums(seed, 2, blocks)
    relevant, sd = rng.uniform(0.5, 9.0, blocks), rng.uniform(0.5, 3.0, blocks)
    arrays = log_m_over_blocks(told, relevant, floor, sd)
    for stream in range(2):
        detector = Detector(floor)
        streamed = [detector.add(*b) for b in zip(told[stream], relevant, sd, strict=True)]
        np.testing.assert_allclose(arrays[stream], streamed, rtol=0, atol=1e-12)


def test_each_stream_has_a_floor_of_its_own():
    told, floors = sums(1, 3, 40), np.array([[-1.0], [0.0], [2.0]])
    together = log_m_over_blocks(told, 4.0, floors)
    for one, floor, found in zip(told, floors[:, 0], together, strict=True):
        np.testing.assert_array_equal(log_m_over_blocks(one[None], 4.0, floor)[0], found)


@given(seeds, st.integers(1, 49))
def test_m_of_a_block_does_not_change_when_later_ones_arrive(seed, k):
    told = sums(seed, 2, 50)
    whole = log_m_over_blocks(told, 4.0, 0.5)
    np.testing.assert_array_equal(log_m_over_blocks(told[:, :k], 4.0, 0.5), whole[:, :k])


def test_an_alarm_comes_after_as_many_blocks_as_promised_on_average_where_all_is_well():
    for blocks in (HARM_BLOCKS, EDGE_BLOCKS):
        told = sums(2, 400, 4 * int(blocks))
        alarmed = first_alarm(log_m_over_blocks(told, 4.0, 0.0), blocks)
        lasted = np.where(alarmed < 0, told.shape[1], alarmed + 1)
        assert lasted.mean() >= blocks


def test_a_reversed_edge_is_noticed_soon_and_a_long_good_past_delays_nothing():
    calm = sums(3, 300, 50, 1.5)
    reversed_ = sums(4, 300, 100, -1.5)
    delays = []
    for past in (calm, np.tile(calm, 10)):
        told = np.concatenate([past, reversed_], axis=1)
        alarmed = first_alarm(log_m_over_blocks(told, 4.0, 0.75), EDGE_BLOCKS)
        late = alarmed >= past.shape[1]
        assert late.mean() > 0.9
        delays.append(np.median(alarmed[late] - past.shape[1]))
    assert delays[0] == pytest.approx(delays[1], abs=1)
    assert delays[0] < 20


def test_a_catastrophe_without_end_stays_finite():
    assert np.isfinite(log_m_over_blocks(np.full((1, 3_000), -50.0), 1.0, 0.0)).all()
    assert np.isfinite(log_m_over_blocks(np.full((1, 3_000), 50.0), 1.0, 0.0)).all()


def test_an_alarm_is_the_first_block_at_a():
    log_m = np.log([[1.0, 99.0, 100.5, 2.0], [1.0, 2.0, 3.0, 4.0]])
    np.testing.assert_array_equal(first_alarm(log_m, 100.0), [2, -1])
    assert first_alarm(np.zeros((2, 0)), 100.0).tolist() == [-1, -1]


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_what_is_no_number_is_refused_by_name_and_nothing_is_learned(wrong):
    with pytest.raises(ValueError, match="floor is"):
        Detector(wrong)
    detector = Detector(0.0)
    with pytest.raises(ValueError, match="block_sum is"):
        detector.add(wrong, 4.0)
    with pytest.raises(ValueError, match="relevant_per_block is"):
        detector.add(1.0, wrong)
    assert (detector.blocks, detector.log_m) == (0, -math.inf)
    with pytest.raises(ValueError, match="block_sums at"):
        log_m_over_blocks(np.array([[wrong]]), 4.0, 0.0)
    with pytest.raises(ValueError, match="floor at"):
        log_m_over_blocks(np.zeros((1, 1)), 4.0, np.array([[wrong]]))
    with pytest.raises(ValueError, match="blocks is"):
        first_alarm(np.zeros((1, 1)), math.nan)

"""Intervals for shares, means and Sharpe ratios, held against scipy and against plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from darwin.stats.bootstrap import (
    FEWEST_BLOCKS,
    block_bootstrap,
    mean_by,
    moments,
    ratio,
    sharpe,
)
from darwin.stats.intervals import wilson
from darwin.stats.performance import sharpe_ratio


@given(st.integers(1, 500), st.data(), st.sampled_from([0.8, 0.95, 0.99]))
def test_wilsons_interval_is_scipys(cases, data, level):
    hits = data.draw(st.integers(0, cases))
    expected = binomtest(hits, cases).proportion_ci(level, method="wilson")
    found = wilson(hits / cases, cases, level)
    assert found == pytest.approx((hits / cases, expected.low, expected.high), abs=1e-9)
    assert 0.0 <= found.low <= found.value <= found.high <= 1.0


def test_a_share_of_nothing_has_no_interval():
    assert all(map(math.isnan, wilson(math.nan, 0)))


def random():
    return np.random.default_rng(20)


def resampled(rows, block, statistic, draws):
    """The same draws, each made by laying whole blocks one after the other."""
    blocks = sorted(set(block.tolist()))
    counts = random().multinomial(len(blocks), [1 / len(blocks)] * len(blocks), draws)
    found = []
    for drawn in counts:
        chosen = [
            rows[block == one] for one, times in zip(blocks, drawn, strict=True)
            for _ in range(times)
        ]  # fmt: skip
        found.append(statistic(np.concatenate(chosen)))
    return found


@given(st.integers(FEWEST_BLOCKS, 12), st.integers(0, 2**32 - 1))
def test_a_draw_is_made_of_whole_days(days, seed):
    rng = np.random.default_rng(seed)
    block = np.concatenate([np.arange(days), rng.integers(0, days, 30)])
    value, weight = rng.normal(size=len(block)), rng.integers(1, 4, len(block)).astype(float)
    found = mean_by(value, block, random(), weight, draws=60)
    rows = np.column_stack([value, weight])
    drawn = resampled(rows, block, lambda r: np.average(r[:, 0], weights=r[:, 1]), 60)
    assert found.value == pytest.approx(np.average(value, weights=weight))
    assert found[1:] == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])))


@given(st.integers(0, 2**32 - 1))
def test_a_sharpe_ratio_of_drawn_days_is_that_of_their_trades(seed):
    rng = np.random.default_rng(seed)
    block, value = np.repeat(np.arange(8), 3), rng.normal(0.2, 1.0, 24)
    found = block_bootstrap(
        moments(value), block, lambda sums: sharpe(sums, 50.0), random(), draws=40
    )
    drawn = resampled(value[:, None], block, lambda r: sharpe_ratio(r[:, 0], 50.0), 40)
    assert found.value == pytest.approx(float(sharpe_ratio(value, 50.0)))
    assert found[1:] == pytest.approx(tuple(np.nanquantile(drawn, [0.025, 0.975])))


@pytest.mark.parametrize("value", [0.0, 0.1, -3.7, 1e6])
def test_what_does_not_vary_has_no_sharpe_ratio(value):
    assert np.isnan(sharpe(moments(np.full(9, value)).sum(axis=0)[None], 1.0))
    assert np.isnan(sharpe(moments(np.full(1, value)), 1.0))


def test_the_interval_holds_the_mean_about_as_often_as_it_claims():
    rng = np.random.default_rng(2)
    day, held = np.repeat(np.arange(40), 5), 0
    for _ in range(300):
        value = np.repeat(rng.normal(size=40), 5) + rng.normal(size=200)
        _, low, high = mean_by(value, day, rng, draws=400)
        held += low <= 0.0 <= high
    assert 0.90 <= held / 300 <= 0.98


def test_of_rows_that_repeat_within_their_day_it_is_no_narrower():
    value, day = random().normal(size=30), np.arange(30)
    once = mean_by(value, day, random())
    tenfold = mean_by(np.repeat(value, 10), np.repeat(day, 10), random())
    assert tenfold == pytest.approx(once)


def test_the_same_generator_gives_the_same_interval_however_many_draws_fit_into_memory(monkeypatch):
    value, day = random().normal(size=300), np.arange(300)
    whole = mean_by(value, day, random(), draws=500)
    monkeypatch.setattr("darwin.stats.bootstrap._MOST_AT_ONCE", 900)
    assert mean_by(value, day, random(), draws=500) == pytest.approx(whole)


def test_of_few_days_there_is_a_figure_and_no_interval():
    value, low, high = mean_by(np.ones(20), np.arange(20) % (FEWEST_BLOCKS - 1), random())
    assert value == 1.0
    assert math.isnan(low)
    assert math.isnan(high)


def test_without_rows_there_is_nothing():
    assert all(map(math.isnan, mean_by(np.zeros(0), np.zeros(0, dtype=np.int64), random())))


def test_where_most_draws_have_no_figure_there_is_no_interval():
    rows = np.array([[1.0, 1.0], *[[0.0, 0.0]] * 9])
    value, low, high = block_bootstrap(rows, np.arange(10), ratio, random())
    assert value == 1.0
    assert math.isnan(low)
    assert math.isnan(high)

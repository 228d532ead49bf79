"""The planted world: what it hides can be learnt as far as it says, and its odds hold."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from synthetic_worlds import BTC, market, mean_range, resolve

from darwin.core.market import Bars
from darwin.data.planted import PlantedWorld, breakouts
from darwin.data.planted_odds import Odds, Setups
from darwin.errors import ConfigError
from darwin.stats.stylised import auc

REFERENCE_EDGE = 0.25


class Season(NamedTuple):
    bars: Bars
    world: PlantedWorld
    setups: Setups  # none overlaps another
    r: np.ndarray
    odds: Odds


def apart(bar: np.ndarray, least: int = 34) -> np.ndarray:
    """Rows of `bar`, ascending, that lie at least `least` bars apart."""
    kept, last = [], -least
    for row, value in enumerate(bar.tolist()):
        if value - last >= least:
            kept.append(row)
            last = value
    return np.array(kept)


@pytest.fixture(scope="module")
def season() -> Season:
    provider = market(bars=200_000, seed=31, edge=REFERENCE_EDGE)
    bars, world = provider.bars(BTC), PlantedWorld(provider, BTC)
    setups = breakouts(bars)
    setups = setups.select(apart(setups.bar))
    return Season(bars, world, setups, resolve(bars, setups).r, world.odds(setups, pairs=32))


def simple_features(bars: Bars, setups: Setups) -> np.ndarray:
    """Log-volume and log-range against last week's, move in the setup's direction: (m, 7)."""
    bar = setups.bar

    def level(values: np.ndarray, window: int) -> np.ndarray:
        total = np.concatenate([[0.0], np.cumsum(values)])
        return (total[bar + 1] - total[bar + 1 - window]) / window

    volume, ranges = np.log(bars.volume), np.log(bars.high / bars.low)
    columns = [level(x, n) - level(x, 168) for x in (volume, ranges) for n in (5, 20, 60)]
    moves = np.log(bars.close / bars.open)
    moved = np.tanh(np.sqrt(32.0) * level(moves, 32) / np.sqrt(level(moves**2, 32)))
    return np.column_stack([*columns, moved * setups.side])


def linear_score(known: np.ndarray, won: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    centre, scale = known.mean(axis=0), known.std(axis=0)
    z = (known - centre) / scale
    weights = np.linalg.solve(
        z.T @ z + 0.01 * len(z) * np.eye(z.shape[1]), z.T @ (won - won.mean())
    )
    return (unknown - centre) / scale @ weights


def noise_of_auc(won: np.ndarray) -> float:
    return float(np.sqrt((1.0 / won.sum() + 1.0 / (~won).sum()) / 12.0))


@pytest.mark.sweep
def test_a_linear_score_of_causal_features_attains_what_is_claimed_out_of_sample():
    short = []
    for seed in (31, 32, 33):
        provider = market(bars=200_000, seed=seed, edge=REFERENCE_EDGE)
        bars, world = provider.bars(BTC), PlantedWorld(provider, BTC)
        setups = breakouts(bars)
        early = setups.select(np.flatnonzero((setups.bar > 400) & (setups.bar < 99_900)))
        late = setups.select(np.flatnonzero(setups.bar >= 100_000)[::5])
        known, unknown = simple_features(bars, early), simple_features(bars, late)
        score = linear_score(known, resolve(bars, early).r > 0.0, unknown)
        claimed = world.attainable_auc(late, pairs=16)
        assert 0.60 < claimed < 0.70
        short.append(claimed - auc(score, resolve(bars, late).r > 0.0))
    assert -0.02 < np.mean(short) < 0.04


@pytest.mark.sweep
@pytest.mark.slow
def test_the_ideal_observer_attains_what_is_claimed(season):
    won = season.r > 0.0
    claimed = season.world.attainable_auc(season.setups, pairs=32)
    assert abs(auc(season.odds.expected_r, won) - claimed) < 3.0 * noise_of_auc(won)


@pytest.mark.slow
def test_expected_r_is_what_setups_earn_on_average_and_in_each_fifth(season):
    told, r = season.odds.expected_r, season.r
    order = np.argsort(told)
    groups = [order, *np.array_split(order, 5)]
    for rows in groups:
        error = np.hypot(r[rows].std() / np.sqrt(len(rows)), season.odds.standard_error.mean())
        assert abs(told[rows].mean() - r[rows].mean()) < 4.0 * error
    assert r[groups[-1]].mean() - r[groups[1]].mean() > 0.4


@pytest.mark.slow
def test_win_probability_is_how_often_setups_win(season):
    order = np.argsort(season.odds.win_probability)
    for rows in np.array_split(order, 3):
        share, told = (season.r[rows] > 0.0).mean(), season.odds.win_probability[rows].mean()
        assert abs(share - told) < 4.0 * 0.5 / np.sqrt(len(rows)) + 0.02


@pytest.mark.slow
def test_the_posterior_is_calibrated_and_imperfect(season):
    regime, posterior, _ = season.world.truth
    for low in np.arange(0.0, 1.0, 0.1):
        rows = np.flatnonzero((posterior >= low) & (posterior < low + 0.1))
        share, told = (regime[rows] > 0).mean(), posterior[rows].mean()
        assert abs(share - told) < 4.0 * np.sqrt(told * (1.0 - told) / (len(rows) / 10))
    right = np.mean((posterior > 0.5) == (regime > 0))
    assert 0.85 < right < 0.99


def test_each_bar_drifts_with_its_regime_and_the_momentum_of_the_bars_before_it():
    """The null world of the same seed has the same chance, so the difference is the drift."""
    null, planted = market(bars=20_000, seed=32), market(bars=20_000, seed=32, edge=0.3)
    calm, moved = (np.log(p.bars(BTC).close / p.bars(BTC).open) for p in (null, planted))
    regime, _, momentum = PlantedWorld(planted, BTC).truth
    pull = regime[1:] * momentum[:-1]
    clear = np.abs(pull) > 1e-3
    np.testing.assert_array_equal(np.sign(moved - calm)[1:][clear], np.sign(pull)[clear])
    past = np.lib.stride_tricks.sliding_window_view(calm, 32).sum(axis=1)
    strong = np.abs(momentum[31:]) > 0.1
    np.testing.assert_array_equal(np.sign(past[strong]), np.sign(momentum[31:][strong]))


def test_the_truth_of_the_null_world_is_that_there_is_none():
    provider = market(bars=40_000)
    bars, world = provider.bars(BTC), PlantedWorld(provider, BTC)
    assert not world.truth.regime.any() and not world.truth.momentum.any()
    assert np.all(world.truth.posterior == 0.5)
    odds = world.odds(breakouts(bars).select(np.arange(0, 400, 4)), pairs=128)
    # the price of the stop-first rule is all that is left; the setups share their paths
    assert -0.08 < odds.expected_r.mean() < 4.0 * odds.standard_error.mean()


def test_without_target_and_edge_a_setup_is_worth_nothing_on_either_side():
    provider = market(bars=5_000)
    bars, world = provider.bars(BTC), PlantedWorld(provider, BTC)
    bar = np.arange(400, 500)
    width, far = 1.2 * mean_range(bars)[bar], np.full(100, np.inf)
    for side in (1, -1):
        odds = world.odds(Setups(bar, np.full(100, side), width, far, np.full(100, 24.0)), 256)
        assert abs(odds.expected_r.mean()) < 4.0 * odds.standard_error.mean()


def test_odds_are_known_at_the_signal_and_do_not_change_when_the_future_arrives():
    short, long = (market(bars=bars, edge=0.2) for bars in (3_000, 6_000))
    setups = breakouts(short.bars(BTC)).select(np.arange(10))
    ours, theirs = (PlantedWorld(p, BTC).odds(setups, pairs=8) for p in (short, long))
    np.testing.assert_array_equal(ours.expected_r, theirs.expected_r)


def test_the_truth_refuses_jumps():
    with pytest.raises(ConfigError, match="jumps"):
        PlantedWorld(market(jumps_per_year=5.0), BTC)


def test_no_setups_have_no_odds():
    none = np.empty(0)
    setups = Setups(none.astype(np.int64), none.astype(np.int64), none, none, none)
    assert len(PlantedWorld(market(edge=0.1), BTC).odds(setups).expected_r) == 0

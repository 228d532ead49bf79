"""The null world: brackets are fair bets but for the stop-first rule; nothing predicts them."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic_worlds import BTC, Resolved, block_error, market, mean_range, resolve

from darwin.core.market import Bars
from darwin.data.planted_odds import Setups
from darwin.stats.stylised import auc

ENTRIES = 20_000
HELD_BARS = 32


def random_entries(bars: Bars, stop_atr: float, target_atr: float, seed: int) -> Setups:
    rng = np.random.default_rng(seed)
    bar = np.sort(rng.choice(np.arange(400, len(bars) - HELD_BARS - 1), ENTRIES, replace=False))
    width = mean_range(bars)[bar]
    side = rng.choice([-1, 1], ENTRIES)
    held = np.full(ENTRIES, float(HELD_BARS))
    return Setups(bar, side, stop_atr * width, target_atr * width, held)


def lies_within_the_price_of_stop_first(resolved: Resolved, setups: Setups) -> bool:
    """Were each doubtful bar a target instead of a stop, R would be higher by 1 + target / stop."""
    price = np.mean(resolved.ambiguous * (1.0 + setups.target_distance / setups.stop_distance))
    slack = 4.0 * block_error(resolved.r, setups.bar)
    return bool(-price - slack <= resolved.r.mean() <= slack)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stop", "target"),
    [
        (1.2, 2.4),
        pytest.param(1.2, 1.2, marks=pytest.mark.sweep),
        pytest.param(0.5, 0.5, marks=pytest.mark.sweep),
        pytest.param(2.4, 0.8, marks=pytest.mark.sweep),
    ],
)
def test_a_bracket_at_random_bars_earns_nothing_but_the_price_of_stop_first(stop, target):
    bars = market(bars=300_000, seed=21).bars(BTC)
    setups = random_entries(bars, stop, target, seed=5)
    assert lies_within_the_price_of_stop_first(resolve(bars, setups), setups)


@pytest.mark.sweep
def test_breakouts_and_reversals_earn_nothing_either():
    bars = market(bars=400_000, seed=22).bars(BTC)
    highest = np.lib.stride_tricks.sliding_window_view(bars.high, 20).max(axis=1)
    bar = np.flatnonzero(bars.close[20:-40] > highest[:-41]) + 20
    width = mean_range(bars)[bar]
    held = np.full(len(bar), float(HELD_BARS))
    assert len(bar) > ENTRIES
    for side in (1, -1):
        setups = Setups(bar, np.full(len(bar), side), 1.2 * width, 2.4 * width, held)
        assert lies_within_the_price_of_stop_first(resolve(bars, setups), setups)


def features(bars: Bars) -> dict[str, np.ndarray]:
    """Simple causal columns, NaN while they warm up."""
    log_close, volume, ranges = np.log(bars.close), np.log(bars.volume), bars.high - bars.low

    def mean(values: np.ndarray, window: int) -> np.ndarray:
        means = np.lib.stride_tricks.sliding_window_view(values, window).mean(axis=1)
        return np.concatenate([np.full(window - 1, np.nan), means])

    columns = {
        f"return_{n}": np.concatenate([np.full(n, np.nan), log_close[n:] - log_close[:-n]])
        for n in (1, 8, 32, 168)
    }
    columns["volume_5_168"] = mean(volume, 5) - mean(volume, 168)
    columns["volume_1_20"] = volume - mean(volume, 20)
    columns["range_20_168"] = mean(ranges, 20) / mean(ranges, 168)
    columns["hour"] = (bars.time // 3_600_000) % 24 * 1.0
    return columns


def block_aucs(score: np.ndarray, won: np.ndarray, blocks: int = 40) -> np.ndarray:
    return np.array(
        [auc(s, w) for s, w in zip(*(np.array_split(c, blocks) for c in (score, won)), strict=True)]
    )


@pytest.mark.slow
@pytest.mark.parametrize("edge", [0.0, pytest.param(0.25, marks=pytest.mark.sweep)])
def test_no_feature_predicts_an_outcome_unless_it_was_planted(edge):
    bars = market(bars=300_000, seed=23, edge=edge).bars(BTC)
    setups = random_entries(bars, 1.2, 2.4, seed=6)
    won = resolve(bars, setups).r > 0.0
    told = features(bars)
    told["volume_with_the_move"] = told["volume_5_168"] * np.sign(told["return_32"])
    away = {}
    for name, column in told.items():
        for kind, score in (
            ("plain", column[setups.bar]),
            ("sided", column[setups.bar] * setups.side),
        ):
            aucs = block_aucs(score, won)
            away[name, kind] = abs(aucs.mean() - 0.5) / (aucs.std() / np.sqrt(len(aucs)))
    assert (max(away.values()) > 6.0) if edge else (max(away.values()) < 4.0)

"""The synthetic market from outside: labels, determinism, prefixes, volatility, bad requests."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from synthetic_worlds import BTC, HOUR, START_MS, market

from darwin.core.market import DAY_MS, Timeframe
from darwin.errors import ConfigError

pytestmark = pytest.mark.slow

COLUMNS = ("time", "open", "high", "low", "close", "volume")


def same(ours, theirs, rows: slice = slice(None)) -> bool:
    return all(
        np.array_equal(getattr(ours, name)[rows], getattr(theirs, name)[rows]) for name in COLUMNS
    )


def test_bars_are_valid_labelled_and_each_opens_at_the_last_close():
    bars = market(bars=20_000).bars(BTC)
    assert bars.symbol == "BTC/USDT:SYNTH" and bars.synthetic
    assert bars.time[0] == START_MS and np.all(np.diff(bars.time) == HOUR.ms)
    assert np.all(bars.low > 0.0) and np.all(bars.volume > 0.0)
    assert np.all(bars.low <= np.minimum(bars.open, bars.close))
    assert np.all(bars.high >= np.maximum(bars.open, bars.close))
    np.testing.assert_array_equal(bars.open[1:], bars.close[:-1])


def test_a_longer_series_begins_with_the_shorter_one():
    for edge in (0.0, 0.2):
        short, long = (market(bars=bars, edge=edge).bars(BTC) for bars in (4_100, 9_000))
        assert same(short, long, slice(4_100))


def test_asking_for_more_symbols_in_any_order_changes_none():
    alone = market().bars(BTC)
    among = market(symbols=("SOL/USDT", BTC, "ETH/USDT")).bars("BTC/USDT:SYNTH")
    assert same(alone, among)


@pytest.mark.parametrize(
    "change", [{"seed": 2}, {"edge": 0.1}, {"annual_volatility": 0.5}, {"jumps_per_year": 50.0}]
)
def test_each_parameter_matters(change):
    assert market().digest(BTC) != market(**change).digest(BTC)


def test_an_edge_draws_the_same_volatility_and_the_null_world_ignores_regimes():
    null, planted = market().bars(BTC), market(edge=1e-12).bars(BTC)
    np.testing.assert_allclose(null.close, planted.close, rtol=1e-8)
    assert not np.allclose(null.volume, planted.volume)


def test_digest_is_the_same_whatever_the_hash_seed_and_the_working_directory(tmp_path):
    code = (
        "from darwin.data.synthetic import SyntheticProvider as P\n"
        "from darwin.core.market import Timeframe as T\n"
        "p = P(bars=5000, seed=1, edge=0.2, start_ms=0, timeframe=T.parse('1h'),"
        " symbols=('BTC/USDT', 'ETH/USDT'), jumps_per_year=9.0)\n"
        "print(p.digest('BTC/USDT'), p.digest('ETH/USDT'))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": zone},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed, zone in (("0", "UTC"), ("1", "Asia/Tokyo"))
    }
    assert len(told) == 1


@pytest.mark.parametrize("jumps", [0.0, 500.0])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_price_is_a_martingale(seed, jumps):
    close = market(bars=200_000, seed=seed, jumps_per_year=jumps).bars(BTC).close
    returns = close[1:] / close[:-1] - 1.0
    blocks = returns[: len(returns) // 500 * 500].reshape(-1, 500).sum(axis=1)
    assert abs(blocks.mean()) < 4.0 * blocks.std() / np.sqrt(len(blocks))


def test_the_drift_of_log_prices_makes_up_for_their_variance():
    """Without the compensation of -v/2 wide bars would gain; summed over them nothing is left."""
    bars = market(bars=300_000, annual_volatility=3.0).bars(BTC)
    returns = bars.close / bars.open - 1.0
    error = returns.std() / np.sqrt(len(returns))
    assert 0.5 * np.var(np.log(bars.close / bars.open)) > 8.0 * error
    assert abs(returns.mean()) < 4.0 * error


def test_jumps_open_a_gap_and_the_rest_of_the_bar_is_as_without_them():
    bars = market(bars=20_000, jumps_per_year=200.0).bars(BTC)
    gaps = np.flatnonzero(bars.open[1:] != bars.close[:-1])
    assert 200 < len(gaps) < 800
    calm = market(bars=20_000).bars(BTC)
    np.testing.assert_allclose(bars.close / bars.open, calm.close / calm.open, rtol=1e-9)


@pytest.mark.parametrize("name", ["15m", "1h", "4h", "1d"])
def test_annual_volatility_is_what_was_asked_for_at_any_timeframe(name):
    timeframe = Timeframe.parse(name)
    variances = []
    for seed in range(1, 9):
        bars = market(bars=40_000, seed=seed, timeframe=timeframe, annual_volatility=0.4).bars(BTC)
        per_year = 365 * DAY_MS / timeframe.ms
        variances.append(np.mean(np.log(bars.close / bars.open) ** 2) * per_year)
    error = np.std(variances, ddof=1) / np.sqrt(len(variances))
    assert abs(np.mean(variances) - 0.4**2) < 4.0 * error + 0.01 * 0.4**2


def test_volatility_and_volume_follow_hour_and_weekend():
    bars = market(bars=100_000).bars(BTC)
    hour = (bars.time // 3_600_000) % 24
    weekend = ((bars.time // 86_400_000) + 3) % 7 >= 5
    ranges = bars.high / bars.low - 1.0
    for values in (ranges, bars.volume):
        assert values[hour == 14].mean() > 1.2 * values[hour == 4].mean()
        assert values[weekend].mean() < 0.92 * values[~weekend].mean()
    moves = np.abs(np.log(bars.close / bars.open))
    assert 0.70 < moves[weekend].mean() / moves[~weekend].mean() < 0.87


def test_log_volume_is_near_normal_and_grows_with_the_move():
    bars = market(bars=50_000).bars(BTC)
    log_volume = np.log(bars.volume)
    centred = (log_volume - log_volume.mean()) / log_volume.std()
    assert abs(np.mean(centred**3)) < 0.3 and abs(np.mean(centred**4) - 3.0) < 0.6
    moves = np.abs(np.log(bars.close / bars.open))
    assert np.corrcoef(bars.volume, moves)[0, 1] > 0.3


@pytest.mark.slow
def test_hourly_returns_of_two_symbols_correlate_at_about_two_thirds():
    for seed in (1, 2, 3):
        provider = market(bars=100_000, seed=seed, symbols=(BTC, "ETH/USDT"))
        moves = [np.diff(np.log(provider.bars(name).close)) for name in (BTC, "ETH/USDT")]
        assert np.corrcoef(moves)[0, 1] == pytest.approx(0.64, abs=0.04)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"bars": 0}, "bars"),
        ({"seed": -1}, "seed"),
        ({"edge": -0.1}, "edge"),
        ({"edge": float("nan")}, "edge"),
        ({"annual_volatility": 0.0}, "annual_volatility"),
        ({"jumps_per_year": float("inf")}, "jumps_per_year"),
        ({"symbols": ("BTC/USDT:BINANCE",)}, "BINANCE"),
        ({"symbols": ("../etc",)}, "../etc"),
        ({"symbols": (BTC, BTC)}, "twice"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(change, named):
    with pytest.raises(ConfigError, match=named):
        market(**change)


def test_a_price_that_would_vanish_is_refused():
    with pytest.raises(ConfigError, match="fewer bars"):
        market(bars=200_000, annual_volatility=10.0).bars(BTC)


def test_a_symbol_that_was_not_asked_for_is_refused():
    with pytest.raises(ConfigError, match="DOGE"):
        market().bars("DOGE/USDT")


def test_the_source_says_synthetic_and_every_parameter():
    told = market(seed=7, edge=0.1).source(BTC)
    for part in ("synthetic", "BTC/USDT:SYNTH", "1h", "seed 7", "edge 0.1", "bars 5000"):
        assert part in told

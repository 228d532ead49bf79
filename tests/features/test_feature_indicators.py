"""Indicators agree with TA-Lib once seeds have decayed, and with their definitions by hand."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import talib
from made_bars import walk
from numpy.testing import assert_allclose, assert_array_equal

from darwin.core.market import Bars, Timeframe
from darwin.features.pipeline import Frame

DECAYED = 3_000  # bars after which no seed of 200 bars or less is left in the 12th digit


@pytest.fixture(scope="module", params=["walk", "BTCUSDT-1h", "GBPUSD_BID-1m", "SPY-1d"])
def bars(request: pytest.FixtureRequest) -> Bars:
    if request.param == "walk":
        return walk(6_000, seed=11)
    table = pl.read_parquet(request.getfixturevalue("market_dir") / f"{request.param}.parquet")
    columns = {name: table[name].to_numpy().copy() for name in table.columns if name != "timestamp"}
    time = table["timestamp"].dt.epoch("ms").to_numpy().astype(np.int64)
    return Bars("BTC/USDT", Timeframe.parse(request.param.rpartition("-")[2]), time, **columns)


def test_wilders_indicators_agree_with_talib(bars: Bars) -> None:
    frame, hlc = Frame(bars), (bars.high, bars.low, bars.close)
    skip = min(DECAYED, len(bars) // 2)
    for key, theirs in (
        ("atr_14", talib.ATR(*hlc, 14)),
        ("plus_di_14", talib.PLUS_DI(*hlc, 14)),
        ("minus_di_14", talib.MINUS_DI(*hlc, 14)),
        ("dx_14", talib.DX(*hlc, 14)),
        ("adx_14", talib.ADX(*hlc, 14)),
        ("rsi_14", talib.RSI(bars.close, 14)),
    ):
        assert_allclose(frame[key][skip:], theirs[skip:], rtol=1e-9, atol=1e-9, err_msg=key)


def test_means_and_channels_agree_with_talib_from_the_first_value_on(bars: Bars) -> None:
    frame = Frame(bars)
    before = slice(None, -1)
    for key, theirs in (
        (
            "true_range",
            np.concatenate(
                ([bars.high[0] - bars.low[0]], talib.TRANGE(bars.high, bars.low, bars.close)[1:])
            ),
        ),
        ("sma_50", talib.SMA(bars.close, 50)),
        ("ema_200", talib.EMA(bars.close, 200)),
        ("rsi_14", talib.RSI(bars.close, 14)),
        ("highest_20", talib.MAX(bars.high, 20)),
        ("lowest_20", talib.MIN(bars.low, 20)),
        ("donchian_high_20", np.concatenate(([np.nan], talib.MAX(bars.high, 20)[before]))),
        ("donchian_low_20", np.concatenate(([np.nan], talib.MIN(bars.low, 20)[before]))),
    ):
        assert_allclose(frame[key], theirs, rtol=1e-9, err_msg=key)


def test_macd_agrees_with_talib(bars: Bars) -> None:
    skip = min(DECAYED, len(bars) // 2)
    line, signal, histogram = talib.MACD(bars.close, 12, 26, 9)
    frame, scale = Frame(bars), 1e-9 * bars.close.mean()
    assert_allclose(frame["macd_12_26"][skip:], line[skip:], atol=scale * 1e-3)
    assert_allclose(frame["macd_signal_12_26_9"][skip:], signal[skip:], atol=scale * 1e-3)
    assert_allclose(frame["macd_histogram_12_26_9"][skip:], histogram[skip:], atol=scale * 1e-3)


def test_bollinger_uses_the_population_deviation(bars: Bars) -> None:
    windows = np.lib.stride_tricks.sliding_window_view(bars.close, 20)
    deviation = windows.std(axis=1)
    moves = deviation > 1e-12 * bars.close[19:]
    ours = Frame(bars)["bollinger_z_20"][19:]
    theirs = (bars.close[19:] - windows.mean(axis=1))[moves] / deviation[moves]
    assert_allclose(ours[moves], theirs, rtol=1e-9, atol=1e-9)
    assert not ours[~moves].any()


def test_the_seed_of_atr_is_the_mean_of_the_first_true_ranges() -> None:
    bars = walk(40)
    frame = Frame(bars)
    assert frame["true_range"][0] == bars.high[0] - bars.low[0]
    assert np.isnan(frame["atr_14"][:13]).all()
    assert_allclose(frame["atr_14"][13], frame["true_range"][:14].mean(), rtol=1e-15)
    assert_allclose(
        frame["atr_14"][14], (frame["atr_14"][13] * 13 + frame["true_range"][14]) / 14, rtol=1e-15
    )


def test_a_channel_leaves_out_the_current_bar() -> None:
    bars = walk(300)
    high = Frame(bars)["donchian_high_20"]
    assert np.isnan(high[:20]).all()
    assert_array_equal(high[20:], [bars.high[t - 20 : t].max() for t in range(20, 300)])


def test_volume_ratio_is_volume_over_its_mean_and_zero_without_volume() -> None:
    bars = walk(100)
    ratio = Frame(bars)["volume_ratio_20"]
    assert_allclose(ratio[50], bars.volume[50] / bars.volume[31:51].mean(), rtol=1e-14)
    assert not Frame(walk(100, volume_known=False))["volume_ratio_20"][19:].any()


def test_oscillators_are_neutral_where_nothing_ever_moved() -> None:
    still = np.full(200, 3.3)
    bars = walk(200)
    dead = Bars("A/B", bars.timeframe, bars.time, still, still, still, still, still)
    frame = Frame(dead)
    assert (frame["rsi_14"][14:] == 50.0).all()
    for key in ("adx_14", "plus_di_14", "minus_di_14", "bollinger_z_31", "atr_14"):
        assert (frame[key][31:] == 0.0).all(), key

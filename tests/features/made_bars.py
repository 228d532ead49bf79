"""Bars for these tests: a seeded walk, with the faults that real markets have when asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.testing import assert_array_equal

from darwin.core.market import Bars, FloatArray, Timeframe

PLAYBOOK_KEYS = (
    *("open", "high", "low", "close", "volume", "prev_close"),
    *("atr_14", "ema_200", "ema_3", "adx_14", "plus_di_14", "minus_di_14", "rsi_14", "rsi_2"),
    *("donchian_high_20", "donchian_low_20", "donchian_high_1", "highest_7", "lowest_13"),
    *("bollinger_z_20", "bollinger_z_31", "sma_50", "volume_ratio_20", "macd_histogram_12_26_9"),
)


def walk(
    bars: int,
    seed: int = 7,
    timeframe: str = "1h",
    *,
    begins_ms: int = 1_600_041_600_000,  # a midnight
    bad_days: bool = False,
    volume_known: bool = True,
) -> Bars:
    """A random walk; `bad_days` adds gaps, flat stretches, repeated closes and dry bars."""
    random = np.random.default_rng(seed)
    frame = Timeframe.parse(timeframe)
    steps = random.standard_t(4, bars) * 0.004
    volume = np.exp(random.normal(3.0, 1.0, bars))
    time = begins_ms + np.arange(bars, dtype=np.int64) * frame.ms
    still = np.zeros(bars, dtype=bool)
    if bad_days:
        for start in random.integers(0, bars, bars // 150 + 1):
            still[start : start + random.integers(1, 60)] = True
        volume[still | (random.random(bars) < 0.03)] = 0.0
        missing = np.where(random.random(bars) < 0.02, random.integers(1, 40, bars), 0)
        time = time + np.cumsum(missing) * frame.ms
    steps[still] = 0.0
    close = 100.0 * np.exp(np.cumsum(steps))
    before = np.concatenate(([close[0]], close[:-1]))
    opened = np.where(still, before, before * (1.0 + random.normal(0.0, 0.0005, bars)))
    wick = np.where(still, 0.0, random.exponential(0.002, (2, bars)))
    high = np.maximum(opened, close) * (1.0 + wick[0])
    low = np.minimum(opened, close) * (1.0 - wick[1])
    if not volume_known:
        volume = np.full(bars, np.nan)
    return Bars("BTC/USDT", frame, time, opened, high, low, close, volume)


def scaled(bars: Bars, price: float = 1.0, volume: float = 1.0) -> Bars:
    """The same bars in another currency, counted in another unit."""
    return replace(
        bars,
        open=bars.open * price,
        high=bars.high * price,
        low=bars.low * price,
        close=bars.close * price,
        volume=bars.volume * volume,
    )


def assert_same_bits(one: FloatArray, other: FloatArray, what: str = "") -> None:
    """Equal to the last bit; any two NaN are equal."""
    assert one.dtype == other.dtype == np.float64, what
    missing = np.isnan(one)
    assert_array_equal(missing, np.isnan(other), err_msg=what)
    assert_array_equal(one[~missing].view(np.int64), other[~missing].view(np.int64), err_msg=what)

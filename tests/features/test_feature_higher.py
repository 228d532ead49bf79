"""Longer timeframes: folded by absolute time, and never seen before they closed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_bars import assert_same_bits, walk
from numpy.testing import assert_array_equal

from darwin.core.market import HOUR_MS, Bars
from darwin.features.pipeline import Frame

COLUMNS = ("time", "open", "high", "low", "close", "volume")


def without(bars: Bars, *rows: int) -> Bars:
    return replace(bars, **{name: np.delete(getattr(bars, name), rows) for name in COLUMNS})


def closed_by_hand(bars: Bars, factor: int, t: int) -> list[tuple[float, float, float, float]]:
    """Open, high, low, close of every longer bar that someone at the close of row t knows."""
    span = factor * bars.timeframe.ms
    buckets: dict[int, list[int]] = {}
    for i in range(t + 1):
        buckets.setdefault(int(bars.time[i]) // span, []).append(i)
    now = int(bars.time[t])
    known = []
    for bucket, rows in buckets.items():
        end = (bucket + 1) * span
        if now + bars.timeframe.ms >= end or now >= end:
            known.append(
                (
                    float(bars.open[rows[0]]),
                    float(bars.high[rows].max()),
                    float(bars.low[rows].min()),
                    float(bars.close[rows[-1]]),
                )
            )
    return known


@pytest.mark.parametrize("factor", [2, 4, 24])
@pytest.mark.parametrize("begins_ms", [1_600_041_600_000, 1_600_049_700_000])
def test_each_bar_knows_the_last_closed_longer_bar(factor: int, begins_ms: int) -> None:
    bars = walk(400, begins_ms=begins_ms, bad_days=True)
    frame = Frame(bars)
    names = [f"x{factor}_{name}" for name in ("open", "high", "low", "close")]
    seen = np.column_stack([frame[name] for name in names])
    for t in range(len(bars)):
        known = closed_by_hand(bars, factor, t)
        assert_array_equal(seen[t], known[-1] if known else [np.nan] * 4, err_msg=str(t))


def test_the_bar_that_ends_the_bucket_shows_it_and_the_one_before_does_not() -> None:
    bars = walk(12)
    close = Frame(bars)["x4_close"]
    assert np.isnan(close[:3]).all()
    assert_array_equal(close[3:], np.repeat(bars.close[[3, 7, 11]], [4, 4, 1]))


def test_a_bucket_whose_last_bar_is_missing_closes_with_the_next_bar_there_is() -> None:
    bars = walk(12)
    gapped = without(bars, 3, 4)  # the end of the first bucket and the beginning of the second
    close = Frame(gapped)["x4_close"]
    assert np.isnan(close[:3]).all()
    assert close[3] == bars.close[2]


def test_two_longer_bars_can_close_at_once() -> None:
    bars = walk(16)
    gapped = without(bars, 3, 4, 5, 6)  # row 7 closes the first bucket and ends its own
    frame = Frame(gapped)
    assert frame["x4_close"][3] == bars.close[7]
    assert frame["x4_prev_close"][3] == bars.close[2]


def test_bars_of_an_open_bucket_change_nothing_that_was_seen_before_it_closes() -> None:
    bars = walk(24 * 40)
    keys = ("x24_close", "x24_ema_distance_10", "x24_rsi_balance_14", "x24_ema_slope_10_3")
    opening = 24 * 30
    wild = bars.close.copy()
    wild[opening : opening + 24] *= 3.0
    other = replace(bars, close=wild, high=np.maximum(bars.high, wild))
    for key in keys:
        one, two = Frame(bars)[key], Frame(other)[key]
        assert_same_bits(one[: opening + 23], two[: opening + 23], key)
        assert one[opening + 23] != two[opening + 23], key


def test_an_indicator_over_longer_bars_is_the_indicator_of_those_bars() -> None:
    bars = walk(24 * 60)
    days = bars.close.reshape(-1, 24)
    daily = replace(
        walk(60, timeframe="1d"),
        open=bars.open[::24],
        high=bars.high.reshape(-1, 24).max(1),
        low=bars.low.reshape(-1, 24).min(1),
        close=days[:, -1],
    )
    for key in ("atr_14", "rsi_14", "adx_7", "hour_cos", "weekday_sin"):
        assert_same_bits(Frame(bars)[f"x24_{key}"][23::24], Frame(daily)[key], key)


def test_longer_bars_can_be_folded_again() -> None:
    bars = walk(24 * 10)
    assert bars.timeframe.ms == HOUR_MS
    assert_array_equal(Frame(bars)["x4_x6_close"][23:], Frame(bars)["x24_close"][23:])

"""The bits of a feature do not depend on how its bars arrive, nor on bars still to come."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_bars import PLAYBOOK_KEYS, assert_same_bits, walk

from darwin.core.market import Bars, FloatArray, Timeframe
from darwin.features import recursions, windows
from darwin.features.catalog import NAMES
from darwin.features.pipeline import Frame, Stream

pytestmark = pytest.mark.slow

EVERY_KEY = (*NAMES, *PLAYBOOK_KEYS)
KERNELS = [
    *((windows.lag, bars) for bars in (1, 5)),
    *((windows.window_sum, bars) for bars in (1, 2, 7, 64, 100)),
    *((windows.window_mean, bars) for bars in (3, 168)),
    *((windows.window_highest, bars) for bars in (1, 2, 7, 20)),
    *((windows.window_lowest, bars) for bars in (16, 31)),
    *((windows.window_z, bars) for bars in (1, 2, 20, 31, 50)),
    *((recursions.ema, bars) for bars in (1, 2, 14, 200)),
    *((recursions.wilder, bars) for bars in (1, 14, 50)),
]


def in_chunks(bars: Bars, sizes: list[int], keys: tuple[str, ...]) -> dict[str, FloatArray]:
    """Feed a stream chunk by chunk, the sizes over and over, and join what it tells."""
    stream = Stream(bars.timeframe, keys)
    parts, start, turn = [], 0, 0
    while start < len(bars):
        size = sizes[turn % len(sizes)]
        parts.append(stream.push(bars.slice(start, min(start + size, len(bars)))))
        start, turn = start + size, turn + 1
    return {key: np.concatenate([part[key] for part in parts]) for key in keys}


@pytest.fixture(scope="module", params=["1h", "15m", "1d"])
def rough(request: pytest.FixtureRequest) -> Bars:
    return walk(700, timeframe=request.param, begins_ms=1_600_049_700_000, bad_days=True)


def test_one_chunk_and_chunks_of_one_give_the_same_bits(rough: Bars) -> None:
    frame = Frame(rough)
    for key, column in in_chunks(rough, [1], EVERY_KEY).items():
        assert_same_bits(column, frame[key], key)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1_000), st.lists(st.integers(1, 500), min_size=1, max_size=8), st.booleans())
def test_random_chunks_give_the_same_bits(seed: int, sizes: list[int], known: bool) -> None:
    bars = walk(900, seed, begins_ms=seed * 977_000, bad_days=True, volume_known=known)
    frame = Frame(bars)
    for key, column in in_chunks(bars, sizes, EVERY_KEY).items():
        assert_same_bits(column, frame[key], key)


@pytest.mark.parametrize(("kernel", "bars"), KERNELS)
@pytest.mark.parametrize("warming", [0, 3, 400])
def test_every_kernel_gives_the_same_bits_for_any_chunks(kernel, bars, warming) -> None:
    random = np.random.default_rng(bars + warming)
    x = np.exp(random.normal(size=3_000)) * random.choice([1e-9, 1.0, 1e9], 3_000)
    x[:warming] = np.nan
    whole, _ = kernel(x, None, bars)
    assert np.isnan(whole[: warming + bars - 1]).all()
    assert np.isfinite(whole[warming + bars :]).all()
    for sizes in ([1], [2, 1, 700], [63, 64, 65], [257, 1, 1024]):
        parts, carry, start, turn = [], None, 0, 0
        while start < len(x):
            values, carry = kernel(x[start : start + sizes[turn % len(sizes)]], carry, bars)
            parts.append(values)
            start, turn = start + sizes[turn % len(sizes)], turn + 1
        assert_same_bits(np.concatenate(parts), whole, f"{kernel.__name__} {bars} {sizes}")


def test_the_bits_of_a_window_depend_on_its_values_alone() -> None:
    x = np.random.default_rng(3).normal(size=600)
    other_past = x.copy()
    other_past[:300] *= 1e12
    for kernel in (windows.window_sum, windows.window_z):
        one, other = kernel(x, None, 100)[0], kernel(other_past, None, 100)[0]
        assert_same_bits(one[399:], other[399:])


def assert_no_value_changes_when_the_future_arrives(bars: Bars, seed: int) -> None:
    whole = Frame(bars).take(EVERY_KEY, np.arange(len(bars)))
    for cut in np.random.default_rng(seed).integers(1, len(bars), 20):
        rows = np.arange(max(0, cut - 500), cut)
        assert_same_bits(Frame(bars.slice(0, int(cut))).take(EVERY_KEY, rows), whole[rows])


def test_no_value_of_a_walk_changes_when_the_future_arrives() -> None:
    assert_no_value_changes_when_the_future_arrives(walk(5_000, bad_days=True), seed=1)


def test_no_value_of_real_bars_changes_when_the_future_arrives(market_dir: Path) -> None:
    table = pl.read_parquet(market_dir / "BTCUSDT-1h.parquet")
    assert_no_value_changes_when_the_future_arrives(real_bars(table, "1h"), seed=2)


def test_a_wild_future_changes_no_earlier_value() -> None:
    bars = walk(1_200, bad_days=True)
    wild = {name: getattr(bars, name).copy() for name in ("open", "high", "low", "close", "volume")}
    for column in wild.values():
        column[900:] *= 1e6
    rows = np.arange(900)
    other = Frame(replace(bars, **wild)).take(EVERY_KEY, rows)
    assert_same_bits(other, Frame(bars).take(EVERY_KEY, rows))


def real_bars(table: pl.DataFrame, timeframe: str) -> Bars:
    columns = {name: table[name].to_numpy().copy() for name in table.columns if name != "timestamp"}
    time = table["timestamp"].dt.epoch("ms").to_numpy().astype(np.int64)
    return Bars("BTC/USDT", Timeframe.parse(timeframe), time, **columns)

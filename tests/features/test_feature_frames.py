"""Frames over a history and parts of a stream, as playbooks and agents use them."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from made_bars import PLAYBOOK_KEYS, assert_same_bits, walk

from darwin.core.features import FeatureFrame
from darwin.errors import ConfigError
from darwin.features.catalog import NAMES, VERSION
from darwin.features.pipeline import CHUNK_BARS, Frame, Part, Stream


def test_values_taken_at_rows_are_the_columns_at_those_rows() -> None:
    bars = walk(2_000, bad_days=True)
    frame = Frame(bars)
    rows = np.array([1_999, 3, 700, 700, 0, 1_500])
    keys = (*NAMES, *PLAYBOOK_KEYS)
    taken = frame.take(keys, rows)
    assert taken.shape == (6, len(keys))
    for j, key in enumerate(keys):
        assert_same_bits(taken[:, j], frame[key][rows], key)


def test_values_are_taken_across_the_chunks_a_history_is_computed_in() -> None:
    bars = walk(2 * CHUNK_BARS + 10)
    keys = ("ema_200", "donchian_high_20", "x4_atr_14", "close")
    rows = np.array([CHUNK_BARS - 1, CHUNK_BARS, 2 * CHUNK_BARS, 2 * CHUNK_BARS + 9, 5])
    frame = Frame(bars)
    taken = frame.take(keys, rows)
    for j, key in enumerate(keys):
        assert_same_bits(taken[:, j], frame[key][rows], key)
    part = Stream(bars.timeframe, keys).push(bars)
    assert_same_bits(part.take(keys, rows), taken)


def test_columns_computed_together_equal_columns_computed_alone() -> None:
    bars = walk(900)
    together = Frame(bars, PLAYBOOK_KEYS)
    for key in PLAYBOOK_KEYS:
        assert_same_bits(together[key], Frame(bars)[key], key)


def test_a_column_asked_for_again_is_not_computed_again() -> None:
    frame = Frame(walk(100), ("atr_14", "ema_5"))
    assert frame["atr_14"] is frame["atr_14"]
    first = frame["ema_5"]
    for bars in range(1, 30):
        assert len(frame[f"sma_{bars}"]) == 100
    assert_same_bits(frame["ema_5"], first)


def test_memory_does_not_grow_with_the_number_of_columns_asked_for() -> None:
    bars = walk(200_000)
    rows = np.arange(1_000, 200_000, 100)
    one_column = 8 * len(bars)

    def one_by_one() -> None:
        frame = Frame(bars)
        for span in range(2, 60):
            frame[f"sma_{span}"]

    for ask in (lambda: Frame(bars).take(NAMES, rows), one_by_one):
        tracemalloc.start()
        ask()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 20 * one_column


def test_frame_and_part_are_feature_frames() -> None:
    bars = walk(50)
    frames: list[FeatureFrame] = [Frame(bars), Stream(bars.timeframe, ("close",)).push(bars)]
    for frame in frames:
        assert len(frame) == 50
        assert frame.version == VERSION
        assert_same_bits(frame["close"], bars.close)


def test_no_rows_and_no_bars_are_no_trouble() -> None:
    bars = walk(10)
    nothing = bars.slice(0, 0)
    assert Frame(bars).take(NAMES, np.array([], dtype=np.int64)).shape == (0, len(NAMES))
    assert Frame(nothing)["atr_14"].shape == (0,)
    stream = Stream(bars.timeframe, ("ema_3", "x4_close"))
    assert len(stream.push(nothing)) == 0
    assert stream.push(nothing)["ema_3"].shape == (0,)
    assert_same_bits(stream.push(bars)["ema_3"], Frame(bars)["ema_3"])


def test_rows_outside_the_bars_are_refused() -> None:
    for rows in ([10], [-1]):
        with pytest.raises(IndexError, match="of 10 bars"):
            Frame(walk(10)).take(("close",), np.array(rows))


def test_a_part_knows_only_what_its_stream_was_asked_for() -> None:
    bars = walk(10)
    part = Stream(bars.timeframe, ("ema_3",)).push(bars)
    assert isinstance(part, Part)
    with pytest.raises(ConfigError, match="does not compute 'atr_14'"):
        part["atr_14"]

"""The real series beside the checkout: all but one load as the manifest says."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from darwin.core.market import DAY_MS, HOUR_MS, Timeframe
from darwin.data.checks import CheckReport
from darwin.data.files import FilesProvider, digest, read_bars
from darwin.data.resample import resample
from darwin.data.survey import survey
from darwin.errors import DataError

TIMEFRAMES = {name: Timeframe.parse(name) for name in ("1m", "1h", "1d")}


def test_every_series_passes_but_the_one_whose_row_is_named(market_dir):
    checked = list(survey(market_dir, "continuous", 24))
    refused = {each.path.name: each.fault for each in checked if each.fault}
    assert len(checked) > 30
    assert list(refused) == ["SPY-1d.parquet"]
    assert "row 1807, column 'low', 2015-03-05" in refused["SPY-1d.parquet"].where
    assert "1 more row at fault" in refused["SPY-1d.parquet"].what


def test_rows_and_gaps_are_those_of_the_manifest(market_dir):
    listed = json.loads((market_dir / "manifest.json").read_text())
    facts = {each["file"]: each for each in listed}
    for each in survey(market_dir, "continuous", 24):
        if isinstance(each.report, CheckReport):
            found, fact = asdict(each.report), facts[each.path.name]
            same = ("rows", "gaps", "missing_bars", "longest_gap_bars")
            assert {key: found[key] for key in same} == {key: fact[key] for key in same}
            if not each.report.volume_absent:
                assert found["zero_volume_bars"] == fact["zero_volume"]


def test_minutes_put_together_are_the_hours_of_another_source(market_dir):
    minutes, _ = read_bars(market_dir / "BTCUSDT-1m.parquet", "BTCUSDT", TIMEFRAMES["1m"])
    hours, _ = read_bars(market_dir / "BTCUSDT-1h.parquet", "BTCUSDT", TIMEFRAMES["1h"])
    made = resample(minutes, TIMEFRAMES["1h"])
    same = np.searchsorted(hours.time, made.time)
    assert len(made) == 2178
    assert np.array_equal(hours.time[same], made.time)
    for name in ("open", "high", "low", "close"):
        assert np.array_equal(getattr(hours, name)[same], getattr(made, name)), name
    np.testing.assert_allclose(made.volume, hours.volume[same], rtol=1e-9)


def test_a_perpetual_loads_with_its_funding_from_2023_on(market_dir):
    start = int(np.datetime64("2023-01-01", "ms").astype(int))
    provider = FilesProvider(market_dir, TIMEFRAMES["1h"], start_ms=start, funding=True)
    bars, report = provider.bars("BTCUSDT_PERP"), provider.report("BTCUSDT_PERP")
    assert len(bars.funding.time) == 2922
    assert report.bars_without_funding == 0
    whole = FilesProvider(market_dir, TIMEFRAMES["1h"], funding=True).report("BTCUSDT_PERP")
    assert whole.bars_without_funding == (whole.rows - report.rows) - 8


@pytest.mark.parametrize(
    ("symbol", "timeframe", "file"),
    [
        ("BTC/USDT", "1h", "BTCUSDT-1h.parquet"),
        ("BTCUSDT_PERP", "1h", "BTCUSDT_PERP-1h.parquet"),
        ("BTC/USD:BITFINEX", "1m", "BTCUSD_BITFINEX-1m.parquet"),
        ("BTC_PERP:NT", "1m", "BTC_PERP_NT-1m.parquet"),
        ("GBPUSD_BID", "1m", "GBPUSD_BID-1m.parquet"),
        ("6EH4", "1m", "6EH4-1m.parquet"),
    ],
)
def test_symbols_find_their_files(symbol, timeframe, file, market_dir):
    provider = FilesProvider(market_dir, TIMEFRAMES[timeframe])
    assert provider.source(symbol) == file
    assert provider.digest(symbol) == digest(provider.bars(symbol))


def test_stocks_stamped_at_half_past_are_on_their_own_grid(market_dir):
    provider = FilesProvider(market_dir, TIMEFRAMES["1h"], calendar="sessions")
    report = provider.report("AAPL")
    assert report.first % HOUR_MS == HOUR_MS // 2
    assert (report.off_grid_bars, report.long_gaps) == (0, 0)
    assert (report.gaps, report.missing_bars, report.longest_gap_bars) == (416, 11623, 93)


def test_an_end_before_the_faulty_row_does_not_make_the_file_good(market_dir):
    end = int(np.datetime64("2010-01-01", "ms").astype(int))
    assert end % DAY_MS == 0
    with pytest.raises(DataError, match=r"low 209\.85"):
        FilesProvider(market_dir, TIMEFRAMES["1d"], end_ms=end).bars("SPY")

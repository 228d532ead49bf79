"""Bars by symbol from a folder: which file answers, which range, which digest, which funding."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from darwin.core.market import HOUR_MS, Timeframe
from darwin.data.convert import convert
from darwin.data.files import FilesProvider
from darwin.errors import ConfigError, DataError

HOUR = Timeframe.parse("1h")
FIRST_MS = 1704067200000  # 2024-01-01


@pytest.fixture
def provide(tmp_path):
    def build(**settings) -> FilesProvider:
        return FilesProvider(tmp_path, HOUR, **settings)

    return build


@pytest.fixture
def put(tmp_path, good_csv):
    def write(*names: str) -> None:
        for name in names:
            (tmp_path / name).write_text(good_csv)

    return write


@pytest.mark.parametrize("symbol", ["BTC/USDT", "BTC-USDT", "BTC_USDT", "BTCUSDT"])
@pytest.mark.parametrize("stem", ["BTCUSDT", "BTC-USDT", "BTC_USDT"])
def test_separators_do_not_matter(symbol, stem, put, provide):
    put(f"{stem}-1h.csv", "ETHUSDT-1h.csv", f"{stem}-5m.csv", f"{stem}-1h-funding.csv")
    provider = provide()
    assert provider.source(symbol) == f"{stem}-1h.csv"
    assert provider.bars(symbol).symbol == symbol
    assert len(provider.bars(symbol)) == 4


def test_a_name_as_it_stands_comes_first(put, provide):
    put("BTCUSDT_PERP-1h.csv", "BTCUSDTPERP-1h.csv")
    assert provide().source("BTCUSDT_PERP") == "BTCUSDT_PERP-1h.csv"
    assert provide().source("BTCUSDTPERP") == "BTCUSDTPERP-1h.csv"


def test_a_perpetual_is_not_its_spot(put, provide):
    put("BTCUSDT-1h.csv")
    with pytest.raises(DataError, match="no file for BTCUSDT_PERP"):
        provide().bars("BTCUSDT_PERP")


@pytest.mark.parametrize("symbol", ["BTC/USD:BITSTAMP", "BTCUSD:BITSTAMP", "BTCUSD_BITSTAMP"])
def test_a_venue_behind_the_colon_is_one_behind_the_underscore(symbol, put, provide):
    put("BTCUSD_BITSTAMP-1h.csv", "BTCUSD_COINBASE-1h.csv", "BTCUSD-1h.csv")
    assert provide().source(symbol) == "BTCUSD_BITSTAMP-1h.csv"


def test_two_files_that_could_be_meant_are_refused(put, provide, tmp_path):
    put("BTCUSDT-1h.csv", "BTC-USDT-1h.csv")
    with pytest.raises(DataError, match=r"BTC-USDT-1h.csv and BTCUSDT-1h.csv could be meant"):
        provide().bars("BTC/USDT")


def test_csv_beside_parquet_is_refused_as_ambiguous(put, provide, tmp_path):
    put("BTCUSDT-1h.csv")
    convert(tmp_path / "BTCUSDT-1h.csv", tmp_path / "BTCUSDT-1h.parquet")
    with pytest.raises(DataError, match="ambiguous"):
        provide().bars("BTC/USDT")


def test_a_missing_file_says_what_is_there_instead(put, provide):
    put("ETHUSDT-1h.csv", "BTCUSDT-5m.csv")
    with pytest.raises(DataError) as refusal:
        provide().bars("BTC/USDT")
    assert refusal.value.exit_code == 3
    assert "BTCUSDT-5m" in refusal.value.mend
    assert "BTCUSDT-1h.parquet" in refusal.value.where


def test_a_missing_folder_says_which_one_may_be_meant(tmp_path):
    (tmp_path / "market").mkdir()
    with pytest.raises(DataError, match="no such folder") as refusal:
        FilesProvider(tmp_path / "markt", HOUR).bars("BTC/USDT")
    assert "'market'" in refusal.value.mend


def test_a_file_is_no_folder(put, tmp_path):
    put("BTCUSDT-1h.csv")
    with pytest.raises(DataError, match="not a folder"):
        FilesProvider(tmp_path / "BTCUSDT-1h.csv", HOUR).bars("BTC/USDT")


@pytest.mark.parametrize("symbol", ["../secret", "/etc/passwd", "A", "btc/usdt", "BTC*", "", ".."])
def test_what_is_no_symbol_reaches_no_file(symbol, put, provide, tmp_path):
    put("../secret-1h.csv", "BTCUSDT-1h.csv")
    for ask in (provide().bars, provide().has_funding):
        with pytest.raises(ConfigError, match="no symbol"):
            ask(symbol)


def test_a_link_within_the_folder_is_followed(put, provide, tmp_path, good_csv):
    (tmp_path / "elsewhere.csv").write_text(good_csv)
    (tmp_path / "BTCUSDT-1h.csv").symlink_to(tmp_path / "elsewhere.csv")
    assert len(provide().bars("BTC/USDT")) == 4


def test_a_link_to_nowhere_is_refused(provide, tmp_path):
    (tmp_path / "BTCUSDT-1h.csv").symlink_to(tmp_path / "gone.csv")
    with pytest.raises(DataError, match="no such file"):
        provide().bars("BTC/USDT")


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [
        (None, None, [0, 1, 2, 3]),
        (1, None, [1, 2, 3]),
        (None, 3, [0, 1, 2]),
        (1, 3, [1, 2]),
        (0.5, 2.5, [1, 2]),
        (-100, 100, [0, 1, 2, 3]),
    ],
)
def test_the_start_is_included_and_the_end_is_not(start, end, hours, put, provide):
    put("BTCUSDT-1h.csv")
    limits = {
        name: None if hour is None else int(FIRST_MS + hour * HOUR_MS)
        for name, hour in (("start_ms", start), ("end_ms", end))
    }
    provider = provide(**limits)
    bars, report = provider.bars("BTCUSDT"), provider.report("BTCUSDT")
    assert bars.time.tolist() == [FIRST_MS + hour * HOUR_MS for hour in hours]
    assert (report.rows, report.first, report.last) == (len(bars), bars.time[0], bars.time[-1])


@pytest.mark.parametrize("limits", [{"start_ms": FIRST_MS * 2}, {"end_ms": FIRST_MS}])
def test_an_empty_range_says_which_one_the_file_has(limits, put, provide):
    put("BTCUSDT-1h.csv")
    with pytest.raises(DataError, match="there is no bar") as refusal:
        provide(**limits).bars("BTCUSDT")
    assert "from 2024-01-01 00:00Z to 2024-01-01 03:00Z" in refusal.value.where


def test_a_bad_row_outside_the_range_is_refused_as_well(tmp_path, provide, good_csv):
    (tmp_path / "BTCUSDT-1h.csv").write_text(good_csv.replace("99.25", "101.25"))
    with pytest.raises(DataError, match=r"low 101\.25"):
        provide(start_ms=FIRST_MS + HOUR_MS).bars("BTCUSDT")


def test_csv_and_parquet_have_one_digest_and_other_data_another(put, provide, tmp_path, good_csv):
    put("A1-1h.csv")
    convert(tmp_path / "A1-1h.csv", tmp_path / "A2-1h.parquet")
    (tmp_path / "A3-1h.csv").write_text(good_csv.replace("0.30000000000000004", "0.3"))
    provider = provide()
    assert provider.digest("A1") == provider.digest("A2")
    assert provider.digest("A1") != provider.digest("A3")
    assert len(provider.digest("A1")) == 64
    assert provide(start_ms=FIRST_MS + 1).digest("A1") != provider.digest("A1")


def write_funding(folder: Path, name: str, hours: list[float]) -> None:
    rows = [f"{FIRST_MS + int(hour * HOUR_MS)},0.0001" for hour in hours]
    (folder / name).write_text("\n".join(["timestamp,funding_rate", *rows]))


def test_funding_travels_with_the_bars_when_asked_for(put, provide, tmp_path):
    put("BTCUSDT_PERP-1h.csv")
    write_funding(tmp_path, "BTCUSDT_PERP-8h-funding.csv", [-8, 0, 2, 4, 8])
    without, with_it = provide(), provide(funding=True)
    assert without.bars("BTCUSDT_PERP").funding is None
    assert without.has_funding("BTCUSDT_PERP")
    funding = with_it.bars("BTCUSDT_PERP").funding
    assert funding.time.tolist() == [FIRST_MS, FIRST_MS + 2 * HOUR_MS]
    assert funding.rate.tolist() == [0.0001, 0.0001]
    assert with_it.digest("BTCUSDT_PERP") != without.digest("BTCUSDT_PERP")


def test_funding_that_is_not_there_is_refused_when_asked_for(put, provide):
    put("BTCUSDT_PERP-1h.csv")
    assert not provide().has_funding("BTCUSDT_PERP")
    with pytest.raises(DataError, match="no funding series") as refusal:
        provide(funding=True).bars("BTCUSDT_PERP")
    assert "BTCUSDT_PERP-8h-funding" in refusal.value.where


def test_funding_of_another_time_is_refused(put, provide, tmp_path):
    put("BTCUSDT_PERP-1h.csv")
    write_funding(tmp_path, "BTCUSDT_PERP-8h-funding.csv", [8, 16])
    with pytest.raises(DataError, match="ends before its bars begin"):
        provide(funding=True).bars("BTCUSDT_PERP")


def test_two_funding_series_are_ambiguous(put, provide, tmp_path):
    put("BTCUSDT_PERP-1h.csv")
    write_funding(tmp_path, "BTCUSDT_PERP-8h-funding.csv", [0])
    write_funding(tmp_path, "BTCUSDT_PERP-4h-funding.csv", [0])
    with pytest.raises(DataError, match="ambiguous"):
        provide(funding=True).bars("BTCUSDT_PERP")


def test_bars_that_the_funding_leaves_out_are_counted(provide, tmp_path):
    hours = range(48)
    rows = [f"{FIRST_MS + hour * HOUR_MS},1,1,1,1,1" for hour in hours]
    header = "timestamp,open,high,low,close,volume"
    (tmp_path / "X1_PERP-1h.csv").write_text("\n".join([header, *rows]))
    write_funding(tmp_path, "X1_PERP-8h-funding.csv", [8, 16, 32, 40])
    # the bars of hours 17 to 23 wait more than 8 h; those after 40 may still be paid for
    report = provide(funding=True).report("X1_PERP")
    assert report.bars_without_funding == 7


def test_payments_stamped_a_little_late_leave_no_bar_out(provide, tmp_path):
    rows = [f"{FIRST_MS + hour * HOUR_MS},1,1,1,1,1" for hour in range(30)]
    header = "timestamp,open,high,low,close,volume"
    (tmp_path / "X1_PERP-1h.csv").write_text("\n".join([header, *rows]))
    write_funding(tmp_path, "X1_PERP-8h-funding.csv", [8.00001, 16, 24.00001])
    assert provide(funding=True).report("X1_PERP").bars_without_funding == 0


def test_a_file_is_read_once(put, provide, tmp_path):
    put("BTCUSDT-1h.csv")
    provider = provide()
    before = provider.bars("BTCUSDT")
    (tmp_path / "BTCUSDT-1h.csv").unlink()
    assert provider.bars("BTCUSDT") is before


def test_importing_the_provider_leaves_polars_out():
    code = "import sys, darwin.data.files; sys.exit('polars' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("spelling", ["BTC/USDT:SYNTH", "BTCUSDT:SYNTH", "BTCUSDT_SYNTH"])
def test_a_synthetic_file_keeps_its_label_however_it_is_named(spelling, put, provide):
    put("BTCUSDT_SYNTH-1h.csv", "BTCUSDT-1h.csv")
    assert provide().bars(spelling).synthetic
    assert not provide().bars("BTCUSDT").synthetic

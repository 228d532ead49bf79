"""Every kind of bad bars: refused with exit code 3, by file, row and column, in three lines."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

HEADER = "timestamp,open,high,low,close,volume"
COLUMNS = HEADER.split(",")
START = datetime(2024, 1, 1, tzinfo=UTC)


def csv_with(row: int | None = None, **cells: object) -> bytes:
    """Eight good hourly bars as CSV, the cells of one 1-based row replaced."""
    rows = [
        dict(zip(COLUMNS, (f"{START + timedelta(hours=i):%FT%TZ}", 10, 12, 9, 11, 5), strict=True))
        for i in range(8)
    ]
    if row is not None:
        rows[row - 1] |= cells
    lines = [",".join(str(each[name]) for name in COLUMNS) for each in rows]
    return ("\n".join([HEADER, *lines]) + "\n").encode()


def epochs(*values: object) -> bytes:
    return ("\n".join([HEADER, *(f"{value},10,12,9,11,5" for value in values)]) + "\n").encode()


def lines(*rows: str, header: str = HEADER) -> bytes:
    return ("\n".join([header, *rows]) + "\n").encode()


GOOD_LINES = csv_with().decode().splitlines()[1:]

BAD_CSV = {
    # name: (content, row or None, column or "", a word of what was found)
    "open is zero": (csv_with(3, open=0, low=0), 3, "open", "above zero"),
    "price is negative": (csv_with(3, low=-1), 3, "low", "-1.0"),
    "price is minus zero": (csv_with(2, low="-0.0"), 2, "low", "-0.0"),
    "price is NaN": (csv_with(4, close="NaN"), 4, "close", "nan"),
    "price is infinite": (csv_with(4, high="inf"), 4, "high", "inf"),
    "price is minus infinite": (csv_with(4, low="-Infinity"), 4, "low", "inf"),
    "price overflows float64": (csv_with(4, high="1e400"), 4, "high", "inf"),
    "price is empty": (csv_with(5, open=""), 5, "open", "empty"),
    "price is a word": (csv_with(5, open="n/a"), 5, "open", "n/a"),
    "price is hexadecimal": (csv_with(5, open="0x10"), 5, "open", "0x10"),
    "price has thousands separators": (csv_with(5, open='"1,000.5"'), 5, "open", "1,000.5"),
    "low above open": (csv_with(6, open=8), 6, "low", "8.0"),
    "low above close": (csv_with(6, close=8), 6, "low", "8.0"),
    "high below open": (csv_with(6, open=13), 6, "high", "13.0"),
    "high below close": (csv_with(6, close=13), 6, "high", "13.0"),
    "low above high": (csv_with(6, low=13, high=8), 6, "low", "13.0"),
    "volume is negative": (csv_with(7, volume=-2), 7, "volume", "-2.0"),
    "volume is minus zero": (csv_with(7, volume="-0.0"), 7, "volume", "-0.0"),
    "volume is infinite": (csv_with(7, volume="1e999"), 7, "volume", "inf"),
    "volume is missing in one row": (csv_with(7, volume=""), 7, "volume", "empty"),
    "volume is NaN in one row": (csv_with(7, volume="nan"), 7, "volume", "nan"),
    "rows out of order": (lines(*GOOD_LINES[:4], *GOOD_LINES[2:3]), 5, "timestamp", "order"),
    "newest first": (lines(*reversed(GOOD_LINES)), 2, "timestamp", "order"),
    "same time, other price": (
        lines(*GOOD_LINES[:2], GOOD_LINES[1].replace(",11,", ",11.5,")),
        3,
        "close",
        "11.5",
    ),
    "same time, lower price": (
        lines(*GOOD_LINES[:2], GOOD_LINES[1].replace(",11,", ",10.5,")),
        3,
        "close",
        "10.5",
    ),
    "same time, other volume": (
        lines(*GOOD_LINES[:2], GOOD_LINES[1].replace(",5", ",6")),
        3,
        "volume",
        "6.0",
    ),
    "bars of a shorter timeframe": (
        csv_with(3, timestamp="2024-01-01T01:30:00Z"),
        3,
        "timestamp",
        "1h",
    ),
    "bars of a longer timeframe": (lines(*GOOD_LINES[::2]), None, "timestamp", "120 minutes"),
    "time before 1970": (csv_with(1, timestamp="1969-12-31T23:00:00Z"), 1, "timestamp", "1970"),
    "time after 2200": (csv_with(8, timestamp="2200-01-01T00:00:00Z"), 8, "timestamp", "2200"),
    "epochs of two units": (
        epochs(1704067200, 1704070800, 1704074400000),
        3,
        "timestamp",
        "milliseconds",
    ),
    "epochs of no known unit": (epochs(9_000_000_000, 9_000_003_600), 1, "timestamp", "2200"),
    "epoch beyond 64 bits": (epochs(1704067200, 10**20), 2, "timestamp", "1000000000"),
    "epoch smallest of 64 bits": (epochs(-(2**63)), 1, "timestamp", "millisecond"),
    "epoch with a fraction of a millisecond": (
        epochs(1704067200000001),
        1,
        "timestamp",
        "millisecond",
    ),
    "epoch written as float": (epochs("1704067200.5"), 1, "timestamp", "1704067200.5"),
    "time is a word": (csv_with(4, timestamp="yesterday"), 4, "timestamp", "yesterday"),
    "time is empty": (csv_with(4, timestamp=""), 4, "timestamp", "empty"),
    "day that does not exist": (csv_with(4, timestamp="2024-02-30"), 4, "timestamp", "02-30"),
    "hour 24": (csv_with(4, timestamp="2024-01-01T24:00:00Z"), 4, "timestamp", "24:00"),
    "day before month": (csv_with(4, timestamp="01/02/2024 00:00"), 4, "timestamp", "01/02"),
    "some times without a zone": (
        csv_with(4, timestamp="2024-01-01T03:00:00"),
        4,
        "timestamp",
        "zone",
    ),
    "a cell too many": (lines(*GOOD_LINES[:2], GOOD_LINES[2] + ",1"), 3, "", "7 cells"),
    "a cell too few": (lines(*GOOD_LINES[:2], "2024-01-01T02:00:00Z,10,12,9,11"), 3, "", "5 cells"),
    "a blank line in between": (lines(*GOOD_LINES[:2], "", *GOOD_LINES[2:]), 3, "", "0 cells"),
    "a quote that never ends": (csv_with(3, open='"10'), 3, "", "cell"),
    "a zero byte": (csv_with(3, open="1\x000"), 3, "", "zero byte"),
    "not UTF-8": (csv_with(3, open="1\u00e9").decode().encode("latin-1"), 3, "", "0xe9"),
    "UTF-16": (csv_with().decode().encode("utf-16"), None, "", "UTF-8"),
    "line ends of old": (csv_with().replace(b"\n", b"\r"), None, "", "header"),
    "no header": (lines(*GOOD_LINES[1:], header=GOOD_LINES[0]), None, "timestamp", "no column"),
    "no volume column": (
        lines("2024-01-01,10,12,9,11", header="timestamp,open,high,low,close"),
        None,
        "volume",
        "no column",
    ),
    "two columns of one name": (
        lines("2024-01-01,10,12,9,11,5,11", header=HEADER + ",Close"),
        None,
        "close",
        "2 columns",
    ),
    "two columns that could be the time": (
        lines("2024-01-01,00:00,10,12,9,11,5", header="date,time,open,high,low,close,volume"),
        None,
        "timestamp",
        "2 columns",
    ),
    "zero bytes": (b"", None, "", "empty"),
    "only a header": (lines(), None, "", "row"),
    "only a byte order mark": (b"\xef\xbb\xbf", None, "timestamp", "no column"),
    "a web page": (b"<!DOCTYPE html>\n<html>rate limited</html>\n", None, "timestamp", "html"),
}


def frame(**columns: object) -> pl.DataFrame:
    good = {
        "timestamp": [START + timedelta(hours=i) for i in range(8)],
        **{
            name: [value] * 8
            for name, value in zip(COLUMNS[1:], (10.0, 12.0, 9.0, 11.0, 5.0), strict=True)
        },
    }
    return pl.DataFrame(good | columns)


BAD_PARQUET = {
    "prices are text": (frame(close=["11"] * 8), 1, "close", "String"),
    "prices are yes and no": (frame(close=[True] * 8), 1, "close", "Boolean"),
    "a price is null": (frame(close=[11.0] * 5 + [None] * 3), 6, "close", "empty"),
    "a column of nulls": (frame(high=[None] * 8), 1, "high", "empty"),
    "a volume is null": (frame(volume=[5.0] * 7 + [None]), 8, "volume", "empty"),
    "a time is null": (frame(timestamp=[START, None] * 4), 2, "timestamp", "empty"),
    "times are floats": (frame(timestamp=[1.7e9 + i for i in range(8)]), None, "timestamp", "64"),
    "times with microseconds": (
        frame(timestamp=[START + timedelta(hours=i, microseconds=i == 4) for i in range(8)]),
        5,
        "timestamp",
        "millisecond",
    ),
    "no open column": (frame().drop("open"), None, "open", "no column"),
    "no rows": (frame().head(0), None, "", "row"),
}


def assert_refused(code: int, err: str, file: str, row: int | None, column: str, word: str) -> None:
    assert code == 3, err
    assert 1 <= len(err.splitlines()) <= 3
    assert "Traceback" not in err
    assert err.startswith("error: ")
    assert "  mend: " in err
    assert file in err
    assert word in err
    if row is not None:
        assert f"row {row}" in err
    if column:
        assert f"column '{column}'" in err


@pytest.mark.parametrize("name", BAD_CSV)
def test_a_bad_csv_is_refused_by_file_row_and_column(name, tmp_path, darwin):
    content, row, column, word = BAD_CSV[name]
    path = tmp_path / "BTCUSDT-1h.csv"
    path.write_bytes(content)
    ended = darwin("data", "check", path)
    assert_refused(ended.code, ended.err, "BTCUSDT-1h.csv", row, column, word)


@pytest.mark.parametrize("name", BAD_PARQUET)
def test_a_bad_parquet_file_is_refused_by_file_row_and_column(name, tmp_path, darwin):
    content, row, column, word = BAD_PARQUET[name]
    path = tmp_path / "BTCUSDT-1h.parquet"
    content.write_parquet(path)
    ended = darwin("data", "check", path)
    assert_refused(ended.code, ended.err, "BTCUSDT-1h.parquet", row, column, word)


def test_the_bars_that_all_others_deviate_from_are_good(tmp_path, darwin):
    (tmp_path / "A1-1h.csv").write_bytes(csv_with())
    frame().write_parquet(tmp_path / "A2-1h.parquet")
    assert darwin("data", "check", tmp_path).code == 0


CHILD_CASES = ("low above open", "rows out of order", "a cell too many", "not UTF-8", "zero bytes")


@pytest.mark.parametrize("name", CHILD_CASES)
def test_a_process_of_its_own_ends_the_same_way(name, tmp_path):
    content, row, column, word = BAD_CSV[name]
    (tmp_path / "BTCUSDT-1h.csv").write_bytes(content)
    command = [sys.executable, "-c", "from darwin.cli.main import main; main()", "data", "check"]
    ended = subprocess.run(
        [*command, "BTCUSDT-1h.csv"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert_refused(ended.returncode, ended.stderr, "BTCUSDT-1h.csv", row, column, word)


def damaged_parquet_files() -> dict[str, bytes]:
    import io

    buffer = io.BytesIO()
    frame().write_parquet(buffer)
    whole = buffer.getvalue()
    chance = np.random.default_rng(7)
    damaged = {
        "cut in half": whole[: len(whole) // 2],
        "cut by one byte": whole[:-1],
        "only its magic": b"PAR1",
        "magic twice": b"PAR1PAR1",
        "wrong magic": b"RAP1" + whole[4:-4] + b"RAP1",
        "in truth a CSV": csv_with(),
        "length of the footer too large": whole[:-8] + b"\xff\xff\xff\x7f" + whole[-4:],
        "footer of zeros": whole[:-200] + bytes(192) + whole[-8:],
        "pages of zeros": whole[:4] + bytes(300) + whole[304:],
    }
    for i in range(20):
        noise = bytearray(whole)
        for place in chance.integers(4, len(whole) - 8, 40):
            noise[place] ^= int(chance.integers(1, 256))
        damaged[f"noise {i}"] = bytes(noise)
    return damaged


@pytest.mark.parametrize("name", damaged_parquet_files())
def test_a_damaged_parquet_file_is_refused_in_three_lines(name, tmp_path, darwin):
    path = tmp_path / "BTCUSDT-1h.parquet"
    path.write_bytes(damaged_parquet_files()[name])
    ended = darwin("data", "check", path)
    assert_refused(ended.code, ended.err, "BTCUSDT-1h.parquet", None, "", "")


def test_a_folder_named_like_a_file_is_refused(tmp_path, darwin):
    (tmp_path / "BTCUSDT-1h.csv").mkdir()
    ended = darwin("data", "check", tmp_path)
    assert_refused(ended.code, ended.err, "BTCUSDT-1h.csv", None, "", "folder")


@pytest.mark.parametrize("name", ["nowhere", "nowhere/BTCUSDT-1h.csv", "BTCUSDT-1h.parquet"])
def test_what_is_not_there_is_refused(name, tmp_path, darwin):
    ended = darwin("data", "check", tmp_path / name)
    assert_refused(ended.code, ended.err, name, None, "", "")


BAD_FUNDING = {
    "rate is NaN": ("nan", 2, "funding_rate"),
    "rate is infinite": ("inf", 2, "funding_rate"),
    "rate is 100 %": ("1.0", 2, "funding_rate"),
    "rate is -150 %": ("-1.5", 2, "funding_rate"),
    "rate is empty": ("", 2, "funding_rate"),
    "rate is a word": ("zero", 2, "funding_rate"),
}


@pytest.mark.parametrize("name", BAD_FUNDING)
def test_a_bad_funding_rate_is_refused(name, tmp_path, darwin):
    rate, row, column = BAD_FUNDING[name]
    path = tmp_path / "BTCUSDT_PERP-8h-funding.csv"
    path.write_text(f"timestamp,funding_rate\n2024-01-01,0.0001\n2024-01-02,{rate}\n")
    ended = darwin("data", "check", path)
    assert_refused(ended.code, ended.err, path.name, row, column, "")


@pytest.mark.parametrize("times", [("2024-01-02", "2024-01-01"), ("2024-01-01", "2024-01-01")])
def test_funding_out_of_order_or_in_conflict_is_refused(times, tmp_path, darwin):
    path = tmp_path / "BTCUSDT_PERP-8h-funding.csv"
    path.write_text(f"timestamp,funding_rate\n{times[0]},0.0001\n{times[1]},0.0002\n")
    ended = darwin("data", "check", path)
    assert_refused(ended.code, ended.err, path.name, 2, "", "")

"""Files that say the same in different ways give the same bits."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darwin.core.market import HOUR_MS, Bars, Timeframe
from darwin.data.convert import convert
from darwin.data.files import digest, read_bars
from darwin.errors import DataError

HOUR = Timeframe.parse("1h")
HEADER = "timestamp,open,high,low,close,volume"
FIRST_MS = 1704067200000


def read(path: Path) -> Bars:
    return read_bars(path, "X", HOUR)[0]


def retimed(good_rows: list[str], write) -> str:
    rows = [f"{write(i)},{row.partition(',')[2]}" for i, row in enumerate(good_rows)]
    return "\n".join([HEADER, *rows]) + "\n"


def at(i: int) -> datetime:
    return datetime.fromtimestamp(FIRST_MS / 1000, UTC) + timedelta(hours=i)


TIMES = {
    "T and Z": lambda i: at(i).strftime("%Y-%m-%dT%H:%M:%SZ"),
    "T and no zone": lambda i: at(i).strftime("%Y-%m-%dT%H:%M:%S"),
    "blank and no zone": lambda i: at(i).strftime("%Y-%m-%d %H:%M:%S"),
    "blank and UTC": lambda i: at(i).strftime("%Y-%m-%d %H:%M:%S UTC"),
    "no seconds": lambda i: at(i).strftime("%Y-%m-%d %H:%M"),
    "milliseconds": lambda i: at(i).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
    "microseconds": lambda i: at(i).strftime("%Y-%m-%dT%H:%M:%S.000000+00:00"),
    "offset east": lambda i: (at(i) + timedelta(hours=5, minutes=30)).strftime(
        "%Y-%m-%dT%H:%M:%S+05:30"
    ),
    "offset west, no colon": lambda i: (at(i) - timedelta(hours=3)).strftime(
        "%Y-%m-%d %H:%M:%S-0300"
    ),
    "quoted": lambda i: at(i).strftime('"%Y-%m-%d %H:%M:%S"'),
    "seconds since 1970": lambda i: FIRST_MS // 1000 + i * 3600,
    "milliseconds since 1970": lambda i: FIRST_MS + i * HOUR_MS,
    "microseconds since 1970": lambda i: (FIRST_MS + i * HOUR_MS) * 1000,
    "nanoseconds since 1970": lambda i: (FIRST_MS + i * HOUR_MS) * 1_000_000,
}

DIALECTS = {
    "byte order mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "CRLF": lambda text: text.replace("\n", "\r\n").encode(),
    "byte order mark and CRLF": lambda text: b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode(),
    "no line end at the end": lambda text: text.rstrip("\n").encode(),
    "blank lines at the end": lambda text: (text + "\n\r\n  \n").encode(),
    "semicolons": lambda text: text.replace(",", ";").encode(),
    "tabs": lambda text: text.replace(",", "\t").encode(),
    "blanks around cells": lambda text: text.replace(",", " , ").encode(),
    "everything quoted": lambda text: "\n".join(
        f'"{line}"' for line in text.replace(",", '","').splitlines()
    ).encode(),
    "upper-case header": lambda text: text.replace(HEADER, HEADER.upper()).encode(),
    "time is called Date": lambda text: text.replace("timestamp", "Date").encode(),
    "time is called open_time": lambda text: text.replace("timestamp", "open_time").encode(),
    "columns in another order, and one more": lambda text: "\n".join(
        ",".join((volume, open_, "spot", low, high, close, time))
        for time, open_, high, low, close, volume in (line.split(",") for line in text.split())
    ).encode(),
    "a comma at the end of every line": lambda text: text.replace("\n", ",\n").encode(),
}


@pytest.mark.parametrize("name", TIMES)
def test_every_way_to_write_a_time_means_the_same(name, tmp_path, good_rows, good_csv):
    (tmp_path / "plain.csv").write_text(good_csv)
    (tmp_path / "other.csv").write_text(retimed(good_rows, TIMES[name]))
    bars = read(tmp_path / "other.csv")
    assert bars.time.tolist() == [FIRST_MS + i * HOUR_MS for i in range(4)]
    assert digest(bars) == digest(read(tmp_path / "plain.csv"))


@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect_gives_the_same_bits(name, tmp_path, good_csv):
    (tmp_path / "plain.csv").write_text(good_csv)
    (tmp_path / "other.csv").write_bytes(DIALECTS[name](good_csv))
    assert digest(read(tmp_path / "other.csv")) == digest(read(tmp_path / "plain.csv"))


def test_a_day_alone_is_its_midnight_in_utc(tmp_path):
    (tmp_path / "x.csv").write_text(f"{HEADER}\n2024-01-31,1,1,1,1,1\n2024-02-01,1,1,1,1,1\n")
    bars, _ = read_bars(tmp_path / "x.csv", "X", Timeframe.parse("1d"))
    assert bars.time.tolist() == [1706659200000, 1706745600000]


@pytest.mark.parametrize("since_1970", [631152000, 631152000000, 631152000000000])
def test_epochs_of_the_last_century_have_their_unit_as_well(since_1970, tmp_path):
    (tmp_path / "x.csv").write_text(f"{HEADER}\n{since_1970},1,1,1,1,1\n")
    assert read(tmp_path / "x.csv").time.tolist() == [631152000000]  # 1990-01-01


PARQUET_TIMES = {
    "ms, UTC": pl.Datetime("ms", "UTC"),
    "ms, no zone": pl.Datetime("ms"),
    "us, UTC": pl.Datetime("us", "UTC"),
    "ns, no zone": pl.Datetime("ns"),
    "us, New York": pl.Datetime("us", "America/New_York"),
    "int64": pl.Int64,
}


@pytest.mark.parametrize("name", PARQUET_TIMES)
def test_every_type_of_time_in_parquet_means_the_same_as_csv(name, tmp_path, good_csv):
    plain = tmp_path / "plain.csv"
    plain.write_text(good_csv)
    bars = read(plain)
    kind = PARQUET_TIMES[name]
    stamps = pl.Series(bars.time)
    if kind != pl.Int64:
        stamps = stamps.cast(pl.Datetime("ms", kind.time_zone)).cast(kind)
    prices = {each: getattr(bars, each) for each in HEADER.split(",")[1:]}
    frame = pl.DataFrame({"Time": stamps, **prices, "trades": [["a"]] * 4})
    frame.write_parquet(tmp_path / "other.parquet")
    assert digest(read(tmp_path / "other.parquet")) == digest(bars)


NUMBER_TYPES = (pl.Int8, pl.UInt64, pl.Int32, pl.Float32, pl.Float64, pl.Decimal(10, 2))


@pytest.mark.parametrize("kind", NUMBER_TYPES, ids=str)
def test_every_numeric_type_in_parquet_is_read_as_float64(kind, tmp_path):
    frame = pl.DataFrame({"timestamp": [FIRST_MS]} | {name: [7] for name in HEADER.split(",")[1:]})
    frame.with_columns(pl.exclude("timestamp").cast(kind)).write_parquet(tmp_path / "x.parquet")
    bars = read(tmp_path / "x.parquet")
    assert (bars.open.dtype, bars.open.tolist()) == (np.float64, [7.0])


positive_decimals = st.one_of(
    st.floats(min_value=5e-324, allow_infinity=False, allow_nan=False).map(repr),
    st.decimals(min_value="1e-30", max_value="1e30", allow_nan=False).map(str),
    st.from_regex(r"[1-9][0-9]{0,40}(\.[0-9]{0,40})?([eE][+-]?[0-9]{1,2})?", fullmatch=True),
)


@given(st.lists(positive_decimals, min_size=1, max_size=20))
@settings(max_examples=100, deadline=None)
def test_a_number_has_the_bits_that_python_gives_it(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("bits") / "x.csv"
    rows = [f"{FIRST_MS + i * HOUR_MS},{t},{t},{t},{t},{t}" for i, t in enumerate(texts)]
    path.write_text("\n".join([HEADER, *rows]))
    bits = [struct.pack("<d", value) for value in read(path).close]
    assert bits == [struct.pack("<d", float(text)) for text in texts]


@st.composite
def tables(draw) -> str:
    """Valid bars of any size, with gaps, odd milliseconds and with or without volume."""
    steps = draw(st.lists(st.integers(0, 3), max_size=12))
    price = st.floats(1e-300, 1e300)
    has_volume = draw(st.booleans())
    time, rows = draw(st.integers(0, 10**12)), []
    for step in [0, *steps]:
        time += HOUR_MS + step * step * HOUR_MS // 2
        low, a, b, high = sorted(draw(st.tuples(price, price, price, price)))
        volume = draw(st.floats(0, 1e300).map(abs)) if has_volume else ""
        when = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time)).isoformat()
        rows.append(f"{when},{a!r},{high!r},{low!r},{b!r},{volume}")
    return "\n".join([HEADER, *rows])


@given(tables())
@settings(max_examples=60, deadline=None)
def test_bars_survive_the_way_to_parquet_and_back_bit_for_bit(tmp_path_factory, table):
    folder = tmp_path_factory.mktemp("round")
    start, middle, end = (folder / name for name in ("A-1h.csv", "B-1h.parquet", "C-1h.csv"))
    start.write_text(table)
    try:
        bars = read(start)
    except DataError as fault:  # three rows without a neighbour say another timeframe
        assert "no two rows are 1h apart" in fault.what
        return
    convert(start, middle)
    convert(middle, end)
    assert digest(read(middle)) == digest(read(end)) == digest(bars)

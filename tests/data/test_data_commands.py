"""`darwin data check` and `darwin data convert`, from outside."""

from __future__ import annotations

import json

import polars as pl
import pytest

from darwin.core.market import Timeframe
from darwin.data.files import digest, read_bars

HEADER = "timestamp,open,high,low,close,volume"


def minutes(count: int, missing: tuple[int, ...] = ()) -> str:
    """Bars of one minute from 2024-01-01 (a Monday), each a step higher."""
    rows = [
        f"{1704067200 + 60 * i},{100 + i},{100.75 + i},{99.5 + i},{100.5 + i},{i}"
        for i in range(count)
        if i not in missing
    ]
    return "\n".join([HEADER, *rows]) + "\n"


def test_a_folder_is_listed_whole_before_it_is_refused(tmp_path, darwin, good_csv):
    (tmp_path / "A1-1h.csv").write_text(good_csv)
    (tmp_path / "B1-1h.csv").write_text(good_csv.replace("99.25", "101.25"))
    (tmp_path / "C1-1h.csv").write_text(good_csv)
    (tmp_path / "C1-8h-funding.csv").write_text("timestamp,funding_rate\n2024-01-01,0.0001\n")
    (tmp_path / "notes.txt").write_text("not data")
    ended = darwin("data", "check", tmp_path)
    verdicts = [line for line in ended.out.splitlines() if line[:2] in ("A1", "B1", "C1")]
    assert [line.split()[0] for line in verdicts] == [
        "A1-1h.csv",
        "B1-1h.csv",
        "C1-1h.csv",
        "C1-8h-funding.csv",
    ]
    assert "refused: low 101.25" in verdicts[1]
    assert all(line.rstrip().endswith("passed") for line in verdicts[:1] + verdicts[2:])
    assert ended.code == 3
    assert ended.err.startswith("error: 1 of 4 files refused, first: low 101.25")
    assert "B1-1h.csv, row 1, column 'low'" in ended.err


def test_json_says_the_same_on_stdout(tmp_path, darwin, good_csv):
    rows = good_csv.splitlines()
    (tmp_path / "A1-1h.csv").write_text("\n".join([*rows[:3], rows[2], *rows[4:]]))
    (tmp_path / "B1-1h.csv").write_text(good_csv.replace("99.25", "101.25"))
    ended = darwin("data", "check", tmp_path, "--json")
    said = json.loads(ended.out)
    assert ended.code == 3
    assert (said["files"], said["refused"]) == (2, 1)
    good, bad = said["series"]
    assert (good["file"], good["kind"], good["verdict"]) == ("A1-1h.csv", "bars", "passed")
    assert good["report"]["rows"] == 3
    assert good["report"]["duplicates_dropped"] == 1
    assert good["report"]["gaps"] == good["report"]["missing_bars"] == 1
    assert good["report"]["zero_volume_bars"] == 1
    assert (bad["verdict"], bad["report"]) == ("refused", None)
    assert "row 1, column 'low'" in bad["fault"]["where"]


def test_a_name_that_says_no_timeframe_is_refused(tmp_path, darwin, good_csv):
    (tmp_path / "prices.csv").write_text(good_csv)
    ended = darwin("data", "check", tmp_path / "prices.csv")
    assert ended.code == 3
    assert "SYMBOL-TIMEFRAME" in ended.err


def test_a_series_there_twice_is_refused(tmp_path, darwin, good_csv):
    (tmp_path / "A1-1h.csv").write_text(good_csv)
    assert darwin("data", "convert", tmp_path / "A1-1h.csv", tmp_path / "A1-1h.parquet").code == 0
    ended = darwin("data", "check", tmp_path)
    assert ended.code == 3
    assert "A1-1h.csv and A1-1h.parquet" in ended.err


def test_markup_in_a_file_name_is_shown_as_it_is(tmp_path, darwin, good_csv):
    (tmp_path / "[red]A1-1h.csv").write_text(good_csv)
    assert "[red]A1-1h.csv" in darwin("data", "check", tmp_path).out


def test_converting_there_and_back_keeps_every_bit(tmp_path, darwin, good_csv):
    start, middle, end = (tmp_path / name for name in ("A-1h.csv", "B-1h.parquet", "C-1h.csv"))
    start.write_text(good_csv)
    assert darwin("data", "convert", start, middle).code == 0
    assert darwin("data", "convert", middle, end).code == 0
    hour = Timeframe.parse("1h")
    assert len({digest(read_bars(path, "X", hour)[0]) for path in (start, middle, end)}) == 1
    assert pl.read_parquet_schema(middle)["timestamp"] == pl.Datetime("ms", "UTC")


def test_funding_is_converted_too(tmp_path, darwin):
    source, target = tmp_path / "A-8h-funding.csv", tmp_path / "A-8h-funding.parquet"
    source.write_text(
        "timestamp,funding_rate\n2024-01-01 00:00,0.0001\n2024-01-01 08:00,-0.00003\n"
    )
    assert darwin("data", "convert", source, target).code == 0
    assert pl.read_parquet(target)["funding_rate"].to_list() == [0.0001, -0.00003]


def test_nothing_is_overwritten_without_force(tmp_path, darwin, good_csv):
    source, target = tmp_path / "A-1h.csv", tmp_path / "B-1h.csv"
    source.write_text(good_csv)
    target.write_text("precious")
    ended = darwin("data", "convert", source, target)
    assert (ended.code, target.read_text()) == (2, "precious")
    assert "--force" in ended.err
    assert darwin("data", "convert", source, target, "--force").code == 0
    assert target.read_text().startswith(HEADER)


def test_bad_input_leaves_nothing_behind(tmp_path, darwin, good_csv):
    source, target = tmp_path / "A-1h.csv", tmp_path / "B-1h.parquet"
    source.write_text(good_csv.replace("99.25", "101.25"))
    target.write_text("precious")
    assert darwin("data", "convert", source, target, "--force").code == 3
    assert target.read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["A-1h.csv", "B-1h.parquet"]


def test_a_disk_that_refuses_leaves_nothing_behind(tmp_path, darwin, good_csv):
    source, target = tmp_path / "A-1h.csv", tmp_path / "B-1h.csv"
    source.write_text(good_csv)
    target.mkdir()
    ended = darwin("data", "convert", source, target, "--force")
    assert ended.code == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["A-1h.csv", "B-1h.csv"]
    assert darwin("data", "convert", source, tmp_path / "no" / "B-1h.csv").code == 4


BAD_REQUESTS = {
    "no known format": ("A-1m.csv", "A-1m.xlsx"),
    "a name without a timeframe": ("A-1m.csv", "out.csv"),
    "another timeframe in the name": ("A-1m.csv", "A-5m.parquet"),
    "resampled under the old name": ("A-1m.csv", "B-1m.parquet", "--timeframe", "5m"),
    "no multiple": ("A-7m.csv", "A-15m.csv", "--timeframe", "15m"),
    "a shorter timeframe": ("A-7m.csv", "B-1m.csv", "--timeframe", "1m"),
    "no timeframe at all": ("A-1m.csv", "A-5m.csv", "--timeframe", "5 minutes"),
    "bars as funding": ("A-1m.csv", "A-8h-funding.csv"),
    "resampled from an unknown timeframe": ("raw.csv", "A-5m.csv", "--timeframe", "5m"),
}


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_a_conversion_that_cannot_be_meant_ends_with_2(name, tmp_path, darwin):
    source, target, *rest = BAD_REQUESTS[name]
    (tmp_path / "A-1m.csv").write_text(minutes(10))
    (tmp_path / "raw.csv").write_text(minutes(10))
    rows = [f"{1704067200 - 1704067200 % 420 + 420 * i},1,1,1,1,1" for i in range(10)]
    (tmp_path / "A-7m.csv").write_text("\n".join([HEADER, *rows]))
    ended = darwin("data", "convert", tmp_path / source, tmp_path / target, *rest)
    assert ended.code == 2, ended.err
    assert 1 <= len(ended.err.splitlines()) <= 3
    assert not (tmp_path / target).exists()


def test_a_source_without_a_timeframe_has_that_of_the_target(tmp_path, darwin):
    (tmp_path / "raw.csv").write_text(minutes(10))
    assert darwin("data", "convert", tmp_path / "raw.csv", tmp_path / "A-1m.parquet").code == 0
    ended = darwin("data", "convert", tmp_path / "raw.csv", tmp_path / "A-1h.parquet")
    assert ended.code == 3
    assert "closer than the 1h" in ended.err


def test_resampling_makes_bars_of_complete_buckets_only(tmp_path, darwin):
    (tmp_path / "A-1m.csv").write_text(minutes(18, missing=(0, 7)))
    target = tmp_path / "A-5m.csv"
    ended = darwin("data", "convert", tmp_path / "A-1m.csv", target, "--timeframe", "5m", "--json")
    assert ended.code == 0
    assert target.read_text().splitlines() == [
        HEADER,
        "2024-01-01T00:10:00Z,110.0,114.75,109.5,114.5,60.0",
    ]
    said = json.loads(ended.out)
    assert (said["rows_written"], said["bars_left_out"], said["read"]["rows"]) == (1, 11, 16)
    assert "11 bars of incomplete buckets" in ended.err


def test_weeks_begin_on_monday(tmp_path, darwin):
    rows = [f"2024-01-{day:02},1,1,1,1,1" for day in range(3, 26)]
    (tmp_path / "A-1d.csv").write_text("\n".join([HEADER, *rows]))
    target = tmp_path / "A-1w.csv"
    ended = darwin("data", "convert", tmp_path / "A-1d.csv", target, "--timeframe", "1w")
    assert ended.code == 0, ended.err
    opened = [line.partition("T")[0] for line in target.read_text().splitlines()[1:]]
    assert opened == ["2024-01-08", "2024-01-15"]


def test_bars_off_the_grid_are_not_resampled(tmp_path, darwin):
    rows = [f"2024-01-01 {hour}:30,1,1,1,1,1" for hour in range(10, 20)]
    (tmp_path / "A-1h.csv").write_text("\n".join([HEADER, *rows]))
    ended = darwin(
        "data", "convert", tmp_path / "A-1h.csv", tmp_path / "A-2h.csv", "--timeframe", "2h"
    )
    assert ended.code == 3
    assert "2024-01-01 10:30Z does not start at a multiple of 1h" in ended.err


def test_no_complete_bucket_is_refused(tmp_path, darwin):
    (tmp_path / "A-1m.csv").write_text(minutes(10))
    ended = darwin(
        "data", "convert", tmp_path / "A-1m.csv", tmp_path / "A-1h.csv", "--timeframe", "1h"
    )
    assert ended.code == 3
    assert "not one 1h has all its 60 bars" in ended.err


@pytest.mark.parametrize("words", [("data",), ("data", "check"), ("data", "convert")])
def test_help_shows_an_example(words, darwin):
    ended = darwin(*words, "--help")
    assert ended.code == 0
    assert "Example:" in ended.out
    assert f"darwin {' '.join(words)}" in ended.out

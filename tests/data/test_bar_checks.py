"""What the checks let pass, count, and hand on."""

from __future__ import annotations

import numpy as np
import pytest

from darwin.core.market import HOUR_MS, Timeframe
from darwin.data.checks import BarColumns, CheckReport, check_bars, check_funding
from darwin.data.files import digest
from darwin.errors import DataError

HOUR = Timeframe.parse("1h")
FIRST_MS = 1_704_067_200_000


def columns(hours: list[float], **replaced: object) -> BarColumns:
    """Bars at these hours after the first of January 2024."""
    time = np.array([FIRST_MS + int(hour * HOUR_MS) for hour in hours])
    flat = {
        name: np.full(len(hours), price)
        for name, price in {
            "open": 10.0,
            "high": 12.0,
            "low": 9.0,
            "close": 11.0,
            "volume": 5.0,
        }.items()
    }
    return BarColumns(time, **(flat | replaced))


def report_on(given: BarColumns, **settings: object) -> CheckReport:
    return check_bars("X", HOUR, given, source="X-1h.csv", **settings)[1]


def test_gaps_are_counted_by_number_by_missing_bars_and_by_the_longest():
    report = report_on(columns([0, 1, 4, 5, 12]))
    assert (report.rows, report.gaps, report.missing_bars, report.longest_gap_bars) == (5, 2, 8, 6)
    assert (report.first, report.last) == (FIRST_MS, FIRST_MS + 12 * HOUR_MS)


def test_a_single_bar_has_no_gap():
    report = report_on(columns([0]))
    assert (report.rows, report.gaps, report.missing_bars, report.longest_gap_bars) == (1, 0, 0, 0)


def test_a_closure_is_a_long_gap_only_where_the_market_never_closes():
    hours = [0, 1, 26, 27, 53, 54]  # 24 bars are missing, then 25
    assert report_on(columns(hours)).long_gaps == 1
    assert report_on(columns(hours), max_gap_bars=23).long_gaps == 2
    session = report_on(columns(hours), calendar="sessions")
    assert (session.long_gaps, session.gaps, session.missing_bars) == (0, 2, 49)


def test_exact_copies_are_dropped_and_counted():
    bars, report = check_bars("X", HOUR, columns([0, 1, 1, 1, 2, 3, 3]), source="X-1h.csv")
    assert report.duplicates_dropped == 3
    assert bars.time.tolist() == [FIRST_MS + hour * HOUR_MS for hour in range(4)]
    assert len(bars) == report.rows == 4


def test_a_row_is_named_by_its_place_in_the_file_also_after_copies_were_dropped():
    low = np.array([9.0, 9, 9, 9, 10.5, 9])
    with pytest.raises(DataError, match=r"low 10\.5 is above") as refusal:
        check_bars("X", HOUR, columns([0, 1, 1, 1, 2, 3], low=low), source="X-1h.csv")
    assert "X-1h.csv, row 5, column 'low'" in refusal.value.where


def test_the_first_row_at_fault_is_named_and_the_others_counted():
    high = np.array([12.0, 12, 1, 12, 12])
    open_ = np.array([10.0, -1, 10, 10, np.nan])
    with pytest.raises(DataError, match=r"open -1.0 is not above zero \(2 more rows at fault\)"):
        check_bars("X", HOUR, columns([0, 1, 2, 3, 4], high=high, open=open_), source="X")


def test_a_volume_absent_as_a_whole_passes_and_is_said():
    report = report_on(columns([0, 1, 2], volume=np.full(3, np.nan)))
    assert report.volume_absent
    assert report.zero_volume_bars == 0


def test_a_volume_absent_as_a_whole_has_one_digest_whatever_its_bits():
    negative_nan = np.copysign(np.full(3, np.nan), -1.0)
    digests = {
        digest(check_bars("X", HOUR, columns([0, 1, 2], volume=volume), source="X")[0])
        for volume in (np.full(3, np.nan), negative_nan)
    }
    assert len(digests) == 1


def test_bars_without_trades_are_counted():
    report = report_on(columns([0, 1, 2], volume=np.array([0.0, 3.0, 0.0])))
    assert not report.volume_absent
    assert report.zero_volume_bars == 2


def test_bars_off_the_grid_of_the_first_are_only_reported():
    report = report_on(columns([0.5, 1.5, 2.75, 4.5]))
    assert report.off_grid_bars == 1


def test_bars_cannot_be_written_to():
    bars, _ = check_bars("X", HOUR, columns([0, 1]), source="X")
    for column in (bars.time, bars.open, bars.high, bars.low, bars.close, bars.volume):
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 1


def test_what_was_given_is_left_as_it_was():
    given = columns([0, 1])
    check_bars("X", HOUR, given, source="X")
    given.close[0] = 10.5
    assert given.close[0] == 10.5


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("close", np.array(["11", "11"])),
        ("close", np.array([True, True])),
        ("close", np.array([11.0])),
        ("volume", np.array([[5.0], [5.0]])),
        ("time", np.array([0.5, 1.5])),
        ("time", np.array(["2024", "2025"])),
    ],
)
def test_columns_that_are_not_numbers_row_by_row_are_refused(column, values):
    with pytest.raises(DataError):
        check_bars("X", HOUR, columns([0, 1])._replace(**{column: values}), source="X")


def test_no_rows_are_no_bars():
    with pytest.raises(DataError, match="not a single row"):
        check_bars("X", HOUR, columns([]), source="X")


def test_two_bars_alone_may_be_far_apart():
    assert report_on(columns([0, 5])).missing_bars == 4


def test_extreme_times_are_refused_rather_than_overflowing():
    limits = np.iinfo(np.int64)
    with pytest.raises(DataError, match="1970"):
        check_bars("X", HOUR, columns([0, 1])._replace(time=[limits.max, limits.min]), source="X")


def test_funding_counts_copies_and_missing_intervals_and_forgives_late_stamps():
    eight = Timeframe.parse("8h")
    hours = np.array([0, 8, 8, 16, 32])
    late_ms = np.array([0, 3, 3, 0, 1])
    time = FIRST_MS + hours * HOUR_MS + late_ms
    funding, span = check_funding(time, np.full(5, 1e-4), interval=eight, source="X-8h-funding.csv")
    assert len(funding.time) == len(funding.rate) == span.rows == 4
    assert (span.duplicates_dropped, span.gaps, span.missing_bars) == (1, 1, 1)

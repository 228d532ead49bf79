"""The verdict on every series of a folder, or on one file: passed with a report, or refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from darwin.data.checks import Span
from darwin.data.files import read_bars, read_funding
from darwin.data.names import parse_name, series_files
from darwin.errors import DataError


@dataclass(frozen=True, slots=True)
class Checked:
    """One file. Exactly one of `report` and `fault` is there."""

    path: Path
    kind: str  # "bars", "funding", or "unknown" where the name does not tell
    report: Span | None
    fault: DataError | None


def survey(path: Path, calendar: str, max_gap_bars: int) -> Iterator[Checked]:
    """Check one file, or every Parquet and CSV file directly in a folder, by name.

    Raises DataError where there is nothing to check.
    """
    files = series_files(path) if path.is_dir() else [path]
    stems = [file.stem for file in files]
    for file in files:
        checked = _check(file, calendar, max_gap_bars)
        if checked.fault is None and stems.count(file.stem) > 1:
            twins = " and ".join(each.name for each in files if each.stem == file.stem)
            fault = DataError(
                f"{twins} say they are the same series",
                where=str(file),
                mend="keep one of them in this folder",
            )
            checked = Checked(file, checked.kind, None, fault)
        yield checked


def _check(path: Path, calendar: str, max_gap_bars: int) -> Checked:
    name = parse_name(path)
    kind = "unknown" if name is None else "funding" if name.funding else "bars"
    report: Span
    try:
        if name is None:
            raise DataError(
                "the name of the file does not say symbol and timeframe",
                where=str(path),
                mend="name it SYMBOL-TIMEFRAME.parquet or .csv, for example BTCUSDT-1h.csv",
            )
        if name.funding:
            _, report = read_funding(path)
        else:
            _, report = read_bars(
                path, name.symbol, name.timeframe, calendar=calendar, max_gap_bars=max_gap_bars
            )
    except DataError as fault:
        return Checked(path, kind, None, fault)
    return Checked(path, kind, report, None)

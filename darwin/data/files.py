"""Market data from a folder of Parquet and CSV files, checked, cut to a range, digested."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from darwin.core.market import SYNTHETIC_VENUE, Bars, Funding, Timeframe
from darwin.data.checks import (
    BarColumns,
    CheckReport,
    Span,
    check_bars,
    check_funding,
    describe,
)
from darwin.data.names import find_bars, find_funding, parse_name
from darwin.data.rules import PRICES
from darwin.data.utc import utc_text
from darwin.errors import DataError


@dataclass(frozen=True, slots=True)
class _Series:
    path: Path
    bars: Bars
    report: CheckReport


class FilesProvider:
    """Bars from `path/SYMBOL-TIMEFRAME.parquet` or `.csv`; each file is read once.

    The whole file is checked; `start_ms` (inclusive) and `end_ms` (exclusive) then cut it by open
    time. With `funding`, `SYMBOL-*-funding` must be there and travels with the bars. `calendar`
    and `max_gap_bars` only shape the report. `bars` and all that needs them raise DataError
    naming file, row and column, and ConfigError for what is no symbol.
    """

    def __init__(
        self,
        path: Path,
        timeframe: Timeframe,
        start_ms: int | None = None,
        end_ms: int | None = None,
        funding: bool = False,
        calendar: str = "continuous",
        max_gap_bars: int = 24,
    ) -> None:
        self._folder = path
        self._timeframe = timeframe
        self._start_ms = start_ms
        self._end_ms = end_ms
        self._funding = funding
        self._calendar = calendar
        self._max_gap_bars = max_gap_bars
        self._series: dict[str, _Series] = {}

    def bars(self, symbol: str) -> Bars:
        """All bars of `symbol` in the range, at least one."""
        return self._load(symbol).bars

    def report(self, symbol: str) -> CheckReport:
        """What is worth knowing of these bars; duplicates are counted over the whole file."""
        return self._load(symbol).report

    def digest(self, symbol: str) -> str:
        """SHA-256 of the loaded numbers, 64 hex digits: the same from Parquet and from CSV."""
        return digest(self._load(symbol).bars)

    def source(self, symbol: str) -> str:
        """The name of the file that the bars come from."""
        return self._load(symbol).path.name

    def has_funding(self, symbol: str) -> bool:
        """Whether the folder has a funding series of `symbol`, used or not."""
        return find_funding(self._folder, symbol) is not None

    def _load(self, symbol: str) -> _Series:
        if symbol not in self._series:
            self._series[symbol] = self._read(symbol)
        return self._series[symbol]

    def _read(self, symbol: str) -> _Series:
        path = find_bars(self._folder, symbol, self._timeframe)
        whole, checked = read_bars(path, _labelled(symbol, path), self._timeframe)
        bars = self._cut(whole, path)
        if self._funding:
            bars = replace(bars, funding=self._read_funding(symbol, bars))
        report = describe(
            bars,
            checked.duplicates_dropped,
            calendar=self._calendar,
            max_gap_bars=self._max_gap_bars,
        )
        return _Series(path, bars, report)

    def _cut(self, bars: Bars, path: Path) -> Bars:
        start = 0 if self._start_ms is None else int(np.searchsorted(bars.time, self._start_ms))
        stop = len(bars) if self._end_ms is None else int(np.searchsorted(bars.time, self._end_ms))
        if stop <= start:
            first, last = utc_text(int(bars.time[0])), utc_text(int(bars.time[-1]))
            raise DataError(
                f"there is no bar {_range_text(self._start_ms, self._end_ms)}",
                where=f"{path}, which has bars from {first} to {last}",
                mend="choose market.start and market.end within that",
            )
        return bars.slice(start, stop)

    def _read_funding(self, symbol: str, bars: Bars) -> Funding:
        path = find_funding(self._folder, symbol)
        if path is None:
            raise DataError(
                f"there is no funding series of {symbol}",
                where=f"{self._folder}, no {symbol.replace('/', '')}-8h-funding.parquet or .csv",
                mend="add the file or switch market.funding off",
            )
        whole, _ = read_funding(path)
        after = int(bars.time[-1]) + bars.timeframe.ms
        inside = slice(*np.searchsorted(whole.time, (int(bars.time[0]), after)))
        funding = Funding(whole.time[inside], whole.rate[inside])
        if len(funding.time) == 0:
            first, last = utc_text(int(whole.time[0])), utc_text(int(whole.time[-1]))
            raise DataError(
                f"the funding of {symbol} ends before its bars begin, or begins after they end",
                where=f"{path}, which runs from {first} to {last}",
                mend="choose market.start and market.end within that, or switch funding off",
            )
        return funding


def read_bars(
    path: Path,
    symbol: str,
    timeframe: Timeframe,
    *,
    calendar: str = "continuous",
    max_gap_bars: int = 24,
) -> tuple[Bars, CheckReport]:
    """Read and check one file of bars, whole. Raises DataError as `check_bars` does."""
    from darwin.data.tables import read_columns  # noqa: PLC0415  polars is slow to import

    time, values = read_columns(path, (*PRICES, "volume"))
    return check_bars(
        symbol,
        timeframe,
        BarColumns(time, **values),
        source=str(path),
        calendar=calendar,
        max_gap_bars=max_gap_bars,
    )


def read_funding(path: Path) -> tuple[Funding, Span]:
    """Read and check one funding file, named `SYMBOL-8h-funding` after its interval."""
    from darwin.data.tables import read_columns  # noqa: PLC0415  polars is slow to import

    name = parse_name(path)
    if name is None or not name.funding:
        raise DataError(
            "the file is not named like a funding series",
            where=str(path),
            mend="name it SYMBOL-8h-funding.parquet or .csv",
        )
    time, values = read_columns(path, ("funding_rate",))
    return check_funding(time, values["funding_rate"], interval=name.timeframe, source=str(path))


def digest(bars: Bars) -> str:
    """SHA-256 over all numbers of `bars` and their funding, little-endian, each column counted."""
    sha = hashlib.sha256()
    columns: list[np.ndarray] = [bars.time, *(getattr(bars, name) for name in (*PRICES, "volume"))]
    if bars.funding is not None:
        columns += [bars.funding.time, bars.funding.rate]
    for column in columns:
        sha.update(len(column).to_bytes(8, "little"))
        sha.update(column.astype(column.dtype.newbyteorder("<"), copy=False).tobytes())
    return sha.hexdigest()


def _labelled(symbol: str, path: Path) -> str:
    """Keep a synthetic file's label on its bars, however the config spells its name."""
    name = parse_name(path)
    mark = f"_{SYNTHETIC_VENUE}"
    if name is None or not name.symbol.endswith(mark) or symbol.endswith(f":{SYNTHETIC_VENUE}"):
        return symbol
    return f"{symbol.removesuffix(mark)}:{SYNTHETIC_VENUE}"


def _range_text(start_ms: int | None, end_ms: int | None) -> str:
    start = "" if start_ms is None else f"from {utc_text(start_ms)} on"
    end = "" if end_ms is None else f"before {utc_text(end_ms)}"
    return " and ".join(part for part in (start, end) if part)

"""Checked series from one file to another: CSV to Parquet and back, all at once or not at all."""

from __future__ import annotations

import io
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from polars import selectors

from darwin.core.market import Bars, Funding, IntArray, Timeframe
from darwin.data.checks import Span
from darwin.data.files import read_bars, read_funding
from darwin.data.names import SUFFIXES, SeriesName, parse_name
from darwin.data.resample import resample
from darwin.data.rules import PRICES
from darwin.errors import ConfigError, StorageError


@dataclass(frozen=True, slots=True)
class Conversion:
    """What was read and written."""

    read: Span  # of the source, as checked
    rows_written: int
    bars_left_out: int  # in buckets with a bar missing, when resampled


def convert(
    source: Path, target: Path, timeframe: Timeframe | None = None, *, overwrite: bool = False
) -> Conversion:
    """Check `source`, resample it to `timeframe` if given, and write it to `target`.

    The extensions choose the formats. Both files are named SYMBOL-TIMEFRAME, or
    SYMBOL-8h-funding; a source with another name has the timeframe that the target's name says.
    The target appears whole or not at all. Raises ConfigError for names and timeframes that
    contradict each other or a target that exists, DataError for bad input, StorageError for a
    disk that refuses.
    """
    written = _name_of_target(target)
    _refuse_existing(target, overwrite)
    read = parse_name(source)
    if written.funding or (read is not None and read.funding):
        return _convert_funding(source, target, read, written, timeframe)
    own = _own_timeframe(source, read, written, timeframe)
    bars, report = read_bars(source, written.symbol, own)
    wanted = timeframe or own
    _refuse_other_timeframe(target, written, wanted)
    made = bars if wanted.ms == own.ms else resample(bars, wanted)
    write_whole(bar_frame(made), target)
    left_out = len(bars) - len(made) * (wanted.ms // own.ms)
    return Conversion(report, len(made), left_out)


def bar_frame(bars: Bars) -> pl.DataFrame:
    """The table that a file of bars holds: timestamp in ms UTC, open, high, low, close, volume."""
    columns = {name: getattr(bars, name) for name in (*PRICES, "volume")}
    return pl.DataFrame({"timestamp": _stamps(bars.time), **columns})


def write_whole(frame: pl.DataFrame, target: Path) -> None:
    """Write to a file beside `target`, then put it in place in one step.

    The extension chooses the format; what was there is replaced. Raises StorageError.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as fault:
        raise _refused(fault, target) from fault
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(_encoded(frame, target.suffix))
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(target)
    except OSError as fault:
        raise _refused(fault, target) from fault
    finally:
        Path(name).unlink(missing_ok=True)


def _convert_funding(
    source: Path,
    target: Path,
    read: SeriesName | None,
    written: SeriesName,
    timeframe: Timeframe | None,
) -> Conversion:
    if read is None or not (read.funding and written.funding) or timeframe is not None:
        raise ConfigError(
            "a funding series can only become a funding series, at its own interval",
            where=f"{source.name} to {target.name}",
            mend="name both SYMBOL-8h-funding and leave --timeframe out",
        )
    _refuse_other_timeframe(target, written, read.timeframe)
    funding, span = read_funding(source)
    write_whole(_funding_frame(funding), target)
    return Conversion(span, len(funding.time), 0)


def _funding_frame(funding: Funding) -> pl.DataFrame:
    return pl.DataFrame({"timestamp": _stamps(funding.time), "funding_rate": funding.rate})


def _stamps(time: IntArray) -> pl.Series:
    return pl.Series(time).cast(pl.Datetime("ms", "UTC"))


def _name_of_target(target: Path) -> SeriesName:
    if target.suffix not in SUFFIXES:
        raise ConfigError(
            f"the extension '{target.suffix}' names no format",
            where=str(target),
            mend="let the name end in .parquet or .csv",
        )
    name = parse_name(target)
    if name is None:
        raise ConfigError(
            "the name does not say symbol and timeframe",
            where=str(target),
            mend=f"name it for example BTCUSDT-1h{target.suffix}",
        )
    return name


def _own_timeframe(
    source: Path, read: SeriesName | None, written: SeriesName, wanted: Timeframe | None
) -> Timeframe:
    if read is not None:
        return read.timeframe
    if wanted is None:
        return written.timeframe
    raise ConfigError(
        "the name does not say which timeframe the bars have",
        where=str(source),
        mend=f"name it for example {written.symbol}-1m{source.suffix or '.csv'}",
    )


def _refuse_other_timeframe(target: Path, written: SeriesName, wanted: Timeframe) -> None:
    if written.timeframe.ms != wanted.ms:
        raise ConfigError(
            f"the name says {written.timeframe.name}, its content would be {wanted.name}",
            where=str(target),
            mend=f"rename it, or resample with --timeframe {written.timeframe.name}",
        )


def _refuse_existing(target: Path, overwrite: bool) -> None:
    if target.exists() and not overwrite:
        raise ConfigError(
            "the target exists", where=str(target), mend="choose another name or add --force"
        )


def _encoded(frame: pl.DataFrame, suffix: str) -> bytes:
    buffer = io.BytesIO()
    if suffix == ".parquet":
        frame.write_parquet(buffer, compression="zstd")
    else:
        whole_seconds = frame.select((pl.col("timestamp").dt.millisecond() == 0).all()).item()
        frame.with_columns(
            pl.col("timestamp").dt.strftime(f"%Y-%m-%dT%H:%M:%S{'' if whole_seconds else '%.3f'}Z"),
            selectors.float().fill_nan(None),
        ).write_csv(buffer)
    return buffer.getvalue()


def _refused(fault: OSError, target: Path) -> StorageError:
    return StorageError(
        f"the file cannot be written: {fault.strerror or type(fault).__name__}",
        where=str(target),
        mend="check that its folder exists, is writable and has room",
    )

"""One file, Parquet or CSV, to numeric columns: times in ms UTC, everything else float64."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

# polars' allocator keeps what it freed; a run reads its bars once, so hand it back at once
os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:0,muzzy_decay_ms:0")

import polars as pl

from darwin.core.market import FloatArray, IntArray
from darwin.data.csv_dialect import split_cells
from darwin.data.timestamps import to_ms
from darwin.errors import DataError

Decoded = TypeVar("Decoded")
TIME_NAMES = ("timestamp", "time", "date", "datetime", "open_time")


def read_columns(path: Path, wanted: Sequence[str]) -> tuple[IntArray, dict[str, FloatArray]]:
    """Return the time column and the `wanted` ones, each of shape (n,), not checked yet.

    Names count without regard to case; other columns are ignored. The time column is called
    `timestamp` or has one of the aliases in `TIME_NAMES`. Empty cells are NaN. Raises DataError
    naming file, row and column for whatever cannot be read as it stands.
    """
    source = str(path)
    raw = _read_bytes(path)
    if path.suffix == ".parquet":
        return _parquet_columns(raw, wanted, source)
    names, frame = split_cells(raw, source)
    picked = _pick(names, wanted, source)
    cells = {name: frame.to_series(i) for name, i in picked.items()}
    values = {
        name: _floats(_text_to_numbers(cells[name], name, source), name, source) for name in wanted
    }
    return to_ms(cells["timestamp"].rename("timestamp"), source), values


def _read_bytes(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise DataError("this is a folder, not a file", where=str(path), mend="name a file")
        if path.exists() and not path.is_file():
            raise DataError("this is no regular file", where=str(path), mend="name a file")
        raw = path.read_bytes()
    except FileNotFoundError as fault:
        raise DataError("there is no such file", where=str(path), mend="check the name") from fault
    except OSError as fault:
        reason = fault.strerror or type(fault).__name__
        raise DataError(
            f"the file cannot be read: {reason}", where=str(path), mend="check its permissions"
        ) from fault
    if not raw:
        raise DataError("the file is empty (0 bytes)", where=str(path), mend="fetch it again")
    return raw


def _parquet_columns(
    raw: bytes, wanted: Sequence[str], source: str
) -> tuple[IntArray, dict[str, FloatArray]]:
    """Decode one column after the other, so that a long file is not in memory twice."""
    names = _decoded(lambda: list(pl.read_parquet_schema(io.BytesIO(raw))), source)
    picked = _pick(names, wanted, source)

    def cells(name: str) -> pl.Series:
        columns = [names[picked[name]]]
        read = lambda: pl.read_parquet(raw, columns=columns, parallel="none")  # noqa: E731
        return _decoded(read, source).to_series()

    time = to_ms(cells("timestamp").rename("timestamp"), source)
    return time, {name: _floats(cells(name), name, source) for name in wanted}


def _decoded(read: Callable[[], Decoded], source: str) -> Decoded:
    try:
        return read()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as fault:
        first_line = (str(fault).splitlines() or [type(fault).__name__])[0]
        raise DataError(
            f"this is no intact Parquet file ({first_line[:100]})",
            where=source,
            mend="fetch it again, or give a CSV file its own extension",
        ) from fault


def _pick(names: Sequence[str], wanted: Sequence[str], source: str) -> dict[str, int]:
    """Where the time column and the `wanted` ones stand among `names`."""
    places: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        places.setdefault(name.strip().lower(), []).append(i)
    if "timestamp" not in places:
        places["timestamp"] = [i for alias in TIME_NAMES for i in places.get(alias, [])]
    picked = {}
    for name in ("timestamp", *wanted):
        found = places.get(name, [])
        if len(found) != 1:
            what = f"{len(found)} columns could be" if found else "there is no column"
            shown = ", ".join(names)
            raise DataError(
                f"{what} '{name}'; the columns are: {shown[:100]}{'…' * (len(shown) > 100)}",
                where=f"{source}, column '{name}'",
                mend=f"name the columns {', '.join(('timestamp', *wanted))}",
            )
        picked[name] = found[0]
    return picked


def _text_to_numbers(cells: pl.Series, name: str, source: str) -> pl.Series:
    numbers = cells.cast(pl.Float64, strict=False)
    unread = (numbers.is_null() & cells.is_not_null()).to_numpy()
    if unread.any():
        i = int(np.argmax(unread))
        raise DataError(
            f"{name} {repr(cells[i])[:40]} is no number",
            where=f"{source}, row {i + 1}, column '{name}'",
            mend="write plain numbers with a decimal point",
        )
    return numbers


def _floats(cells: pl.Series, name: str, source: str) -> FloatArray:
    empty = cells.dtype == pl.Null or (len(cells) == 0 and cells.dtype == pl.String)
    if not (cells.dtype.is_numeric() or empty):
        raise DataError(
            f"column '{name}' is of type {cells.dtype}, not of numbers",
            where=f"{source}, row 1, column '{name}'",
            mend="store numbers as numbers",
        )
    floats: FloatArray = cells.cast(pl.Float64).fill_null(np.nan).to_numpy()
    return floats

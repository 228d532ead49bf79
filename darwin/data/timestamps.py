"""Time columns as files write them (dates, epochs, ISO 8601 text) to milliseconds UTC."""

from __future__ import annotations

import numpy as np
import polars as pl

from darwin.core.market import DAY_MS, HOUR_MS, MINUTE_MS, BoolArray, IntArray
from darwin.errors import DataError

SECOND_MS = 1_000
_ISO = (
    r"^([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?)?"
    r" ?(Z|UTC|[+-][0-9]{2}:?[0-9]{2})?$"
)
_UNITS = ("seconds", "milliseconds", "microseconds", "nanoseconds")
_UNIT_LIMITS = np.array([1e11, 1e14, 1e17])  # a time of 1973..2200 is under its unit's limit
_PER_MS = {"ms": 1, "us": 1_000, "ns": 1_000_000}
_WRITE = "write times as 2024-01-31T13:30:00Z or as one kind of epoch"


def to_ms(cells: pl.Series, source: str) -> IntArray:
    """Return times in ms UTC, shape (n,). Without a zone, UTC is meant.

    Takes dates, datetimes of any unit and zone, whole epochs and text of either. The unit of
    epochs (s, ms, µs, ns) follows from their size and is one for the whole column. Raises
    DataError naming the row for an empty or unreadable cell, mixed units, mixed text with and
    without zone, and for a time that is no whole number of milliseconds.
    """
    _refuse(cells.is_null().to_numpy(), "the timestamp is empty", source)
    kind = cells.dtype
    if isinstance(kind, pl.Datetime):
        per_ms = _PER_MS[kind.time_unit]
        return _whole_ms(cells.to_physical().to_numpy(), per_ms, source)
    if kind == pl.Date:
        return cells.to_physical().cast(pl.Int64).to_numpy() * DAY_MS
    if kind == pl.String:
        return _from_text(cells.str.strip_chars(), source)
    if kind.is_integer():
        whole = cells.cast(pl.Int64, strict=False)
        _refuse(whole.is_null().to_numpy(), "the epoch does not fit into 64 bits", source)
        return _from_epochs(whole.to_numpy(), source)
    raise DataError(
        f"column '{cells.name}' is of type {kind}, which is no time",
        where=f"{source}, column '{cells.name}'",
        mend=_WRITE,
    )


def _from_text(cells: pl.Series, source: str) -> IntArray:
    whole = cells.cast(pl.Int64, strict=False)
    if len(cells) and whole[0] is not None:
        _refuse_cell(cells, whole.is_null().to_numpy(), "is no epoch like those above", source)
        return _from_epochs(whole.to_numpy(), source)
    return _from_iso(cells, source)


def _from_epochs(epochs: IntArray, source: str) -> IntArray:
    unit = np.searchsorted(_UNIT_LIMITS, np.abs(epochs.astype(np.float64)), side="right")
    if len(unit) == 0:
        return epochs
    mixed = unit != unit[0]
    if mixed.any():
        i = int(np.argmax(mixed))
        says = f"{epochs[i]} reads as {_UNITS[unit[i]]}, row 1 as {_UNITS[unit[0]]}"
        _refuse(mixed, says, source)
    if unit[0] == 0:
        return epochs * SECOND_MS
    return _whole_ms(epochs, (0, 1, 1_000, 1_000_000)[unit[0]], source)


def _from_iso(cells: pl.Series, source: str) -> IntArray:
    parts = cells.str.extract_groups(_ISO).struct.unnest()
    day, hour, minute, second, fraction, zone = parts.get_columns()
    days = day.str.to_date("%Y-%m-%d", strict=False)
    sign_hour_minute = zone.str.extract_groups(r"^([+-])([0-9]{2}):?([0-9]{2})$").struct.unnest()
    sign, zone_hour, zone_minute = sign_hour_minute.get_columns()
    h, m, s, zh, zm = (_ints(part) for part in (hour, minute, second, zone_hour, zone_minute))
    valid = (h < 24) & (m < 60) & (s < 60) & (zh < 15) & (zm < 60) & days.is_not_null().to_numpy()
    _refuse_cell(cells, ~valid, "is no time", source)
    bare = zone.is_null().to_numpy()
    if not bare.all():
        _refuse_cell(cells, bare != bare[0], "differs from row 1 in having a zone or not", source)
    nanoseconds = _ints(fraction.fill_null("").str.pad_end(9, "0"))
    offset = np.where((sign == "-").fill_null(False).to_numpy(), -1, 1) * (
        zh * HOUR_MS + zm * MINUTE_MS
    )
    midnight = days.to_physical().cast(pl.Int64).to_numpy() * DAY_MS
    clock = h * HOUR_MS + m * MINUTE_MS + s * SECOND_MS
    ms: IntArray = midnight + clock + _whole_ms(nanoseconds, 1_000_000, source) - offset
    return ms


def _ints(digits: pl.Series) -> IntArray:
    return digits.cast(pl.Int64, strict=False).fill_null(0).to_numpy()


def _whole_ms(ticks: IntArray, per_ms: int, source: str) -> IntArray:
    ms, rest = np.divmod(ticks, per_ms)
    _refuse(rest != 0, "the time is no whole number of milliseconds", source)
    return ms


def _refuse_cell(cells: pl.Series, at_fault: BoolArray, says: str, source: str) -> None:
    if at_fault.any():
        found = repr(cells[int(np.argmax(at_fault))])
        _refuse(at_fault, f"the timestamp {found[:40]} {says}", source)


def _refuse(at_fault: BoolArray, says: str, source: str) -> None:
    if at_fault.any():
        row = int(np.argmax(at_fault)) + 1
        raise DataError(says, where=f"{source}, row {row}, column 'timestamp'", mend=_WRITE)

"""Checks every column of market data must pass before anyone trades on it; repairs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from darwin.core.market import MINUTE_MS, Bars, BoolArray, FloatArray, Funding, IntArray, Timeframe
from darwin.data.rules import (
    FROM_THE_SOURCE,
    PRICES,
    Rule,
    conflict_rules,
    price_rules,
    refuse_first,
    time_rules,
    volume_rules,
)
from darwin.errors import DataError

CLOSURES_EXPECTED = "sessions"  # the calendar of a market that shuts at night or over the weekend


class BarColumns(NamedTuple):
    """What a source claims: columns of shape (n,), `time` in ms UTC, nothing checked yet."""

    time: ArrayLike
    open: ArrayLike
    high: ArrayLike
    low: ArrayLike
    close: ArrayLike
    volume: ArrayLike


@dataclass(frozen=True, slots=True)
class Span:
    """What a series covers. Times in ms UTC; a gap is a place where at least one row is missing."""

    rows: int
    first: int
    last: int
    duplicates_dropped: int  # exact copies of the row before them, in the whole source
    gaps: int
    missing_bars: int
    longest_gap_bars: int


@dataclass(frozen=True, slots=True)
class CheckReport(Span):
    """What is worth knowing of bars that passed."""

    long_gaps: int  # longer than `max_gap_bars`: warm-up starts again; 0 on calendar "sessions"
    off_grid_bars: int  # not a whole number of bars after the first one
    zero_volume_bars: int
    volume_absent: bool  # the whole column is NaN, as in FX
    bars_without_funding: int = 0  # where a series is attached: in intervals that it leaves out


def check_bars(
    symbol: str,
    timeframe: Timeframe,
    columns: BarColumns,
    *,
    source: str,
    calendar: str = "continuous",
    max_gap_bars: int = 24,
) -> tuple[Bars, CheckReport]:
    """Return the rows as bars, with what is worth knowing of them, or refuse them.

    Strictly increasing time at least one `timeframe` apart; finite prices above zero,
    low ≤ min(open, close), high ≥ max(open, close); volume ≥ 0, or NaN in the whole column. Exact
    copies of the row before are dropped and counted. Anything else raises DataError with file
    (`source`), row (1-based, of the data), column and what was found there.
    """
    time, values = _as_arrays(columns, source)
    volume_absent = bool(np.isnan(values["volume"]).all())
    if volume_absent:
        values["volume"] = np.full(len(time), np.nan)  # one bit pattern of NaN, for the digest
    kept = ~_copies(time, values)
    row = np.flatnonzero(kept)
    time, values = time[kept], {name: column[kept] for name, column in values.items()}
    rules = [*time_rules(time, timeframe), *conflict_rules(time, values), *price_rules(values)]
    if not volume_absent:
        rules += volume_rules(values["volume"])
    refuse_first(rules, time, values, row, source)
    _refuse_coarser(time, timeframe, source)
    sealed: dict[str, Any] = {name: _sealed(column) for name, column in values.items()}
    bars = Bars(symbol, timeframe, _sealed(time), **sealed)
    dropped = len(kept) - len(row)
    return bars, describe(bars, dropped, calendar=calendar, max_gap_bars=max_gap_bars)


def describe(
    bars: Bars, duplicates_dropped: int, *, calendar: str, max_gap_bars: int
) -> CheckReport:
    """Report on bars that were checked before; at least one."""
    span = _span(bars.time, bars.timeframe.ms, duplicates_dropped)
    missing = _missing_between(bars.time, bars.timeframe.ms)
    long_gaps = 0 if calendar == CLOSURES_EXPECTED else np.count_nonzero(missing > max_gap_bars)
    return CheckReport(
        **asdict(span),
        long_gaps=int(long_gaps),
        off_grid_bars=int(np.count_nonzero((bars.time - bars.time[0]) % bars.timeframe.ms)),
        zero_volume_bars=int(np.count_nonzero(bars.volume == 0.0)),
        volume_absent=bool(np.isnan(bars.volume[0])),
        bars_without_funding=_bars_without_funding(bars.time, bars.funding),
    )


def check_funding(
    time: ArrayLike, rate: ArrayLike, *, interval: Timeframe, source: str
) -> tuple[Funding, Span]:
    """Return a funding series, or raise DataError naming the row.

    Strictly increasing time, finite rates below 100 % per interval. Exact copies of the row
    before are dropped and counted. `interval` is what the source claims and only counts gaps:
    venues change it, and stamp it a few milliseconds late.
    """
    times = _as_int(time, source)
    values = {"funding_rate": _as_float(rate, "funding_rate", len(times), source)}
    _refuse_empty(times, source)
    kept = ~_copies(times, values)
    row = np.flatnonzero(kept)
    times, values = times[kept], {"funding_rate": values["funding_rate"][kept]}
    sane = np.abs(values["funding_rate"]) < 1.0
    rules = [
        *time_rules(times, None),
        *conflict_rules(times, values),
        Rule("funding_rate", ~sane, "funding_rate {funding_rate} is not between -1 and 1"),
    ]
    refuse_first(rules, times, values, row, source)
    funding = Funding(_sealed(times), _sealed(values["funding_rate"]))
    return funding, _span(times, interval.ms, len(kept) - len(row))


def _as_arrays(columns: BarColumns, source: str) -> tuple[IntArray, dict[str, FloatArray]]:
    time = _as_int(columns.time, source)
    _refuse_empty(time, source)
    named = columns._asdict()
    return time, {
        name: _as_float(named[name], name, len(time), source) for name in (*PRICES, "volume")
    }


def _as_int(column: ArrayLike, source: str) -> IntArray:
    array = np.asarray(column)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise DataError(
            "the timestamps are no whole numbers of milliseconds",
            where=f"{source}, column 'timestamp'",
            mend="give open times in ms since 1970, UTC",
        )
    return array.astype(np.int64)


def _as_float(column: ArrayLike, name: str, rows: int, source: str) -> FloatArray:
    array: NDArray[Any] = np.asarray(column)
    if array.shape != (rows,) or (array.size and array.dtype.kind not in "fiu"):
        raise DataError(
            f"column '{name}' is {array.dtype} of shape {array.shape}, not {rows} numbers",
            where=f"{source}, column '{name}'",
            mend=FROM_THE_SOURCE,
        )
    return array.astype(np.float64)


def _refuse_empty(time: IntArray, source: str) -> None:
    if len(time) == 0:
        raise DataError("there is not a single row", where=source, mend="fetch the data again")


def _copies(time: IntArray, values: Mapping[str, FloatArray]) -> BoolArray:
    """Which rows repeat the row before them, value for value; shape (n,)."""
    copy = np.zeros(len(time), dtype=np.bool_)
    copy[1:] = time[1:] == time[:-1]
    for column in values.values():
        copy[1:] &= (column[1:] == column[:-1]) | (np.isnan(column[1:]) & np.isnan(column[:-1]))
    return copy


def _refuse_coarser(time: IntArray, timeframe: Timeframe, source: str) -> None:
    """Refuse three rows or more of which no two are neighbours: they are of another timeframe."""
    if len(time) < 3:
        return
    nearest = int(np.diff(time).min())
    if nearest >= 2 * timeframe.ms:
        raise DataError(
            f"no two rows are {timeframe.name} apart, the closest are {nearest // 60_000} minutes",
            where=f"{source}, column 'timestamp'",
            mend="name the timeframe the bars have",
        )


def _span(time: IntArray, step_ms: int, duplicates_dropped: int) -> Span:
    missing = _missing_between(time, step_ms)
    return Span(
        rows=len(time),
        first=int(time[0]),
        last=int(time[-1]),
        duplicates_dropped=duplicates_dropped,
        gaps=int(np.count_nonzero(missing)),
        missing_bars=int(missing.sum()),
        longest_gap_bars=int(missing.max(initial=0)),
    )


def _missing_between(time: IntArray, step_ms: int) -> IntArray:
    """How many rows are missing before each but the first, shape (n - 1,)."""
    missing: IntArray = np.maximum((np.diff(time) + step_ms // 2) // step_ms - 1, 0)
    return missing


def _bars_without_funding(time: IntArray, funding: Funding | None) -> int:
    """Count bars that no payment follows within an interval; the last interval may still run."""
    if funding is None:
        return 0
    paid = funding.time
    interval = int(np.median(np.diff(paid))) + MINUTE_MS if len(paid) > 1 else 0  # stamps jitter
    following = np.searchsorted(paid, time)
    ended = following == len(paid)
    wait = np.where(ended, time - paid[-1], paid[np.minimum(following, len(paid) - 1)] - time)
    return int(np.count_nonzero(wait > interval))


def _sealed(array: NDArray[Any]) -> NDArray[Any]:
    """The same numbers, contiguous and not to be written to."""
    own = np.ascontiguousarray(array)
    own.flags.writeable = False
    return own

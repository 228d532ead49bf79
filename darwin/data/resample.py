"""Bars of a longer timeframe out of complete buckets of shorter ones."""

from __future__ import annotations

import numpy as np

from darwin.core.market import DAY_MS, Bars, IntArray, Timeframe
from darwin.data.utc import utc_text
from darwin.errors import ConfigError, DataError

MONDAY_MS = 4 * DAY_MS  # the first Monday after the epoch, a Thursday


def resample(bars: Bars, target: Timeframe) -> Bars:
    """Put bars together to bars of `target`; buckets with a bar missing are left out.

    Buckets start at whole multiples of `target` since 1970 UTC, those of weeks on Mondays. Open
    is the first, close the last, high and low the extremes, volume the sum. Raises ConfigError if
    `target` is no multiple of the bars' timeframe, DataError if the bars do not start on multiples
    of their own timeframe or no bucket is complete.
    """
    parts, rest = divmod(target.ms, bars.timeframe.ms)
    if rest:
        raise ConfigError(
            f"{target.name} is no multiple of {bars.timeframe.name}",
            where="--timeframe",
            mend=f"choose a longer timeframe that is a multiple of {bars.timeframe.name}",
        )
    anchor = anchor_ms(target)
    off_grid = (bars.time - anchor) % bars.timeframe.ms != 0
    if off_grid.any():
        i = int(np.argmax(off_grid))
        raise DataError(
            f"the bar at {utc_text(int(bars.time[i]))} does not start at a multiple of "
            f"{bars.timeframe.name}, so that no bucket holds it whole",
            where=f"{bars.symbol}-{bars.timeframe.name}, row {i + 1}, column 'timestamp'",
            mend="use the bars as they are",
        )
    starts, opened = _complete_buckets((bars.time - anchor) // target.ms, parts)
    if len(starts) == 0:
        raise DataError(
            f"not one {target.name} has all its {parts} bars",
            where=f"{bars.symbol}-{bars.timeframe.name}",
            mend="choose a shorter timeframe, or fetch the missing bars",
        )
    rows = starts[:, None] + np.arange(parts)  # (buckets, parts)
    return Bars(
        bars.symbol,
        target,
        time=opened * target.ms + anchor,
        open=bars.open[starts],
        high=bars.high[rows].max(axis=1),
        low=bars.low[rows].min(axis=1),
        close=bars.close[starts + parts - 1],
        volume=bars.volume[rows].sum(axis=1),
    )


def _complete_buckets(bucket: IntArray, parts: int) -> tuple[IntArray, IntArray]:
    """First row and number of every bucket that has all its `parts`; both of shape (buckets,)."""
    number, first, count = np.unique(bucket, return_index=True, return_counts=True)
    complete = count == parts
    return first[complete], number[complete]


def anchor_ms(timeframe: Timeframe) -> int:
    """From where whole multiples of `timeframe` are counted, ms UTC."""
    return MONDAY_MS if timeframe.name.endswith("w") else 0

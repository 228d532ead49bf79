"""What a venue shows of bars at one instant: those that have closed, and one that is forming."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from darwin.core.market import Bar, Bars

Row: TypeAlias = list[int | str]


def page(
    bars: Bars, now_ms: int, first_ms: int | None, last_ms: int | None, limit: int
) -> list[Row]:
    """Rows of the bars that open in [first, last] and have opened by now.

    The first `limit` of them; without a first, the last.
    """
    start = 0 if first_ms is None else int(np.searchsorted(bars.time, first_ms))
    ends = now_ms if last_ms is None else min(now_ms, last_ms)
    stop = int(np.searchsorted(bars.time, ends, side="right"))
    if first_ms is None:
        start = max(start, stop - limit)
    return [row(bars, i, now_ms) for i in range(start, min(stop, start + limit))]


def row(bars: Bars, i: int, now_ms: int) -> Row:
    """Bar i as it looks now, closed or not."""
    whole = bars.row(i)
    passed = (now_ms - whole.time) / bars.timeframe.ms
    shown = whole if passed >= 1.0 else forming(whole, passed)
    return [
        whole.time,
        *(repr(value) for value in shown[1:]),
        whole.time + bars.timeframe.ms - 1,
        *("0", 0, "0", "0", "0"),
    ]


def cut_short(bars: Bars, i: int, now_ms: int) -> Row:
    """Bar i as it was halfway, with a close time that says it had ended."""
    middle = bars.row(i).time + bars.timeframe.ms // 2
    half = row(bars, i, min(middle, now_ms))
    half[6] = min(middle, now_ms) - 1
    return half


def forming(bar: Bar, passed: float) -> Bar:
    """`bar` when the share `passed` of its time is over.

    Its price goes straight from open to the nearer extreme, to the other one and to the close, a
    third of the time each.
    """
    low_first = bar.open - bar.low <= bar.high - bar.open
    turns = (bar.low, bar.high) if low_first else (bar.high, bar.low)
    stations = np.array([bar.open, *turns, bar.close])
    at = 3.0 * min(max(passed, 0.0), 1.0)
    now = float(np.interp(at, np.arange(4.0), stations))
    seen = [*stations[: int(at) + 1].tolist(), now]
    return Bar(bar.time, bar.open, max(seen), min(seen), now, bar.volume * passed)

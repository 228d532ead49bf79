"""Candles as venues answer with them: checked row by row, and bars only once they have closed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np

from darwin.core.market import Bars, FloatArray, IntArray, Timeframe
from darwin.data.resample import anchor_ms
from darwin.data.rules import (
    FROM_THE_SOURCE,
    PRICES,
    Rule,
    price_rules,
    refuse_first,
    time_rules,
    volume_rules,
)
from darwin.data.utc import utc_text
from darwin.errors import DataError

MOST_CANDLES = 1_000
"""No request asks for more, no answer may hold more."""
Ask: TypeAlias = Callable[[int, int], object]
"""Asked for candles that open in [first, last], ms UTC: at most 1,000 rows, oldest first."""

_VALUES = (*PRICES, "volume")
_CLOSE_TIME = 1 + len(_VALUES)  # where a row says when its candle closes, if it does
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")
_LARGEST = 2**53


class CandleClient(Protocol):
    """A venue that can be asked for closed bars."""

    def server_time_ms(self) -> int:
        """What the venue's clock says, ms UTC."""
        ...

    def closed(
        self,
        symbol: str,
        timeframe: Timeframe,
        since_ms: int,
        until_ms: int | None = None,
        now_ms: int | None = None,
    ) -> Bars:
        """All closed bars that open in [since, until), or until now; there may be none."""
        ...

    def pages(
        self,
        symbol: str,
        timeframe: Timeframe,
        since_ms: int,
        until_ms: int | None = None,
        now_ms: int | None = None,
    ) -> Iterator[Bars]:
        """All closed bars that open in [since, until), at most 1,000 at a time, oldest first."""
        ...

    def close(self) -> None:
        """Let go of the connections."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """What is wanted of a venue: bars that open in [since, until) and have closed by now."""

    venue: str
    symbol: str
    timeframe: Timeframe
    since_ms: int
    until_ms: int | None
    now_ms: int

    @property
    def first(self) -> int:
        """The first open time on the grid of the timeframe."""
        anchor, step = anchor_ms(self.timeframe), self.timeframe.ms
        return anchor - (anchor - max(self.since_ms, 0)) // step * step

    @property
    def stop(self) -> int:
        """No bar that opens then or later can be had."""
        return self.now_ms if self.until_ms is None else min(self.until_ms, self.now_ms)


def closed_pages(request: Request, ask: Ask) -> Iterator[Bars]:
    """Ask for one page after the other, each beginning behind the one before.

    Raises DataError naming symbol, row and column for an answer that breaks a rule, or that goes
    back to what was there before.
    """
    step, cursor = request.timeframe.ms, request.first
    while cursor < request.stop and cursor + step <= request.now_ms:
        page = _read(ask(cursor, request.stop - 1), request, cursor)
        if not len(page):
            return
        closed = int(np.searchsorted(page.time + step, request.now_ms, side="right"))
        if closed:
            yield page.slice(0, closed)
        cursor = int(page.time[-1]) + step


def joined(symbol: str, timeframe: Timeframe, parts: Sequence[Bars]) -> Bars:
    """Put bars that follow each other into one; no parts give no bars."""
    time = np.concatenate([np.zeros(0, np.int64), *(part.time for part in parts)])
    values = {
        name: np.concatenate([np.zeros(0), *(getattr(part, name) for part in parts)])
        for name in _VALUES
    }
    return _sealed(symbol, timeframe, time, values)


def _read(answer: object, request: Request, cursor: int) -> Bars:
    """The rows of one answer, all checked; the last may not have closed yet."""
    source = (
        f"{request.symbol} {request.timeframe.name} of {request.venue}, "
        f"answer from {utc_text(cursor)} on"
    )
    rows = _rows(answer, source)
    time = np.array([_whole(row[0], i, "timestamp", source) for i, row in enumerate(rows)], "i8")
    values = {
        name: np.array(
            [_number(row[k], i, name, source) for i, row in enumerate(rows)], dtype=np.float64
        )
        for k, name in enumerate(_VALUES, start=1)
    }
    rules = [
        *_place_rules(time, request, cursor),
        *price_rules(values),
        *volume_rules(values["volume"]),
        _cut_short(rows, time, request, source),
    ]
    refuse_first(rules, time, values, np.arange(len(time)), source)
    return _sealed(request.symbol, request.timeframe, time, values)


def _rows(answer: object, source: str) -> list[list[object]]:
    if not isinstance(answer, list):
        raise _malformed(f"the answer is no array but {_shown(answer)}", source)
    if len(answer) > MOST_CANDLES:
        raise _malformed(f"{len(answer):,} candles came, more than {MOST_CANDLES:,}", source)
    for i, row in enumerate(answer):
        if not isinstance(row, list) or len(row) <= len(_VALUES):
            raise _malformed(f"{_shown(row)} is no candle", f"{source}, row {i + 1}")
    return answer


def _whole(cell: object, i: int, column: str, source: str) -> int:
    if isinstance(cell, bool) or not isinstance(cell, int) or not (0 <= cell < _LARGEST):
        raise _malformed(
            f"{column} {_shown(cell)} is no time in ms", f"{source}, row {i + 1}, column '{column}'"
        )
    return cell


def _number(cell: object, i: int, column: str, source: str) -> float:
    """Read a number, or text that is one, as decimals are sent; NaN and the like are neither."""
    if isinstance(cell, str) and _NUMBER.fullmatch(cell):
        return float(cell)
    if isinstance(cell, float):
        return cell
    if isinstance(cell, int) and not isinstance(cell, bool):
        return float(cell) if abs(cell) < _LARGEST else np.inf
    raise _malformed(
        f"{column} {_shown(cell)} is no number", f"{source}, row {i + 1}, column '{column}'"
    )


def _place_rules(time: IntArray, request: Request, cursor: int) -> list[Rule]:
    """Rules of times on the grid, within what was asked for, each later than the one before."""
    frame = request.timeframe
    twice = np.zeros(len(time), dtype=np.bool_)
    twice[1:] = time[1:] == time[:-1]
    asked = f"which was not asked for: {utc_text(cursor)} to before {utc_text(request.stop)} was"
    off_grid = (time - anchor_ms(frame)) % frame.ms != 0
    return [
        Rule("timestamp", twice, "{time} is there twice"),
        Rule("timestamp", (time < cursor) | (time >= request.stop), f"{{time}} came, {asked}"),
        Rule("timestamp", off_grid, f"{{time}} is no multiple of {frame.name}"),
        *time_rules(time, frame),
    ]


def _cut_short(rows: list[list[object]], time: IntArray, request: Request, source: str) -> Rule:
    """Against a newest closed candle that says itself that it ended too early.

    Older ones are left alone: where a venue stood still, its record may have such a candle.
    """
    step = request.timeframe.ms
    broken = np.zeros(len(rows), dtype=np.bool_)
    newest = int(np.searchsorted(time + step, request.now_ms, side="right")) - 1
    if newest >= 0 and len(rows[newest]) > _CLOSE_TIME:
        closes = _whole(rows[newest][_CLOSE_TIME], newest, "close time", source)
        broken[newest] = closes < int(time[newest]) + step - 1
    return Rule("close time", broken, "the candle of {time} ended early: it is not whole")


def _malformed(what: str, where: str) -> DataError:
    return DataError(what, where=where, mend=FROM_THE_SOURCE)


def _shown(value: object) -> str:
    """A short look at what came; it is not ours, so nothing that moves a cursor is shown."""
    text = "".join(mark for mark in repr(value)[:60] if mark.isprintable())
    return text if len(text) < 60 else f"{text}…"


def _sealed(
    symbol: str, timeframe: Timeframe, time: IntArray, values: Mapping[str, FloatArray]
) -> Bars:
    for column in (time, *values.values()):
        column.flags.writeable = False
    opened, high, low, close, volume = (values[name] for name in _VALUES)
    return Bars(symbol, timeframe, time, opened, high, low, close, volume)

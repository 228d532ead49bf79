"""Bars of a venue into a file, page by page; the file is whole at every moment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from darwin.core.market import Bars, Timeframe
from darwin.data.candles import CandleClient, joined
from darwin.data.checks import BarColumns, CheckReport, check_bars, describe
from darwin.data.convert import bar_frame, write_whole
from darwin.data.files import read_bars
from darwin.data.names import SUFFIXES, plain_name
from darwin.data.rules import PRICES
from darwin.data.utc import utc_text
from darwin.errors import ConfigError, DataError

_COLUMNS = (*PRICES, "volume")
_PAGES_AT_ONCE = 20
"""After so many the file is written, so that a long fetch that is stopped keeps what it had."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a file holds now; `report` None: the venue has no such bar and there is no file."""

    path: Path
    bars_added: int
    report: CheckReport | None


def target_of(folder: Path, symbol: str, timeframe: Timeframe, suffix: str | None) -> Path:
    """The file of a series in `folder`: the one that is there, else a new one.

    Raises ConfigError where it is there in another format than `suffix`, or in both.
    """
    stem = f"{plain_name(symbol)}-{timeframe.name}"
    there = [path for ending in SUFFIXES if (path := folder / (stem + ending)).exists()]
    if len(there) > 1 or (there and suffix is not None and there[0].suffix != suffix):
        raise ConfigError(
            f"there is {' and '.join(path.name for path in there)} already",
            where=str(folder),
            mend="keep one file per series: leave --format out, or choose another folder",
        )
    return there[0] if there else folder / (stem + (suffix or SUFFIXES[0]))


def fetch(
    client: CandleClient,
    symbol: str,
    timeframe: Timeframe,
    since_ms: int,
    until_ms: int | None,
    target: Path,
) -> Fetched:
    """Add to `target` what the venue has closed since its last bar, or since `since_ms`.

    Bars open in [since, until). The last bar of the file is asked for again: raises DataError
    where the venue says something else of it, as for a file that breaks a rule.
    """
    had = read_bars(target, symbol, timeframe)[0] if target.exists() else None
    start_ms = since_ms if had is None else max(since_ms, int(had.time[-1]))
    before = 0 if had is None else len(had)
    for pages in _several(client.pages(symbol, timeframe, start_ms, until_ms)):
        fresh = joined(symbol, timeframe, pages)
        if had is not None:
            fresh = _behind(had, fresh, target)
        if len(fresh):
            had = _checked([had, fresh] if had is not None else [fresh], target)
            write_whole(bar_frame(had), target)
    if had is None:
        return Fetched(target, 0, None)
    report = describe(had, 0, calendar="continuous", max_gap_bars=24)
    return Fetched(target, len(had) - before, report)


def _several(pages: Iterator[Bars]) -> Iterator[list[Bars]]:
    kept: list[Bars] = []
    for page in pages:
        kept.append(page)
        if len(kept) == _PAGES_AT_ONCE:
            yield kept
            kept = []
    if kept:
        yield kept


def _behind(had: Bars, fresh: Bars, target: Path) -> Bars:
    """The bars of `fresh` that the file lacks; those it has must be the same."""
    last = int(had.time[-1])
    known = int(np.searchsorted(fresh.time, last, side="right"))
    if known and fresh.row(known - 1) != had.row(len(had) - 1):
        raise DataError(
            f"the last bar of the file, {utc_text(last)}, is not what the venue says now: "
            f"close {had.row(len(had) - 1).close!r} here, {fresh.row(known - 1).close!r} there",
            where=f"{target}, row {len(had)}",
            mend="fetch into another folder: a file should hold the prices of one venue",
        )
    return fresh.slice(known, len(fresh))


def _checked(parts: list[Bars], target: Path) -> Bars:
    """All of it as whoever reads the file will check it."""
    whole = joined(parts[0].symbol, parts[0].timeframe, parts)
    columns = BarColumns(whole.time, *(getattr(whole, name) for name in _COLUMNS))
    return check_bars(whole.symbol, whole.timeframe, columns, source=str(target))[0]

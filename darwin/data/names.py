"""Names of series files: `SYMBOL-TIMEFRAME.parquet`, `SYMBOL-8h-funding.csv`; finding them."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import NamedTuple

from darwin.core.market import SYMBOL, SYNTHETIC_VENUE, Timeframe
from darwin.errors import ConfigError, DataError

SUFFIXES = (".parquet", ".csv")
_STEM = re.compile(r"(?P<symbol>.+)-(?P<timeframe>[1-9]\d{0,3}[mhdw])(?P<funding>-funding)?")
_PLAIN = str.maketrans({"/": None, "-": None, ":": "_"})
_SEPARATORS = re.compile(r"[-/_:]")


class SeriesName(NamedTuple):
    """What the name of a series file says of its content."""

    symbol: str
    timeframe: Timeframe
    funding: bool


def parse_name(path: Path) -> SeriesName | None:
    """Read the name of `path`, or None if it is not named like a series."""
    match = _STEM.fullmatch(path.stem)
    if match is None or path.suffix not in SUFFIXES:
        return None
    return SeriesName(match["symbol"], Timeframe.parse(match["timeframe"]), bool(match["funding"]))


def series_files(folder: Path) -> list[Path]:
    """Every Parquet and CSV file directly in `folder`, by name. Raises DataError without one."""
    try:
        entries = sorted(folder.iterdir())
    except FileNotFoundError:
        raise DataError(
            "there is no such folder", where=str(folder), mend=_neighbour(folder)
        ) from None
    except NotADirectoryError:
        raise DataError(
            "this is a file, not a folder", where=str(folder), mend="name the folder it is in"
        ) from None
    except OSError as fault:
        raise DataError(
            f"the folder cannot be read: {fault.strerror}",
            where=str(folder),
            mend="check its permissions",
        ) from fault
    files = [entry for entry in entries if entry.suffix in SUFFIXES]
    if not files:
        raise DataError(
            "there is no Parquet or CSV file in the folder",
            where=str(folder),
            mend="put files named SYMBOL-TIMEFRAME.parquet or .csv there",
        )
    return files


def find_bars(folder: Path, symbol: str, timeframe: Timeframe) -> Path:
    """Find the bars of `symbol`: by that very name, else by a name that differs in separators.

    `BTC/USDT`, `BTC-USDT`, `BTC_USDT` and `BTCUSDT` name the same file, `X:VENUE` finds
    `X_VENUE`. Raises ConfigError for what is no symbol, and DataError if nothing or more than one
    file answers to it.
    """
    _refuse_other_than_symbols(symbol)
    files = series_files(folder)
    found = _matches(files, symbol, timeframe)
    if not found:
        plain = symbol.replace("/", "")
        raise DataError(
            f"there is no file for {symbol} at {timeframe.name}",
            where=f"{folder}, neither {plain}-{timeframe.name}.parquet nor .csv",
            mend=_nearest(files, f"{plain}-{timeframe.name}"),
        )
    return _the_only(found, symbol, folder)


def find_funding(folder: Path, symbol: str) -> Path | None:
    """Find the funding series of `symbol`, of any interval; None if there is none.

    Raises as `find_bars` does when more than one file answers to it.
    """
    _refuse_other_than_symbols(symbol)
    found = _matches(series_files(folder), symbol, None)
    return _the_only(found, symbol, folder) if found else None


def plain_name(symbol: str) -> str:
    """`BTC/USDT` as venues and files write it: BTCUSDT; `X:VENUE` becomes X_VENUE.

    Raises ConfigError for what is no symbol.
    """
    _refuse_other_than_symbols(symbol)
    return symbol.translate(_PLAIN)


def labelled(symbol: str) -> str:
    """Write `BTCUSDT_SYNTH` as `BTCUSDT:SYNTH`, so that generated prices are known as such."""
    stem = symbol.removesuffix(f"_{SYNTHETIC_VENUE}")
    return symbol if stem == symbol else f"{stem}:{SYNTHETIC_VENUE}"


def _refuse_other_than_symbols(symbol: str) -> None:
    if SYMBOL.fullmatch(symbol) is None:
        raise ConfigError(f"{symbol[:40]!r} is no symbol", mend="write for example BTC/USDT")


def _matches(files: list[Path], symbol: str, timeframe: Timeframe | None) -> list[Path]:
    """Files of the bars of `symbol`, or of its funding if there is no `timeframe`."""
    named = [(name, path) for path in files if (name := parse_name(path)) is not None]
    of_kind = [
        (name.symbol, path)
        for name, path in named
        if (name.funding if timeframe is None else not name.funding and name.timeframe == timeframe)
    ]
    same = [path for own, path in of_kind if own == symbol]
    return same or [path for own, path in of_kind if _compact(own) == _compact(symbol)]


def _compact(symbol: str) -> str:
    return _SEPARATORS.sub("", symbol)


def _the_only(found: list[Path], symbol: str, folder: Path) -> Path:
    if len(found) > 1:
        raise DataError(
            f"{symbol} is ambiguous: {' and '.join(path.name for path in found)} could be meant",
            where=str(folder),
            mend="keep one of them in this folder",
        )
    return found[0]


def _nearest(files: list[Path], wanted: str) -> str:
    stems = sorted({path.stem for path in files if (name := parse_name(path)) and not name.funding})
    close = difflib.get_close_matches(wanted, stems, n=3, cutoff=0.5)
    if close:
        return f"did you mean {', '.join(close)}?"
    shown = stems[:3] or [path.name for path in files[:3]]
    return f"the folder has for example {', '.join(shown)}"


def _neighbour(folder: Path) -> str:
    """Suggest a folder that exists in place of one that does not."""
    try:
        siblings = [each.name for each in folder.absolute().parent.iterdir() if each.is_dir()]
    except OSError:
        siblings = []
    close = difflib.get_close_matches(folder.name, siblings, n=1)
    return f"did you mean '{close[0]}'?" if close else "give the folder that holds the data"

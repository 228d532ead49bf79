"""Options of commands over a book that take the latest bars, fetched first where they must be."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from darwin.errors import ConfigError, DataError

if TYPE_CHECKING:
    from darwin.core.market import Timeframe

Command = TypeVar("Command", bound=Callable[..., Any])
HOUR_MS = 3_600_000


class Latest(NamedTuple):
    """Which bars are meant: the last hours, from where."""

    hours: int | None  # None: all of them
    fetch_from: str | None  # None: they lie in the folder


def latest_options(command: Command) -> Command:
    """Add what asks for the latest bars."""
    for option in (
        click.option(
            "--fetch-from", metavar="URL",
            help="Fetch the bars of --lookback-hours there into --data, if that is not there yet.",
        ),
        click.option(
            "--lookback-hours", type=click.IntRange(1, 1_000_000), metavar="N",
            help="Only the last N hours of bars.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def bring_in(
    latest: Latest,
    folder: Path | None,
    symbols: tuple[str, ...],
    frame: Timeframe,
    span: tuple[str | None, str | None],
) -> tuple[str | None, str | None]:
    """Fetch what is to be fetched; gives the span of bars that is meant, as --start and --end.

    A folder that is there already is left as it is, so that a command that is run again works on
    the same bars. Raises ConfigError, DataError.
    """
    if latest.fetch_from is not None:
        if latest.hours is None or folder is None or not symbols:
            raise ConfigError(
                "bars are fetched for so many hours into a folder", where="--fetch-from",
                mend="name --data DIR, --symbols A,B and --lookback-hours N as well",
            )  # fmt: skip
        if not folder.exists():
            _fetch(latest.fetch_from, folder, symbols, frame, latest.hours)
    if latest.hours is None:
        return span
    if span != (None, None):
        raise ConfigError(
            "--start and --end name other bars than --lookback-hours", mend="leave one out"
        )
    if folder is None:
        raise ConfigError(
            "is of bars from files", where="--lookback-hours", mend="name their folder with --data"
        )
    return _last(folder, symbols, frame, latest.hours), None


def _fetch(url: str, folder: Path, symbols: tuple[str, ...], frame: Timeframe, hours: int) -> None:
    from darwin.cli.synth import make_folder
    from darwin.data.fetch import fetch, target_of
    from darwin.data.klines import KlinesClient

    aside = folder.with_name(folder.name + ".part")
    shutil.rmtree(aside, ignore_errors=True)
    make_folder(aside)
    client = KlinesClient(url)
    try:
        now_ms = client.server_time_ms()
        for symbol in symbols:
            target = target_of(aside, symbol, frame, None)
            got = fetch(client, symbol, frame, max(0, now_ms - hours * HOUR_MS), None, target)
            if got.report is None:
                raise DataError(
                    f"{client.host} has no closed bar of {symbol} at {frame.name} in the last"
                    f" {hours:,} hours", mend="ask for more hours, or for another symbol",
                )  # fmt: skip
            click.echo(f"{symbol} {frame.name}: {got.bars_added:,} bars came", err=True)
    finally:
        client.close()
    aside.rename(folder)


def _last(folder: Path, symbols: tuple[str, ...], frame: Timeframe, hours: int) -> str:
    """When the last `hours` of what all files hold begin, ISO."""
    from darwin.data.files import FilesProvider
    from darwin.data.utc import utc_text

    if not symbols:
        raise ConfigError("bars from files want symbols", where="--symbols", mend="write BTC/USDT")
    provider = FilesProvider(folder, frame)
    ends = [int(provider.bars(symbol).time[-1]) + frame.ms for symbol in symbols]
    return utc_text(max(0, min(ends) - hours * HOUR_MS)).replace(" ", "T")

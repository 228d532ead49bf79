"""`darwin data`: check market data, convert it; what it says of prices, before they are traded."""

from __future__ import annotations

import importlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from darwin.errors import DarwinError, DataError

if TYPE_CHECKING:
    from darwin.data.survey import Checked

ELSEWHERE = {"fetch": "darwin.cli.fetch:fetch", "synth": "darwin.cli.synth:synth"}
TABLE_WIDTH = 150  # the table needs room, also where the terminal has less
DATE = len("2024-01-31")


class DataGroup(click.Group):
    """A group that also knows commands of other files, imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name all commands, in order."""
        return sorted([*super().list_commands(ctx), *ELSEWHERE])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command called `cmd_name`, its own or another file's."""
        if cmd_name not in ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        module, _, name = ELSEWHERE[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(cls=DataGroup)
def data() -> None:
    """Check, convert, fetch and make market data.

    \b
    Example:
      darwin data check data/
    """


@data.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--calendar",
    type=click.Choice(["continuous", "sessions"]),
    default="continuous",
    show_default=True,
    help="Whether the market is always open, or closes at night and at weekends.",
)
@click.option(
    "--max-gap-bars",
    type=click.IntRange(min=0),
    default=24,
    show_default=True,
    help="A gap longer than this starts the warm-up again.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def check(path: Path, calendar: str, max_gap_bars: int, as_json: bool) -> None:
    """Check one file, or every Parquet and CSV file of a folder.

    Files are named SYMBOL-TIMEFRAME.parquet or .csv, funding series SYMBOL-8h-funding. Exits with
    3, once all are listed, if one of them is refused.

    \b
    Example:
      darwin data check data/
      darwin data check data/BTCUSDT-1h.parquet --json
    """
    from darwin.data.survey import survey

    checked = list(survey(path, calendar, max_gap_bars))
    if as_json:
        click.echo(json.dumps(_as_json(path, checked), indent=2, allow_nan=False))
    else:
        _print_table(checked)
    faults = [each.fault for each in checked if each.fault is not None]
    if len(faults) == 1 and len(checked) == 1:
        raise faults[0]
    if faults:
        raise DataError(
            f"{len(faults)} of {len(checked)} files refused, first: {faults[0].what}",
            where=faults[0].where,
            mend=faults[0].mend,
        )


@data.command()
@click.argument("source", metavar="SRC", type=click.Path(path_type=Path))
@click.argument("target", metavar="DST", type=click.Path(path_type=Path))
@click.option("--timeframe", metavar="5m", help="Resample to this multiple of the timeframe.")
@click.option("--force", is_flag=True, help="Replace DST if it exists.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def convert(source: Path, target: Path, timeframe: str | None, force: bool, as_json: bool) -> None:
    """Check SRC and write it to DST; the extensions .parquet and .csv choose the formats.

    DST is written whole or not at all. With --timeframe, bars are put together from complete
    buckets only: a bucket starts at a multiple of the new timeframe since 1970 UTC (weeks on
    Mondays), and one with a bar missing is left out and counted.

    \b
    Example:
      darwin data convert BTCUSDT-1m.csv data/BTCUSDT-1m.parquet
      darwin data convert data/BTCUSDT-1m.parquet data/BTCUSDT-1h.parquet --timeframe 1h
    """
    from darwin.core.market import Timeframe
    from darwin.data.convert import convert as convert_file

    wanted = None if timeframe is None else Timeframe.parse(timeframe)
    done = convert_file(source, target, wanted, overwrite=force)
    click.echo(
        f"{target}: {done.rows_written:,} rows from {done.read.rows:,}; "
        f"{done.read.duplicates_dropped:,} duplicates and {done.bars_left_out:,} bars of "
        "incomplete buckets left out",
        err=True,
    )
    if as_json:
        click.echo(json.dumps({"source": str(source), "target": str(target), **asdict(done)}))


def _as_json(path: Path, checked: list[Checked]) -> dict[str, Any]:
    return {
        "path": str(path),
        "files": len(checked),
        "refused": sum(each.fault is not None for each in checked),
        "series": [
            {
                "file": each.path.name,
                "kind": each.kind,
                "verdict": "passed" if each.fault is None else "refused",
                "report": None if each.report is None else asdict(each.report),
                "fault": None if each.fault is None else _fault_json(each.fault),
            }
            for each in checked
        ],
    }


def _fault_json(fault: DarwinError) -> dict[str, str]:
    return {"what": fault.what, "where": fault.where, "mend": fault.mend}


def _print_table(checked: list[Checked]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("file", no_wrap=True)
    for name in ("rows", "first", "last", "gaps", "missing", "longest", "copies", "no volume"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", overflow="fold")
    for each in checked:
        table.add_row(*(Text(cell) for cell in _cells(each)))
    console = Console()
    Console(width=max(console.width, TABLE_WIDTH)).print(table)


def _cells(checked: Checked) -> list[str]:
    from darwin.data.checks import CheckReport
    from darwin.data.utc import utc_text

    report = checked.report
    if checked.fault is not None or report is None:
        return [checked.path.name, *[""] * 8, _refusal(checked)]
    quiet = ""
    if isinstance(report, CheckReport):
        quiet = "all" if report.volume_absent else f"{report.zero_volume_bars:,}"
    counts = (
        report.gaps,
        report.missing_bars,
        report.longest_gap_bars,
        report.duplicates_dropped,
    )
    return [
        checked.path.name,
        f"{report.rows:,}",
        utc_text(report.first)[:DATE],
        utc_text(report.last)[:DATE],
        *(f"{count:,}" for count in counts),
        quiet,
        "passed",
    ]


def _refusal(checked: Checked) -> str:
    if checked.fault is None:
        return ""
    place = checked.fault.where.removeprefix(str(checked.path)).lstrip(", ")
    return f"refused: {checked.fault.what}" + (f"; at {place}" if place else "")

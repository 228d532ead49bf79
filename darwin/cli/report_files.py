"""The files a run leaves behind: metrics, trades, equity, report, and with agents its twins."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

from darwin.engine.report import Report
from darwin.engine.report_rows import EQUITY_COLUMNS, TRADE_COLUMNS, equity_lines, trades_rows
from darwin.engine.report_twins import twins_lines
from darwin.report.files import json_text, write_text

METRICS, TRADES, EQUITY, PAGE = "metrics.json", "trades.csv", "equity.csv", "report.html"
TWINS = "twins.csv"
"""Of runs with agents."""


def names(*, agents: bool) -> tuple[str, ...]:
    """The files that `write_report` writes for a run with agents, or without."""
    return (METRICS, TRADES, EQUITY, PAGE, *([TWINS] if agents else []))


def write_report(folder: Path, report: Report) -> None:
    """Write all files of `report` into `folder`, made if missing; each whole or not at all.

    Raises StorageError where the disk refuses.
    """
    from darwin.cli.report_page import page

    write_figures(folder, report)
    write_text(folder / PAGE, page(report))


def write_figures(folder: Path, report: Report) -> None:
    """Write metrics.json and the CSVs; the page is left out."""
    write_text(folder / METRICS, json_text(report.metrics))
    write_text(folder / TRADES, csv_text(TRADE_COLUMNS, trades_rows(report.result)))
    header = ",".join(EQUITY_COLUMNS) + "\n"
    write_text(folder / EQUITY, chain([header], equity_lines(report.result)))
    if report.twins is not None:
        write_text(folder / TWINS, twins_lines(report.result, report.twins, report.sampling))


def clear_strays(folder: Path, *names: str) -> None:
    """Remove what a killed process has left of writing files of these names.

    For whoever holds the folder alone.
    """
    for name in names:
        for stray in folder.glob(f".{name}.*"):
            with suppress(OSError):  # it stands in nobody's way
                stray.unlink()


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Rows under a header; floats as Python writes them, lines end with a line feed."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return out.getvalue()

"""The files a run leaves behind: metrics.json, trades.csv, equity.csv, report.html."""

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
from darwin.report.files import json_text, write_text

METRICS, TRADES, EQUITY, PAGE = "metrics.json", "trades.csv", "equity.csv", "report.html"


def write_report(folder: Path, report: Report) -> None:
    """Write all four files of `report` into `folder`, made if missing; each whole or not at all.

    Raises StorageError where the disk refuses.
    """
    from darwin.cli.report_page import page

    write_figures(folder, report)
    write_text(folder / PAGE, page(report))


def write_figures(folder: Path, report: Report) -> None:
    """Write metrics.json and both CSVs; the page is left out."""
    write_text(folder / METRICS, json_text(report.metrics))
    write_text(folder / TRADES, csv_text(TRADE_COLUMNS, trades_rows(report.result)))
    header = ",".join(EQUITY_COLUMNS) + "\n"
    write_text(folder / EQUITY, chain([header], equity_lines(report.result)))


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

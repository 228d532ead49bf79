"""The files a run leaves behind: metrics.json, trades.csv, equity.csv, report.html."""

from __future__ import annotations

import csv
import io
import json
import os
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

from darwin.engine.report import Report
from darwin.engine.report_rows import EQUITY_COLUMNS, TRADE_COLUMNS, equity_lines, trades_rows
from darwin.errors import StorageError

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


def json_text(tree: dict[str, Any]) -> str:
    """A tree as JSON in the order it was made; never NaN or infinity."""
    return json.dumps(tree, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Rows under a header; floats as Python writes them, lines end with a line feed."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return out.getvalue()


def write_text(path: Path, text: str | Iterable[str]) -> None:
    """Replace `path` in one step: written beside it, synced, renamed. Raises StorageError."""
    write_bytes(path, (part.encode() for part in ([text] if isinstance(text, str) else text)))


def write_bytes(path: Path, parts: Iterable[bytes]) -> None:
    """The same with bytes."""
    beside: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        Path(beside).chmod(0o644)
        Path(beside).replace(path)
        _sync_folder(path.parent)
    except OSError as fault:
        raise StorageError(
            f"cannot write {path.name}: {fault.strerror or fault}",
            where=str(path.parent),
            mend="check that the folder is writable and the disk has room",
        ) from fault
    finally:  # also where `parts` itself fails, or a signal stops us
        if beside is not None:
            with suppress(OSError):  # it stands in nobody's way
                Path(beside).unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

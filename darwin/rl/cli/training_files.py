"""The files a training leaves behind: report.json, and report.html that draws it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FIGURES, PAGE = "report.json", "report.html"


def write_training(folder: Path, told: dict[str, Any]) -> None:
    """Write both files of a training, each whole or not at all; `told` is fit for JSON.

    The page is made of what report.json holds and of nothing else. Raises StorageError where the
    disk refuses.
    """
    from darwin.report.files import write_text
    from darwin.report.training import page

    text = _text(told)
    write_text(folder / FIGURES, text)
    write_text(folder / PAGE, page(json.loads(text)))


def write_alarm(folder: Path, told: dict[str, Any]) -> Path:
    """Write report.json of a training that a canary ended; there is no page. Gives its path."""
    from darwin.report.files import write_text

    (folder / PAGE).unlink(missing_ok=True)
    path = folder / FIGURES
    write_text(path, _text(told))
    return path


def _text(told: dict[str, Any]) -> str:
    return json.dumps(told, indent=1, sort_keys=True, allow_nan=False) + "\n"

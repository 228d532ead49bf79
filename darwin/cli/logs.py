"""Logs: `logs/darwin.log` for tonight's operator, `run.log` beside each run."""

from __future__ import annotations

import logging
from pathlib import Path

from darwin.rl.cli.log_lines import formatter

LOG_FILE = Path("logs") / "darwin.log"


def log_to(*files: Path) -> logging.Logger:
    """Send events to `files`, made if missing; a file that cannot be written is left out.

    Their lines are text, or JSON where DARWIN_LOG_FORMAT says so.
    A log that fails never stops a run: what is recorded stands in the database.
    """
    logger = logging.getLogger("darwin")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logging.raiseExceptions = False
    form = formatter()
    for old in list(logger.handlers):
        logger.removeHandler(old)
        old.close()
    for file in files:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            handler = logging.FileHandler(file, encoding="utf-8")
        except OSError:
            continue
        handler.setFormatter(form)
        logger.addHandler(handler)
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    return logger

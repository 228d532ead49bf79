"""The way to the database of a deployment that a command was told of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from darwin.rl.cli.options import DATABASE, database_options, placed

if TYPE_CHECKING:
    from darwin.store.db import Database

__all__ = ["database_options", "database_path", "open_database"]


def database_path(artifacts_dir: str, db: str | None) -> Path:
    """Where the database is; a path below `artifacts/` means `<artifacts_dir>/…`."""
    return placed(artifacts_dir, db or DATABASE)


def open_database(artifacts_dir: str, db: str | None) -> Database:
    """Open the database for queries. Raises StorageError when it is missing or cannot be read."""
    from darwin.store.db import connect_readonly

    return connect_readonly(database_path(artifacts_dir, db))

"""Options that say which deployment a command reads, and the way to its database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from darwin.store.db import Database

Command = TypeVar("Command", bound=Callable[..., Any])


def database_options(command: Command) -> Command:
    """Add what names the database of a deployment, and `--json`."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        click.option("--db", metavar="FILE", help="The database, if it is not in its usual place."),
        click.option(
            "--artifacts-dir",
            metavar="DIR",
            envvar="DARWIN__ARTIFACTS_DIR",
            default="artifacts",
            show_default=True,
            show_envvar=True,
            help="Where the deployment keeps its files.",
        ),
    ):
        command = option(command)
    return command


def database_path(artifacts_dir: str, db: str | None) -> Path:
    """Where the database is; a path below `artifacts/` means `<artifacts_dir>/…`."""
    first, _, rest = (db or "artifacts/rl_state/agent_state.sqlite").partition("/")
    return Path(artifacts_dir) / rest if first == "artifacts" else Path(db or "")


def open_database(artifacts_dir: str, db: str | None) -> Database:
    """Open the database for queries. Raises StorageError when it is missing or cannot be read."""
    from darwin.store.db import connect_readonly

    return connect_readonly(database_path(artifacts_dir, db))

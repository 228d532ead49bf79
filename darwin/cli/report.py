"""`darwin report`: a recorded run's report anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from darwin.cli.deployment import database_options, open_database

if TYPE_CHECKING:
    from darwin.store.db import Database
    from darwin.store.runs import Begun


@click.command()
@click.argument("run_id")
@database_options
def report(run_id: str, artifacts_dir: str, db: str | None, as_json: bool) -> None:
    """Write the report of a recorded run anew.

    The run is replayed from its recorded config; the bars must be the ones it saw, and what comes
    out must be what was recorded.

    \b
    Example:
      darwin report btc-breakout
    """
    from darwin.bootstrap.recorded import rewire
    from darwin.cli.making import again, report_on, write_run_files
    from darwin.cli.report_files import METRICS, PAGE
    from darwin.config.book import is_of_book
    from darwin.store.queries import provenance
    from darwin.store.runs import find_begun

    folder = Path(artifacts_dir) / "runs" / run_id
    with open_database(artifacts_dir, db) as database:
        run = find_begun(database, run_id)
        if is_of_book(json.loads(run.identity.config_json)):
            _of_book(folder, run, database, artifacts_dir)
        else:
            loaded, wired = rewire(run, artifacts_dir, database)
            result = again(wired, database, run)
            made = report_on(result, loaded, wired, provenance(database, run_id))
            write_run_files(folder, loaded, wired, run, made)
    if as_json:
        click.echo((folder / METRICS).read_text("utf-8"), nl=False)
    else:
        click.echo(f"report: {folder / PAGE}")


def _of_book(folder: Path, run: Begun, database: Database, artifacts_dir: str) -> None:
    from darwin.bootstrap.books import rewire_book
    from darwin.cli.book_kept import again, write_files

    wired = rewire_book(run, artifacts_dir)
    write_files(folder, wired, run, again(wired, database, run))

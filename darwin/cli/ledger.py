"""`darwin ledger`: the facts of a run, as lines to keep or to compare."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import click

from darwin.cli.deployment import database_options, database_path, open_database
from darwin.errors import StorageError


@click.group()
def ledger() -> None:
    """Work with the recorded facts of runs.

    \b
    Example:
      darwin ledger export btc-breakout -o facts.jsonl
    """


@ledger.command()
@click.argument("run_id")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write there."
)
@click.option("--only", metavar="KINDS", help="Kinds of facts, separated by commas.")
@database_options
def export(
    run_id: str, output: Path | None, only: str | None, artifacts_dir: str, db: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Write every fact of a run as a line of JSON, in the order of events.

    Keys are sorted; there is no wall clock, no random id, no latency: runs that did the same give
    the same bytes. `--only orders,fills,outcomes` leaves out what was merely thought. Lines are
    JSON with or without --json.

    \b
    Examples:
      darwin ledger export btc-breakout -o facts.jsonl
      darwin ledger export btc-breakout --only orders,fills,outcomes | sha256sum
    """
    from darwin.report.files import write_bytes
    from darwin.store.export import export_lines
    from darwin.store.runs import Standing, find_begun

    kinds = _kinds(only)
    if output is not None:
        _refuse_the_record(output, database_path(artifacts_dir, db))
    with open_database(artifacts_dir, db) as database:
        run = find_begun(database, run_id)
        if run.standing is not Standing.FINISHED:
            kept = f"{run.place.facts:,} facts"
            click.echo(f"note: run '{run_id}' is not finished; these are its {kept}", err=True)
        lines = export_lines(database, run, kinds)
        if output is None:
            _print(lines)
        elif output.is_symlink() or (output.exists() and not output.is_file()):
            _write_through(output, lines)
        else:
            write_bytes(output, lines)


def _refuse_the_record(output: Path, database: Path) -> None:
    """Raise UsageError where the facts would be written over what they are read from."""
    for part in ("", "-wal", "-shm"):
        mine = database.with_name(database.name + part)
        if output.absolute() == mine.absolute() or (
            output.exists() and mine.exists() and output.samefile(mine)
        ):
            raise click.UsageError(f"{output} is the database itself; name another file with -o")


def _print(lines: Iterable[bytes]) -> None:
    if sys.stdout is None:
        raise click.UsageError("standard output is closed; name a file with -o FILE")
    sys.stdout.buffer.writelines(lines)
    sys.stdout.buffer.flush()


def _write_through(output: Path, lines: Iterable[bytes]) -> None:
    """Write to a device, a pipe or what a link leads to: these are not to be replaced."""
    try:
        with output.open("wb") as file:
            file.writelines(lines)
    except BrokenPipeError:
        raise
    except OSError as fault:
        raise StorageError(
            f"cannot write the facts: {fault.strerror or fault}",
            where=str(output),
            mend="name a file on a disk that has room",
        ) from fault


def _kinds(only: str | None) -> tuple[str, ...]:
    import difflib

    from darwin.core.facts import TABLES

    kinds = [kind.strip() for kind in only.split(",")] if only is not None else []
    for kind in kinds:
        if kind not in TABLES:
            close = difflib.get_close_matches(kind, TABLES, n=1)
            hint = f"did you mean '{close[0]}'?" if close else f"known: {', '.join(TABLES)}"
            raise click.BadParameter(f"no facts called '{kind}'; {hint}", param_hint="--only")
    return tuple(dict.fromkeys(kinds))

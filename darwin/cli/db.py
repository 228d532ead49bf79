"""`darwin db archive`: old runs move into a database of their own."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from darwin.cli.deployment import database_options, database_path
from darwin.errors import ConfigError
from darwin.rl.cli.options import ARTIFACTS, act_options

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from darwin.store.archive import Old
    from darwin.store.db import Database

FOLDER = "archives"
"""Below the artifacts, where an archive goes that was given no place."""


class Sorted(NamedTuple):
    """Old runs, by whether they may go."""

    going: list[Old]
    staying: dict[str, str]  # by name, with the reason


@click.group()
def db() -> None:
    """Look after the database of a deployment.

    \b
    Example:
      darwin db archive --before 2026-01-01 --dry-run
    """


@db.command()
@click.option("--before", required=True, metavar="DATE", help="Runs that were finished before.")
@click.option("--keep-runs", default="", metavar="A,B", help="Runs that stay all the same.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The archive, a new file; else below artifacts/archives.",
)
@click.option("--dry-run", is_flag=True, help="Say what would move; write nothing.")
@act_options
@database_options
def archive(
    before: str,
    keep_runs: str,
    output: Path | None,
    dry_run: bool,
    by: str,
    reason: str,
    artifacts_dir: str,
    db: str | None,
    as_json: bool,
) -> None:
    """Move finished runs into a new database, which `verify`, `why` and `report --db` read.

    A run stays, and it is said why, while evidence, a promotion in force, a job or another run
    refers to it, and always the one that was begun last. The others are copied, the copy is proven
    run by run, then they are removed here, each in one transaction that also says where it went.
    Logs are copied and stay. The file gets no smaller, its free pages are used again.

    \b
    Examples:
      darwin db archive --before 2026-01-01 --dry-run
      darwin db archive --before 2026-01-01 -o runs-of-2025.sqlite --by Ada --reason "a year ago"
    """
    from darwin.cli.instants import instant
    from darwin.cli.tables import print_json
    from darwin.store.db import connect, connect_readonly

    moment = datetime.fromtimestamp(instant(before, "--before") / 1000, UTC)
    kept = {name for name in keep_runs.split(",") if name}
    artifacts, path = Path(artifacts_dir), database_path(artifacts_dir, db)
    with connect_readonly(path) as database, database.read() as connection:
        found = sort_runs(connection, artifacts, moment, kept)
    target = output or artifacts / FOLDER / f"runs-before-{moment:%Y%m%d_%H%M%S}.sqlite"
    moved = False
    if found.going and not dry_run:
        _refuse_existing(target)
        with connect(path) as database:
            _move(database, found.going, artifacts, moment, kept, target, by=by, reason=reason)
        moved = True
    if as_json:
        going = [one._asdict() for one in found.going]
        print_json(
            {"moved": moved, "file": str(target) if moved else None, "runs": going}
            | {"bytes": sum(one.bytes for one in found.going), "staying": found.staying}
        )
        return
    for name, why in found.staying.items():
        click.echo(f"stays: {name}: {why}")
    for one in found.going:
        click.echo(f"{'moved' if moved else 'would move'}: {one.run_id}, {one.facts:,} facts")
    size = sum(one.bytes for one in found.going)
    if moved:
        click.echo(f"{size:,} bytes are now in {target}; name it with --db to read them")
    else:
        click.echo(f"{len(found.going)} runs {'would' if dry_run else 'may'} move, {size:,} bytes")


def sort_runs(connection: Connection, artifacts: Path, before: datetime, kept: set[str]) -> Sorted:
    """Which of the old runs may go, as a transaction sees them.

    Raises ConfigError where a run is to be kept that there is not.
    """
    from darwin.cli.db_held import held_runs
    from darwin.store.archive import kept_by_the_file, old_runs
    from darwin.store.schema import runs

    known = set(connection.execute(runs.select().with_only_columns(runs.c.run_id)).scalars())
    if unknown := sorted(kept - known):
        raise ConfigError(
            f"no run called '{unknown[0]}' is there to be kept",
            where="--keep-runs",
            mend="`darwin runs` lists them",
        )
    held, found = held_runs(connection, artifacts), Sorted([], {})
    for one in old_runs(connection, before):
        why = kept_by_the_file(connection, one, before) or held.get(one.run_id, "")
        if one.run_id in kept:
            why = "--keep-runs names it"
        if why:
            found.staying[one.run_id] = why
        else:
            found.going.append(one)
    return found


def _move(
    database: Database,
    going: list[Old],
    artifacts: Path,
    before: datetime,
    kept: set[str],
    target: Path,
    *,
    by: str,
    reason: str,
) -> None:
    """Copy, prove, put in its place, then remove run by run."""
    import hashlib

    from darwin.cli.backup_make import written_whole
    from darwin.cli.verify import check_run
    from darwin.store.archive import copy_runs, remove

    with written_whole(target) as copy:
        copy_runs(database, going, copy)
        for one in going:
            check_run(one.run_id, str(artifacts), str(copy.absolute()))
    with target.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    for one in going:

        def objection(connection: Connection, run_id: str = one.run_id) -> str:
            return sort_runs(connection, artifacts, before, kept).staying.get(run_id, "")

        remove(
            database, one, _named(target, artifacts), sha256, by=by, reason=reason,
            at=datetime.now(UTC), objection=objection,
        )  # fmt: skip


def _named(target: Path, artifacts: Path) -> str:
    """How a command may name the archive later, wherever the artifacts are then."""
    try:
        return f"{ARTIFACTS}/{target.resolve().relative_to(artifacts.resolve()).as_posix()}"
    except ValueError:
        return str(target.absolute())


def _refuse_existing(target: Path) -> None:
    if target.exists() or target.is_symlink():
        raise ConfigError(
            "there is a file of that name already, and no archive is ever overwritten",
            where=str(target),
            mend="name another with -o",
        )

"""`darwin kill`: switch all learned agents off, by whatever can still be written to."""

from __future__ import annotations

import getpass
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from darwin.cli.deployment import database_options, database_path, open_database
from darwin.errors import StorageError
from darwin.rl.cli.signed import signed

if TYPE_CHECKING:
    from darwin.safety.switch import KillSwitch, Reading

_PATIENCE_S = 2.0  # with a database that another process holds
_LONGEST = 200


def _as_far_as_it_goes(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """What a person in a hurry wrote: never refused, made a plain line."""
    line = "".join(c if c.isprintable() else " " for c in value[:_LONGEST]).strip()
    return line or "not told"


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return f"user {os.getuid()}"


@click.group()
def kill() -> None:
    """Switch all learned agents off, or on again; see what holds.

    \b
    Examples:
      darwin kill on --reason "gate skips everything"
      darwin kill status
      darwin kill off --by Ada --reason "rolled back to last week's model"
    """


@kill.command()
@click.option(
    "--by",
    default=_login,
    metavar="NAME",
    callback=_as_far_as_it_goes,
    help="Who says so; else the login name.",
)
@click.option("--reason", default="", metavar="TEXT", callback=_as_far_as_it_goes, help="And why.")
@database_options
def on(by: str, reason: str, artifacts_dir: str, db: str | None, as_json: bool) -> None:
    """Let no agent act, nor be asked, from the next decision on; it holds over restarts.

    The file KILL is made among the artifacts, for all runs that keep theirs there, and it is
    written into the database, which remembers who said so. Where that is locked, missing, damaged
    or read-only the file is enough, with a warning; exit 4 where the file cannot be made.

    \b
    Example:
      darwin kill on --by Ada --reason "gate skips everything"
    """
    import sqlite3
    from datetime import UTC, datetime

    from sqlalchemy.exc import SQLAlchemyError

    from darwin.cli.tables import print_json
    from darwin.errors import DarwinError
    from darwin.rl.serving.kill_file import KILL_FILE, make

    path, artifacts = database_path(artifacts_dir, db), Path(artifacts_dir)
    file, fault, refused = (artifacts / KILL_FILE).absolute(), "", ""
    try:  # first: it stands whatever becomes of the rest, or of whoever would not wait for that
        make(artifacts, by, reason, datetime.now(UTC))
    except OSError as caught:
        refused = caught.strerror or type(caught).__name__
    try:
        _record(path, by, reason)
    except (DarwinError, SQLAlchemyError, sqlite3.Error, OSError, ValueError) as caught:
        fault = str(caught)
    if fault and refused:
        raise StorageError(
            f"NOTHING IS KILLED: neither the database ({fault}) nor the file ({refused}) can be"
            " written",
            where=str(file),
            mend="stop the runs themselves, start them with DARWIN_RL_DISABLED=1",
        )
    if fault:
        click.echo(f"warning: it could not be recorded: {fault}", err=True)
    if as_json:
        done = {"killed": True, "by": by, "reason": reason, "recorded": not fault}
        print_json(done | {"file": None if refused else str(file)})
    elif fault:
        click.echo(f"killed: no agent acts while there is the file {file}")
    else:
        click.echo(f"killed: no agent acts from the next decision on ({path.absolute()})")
        if not refused:
            click.echo(f"nor in any run beside the file {file}; `darwin kill off` removes both")
    if refused:
        raise StorageError(
            f"the file {KILL_FILE} was NOT made ({refused}): killed are the runs of the database"
            f" {path.absolute()} alone",
            where=str(file),
            mend="`darwin kill on --db FILE` for each other database, or stop those runs",
        )


@kill.command()
@signed
@database_options
def off(by: str, reason: str, artifacts_dir: str, db: str | None, as_json: bool) -> None:
    """Release what `darwin kill on` has switched on, and say what else still kills.

    First the record is released, then the file KILL goes, if `darwin kill on` alone wrote it. One
    that anybody else made or wrote into stays: remove it; and unset DARWIN_RL_DISABLED.

    \b
    Example:
      darwin kill off --by Ada --reason "rolled back to last week's model"
    """
    from datetime import UTC, datetime

    from darwin.cli.tables import print_json
    from darwin.rl.serving.kill_file import KILL_FILE, ours, remove
    from darwin.store.db import connect
    from darwin.store.kill_log import switch_off

    path, artifacts = database_path(artifacts_dir, db), Path(artifacts_dir)
    with open_database(artifacts_dir, db):
        pass  # a missing or older one is refused here: this command makes and migrates none
    said = ours(artifacts)  # before the record: what is switched on after that stays on
    with connect(path) as database:
        was = switch_off(database, by=by, reason=reason, at=datetime.now(UTC), also=bool(said))
    file = (artifacts / KILL_FILE).absolute()
    try:
        removed = remove(artifacts, said)
    except OSError as fault:
        raise StorageError(
            f"STILL KILLED: it is released on record, but the file cannot be removed"
            f" ({fault.strerror})",
            where=str(file),
            mend="remove it by hand",
        ) from fault
    now = _look(artifacts_dir, path)
    if as_json:
        print_json({"released": was is not None, "file_removed": removed} | _tree(now))
        return
    if was is not None:
        click.echo(f"released: what {was.by} had switched on at {was.at} ({was.reason})")
    elif not removed:
        click.echo("nothing was recorded, so there is nothing to release")
    if removed:
        click.echo(f"removed: the file {file}, which `darwin kill on` had made")
    if not now.killed:
        click.echo(
            "agents act again, each as far as its config, its promotion and its stage let it"
        )
        return
    click.echo(f"STILL KILLED: {now.why}")
    for source in now.sources:
        click.echo(f"  {source}: {_mend(source, artifacts_dir)}")


@kill.command()
@database_options
def status(artifacts_dir: str, db: str | None, as_json: bool) -> None:
    """Say whether agents are killed, source by source. The exit code is 0 either way.

    A running process keeps the value that DARWIN_RL_DISABLED had when it started; shown is the
    one of this shell. What cannot be read kills.

    \b
    Example:
      darwin kill status --json
    """
    from darwin.cli.tables import print_json

    path = database_path(artifacts_dir, db)
    now = _look(artifacts_dir, path)
    if as_json:
        print_json(_tree(now))
        return
    click.echo(f"killed: {now.why}" if now.killed else "not killed")
    for source, reading in _readings(now).items():
        click.echo(f"  {source:<12}{'kills: ' + reading.why if reading.killed else 'off'}")
    for source in now.sources:
        click.echo(f"  to remove {source}: {_mend(source, artifacts_dir)}")
    for warning in now.warnings:
        click.echo(f"warning: {warning}", err=True)


def _record(path: Path, by: str, reason: str) -> None:
    """Write it into the database, which must be there. Raises what the database raises."""
    from datetime import UTC, datetime

    from darwin.store.db import connect, connect_readonly
    from darwin.store.kill_log import switch_on

    connect_readonly(path, wait_s=_PATIENCE_S).close()
    with connect(path, wait_s=_PATIENCE_S) as database:
        switch_on(database, by=by, reason=reason, at=datetime.now(UTC))


def _look(artifacts_dir: str, path: Path) -> KillSwitch:
    """What the sources say, as a run sees them that starts from this shell."""
    from contextlib import closing
    from dataclasses import replace

    from darwin.rl.serving.switchboard import Sources
    from darwin.safety.switch import OFF, VARIABLE, disabled_by
    from darwin.store.watch import LogWatch

    with closing(LogWatch(path)) as watch:
        sources = Sources(disabled_by(os.environ.get(VARIABLE)), Path(artifacts_dir), watch)
        now = sources.look(grown=True)
    return replace(now, record=OFF) if _is_missing(path) else now


def _is_missing(path: Path) -> bool:
    try:
        path.stat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def _readings(now: KillSwitch) -> dict[str, Reading]:
    """The sources that can be seen from here."""
    return {"environment": now.environment, "file": now.file, "record": now.record}


def _mend(source: str, artifacts_dir: str) -> str:
    """How to remove a source."""
    from darwin.rl.serving.kill_file import KILL_FILE
    from darwin.safety.switch import VARIABLE

    file = (Path(artifacts_dir) / KILL_FILE).absolute()
    return {
        "environment": f"unset {VARIABLE} in this shell, and start anew what was started with it",
        "file": f"remove {file}, or mend what keeps it from being looked at",
        "record": "darwin kill off --by NAME --reason TEXT, or mend the database",
    }[source]


def _tree(now: KillSwitch) -> dict[str, object]:
    """All of it as JSON."""
    return {
        "killed": now.killed,
        "why": now.why,
        "sources": {name: reading._asdict() for name, reading in _readings(now).items()},
        "warnings": list(now.warnings),
    }

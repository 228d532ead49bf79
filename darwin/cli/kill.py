"""`darwin kill`: switch all learned agents off, by whatever can still be written to."""

from __future__ import annotations

import getpass
import os
from pathlib import Path

import click

from darwin.cli.deployment import database_options, database_path
from darwin.errors import StorageError
from darwin.rl.cli.signed import signed

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
    from datetime import UTC, datetime

    from darwin.cli.tables import print_json
    from darwin.rl.cli.killing import kill as switch_off_all
    from darwin.rl.serving.kill_file import KILL_FILE

    path = database_path(artifacts_dir, db)
    done = switch_off_all(Path(artifacts_dir), path, by=by, reason=reason, at=datetime.now(UTC))
    file = done.file
    if done.unrecorded:
        click.echo(f"warning: it could not be recorded: {done.unrecorded}", err=True)
    if as_json:
        tree = {"killed": True, "by": by, "reason": reason, "recorded": not done.unrecorded}
        print_json(tree | {"file": None if done.unmade else str(file)})
    elif done.unrecorded:
        click.echo(f"killed: no agent acts while there is the file {file}")
    else:
        click.echo(f"killed: no agent acts from the next decision on ({path.absolute()})")
        if not done.unmade:
            click.echo(f"nor in any run beside the file {file}; `darwin kill off` removes both")
    if done.unmade:
        raise StorageError(
            f"the file {KILL_FILE} was NOT made ({done.unmade}): killed are the runs of the"
            f" database {path.absolute()} alone",
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
    from darwin.rl.cli.killing import kill_tree, mend, release

    path, artifacts = database_path(artifacts_dir, db), Path(artifacts_dir)
    done = release(artifacts, path, by=by, reason=reason, at=datetime.now(UTC))
    was, now = done.was, done.now
    if as_json:
        told = {"released": was is not None, "file_removed": done.removed}
        print_json(told | kill_tree(now))
        return
    if was is not None:
        click.echo(f"released: what {was.by} had switched on at {was.at} ({was.reason})")
    elif not done.removed:
        click.echo("nothing was recorded, so there is nothing to release")
    if done.removed:
        click.echo(f"removed: the file {done.file}, which `darwin kill on` had made")
    if not now.killed:
        click.echo(
            "agents act again, each as far as its config, its promotion and its stage let it"
        )
        return
    click.echo(f"STILL KILLED: {now.why}")
    for source in now.sources:
        click.echo(f"  {source}: {mend(source, artifacts)}")


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
    from darwin.rl.cli.killing import kill_tree, look, mend, readings

    now = look(Path(artifacts_dir), database_path(artifacts_dir, db))
    if as_json:
        print_json(kill_tree(now))
        return
    click.echo(f"killed: {now.why}" if now.killed else "not killed")
    for source, reading in readings(now).items():
        click.echo(f"  {source:<12}{'kills: ' + reading.why if reading.killed else 'off'}")
    for source in now.sources:
        click.echo(f"  to remove {source}: {mend(source, Path(artifacts_dir))}")
    for warning in now.warnings:
        click.echo(f"warning: {warning}", err=True)

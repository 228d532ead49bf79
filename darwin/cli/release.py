"""`darwin release`: a person lets a halted run trade again."""

from __future__ import annotations

import click

from darwin.cli.deployment import database_options, database_path, open_database

_LONGEST = 200


def _said(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """A line that a person wrote, as it will stand in the record."""
    text = value.strip()
    if not text:
        raise click.BadParameter("is empty; it is recorded for whoever reads it later")
    if len(text) > _LONGEST:
        raise click.BadParameter(f"has {len(text)} characters, {_LONGEST} at most are recorded")
    if not text.isprintable():
        raise click.BadParameter("holds a character that cannot be printed; write one plain line")
    return text


@click.command()
@click.argument("run_id")
@click.option("--by", required=True, metavar="NAME", callback=_said, help="Who says so.")
@click.option("--reason", required=True, metavar="TEXT", callback=_said, help="And why.")
@database_options
def release(
    run_id: str, by: str, reason: str, artifacts_dir: str, db: str | None, as_json: bool
) -> None:
    """Lift a halt or a drawdown stop of a run that is being fed its bars.

    It takes effect at the next decision, stands in the record before it, and is fed again in every
    replay of the run. A run in mode `replay` hears nobody: there limits.reducing_resume decides.

    \b
    Example:
      darwin release btc-live --by "Ada" --reason "exchange outage is over"
    """
    from datetime import UTC, datetime

    from darwin.cli.tables import print_json
    from darwin.core.facts import RELEASE
    from darwin.store.acts import ask
    from darwin.store.db import connect

    with open_database(artifacts_dir, db):
        pass  # a missing or older one is refused here: this command makes and migrates none
    with connect(database_path(artifacts_dir, db)) as database:
        ask(database, run_id, RELEASE, by=by, reason=reason, at=datetime.now(UTC))
    if as_json:
        print_json({"run_id": run_id, "asked": RELEASE, "by": by, "reason": reason})
    else:
        click.echo(f"asked run '{run_id}' for a release; it takes effect at its next decision")

"""`darwin release`: a person lets a halted run trade again."""

from __future__ import annotations

import click

from darwin.cli.deployment import database_options, database_path, open_database
from darwin.rl.cli.signed import signed


@click.command()
@click.argument("run_id")
@signed
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

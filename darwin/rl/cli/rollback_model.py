"""`python -m darwin.rl.cli.rollback_model`, also `darwin rl models rollback`."""

from __future__ import annotations

import json

import click

from darwin.core.rebalance import ALL_AGENTS
from darwin.rl.cli.options import Deployment, act_options, model_options, open_registry


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("agent", type=click.Choice(ALL_AGENTS))
@click.option("--version", required=True, metavar="VERSION", help="The one that is to serve again.")
@act_options
@model_options
def rollback(
    agent: str,
    version: str,
    by: str,
    reason: str,
    artifacts_dir: str,
    db: str | None,
    models_dir: str | None,
    as_json: bool,
) -> None:
    """Let an earlier version of an agent's model serve again.

    One event is recorded and one link is led to that version; its digests are checked before. The
    next decision carries them. An unknown version: exit 2, listing those that exist; one that was
    removed or damaged: exit 3. What serves then has to have been promoted itself to act.

    \b
    Examples:
      darwin rl models rollback gate --version 20260113_093000
      python -m darwin.rl.cli.rollback_model gate --version 20260113_093000 --by Ada
    """
    from datetime import UTC, datetime

    from darwin.rl.registry.rollback import rollback as roll_back

    where = Deployment.of(artifacts_dir, db, models_dir)
    with open_registry(where, to_change=True) as registry:
        now = roll_back(registry, agent, version, by=by, reason=reason, now=datetime.now(UTC))
    if as_json:
        told = {"agent": agent, "serving": now.name, "manifest_sha256": now.model.sha256}
        click.echo(json.dumps(told | {"since": now.since.isoformat()}, indent=2))
    else:
        click.echo(f"version {now.name} of {agent} serves")


if __name__ == "__main__":
    from darwin.rl.cli.door import leave_through

    leave_through(rollback)

"""The commands of `darwin rl models` that change something: deploy, cleanup, pin, unpin."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from darwin.core.rebalance import ALL_AGENTS
from darwin.rl.cli.options import (
    Deployment,
    Finite,
    act_options,
    model_options,
    open_registry,
    resolved,
)
from darwin.rl.cli.trees import version_tree

if TYPE_CHECKING:
    from datetime import datetime


an_agent = click.argument("agent", type=click.Choice(ALL_AGENTS))
perhaps_an_agent = click.argument("agent", required=False, type=click.Choice(ALL_AGENTS))


@click.command()
@an_agent
@click.argument("folder", type=click.Path(path_type=Path))
@act_options
@model_options
def deploy(agent: str, folder: Path, by: str, reason: str, as_json: bool, **where: Any) -> None:
    """Make a version of spec.json and weights.safetensors in FOLDER.

    It is copied, validated, recorded and serves at once, except where the one that serves may act:
    then it challenges that one. If anything is refused, what served before serves on.

    \b
    Example:
      darwin rl models deploy gate trained/gate --by "Ada" --reason "weekly training"
    """
    from darwin.cli.tables import print_json
    from darwin.rl.graduation.record import may_act
    from darwin.rl.registry import files
    from darwin.rl.registry.deploy import deploy as bring
    from darwin.rl.serving.validation import refuse_the_future, validate_files

    given = files.read(
        resolved(folder), (files.SPEC, files.WEIGHTS), also=(files.MANIFEST, files.ZIP)
    )
    now = _now()

    def valid(name: str, content: files.Files) -> None:
        refuse_the_future(validate_files(name, content), now)

    with open_registry(Deployment.of(**where), to_change=True, make=True) as registry:
        one = bring(
            registry, agent, given, by=by, reason=reason, now=now,
            active=may_act(registry.database, agent, registry.shelf(agent).serving), validate=valid,
        )  # fmt: skip
    if as_json:
        print_json(version_tree(agent, one))
    else:
        click.echo(f"version {one.name} of {agent} is {one.place}")


@click.command()
@perhaps_an_agent
@click.option(
    "--days",
    type=Finite(0, 1e5),
    default=30.0,
    show_default=True,
    help="Keep what was in use since then.",
)
@click.option("--dry-run", is_flag=True, help="Say what would go; remove nothing.")
@act_options
@model_options
def cleanup(
    agent: str | None, days: float, dry_run: bool, by: str, reason: str, as_json: bool, **where: Any
) -> None:
    """Remove versions that nobody needs any more.

    What serves or challenges stays, and so does what is pinned, what an unfinished run has been
    told of, the newest three of the archive and all that was in use in the last 30 days.

    \b
    Example:
      darwin rl models cleanup --dry-run
    """
    from darwin.cli.tables import print_json
    from darwin.rl.registry.cleanup import cleanup as clean
    from darwin.rl.registry.cleanup import due
    from darwin.rl.registry.retention import Terms

    gone, terms = [], Terms(days=days)
    with open_registry(Deployment.of(**where), to_change=not dry_run) as registry:
        for name in those(agent):
            if dry_run:
                with registry.database.read() as connection:
                    some = due(connection, name, _now(), terms)
            else:
                some = clean(registry, name, by=by, reason=reason, now=_now(), terms=terms)
            gone += [version_tree(name, one) for one in some]
    if as_json:
        print_json(gone)
        return
    for one in gone:
        click.echo(f"version {one['version']} of {one['agent']}")
    click.echo(f"{len(gone)} versions {'would be' if dry_run else 'are'} removed")


@click.command()
@an_agent
@click.argument("version")
@act_options
@model_options
def pin(agent: str, version: str, by: str, reason: str, as_json: bool, **where: Any) -> None:
    """Keep a version from ever being removed.

    \b
    Example:
      darwin rl models pin gate 20260113_093000 --reason "the one before the crash"
    """
    _pin(agent, version, by, reason, where, as_json=as_json, pinned=True)


@click.command()
@an_agent
@click.argument("version")
@act_options
@model_options
def unpin(agent: str, version: str, by: str, reason: str, as_json: bool, **where: Any) -> None:
    """Let a version be removed again when its time comes.

    \b
    Example:
      darwin rl models unpin gate 20260113_093000
    """
    _pin(agent, version, by, reason, where, as_json=as_json, pinned=False)


def _pin(
    agent: str, version: str, by: str, reason: str, where: dict[str, Any], *, as_json: bool,
    pinned: bool,
) -> None:  # fmt: skip
    from darwin.cli.tables import print_json
    from darwin.rl.registry.rollback import pin as put_pin

    with open_registry(Deployment.of(**where), to_change=True) as registry:
        one = put_pin(registry, agent, version, by=by, reason=reason, now=_now(), pinned=pinned)
    if as_json:
        print_json(version_tree(agent, one))
    else:
        click.echo(f"version {one.name} of {agent} is {'' if pinned else 'not '}pinned")


def those(agent: str | None) -> tuple[str, ...]:
    """The agent that was named, else all."""
    return (agent,) if agent else ALL_AGENTS


def _now() -> datetime:
    from datetime import UTC, datetime

    return datetime.now(UTC)

"""`darwin rl promote` and `darwin rl demote`: a named person lets an agent act, or no longer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from darwin.core.rebalance import ALL_AGENTS
from darwin.rl.cli.columns import percent, print_json
from darwin.rl.cli.graduation_status import (
    NOT_PASSED,
    condition_trees,
    print_conditions,
)
from darwin.rl.cli.options import Deployment, model_options, open_registry
from darwin.rl.cli.signed import signed

if TYPE_CHECKING:
    pass

_SCOPE = re.compile(r"deployment|run:[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

an_agent = click.argument("agent", type=click.Choice(ALL_AGENTS))


def _a_scope(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if not _SCOPE.fullmatch(value):
        raise click.BadParameter(f"{value!r} is no scope; say deployment or run:RUN_ID")
    return value


a_scope = click.option(
    "--scope",
    default="deployment",
    show_default=True,
    metavar="run:ID",
    callback=_a_scope,
    help="The one replay it is about.",
)


@click.command()
@an_agent
@signed
@click.option("--override", is_flag=True, help="Without the evidence that it wants.")
@a_scope
@model_options
def promote(
    agent: str, by: str, reason: str, override: bool, scope: str, as_json: bool, **where: Any
) -> int:
    """Let the model of AGENT that serves act, on 1% of the capital at first.

    It acts where its config says active or auto, from the next decision on, and where another
    version serves it counts for nothing. Exit 10 names the conditions that are not passed; a
    person who knows better says --override, which is recorded. With --scope run:ID it counts in
    the replay of that name alone.

    \b
    Example:
      darwin rl promote gate --by Ada --reason "two weeks of paper, looked at each skip" --override
    """
    from darwin.rl.cli.acting import promote as let_act

    with open_registry(Deployment.of(**where), to_change=True) as registry:
        done = let_act(
            registry, where["artifacts_dir"], agent, by=by, reason=reason, at=_now(),
            override=override, scope=scope,
        )  # fmt: skip
    model, lacks, promoted, shown = done.model, done.lacking, done.promoted, done.shown
    if as_json:
        print_json(
            {"agent": agent, "version": model.version, "manifest_sha256": model.sha256}
            | {"promoted": promoted, "scope": scope, "lacking": condition_trees(lacks)}
            | {"evidence": shown}
        )
    elif promoted:
        click.echo(f"version {model.version} of {agent} is promoted ({scope}): it may act on 1%")
        click.echo("of the capital where its config says active or auto")
        for line in shown:
            click.echo(line)
        _point_to(done.pages)
    else:
        click.echo(f"version {model.version} of {agent} is not promoted, for it lacks:\n")
        print_conditions(lacks)
        click.echo("\na named person may promote it all the same, with --override")
    return 0 if promoted else NOT_PASSED


@click.command()
@an_agent
@signed
@a_scope
@model_options
def demote(agent: str, by: str, reason: str, scope: str, as_json: bool, **where: Any) -> None:
    """Let no model of AGENT act any more, from the next decision on.

    It observes until it is promoted again, whichever version serves. Nothing is asked of you but
    a name and a reason.

    \b
    Example:
      darwin rl demote gate --by Ada --reason "misses too many winners"
    """
    from darwin.rl.cli.acting import demote as let_none_act

    with open_registry(Deployment.of(**where), to_change=True) as registry:
        done = let_none_act(
            registry, where["artifacts_dir"], agent, by=by, reason=reason, at=_now(), scope=scope
        )
    ended = done.ended
    if as_json:
        print_json(
            {"agent": agent, "promoted": False, "scope": scope, "ended": ended.model._asdict()}
            | {"stage_before": ended.stage}
        )
    else:
        click.echo(
            f"{agent} observes ({scope}): version {ended.model.version} had"
            f" {percent(ended.stage)} of the capital"
        )
        _point_to(done.pages)


def _point_to(pages: tuple[Path, ...]) -> None:
    for path in pages:
        click.echo(f"dossier: {path.with_suffix('.html')}", err=True)


def _now() -> Any:
    from datetime import UTC, datetime

    return datetime.now(UTC)

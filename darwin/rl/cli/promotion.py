"""`darwin rl promote` and `darwin rl demote`: a named person lets an agent act, or no longer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from darwin.core.rebalance import ALL_AGENTS
from darwin.errors import ConfigError
from darwin.rl.cli.columns import percent, print_json
from darwin.rl.cli.dossier_files import write_down
from darwin.rl.cli.graduation_status import (
    NOT_PASSED,
    condition_trees,
    look,
    print_conditions,
)
from darwin.rl.cli.options import Deployment, model_options, open_registry
from darwin.rl.cli.signed import signed

if TYPE_CHECKING:
    from darwin.rl.graduation.judged import Judged
    from darwin.store.db import Database

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
    from darwin.rl.graduation.acts import promote as let_act
    from darwin.rl.graduation.checklist import all_pass, lacking
    from darwin.rl.graduation.footing import footing

    pages: tuple[Path, ...] = ()
    with open_registry(Deployment.of(**where), to_change=True) as registry:
        one = look(registry, agent, scope.partition(":")[2] or None)
        model, passed = one.model, all_pass(one.conditions)
        shown = [] if override else _shown(registry.database, one, scope)
        if model is None:
            raise ConfigError(
                f"no model of {agent} serves, so there is none to promote",
                where=str(registry.database.path),
                mend=f"`darwin rl models deploy {agent} FOLDER` brings one in",
            )
        if passed or override:
            let_act(
                registry.database, agent, model, by=by, reason=reason, at=_now(),
                override=override, scope=scope, conditions=one.conditions,
                detail=footing(one.trial, one.card.latest.bar_time),
            )  # fmt: skip
            pages = write_down(registry, where["artifacts_dir"])
    lacks = () if passed else lacking(one.conditions)
    promoted = passed or override
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
        _point_to(pages)
    else:
        click.echo(f"version {model.version} of {agent} is not promoted, for it lacks:\n")
        print_conditions(lacks)
        click.echo("\na named person may promote it all the same, with --override")
    return 0 if promoted else NOT_PASSED


def _shown(database: Database, one: Judged, scope: str) -> list[str]:
    """What the evidence is from, for the person who promotes on it; its runs are verified first.

    Raises IntegrityError where the record of one of them was changed.
    """
    from darwin.core.market import SYNTHETIC_VENUE
    from darwin.rl.graduation.contract import contracts_in
    from darwin.rl.graduation.reading import sources_of
    from darwin.rl.graduation.record import DEPLOYMENT
    from darwin.store.queries import ON_PAPER, runs_at_a_glance
    from darwin.store.verify import verify

    if one.trial is None:
        return []
    contract = one.trial.contract
    with database.read() as connection:
        sources = [source.run_id for source in sources_of(connection, contract)]
        told = runs_at_a_glance(connection, sources)
    for run_id in sources:
        verify(database, run_id, lambda run: [])
    lines = []
    for run_id, kind, symbols in told:
        made = any(symbol.endswith(f":{SYNTHETIC_VENUE}") for symbol in symbols)
        what = "bars that were generated" if made else "bars that were chosen"
        of = "bars as they came" if kind == ON_PAPER else what
        lines.append(f"evidence: run '{run_id}', {kind}, {of} ({', '.join(symbols)})")
    if scope == DEPLOYMENT and contract.scope != DEPLOYMENT:
        with database.read() as connection:
            every = contracts_in(connection, one.agent)
        tried = {c.scope for c in every if c.terms.model == contract.terms.model} - {DEPLOYMENT}
        lines.append(
            f"note: of {len(tried):,} such run{'s' if len(tried) != 1 else ''} that tried this"
            " version it is the latest; a level holds for one, not for the best of several"
        )
    return lines


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
    from darwin.rl.graduation.acts import demote as let_none_act
    from darwin.rl.graduation.footing import footing

    with open_registry(Deployment.of(**where), to_change=True) as registry:
        one = look(registry, agent, scope.partition(":")[2] or None)
        ended = let_none_act(
            registry.database, agent, by=by, reason=reason, at=_now(), scope=scope,
            detail=footing(one.trial, one.card.latest.bar_time),
        )  # fmt: skip
        pages = write_down(registry, where["artifacts_dir"])
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
        _point_to(pages)


def _point_to(pages: tuple[Path, ...]) -> None:
    for path in pages:
        click.echo(f"dossier: {path.with_suffix('.html')}", err=True)


def _now() -> Any:
    from datetime import UTC, datetime

    return datetime.now(UTC)

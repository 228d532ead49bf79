"""`darwin rl rollout`: how much of the capital an agent holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from darwin.core.agents import AGENTS, STAGES
from darwin.core.rebalance import ALL_AGENTS
from darwin.rl.cli.columns import percent, print_columns, print_json
from darwin.rl.cli.graduation_status import (
    NOT_PASSED,
    condition_trees,
    look,
    print_conditions,
)
from darwin.rl.cli.options import Deployment, model_options, open_registry
from darwin.rl.cli.signed import signed

if TYPE_CHECKING:
    from datetime import datetime

    from darwin.rl.graduation.judged import Judged

_WORDS = {percent(stage): stage for stage in STAGES}


def _a_stage(context: click.Context, parameter: click.Parameter, value: str) -> float:
    if value not in _WORDS:
        raise click.BadParameter(f"{value!r} is no stage; say {', '.join(_WORDS)}")
    return _WORDS[value]


@click.group()
def rollout() -> None:
    """Set or show how much of the capital agents hold.

    \b
    Examples:
      darwin rl rollout status
      darwin rl rollout set gate 5% --by Ada --reason "a week at 1% went well"
    """


@rollout.command("set")
@click.argument("agent", type=click.Choice(ALL_AGENTS))
@click.argument("stage", metavar="STAGE", callback=_a_stage)
@signed
@click.option("--override", is_flag=True, help="Without the stages, time or evidence it wants.")
@click.option(
    "--max-position-usd",
    type=float,
    metavar="USD",
    help="No position above it in which the agent acts; without it the cap in force stays.",
)
@click.option("--lift-cap", is_flag=True, help="Let positions be as large as the config has it.")
@model_options
def set_(
    agent: str, stage: float, by: str, reason: str, override: bool,
    max_position_usd: float | None, lift_cap: bool, as_json: bool, **where: Any,
) -> int:  # fmt: skip
    """Let the promoted model of AGENT hold STAGE of the capital: 0%, 1%, 5%, 10%, 25%, 50%, 100%.

    Down at any time. Up one stage at a time, after 7 days of market time at 1% and 14 at each of
    those that follow, and with every condition of `darwin rl status` passed: exit 10 names those
    that are not. --override stands for all three, and is recorded. What counts as time are
    decisions in runs on paper, on bars that no earlier stage was fed.

    --max-position-usd caps each position in which the agent acts, below what the config allows; it
    holds until a person sets another one or says --lift-cap. With the stage that is held it changes
    the cap alone.

    \b
    Examples:
      darwin rl rollout set gate 5% --by Ada --reason "a week at 1% went well"
      darwin rl rollout set gate 5% --max-position-usd 2000 --by Ada --reason "thin books"
    """
    if lift_cap and max_position_usd is not None:
        raise click.UsageError("--lift-cap takes the cap away; say it or --max-position-usd")
    from datetime import UTC, datetime

    from darwin.rl.cli.acting import set_stage
    from darwin.rl.graduation.acts import require_cap

    require_cap(max_position_usd)
    with open_registry(Deployment.of(**where), to_change=True) as registry:
        done = set_stage(
            registry, agent, stage, by=by, reason=reason, at=datetime.now(UTC), override=override,
            max_position_usd=max_position_usd, lift_cap=lift_cap,
        )  # fmt: skip
    was, lacking = done.before, done.lacking
    cap, cap_before = done.max_position_usd, done.max_position_usd_before
    if as_json:
        tree = {
            "agent": agent,
            "stage": was if lacking else stage,
            "stage_before": was,
            "max_position_usd": cap,
            "max_position_usd_before": cap_before,
        }
        print_json(tree | ({"lacking": condition_trees(lacking)} if lacking else {}))
    elif lacking:
        click.echo(f"{agent} stays at {percent(was)} of the capital, for it lacks:\n")
        print_conditions(lacking)
        click.echo("\na named person may decide it all the same, with --override")
    else:
        click.echo(f"{agent} holds {percent(stage)} of the capital; before, {percent(was)}")
        if cap != cap_before or cap is not None:
            before_that = "" if cap == cap_before else f"; before, {_most(cap_before)}"
            click.echo(f"its positions: {_most(cap)}{before_that}")
    return NOT_PASSED if lacking else 0


def _most(cap: float | None) -> str:
    return "as the config has it" if cap is None else f"at most {cap:,.2f} USD"


@rollout.command("status")
@click.argument("agent", required=False, type=click.Choice(ALL_AGENTS))
@model_options
def status_(agent: str | None, as_json: bool, **where: Any) -> None:
    """Show what each agent holds, since when, and what the next stage wants.

    \b
    Example:
      darwin rl rollout status gate
    """
    from datetime import UTC, datetime

    with open_registry(Deployment.of(**where)) as registry:
        found = [look(registry, name) for name in ((agent,) if agent else AGENTS)]
    trees = [rollout_tree(one, datetime.now(UTC)) for one in found]
    if as_json:
        print_json(trees[0] if agent else trees)
        return
    rows = [
        (
            one.agent,
            percent(one.stage),
            tree["promoted"] or "none",
            "yes" if tree["serves"] else "no",
            (tree["stage_since"] or "")[:16].replace("T", " "),
            f"{tree['days_held']:.1f}" if tree["promoted"] else "",
            "" if tree["max_position_usd"] is None else f"{tree['max_position_usd']:,.2f}",
            tree["next"],
        )
        for one, tree in zip(found, trees, strict=True)
    ]
    heads = (
        "agent", "holds", "promoted", "serves", "since UTC", "days heard", "most USD", "next stage",
    )  # fmt: skip
    print_columns(heads, rows)


def rollout_tree(one: Judged, now: datetime) -> dict[str, Any]:
    """What an agent holds, since when, and what the next stage wants, as JSON."""
    from darwin.core.market import DAY_MS
    from darwin.rl.graduation.record import DEPLOYMENT
    from darwin.safety.stages import next_stage

    held = one.promotion
    stage = held.stage if held else STAGES[0]
    above = next_stage(stage)
    if held is None:
        due = "by a promotion"
    elif above is None:
        due = "there is none"
    else:
        due = one.climb(above, now).said or f"{percent(above)} now"
    return {
        "agent": one.agent,
        "stage": one.stage,
        "promoted": held and held.model.version,
        "serves": held is not None and held.model == one.model,
        "stage_since": held and held.stage_since.isoformat(),
        "days_held": one.held_ms / DAY_MS,
        "max_position_usd": one.record.cap_within(DEPLOYMENT),
        "next": due,
    }

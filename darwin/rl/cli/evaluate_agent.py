"""`python -m darwin.rl.cli.evaluate_agent`, also `darwin rl evaluate`: the daily health check."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from darwin.core.agents import AGENTS
from darwin.rl.cli.columns import print_json
from darwin.rl.cli.options import Deployment, model_options, open_registry

if TYPE_CHECKING:
    from darwin.rl.graduation.checkup import Checkup
    from darwin.rl.graduation.health import Health, Training
    from darwin.rl.graduation.judged import Judged
    from darwin.rl.registry.registry import Registry

LONGEST_DAYS = 36_525.0


def _days(context: click.Context, parameter: click.Parameter, value: float) -> float:
    if not (0.0 < value <= LONGEST_DAYS):
        raise click.BadParameter(
            f"{value:g} is no length of a window; say a number of days above 0,"
            f" at most {LONGEST_DAYS:,.0f}"
        )
    return value


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("agent", type=click.Choice(AGENTS))
@click.option(
    "--window-days",
    type=float,
    default=7.0,
    show_default=True,
    metavar="DAYS",
    callback=_days,
    help="How much market time is held against the whole record.",
)
@click.option("--run-id", metavar="ID", help="Look at one run instead of all.")
@model_options
def evaluate(
    agent: str,
    window_days: float,
    run_id: str | None,
    artifacts_dir: str,
    db: str | None,
    models_dir: str | None,
    as_json: bool,
) -> None:
    """Check an agent's health: the last days of market time beside its whole record.

    Decisions, silence, figures with 95% intervals, conditions, alerts, breaker, drift since
    training; at the end the five lines of the daily checklist and a verdict. Exit 0 whatever the
    verdict is.

    \b
    Examples:
      darwin rl evaluate gate
      darwin rl evaluate portfolio --window-days 30 --json
      python -m darwin.rl.cli.evaluate_agent gate --db artifacts/rl_state/agent_state.sqlite
    """
    from darwin.rl.cli.health_page import print_page, tree

    with open_registry(Deployment.of(artifacts_dir, db, models_dir)) as registry:
        health, checkup = examine(registry, agent, window_days, run_id)
    if as_json:
        print_json(tree(health, checkup) | {"window_days": window_days, "run_id": run_id})
    else:
        print_page(health, checkup, window_days)


def examine(
    registry: Registry, agent: str, window_days: float, run_id: str | None = None
) -> tuple[Health, Checkup]:
    """Look at an agent's last days and at its whole record, and go through the daily checklist.

    Raises ConfigError for a run that is not on record.
    """
    from darwin.rl.graduation.checkup import check_up
    from darwin.rl.graduation.health import check
    from darwin.rl.serving.validation import may_do_more_than_watch

    health = check(
        registry, agent, may_do_more_than_watch, lambda one: _training(registry, one),
        window_days, run_id,
    )  # fmt: skip
    return health, check_up(health)


def _training(registry: Registry, one: Judged) -> Training:
    """What the spec of the serving model says of its rows of training, or why it does not."""
    from darwin.errors import ModelError
    from darwin.rl.agents.pages import PAGES
    from darwin.rl.registry.files import SPEC
    from darwin.rl.serving.policy import refuse_other_page
    from darwin.rl.serving.spec_file import read_spec

    if one.serving is None:
        return "a rule has no rows of training" if one.model else "no model serves"
    try:
        spec = read_spec(registry.load(one.agent, one.serving)[SPEC])
        refuse_other_page(PAGES[one.agent], spec)
    except ModelError as fault:
        return fault.what
    return spec.reference or "its spec.json holds no `reference`, as that of an imported model"


if __name__ == "__main__":
    from darwin.rl.cli.door import leave_through

    leave_through(evaluate)

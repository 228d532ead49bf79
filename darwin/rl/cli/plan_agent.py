"""`python -m darwin.rl.cli.plan_agent`, also `darwin rl plan`: feasibility before the start."""

from __future__ import annotations

import click

from darwin.core.agents import AGENTS, GATE, META_LEARNER, PORTFOLIO
from darwin.errors import ConfigError
from darwin.rl.cli.columns import print_json
from darwin.rl.cli.options import Deployment, database_options, open_registry

IMPOSSIBLE, INCONCLUSIVE = 10, 11
LONGEST_DAYS = 3_650.0


def _auc(context: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    if value is None or 0.5 < value < 1.0:
        return value
    raise click.BadParameter(
        f"{value:g} is no AUC to plan on; 0.5 ranks like a coin, 1 never errs: say one between"
    )


def _share(context: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    if value is None or 0.0 < value < 1.0:
        return value
    raise click.BadParameter(f"{value:g} is no share; say a number between 0 and 1, as 0.3 for 30%")


def _days(context: click.Context, parameter: click.Parameter, value: float) -> float:
    if 1.0 <= value <= LONGEST_DAYS:
        return value
    raise click.BadParameter(
        f"{value:g} is no horizon; say a number of days from 1 to {LONGEST_DAYS:,.0f}"
    )


def _rate(agent: str, skip_rate: float | None, override_rate: float | None) -> float | None:
    """The share that was asked for, of the one agent that it is an option of."""
    for name, share, whose, does in (
        ("--skip-rate", skip_rate, GATE, "skips"),
        ("--override-rate", override_rate, META_LEARNER, "overrides"),
    ):
        if share is not None and agent != whose:
            raise ConfigError(
                f"{agent} {_DOES[agent]}; it is {whose} that {does}", where=name,
                mend=f"give {_RATES[agent]}" if agent in _RATES else "leave it out",
            )  # fmt: skip
    return skip_rate if agent == GATE else override_rate


_DOES = {GATE: "skips and passes", META_LEARNER: "keeps and overrides", PORTFOLIO: "gives sizes"}
_RATES = {GATE: "--skip-rate", META_LEARNER: "--override-rate"}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("agent", type=click.Choice(AGENTS))
@click.option("--run", "run_id", metavar="RUN_ID", help="The run whose record is planned on.")
@click.option("--auc", type=float, callback=_auc, help="What if it ranks so well? 0.5 is a coin.")
@click.option(
    "--skip-rate",
    type=float,
    metavar="SHARE",
    callback=_share,
    help="Of the gate: what if it skips that share of its decisions? 0 to 1.",
)
@click.option(
    "--override-rate",
    type=float,
    metavar="SHARE",
    callback=_share,
    help="Of the meta-learner: what if it overrides that share of its decisions? 0 to 1.",
)
@click.option(
    "--version-number",
    "number",
    type=click.IntRange(1, 1_000),
    help="What if it were that version of its 180 days? Each has a stricter level.",
)
@click.option(
    "--days",
    type=float,
    default=365.0,
    show_default=True,
    callback=_days,
    help="How much market time it is given.",
)
@database_options
def plan(
    agent: str,
    run_id: str | None,
    auc: float | None,
    skip_rate: float | None,
    override_rate: float | None,
    number: int | None,
    days: float,
    artifacts_dir: str,
    db: str | None,
    as_json: bool,
) -> int:
    """Say before the start whether an agent can graduate: how much skill, how long, by which rule.

    From the decisions on record of a run (the newest that asked AGENT, else the newest with
    candidates) it reckons the smallest skill that would show with a chance of 80%. Exit 0 if a rule
    is feasible, 11 if none would show in time, 10 if none can be met at all.

    \b
    Examples:
      darwin rl plan gate
      darwin rl plan gate --skip-rate 0.2 --auc 0.6 --days 180
      python -m darwin.rl.cli.plan_agent meta_learner --db artifacts/rl_state/agent_state.sqlite
    """
    from darwin.rl.cli.plan_page import print_page, tree
    from darwin.rl.graduation import plan as planning

    rate = _rate(agent, skip_rate, override_rate)
    with open_registry(Deployment.of(artifacts_dir, db, None)) as registry:
        found = planning.plan(
            registry.database, agent, run_id=run_id, auc=auc, rate=rate, number=number, days=days
        )
    if as_json:
        print_json(tree(found))
    else:
        print_page(found)
    ends = {planning.Feasible.FEASIBLE: 0, planning.Feasible.IMPOSSIBLE: IMPOSSIBLE}
    return ends.get(found.state, INCONCLUSIVE)


if __name__ == "__main__":
    from darwin.rl.cli.door import leave_through

    leave_through(plan)

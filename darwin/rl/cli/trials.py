"""`darwin rl trials`: which networks of an agent were trained, and so looked at."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from darwin.core.rebalance import ALL_AGENTS, BOOK_AGENTS
from darwin.rl.cli.columns import print_columns, print_json
from darwin.rl.cli.options import Deployment, database_options

if TYPE_CHECKING:
    from darwin.rl.training.trials import Recorded


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("agent", type=click.Choice(ALL_AGENTS))
@database_options
def trials(agent: str, artifacts_dir: str, db: str | None, as_json: bool) -> None:
    """List the trials of AGENT, oldest first: each network that was trained is one.

    They are what the Sharpe ratio of a training is deflated by. Gain and Sharpe ratio are those of
    validation: the learned gain per decision in R, its Sharpe ratio per day. Of the agents of books
    the gain is the reward per decision beyond the baseline, the ratio that of the daily lead.

    \b
    Example:
      darwin rl trials gate
    """
    from darwin.rl.training.trials import different, recorded
    from darwin.store.db import connect_readonly

    with connect_readonly(Deployment.of(artifacts_dir, db, None).db) as database:
        found = recorded(database, agent)
    if as_json:
        print_json([_tree(one) for one in found])
        return
    if found:
        print_columns(_heads(agent), [_row(one) for one in found])
        click.echo()
    networks = len(different(one.trial for one in found))
    click.echo(f"{agent}: {len(found):,} trained on record, {networks:,} different networks")


def _heads(agent: str) -> tuple[str, ...]:
    return (
        "trial", "kind", "algo", "seed", "steps", "rows from", "test from", "rows until",
        "reward" if agent in BOOK_AGENTS else "gain R", "Sharpe", "data", "plan", "by", "at UTC",
        "",
    )  # fmt: skip


def _row(one: Recorded) -> tuple[str, ...]:
    trial = one.trial
    return (
        str(one.id), trial.kind, trial.algo, str(trial.seed), f"{trial.timesteps:,}",
        _day(trial.rows_from), _day(trial.test_from), _day(trial.rows_until),
        f"{trial.gain_r:+.{_digits(trial.agent_name)}f}",
        "" if trial.sharpe is None else f"{trial.sharpe:+.4f}",
        trial.data_digest[:8], trial.plan_digest[:8], one.by, one.at[:16].replace("T", " "),
        "" if trial.finished else "stopped",
    )  # fmt: skip


def _digits(agent: str) -> int:
    return 6 if agent in BOOK_AGENTS else 4


def _tree(one: Recorded) -> dict[str, Any]:
    return {"id": one.id} | asdict(one.trial) | {"by": one.by, "at": one.at}


def _day(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d}"

"""`darwin rl`: everything about learned agents; a command is imported only when it is called."""

from __future__ import annotations

import click

from darwin.cli.lazy import LazyGroup

COMMANDS = {
    "demote": "darwin.rl.cli.promotion:demote",
    "dossier": "darwin.rl.cli.dossier:dossier",
    "evaluate": "darwin.rl.cli.evaluate_agent:evaluate",
    "models": "darwin.cli.rl_models:models",
    "plan": "darwin.rl.cli.plan_agent:plan",
    "promote": "darwin.rl.cli.promotion:promote",
    "rollback": "darwin.rl.cli.rollback_model:rollback",
    "rollout": "darwin.rl.cli.rollout:rollout",
    "schedule": "darwin.cli.rl_schedule:schedule",
    "status": "darwin.rl.cli.graduation_status:status",
    "train": "darwin.rl.cli.train_agent:train",
    "trials": "darwin.rl.cli.trials:trials",
    "tune": "darwin.rl.cli.tune_agent:tune",
}


@click.group(cls=LazyGroup, places=COMMANDS)
def rl() -> None:
    """See how learned agents do; promote, demote and limit them; keep their models.

    \b
    Examples:
      darwin rl status
      darwin rl evaluate gate
      darwin rl models list gate
      darwin rl dossier list
    """

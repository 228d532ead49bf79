"""`darwin rl`: everything about learned agents; a command is imported only when it is called."""

from __future__ import annotations

import importlib

import click

COMMANDS = {
    "demote": "darwin.rl.cli.promotion:demote",
    "models": "darwin.cli.rl_models:models",
    "promote": "darwin.rl.cli.promotion:promote",
    "rollback": "darwin.rl.cli.rollback_model:rollback",
    "rollout": "darwin.rl.cli.rollout:rollout",
    "status": "darwin.rl.cli.graduation_status:status",
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name all commands, in order."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command called `cmd_name`."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(cls=LazyGroup)
def rl() -> None:
    """See how learned agents do; promote, demote and limit them; keep their models.

    \b
    Examples:
      darwin rl status
      darwin rl models list gate
    """

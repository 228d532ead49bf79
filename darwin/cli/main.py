"""`darwin`: the door of the command line; every command is imported only when it is called."""

from __future__ import annotations

import importlib
from typing import NoReturn

import click

from darwin import __version__
from darwin.rl.cli.door import leave_through

COMMANDS = {
    "benchmark": "darwin.cli.report:benchmark",
    "config": "darwin.cli.config:config",
    "data": "darwin.cli.data:data",
    "drill": "darwin.cli.drill:drill",
    "kill": "darwin.cli.kill:kill",
    "ledger": "darwin.cli.ledger:ledger",
    "release": "darwin.cli.release:release",
    "replay": "darwin.cli.verify:replay",
    "report": "darwin.cli.report:report",
    "rl": "darwin.cli.rl:rl",
    "run": "darwin.cli.run:run",
    "runs": "darwin.cli.runs:runs",
    "verify": "darwin.cli.verify:verify",
    "why": "darwin.cli.runs:why",
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


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="darwin")
def darwin() -> None:
    """Learned agents take over trading decisions: watched first, always behind one door.

    \b
    Example:
      darwin run configs/demo.json
    """


def main() -> NoReturn:
    """Run a command and turn every way it can end into an exit code of the contract."""
    leave_through(darwin)


if __name__ == "__main__":
    main()

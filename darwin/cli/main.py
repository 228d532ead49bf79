"""`darwin`: the door of the command line; every command is imported only when it is called."""

from __future__ import annotations

import importlib
import os
import sys
from typing import NoReturn

import click

from darwin import __version__
from darwin.errors import DarwinError

COMMANDS = {
    "benchmark": "darwin.cli.report:benchmark",
    "config": "darwin.cli.config:config",
    "data": "darwin.cli.data:data",
    "report": "darwin.cli.report:report",
    "run": "darwin.cli.run:run",
    "runs": "darwin.cli.runs:runs",
    "why": "darwin.cli.runs:why",
}
SIGNAL_EXIT = 128


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
    sys.exit(_run())


def _run() -> int:
    debug = os.environ.get("DARWIN_DEBUG") == "1"
    try:
        code = darwin.main(standalone_mode=False)
    except DarwinError as error:
        if debug:
            raise
        _say(*error.lines())
        return error.exit_code
    except click.ClickException as error:
        _say(*f"error: {error.format_message()}".splitlines()[:3])
        return 2
    except click.exceptions.Abort:
        _say("stopped")
        return SIGNAL_EXIT + 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SIGNAL_EXIT + 13
    except Exception as bug:  # noqa: BLE001  the one door: a bug must not look like a result
        if debug:
            raise
        _say(
            f"error: internal error, a bug in Darwin: {type(bug).__name__}: {bug}",
            "  mend: run again with DARWIN_DEBUG=1 and report what it prints",
        )
        return 1
    return code if isinstance(code, int) else 0


def _say(*lines: str) -> None:
    for line in lines:
        click.echo(line, err=True)

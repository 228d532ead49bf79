"""Options of the acts that only a named person may do: who says so, and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from darwin.rl.cli.options import said

Command = TypeVar("Command", bound=Callable[..., Any])


def signed(command: Command) -> Command:
    """Add `--by` and `--reason`, both of which must be given."""
    for option in (
        click.option("--reason", required=True, metavar="TEXT", callback=said, help="And why."),
        click.option("--by", required=True, metavar="NAME", callback=said, help="Who says so."),
    ):
        command = option(command)
    return command

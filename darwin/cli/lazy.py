"""A group of commands of which each is imported only when it is called."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click


class LazyGroup(click.Group):
    """A group that knows where its commands are: by name, as `package.module:name`."""

    def __init__(self, *words: Any, places: Mapping[str, str], **more: Any) -> None:
        """Import nothing yet."""
        super().__init__(*words, **more)
        self._places = places

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name all commands, in order."""
        return sorted(self._places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command called `cmd_name`."""
        if cmd_name not in self._places:
            return None
        module, _, name = self._places[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

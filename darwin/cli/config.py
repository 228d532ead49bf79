"""`darwin config`: say whether a config holds, and what each of its values is and came from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from darwin.config.load import Loaded, LoadedBook


@click.group()
def config() -> None:
    """Check a config, or show what it comes to.

    \b
    Example:
      darwin config show configs/demo.json --set market.edge=0
    """


def _of_a_config(command: Callable[..., None]) -> Callable[..., None]:
    """Give `command` what every command about one config takes."""
    command = click.option("--json", "as_json", is_flag=True, help="Machine output.")(command)
    command = click.option(
        "--set", "overrides", multiple=True, metavar="a.b=VALUE", help="Override one key."
    )(command)
    return click.argument("path", metavar="CONFIG", type=click.Path(path_type=Path))(command)


@config.command()
@_of_a_config
def check(path: Path, overrides: tuple[str, ...], as_json: bool) -> None:
    """Say whether CONFIG holds: exit 0, or 2 with every fault on three lines.

    \b
    Example:
      darwin config check configs/demo.json
    """
    from darwin.config.compare import digest

    loaded = _load(path, overrides)
    run_id, meaning = loaded.config.run_id, digest(loaded.resolved())
    if as_json:
        _print({"ok": True, "run_id": run_id, "digest": meaning})
    else:
        click.echo(f"{path}: holds (run {run_id}, digest {meaning[:16]})")


@config.command()
@_of_a_config
def show(path: Path, overrides: tuple[str, ...], as_json: bool) -> None:
    """Show every key of CONFIG with its value and its origin.

    The origin is default, file, env or --set. A config holds no secrets: a key that is named
    like one is refused, and its value never printed.

    \b
    Example:
      darwin config show configs/demo.json --set portfolio.sizing=equal_weight
    """
    from darwin.config.compare import digest

    loaded = _load(path, overrides)
    if as_json:
        resolved = loaded.resolved()
        _print({"config": resolved, "digest": digest(resolved), "origins": dict(loaded.origins)})
    else:
        _table(loaded)


def _load(path: Path, overrides: tuple[str, ...]) -> Loaded | LoadedBook:
    from darwin.bootstrap import refuse_bad_options
    from darwin.bootstrap.books import refuse_bad_book
    from darwin.config.load import LoadedBook, load_either

    loaded = load_either(path, overrides)
    if isinstance(loaded, LoadedBook):
        refuse_bad_book(loaded)
    else:
        refuse_bad_options(loaded)
    return loaded


def _print(value: dict[str, Any]) -> None:
    click.echo(json.dumps(value, indent=2))


def _table(loaded: Loaded | LoadedBook) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from darwin.config.compare import leaves
    from darwin.config.faults import key_path

    table = Table("key", "value", "origin", box=None, pad_edge=False, header_style="bold")
    for place, value in leaves(loaded.resolved()):
        key = key_path(place)
        origin = loaded.origins[key]
        style = "dim" if origin == "default" else ""
        table.add_row(Text(key), Text(json.dumps(value, ensure_ascii=False)), origin, style=style)
    Console().print(table)

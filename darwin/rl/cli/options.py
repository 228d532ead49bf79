"""Options of the commands on models: which deployment, who says so, and why."""

from __future__ import annotations

import getpass
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from darwin.errors import ModelError

if TYPE_CHECKING:
    from darwin.rl.registry.registry import Registry

Command = TypeVar("Command", bound=Callable[..., Any])
ARTIFACTS = "artifacts"
DATABASE, MODELS = f"{ARTIFACTS}/rl_state/agent_state.sqlite", f"{ARTIFACTS}/rl_models"

_LONGEST = 200


class Finite(click.FloatRange):
    """A number within a range; NaN and infinity are none, which `click.FloatRange` lets through."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read it; a BadParameter names what cannot be meant."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{number:g} is no number that can be meant", param, ctx)
        return number


class Deployment(NamedTuple):
    """Where a deployment keeps its database and its models."""

    db: Path
    models_dir: Path

    @classmethod
    def of(cls, artifacts_dir: str, db: str | None, models_dir: str | None) -> Deployment:
        """A path below `artifacts/` means `<artifacts_dir>/…`."""
        return cls(*(placed(artifacts_dir, one) for one in (db or DATABASE, models_dir or MODELS)))


def model_options(command: Command) -> Command:
    """Add what names the models of a deployment, and `--json`."""
    models = click.option("--models-dir", metavar="DIR", help="The models, if elsewhere.")
    return database_options(models(command))


def database_options(command: Command) -> Command:
    """Add what names the database of a deployment, and `--json`."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        click.option("--db", metavar="FILE", help="The database, if it is not in its usual place."),
        click.option(
            "--artifacts-dir",
            metavar="DIR",
            envvar="DARWIN__ARTIFACTS_DIR",
            default=ARTIFACTS,
            show_default=True,
            show_envvar=True,
            help="Where the deployment keeps its files.",
        ),
    ):
        command = option(command)
    return command


def said(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """A line that a person wrote, as it will stand in the record."""
    text = value.strip()
    if not text:
        raise click.BadParameter("is empty; it is recorded for whoever reads it later")
    if len(text) > _LONGEST:
        raise click.BadParameter(f"has {len(text)} characters, {_LONGEST} at most are recorded")
    if not text.isprintable():
        raise click.BadParameter("holds a character that cannot be printed; write one plain line")
    return text


def resolved(folder: Path) -> Path:
    """Where a path of the command line leads. Raises ModelError where its links go in a circle."""
    try:
        return folder.resolve()
    except (OSError, RuntimeError) as fault:
        raise ModelError(
            "the links of this path lead in a circle or cannot be followed",
            where=str(folder),
            mend="name the folder that holds spec.json and weights.safetensors itself",
        ) from fault


def act_options(command: Command) -> Command:
    """Add `--by` and `--reason`, which stand in the record; neither must be given."""
    for option in (
        click.option(
            "--reason", default="no reason given", metavar="TEXT", callback=said, help="And why."
        ),
        click.option(
            "--by", default=login, metavar="NAME", callback=said,
            help="Who says so; else the login name.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


@contextmanager
def open_registry(
    where: Deployment, *, to_change: bool = False, make: bool = False
) -> Iterator[Registry]:
    """The registry of a deployment, to look at or `to_change`.

    A database that is missing is made where `make` says so; one of an older schema is refused.
    Raises StorageError.
    """
    from darwin.rl.registry.registry import Registry
    from darwin.store.db import connect, connect_readonly

    if not (make and not where.db.exists()):
        with connect_readonly(where.db) as database:
            if not to_change:
                yield Registry(where.models_dir, database)
                return
    with connect(where.db) as database:
        yield Registry(where.models_dir, database)


def placed(artifacts_dir: str, path: str) -> Path:
    """Where a path of the command line is; one below `artifacts/` means `<artifacts_dir>/…`."""
    first, _, rest = path.partition("/")
    return Path(artifacts_dir) / rest if first == ARTIFACTS else Path(path)


def login() -> str:
    """Who is logged in."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        raise click.UsageError("nobody is logged in here; say who you are with --by") from None

"""`darwin rl dossier`: what each promotion and demotion rested on, written down and held to it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from darwin.core.agents import AGENTS
from darwin.errors import IntegrityError, StorageError
from darwin.rl.cli.columns import print_columns, print_json
from darwin.rl.cli.dossier_reading import MEND, read_dossier
from darwin.rl.cli.options import Deployment, model_options, open_registry, placed

if TYPE_CHECKING:
    from darwin.rl.registry.registry import Registry


@click.group()
def dossier() -> None:
    """Write, list and verify the dossiers of promotions and demotions.

    \b
    Examples:
      darwin rl dossier list
      darwin rl dossier verify artifacts/rl_state/dossiers/gate-1.json
    """


@dossier.command()
@click.argument("agent", required=False, type=click.Choice(AGENTS))
@model_options
def write(agent: str | None, as_json: bool, **where: Any) -> None:
    """Write the dossiers that lack, of AGENT or of all agents.

    Each promotion and demotion has one, a page and its numbers as JSON, in rl_state/dossiers below
    the artifacts. What was recorded after an act changes nothing in them.

    \b
    Example:
      darwin rl dossier write gate
    """
    from darwin.rl.cli.dossier_files import write_missing

    with open_registry(Deployment.of(**where)) as registry:
        made = write_missing(registry.database, lambda _: registry, _folder(where), agent)
    if as_json:
        waiting = [{"agent": one.agent, "number": one.number} for one in made.waiting]
        print_json({"written": [str(path) for path in made.written], "waiting": waiting})
        return
    for path in made.written:
        click.echo(f"wrote {path} and its page")
    for one in made.waiting:
        click.echo(
            f"{one.agent}-{one.number} waits: its run has not kept yet what it knew; take it up"
            " again with --resume"
        )
    if not (made.written or made.waiting):
        click.echo("nothing lacks: every promotion and demotion on record has its dossier")


@dossier.command("list")
@click.argument("agent", required=False, type=click.Choice(AGENTS))
@model_options
def list_(agent: str | None, as_json: bool, **where: Any) -> None:
    """List the promotions and demotions on record, and whether each has its dossier.

    \b
    Example:
      darwin rl dossier list
    """
    from darwin.rl.cli.dossier_files import place_tree, places

    with open_registry(Deployment.of(**where)) as registry:
        found = places(registry.database, _folder(where), agent)
    if as_json:
        print_json([place_tree(one) for one in found])
    elif found:
        heads = ("dossier", "what", "version", "scope", "by", "at UTC", "is")
        print_columns(heads, [tuple(map(str, place_tree(one).values()))[2:] for one in found])
    else:
        click.echo("no agent was ever promoted or demoted here")


@dossier.command()
@click.argument("file", type=click.Path(path_type=Path))
@model_options
def verify(file: Path, as_json: bool, **where: Any) -> None:
    """Reckon all of a dossier again from the database, and hold FILE against it.

    FILE is the JSON or the page. The chains of its runs are read first; then every number is made
    again. Exit 4 names the first thing that differs, or the first row that was changed; exit 2
    says that FILE is no dossier.

    \b
    Example:
      darwin rl dossier verify artifacts/rl_state/dossiers/gate-1.json
    """
    from darwin.rl.graduation.dossier_check import count_numbers

    written, text = read_dossier(file)
    with open_registry(Deployment.of(**where)) as registry:
        again, facts = _again(registry, file, written)
        with_model = _require_same(file, written, again)
        if text is not None:
            _require_page(file, text, again)
    told = {
        "file": str(file),
        "numbers": count_numbers(written),
        "runs": [one["run_id"] for one in again["runs"]],
        "facts": facts,
        "model_files": with_model,
        "page": text is not None,
    }
    if as_json:
        print_json({"sound": True} | told)
        return
    runs = ", ".join(one["run_id"] for one in again["runs"]) or "no run"
    click.echo(f"{file.name} is what the record says: {told['numbers']:,} numbers made again")
    click.echo(f"  from {registry.database.path}")
    click.echo(f"  runs {runs}: {facts:,} facts read, their chains hold")
    if text is not None:
        click.echo("  the page is the one that follows from these numbers")
    if not with_model:
        click.echo(
            "  the files of its model are not to be had: drift, and whether the model validates,"
            " are taken as written"
        )


def _folder(where: dict[str, Any]) -> Path:
    from darwin.rl.cli.dossier_files import FOLDER

    return placed(where["artifacts_dir"], f"artifacts/{FOLDER}")


def _again(registry: Registry, file: Path, written: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """The tree as the database has it, and how many facts its runs hold, whose chains were read."""
    from darwin.rl.cli.dossier_files import make, places
    from darwin.store.verify import verify as read_again

    database = registry.database
    every = places(database, file.parent)
    if not every or every[0].event.seal != written.get("database"):
        raise IntegrityError(
            f"{file.name} is a dossier of another database, or its `database` was changed",
            where=str(database.path),
            mend="name its own with --artifacts-dir or --db",
        )
    mine = [one.event for one in every if one.event.number == written["number"]]
    if not mine:
        raise IntegrityError(
            f"number is {written['number']}, and the record ends with act"
            f" {every[-1].event.number:,}",
            where=str(file),
            mend=MEND,
        )
    tree = make(database, lambda _: registry, mine[0])
    if tree is None:
        raise StorageError(
            f"the run of act {mine[0].number:,} has not kept what it knew",
            where=str(database.path),
            mend="take the run up again with --resume",
        )
    facts = 0
    for one in tree["runs"]:
        facts += read_again(database, one["run_id"], lambda _: []).facts
    return tree, facts


def _require_same(file: Path, written: dict[str, Any], again: dict[str, Any]) -> bool:
    """Raise IntegrityError where they differ; gives whether the files of the model were there."""
    from darwin.rl.graduation.dossier_check import (
        MODEL_FILES,
        first_difference,
        without_model,
    )

    then = written.get(MODEL_FILES)
    had = isinstance(then, dict) and then.get("to_be_had") is True
    gone = had and not again[MODEL_FILES]["to_be_had"]
    found = first_difference(written, without_model(written, again) if gone else again)
    if found is not None:
        raise IntegrityError(found.said, where=str(file), mend=MEND)
    return not gone


def _require_page(file: Path, text: str, again: dict[str, Any]) -> None:
    from darwin.report.dossier import page

    if page(again) != text:
        raise IntegrityError(
            "the page says something else than its numbers, or another Darwin has drawn it",
            where=str(file),
            mend=MEND,
        )

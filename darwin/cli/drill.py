"""`darwin drill`: rehearse what can fail, on a piece of the user's own run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from darwin.errors import IntegrityError

if TYPE_CHECKING:
    from darwin.testing.drill.held import Held


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Rehearse in DIR, new or empty, and leave all that was made there.",
)
@click.option("--only", multiple=True, metavar="FAMILY", help="Rehearse that family of faults.")
def drill(config: Path, as_json: bool, keep: Path | None, only: tuple[str, ...]) -> None:
    """Rehearse every way in which agents, models, storage and people can fail.

    The run is a small piece of the one that CONFIG describes, with agents added, in a scratch
    folder: of the deployment only CONFIG and its market are read, and nothing is written. Exit 4 if
    an invariant broke, naming it. It takes about a minute.

    \b
    Examples:
      darwin drill configs/demo.json
      darwin drill configs/demo.json --keep rehearsed --json
      darwin drill configs/demo.json --only storage --only kill
    """
    from darwin.config.load import load_config
    from darwin.testing.drill import FAMILIES, rehearse

    for family in only:
        if family not in FAMILIES:
            known = ", ".join(FAMILIES)
            raise click.BadParameter(f"no family '{family}'; known: {known}", param_hint="--only")
    loaded = load_config(config)
    with _scratch(keep) as folder:
        found = rehearse(loaded, folder, _tell, only or FAMILIES)
    if as_json:
        _print_json(found)
    else:
        _print(found)
    _refuse_broken(found, keep)


@contextmanager
def _scratch(keep: Path | None) -> Iterator[Path]:
    """The folder to rehearse in; without `keep` nothing is left of it."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="darwin-drill-") as name:
            yield Path(name)
        return
    keep.mkdir(parents=True, exist_ok=True)
    if any(keep.iterdir()):
        raise click.UsageError(f"{keep} is not empty; name a new folder with --keep")
    yield keep.absolute()


def _tell(family: str, held: Sequence[Held]) -> None:
    from darwin.cli.progress import say

    say(f"{family}: {sum(one.ok for one in held)} of {len(held)} hold")


def _print(found: Mapping[str, Sequence[Held]]) -> None:
    from darwin.cli.tables import print_table, terminal

    console = terminal()
    for family, held in found.items():
        rows = [("held" if one.ok else "BROKEN", one.invariant, one.did, one.seen) for one in held]
        print_table(console, (family, "what must hold", "what was done", "what was seen"), rows)
        console.print()
    every = [one for held in found.values() for one in held]
    click.echo(f"{sum(one.ok for one in every)} of {len(every)} invariants hold")


def _print_json(found: Mapping[str, Sequence[Held]]) -> None:
    from dataclasses import asdict

    from darwin.cli.tables import print_json

    rows = [{"family": family} | asdict(one) for family, held in found.items() for one in held]
    print_json({"held": all(row["ok"] for row in rows), "invariants": rows})


def _refuse_broken(found: Mapping[str, Sequence[Held]], keep: Path | None) -> None:
    for family, held in found.items():
        for one in held:
            if not one.ok:
                look = (
                    f"look into {keep}" if keep else "run it again with --keep DIR and look there"
                )
                raise IntegrityError(
                    f"broken: {one.invariant}",
                    where=f"{family}; {one.did}; seen: {one.seen}",
                    mend=f"let no agent act before it holds; {look}",
                )

"""`darwin backup`: one file that holds a deployment, proof that it does, and the way back."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from darwin.rl.cli.options import Deployment, model_options

if TYPE_CHECKING:
    from darwin.cli.backup_manifest import Manifest, RunHead


@click.group()
def backup() -> None:
    """Copy a deployment into one file while it goes on, prove the copy, restore it elsewhere.

    \b
    Examples:
      darwin backup create
      darwin backup verify artifacts/backups/darwin-20261129_093000.tar
      darwin backup restore darwin-20261129_093000.tar --artifacts-dir restored
    """


@backup.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE|DIR",
    help="Where to; else below artifacts/backups.",
)
@click.option("--no-models", is_flag=True, help="Leave the files of the models out.")
@click.option("--no-runs", is_flag=True, help="Leave reports and logs of runs out.")
@model_options
def create(
    output: Path | None, no_models: bool, no_runs: bool, as_json: bool, **where: Any
) -> None:
    """Write database, models, run folders and dossiers into one new file, a plain tar.

    Runs may go on meanwhile: the database is copied as it stands at one moment, and with it the
    very models that it knows. Market data, configs outside the artifacts and the environment are
    yours to keep. The file holds all that is on record: keep it as you keep the database.

    \b
    Examples:
      darwin backup create
      darwin backup create -o backups --json
    """
    from datetime import UTC, datetime

    from darwin.cli.backup_make import make, place_for
    from darwin.cli.backup_parts import Where
    from darwin.cli.tables import print_json

    place, now = Deployment.of(**where), datetime.now(UTC)
    artifacts = Path(where["artifacts_dir"])
    path = place_for(output, artifacts, now)
    made = make(
        Where(artifacts, *place), path, now, models=not no_models, runs=not no_runs
    )  # fmt: skip
    _warn(made.manifest)
    if as_json:
        print_json({"file": str(made.path), "bytes": made.bytes} | tree_of(made.manifest))
        return
    click.echo(f"backup: {made.path} ({made.bytes:,} bytes, {len(made.manifest.files):,} files)")
    click.echo(f"prove it: darwin backup verify {made.path}")


@backup.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--work-dir",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Where to unpack meanwhile; else beside the file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(file: Path, work_dir: Path | None, as_json: bool) -> None:
    """Prove a backup: unpack it aside, hold every file against its digest, look at all of it.

    SQLite reads the whole database, every log is held against its seals, every run against its
    chain as `darwin verify` does, every model against its digests. Exit 4 names the first thing
    that is not as it was.

    \b
    Example:
      darwin backup verify artifacts/backups/darwin-20261129_093000.tar
    """
    from darwin.cli.backup_restore import verify as prove
    from darwin.cli.tables import print_json

    manifest = prove(file, work_dir, _say)
    _warn(manifest)
    if as_json:
        print_json({"sound": True, "file": str(file)} | tree_of(manifest))
    else:
        click.echo(f"{file} is as it was made at {manifest.made_at}")


@backup.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--artifacts-dir",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="What it is to become: a new folder, or an empty one.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def restore(file: Path, artifacts_dir: Path, as_json: bool) -> None:
    """Make a new folder of artifacts from a backup, once all of it is proven.

    What was switched off stays switched off. A run that was being made goes on with --resume, and
    ends as if nothing had happened; the last lines say how. Nothing is restored over anything.

    \b
    Example:
      darwin backup restore darwin-20261129_093000.tar --artifacts-dir restored
    """
    from darwin.cli.backup_restore import restore as bring_back
    from darwin.cli.tables import print_json

    manifest = bring_back(file, artifacts_dir, _say)
    _warn(manifest)
    going = {run.run_id: _resume(run, artifacts_dir) for run in manifest.runs if not run.finished}
    if as_json:
        print_json({"artifacts_dir": str(artifacts_dir), "resume": going} | tree_of(manifest))
        return
    click.echo(f"restored: {artifacts_dir}, as it stood at {manifest.made_at}")
    if manifest.killed:
        click.echo(f"agents are switched off: darwin kill status --artifacts-dir {artifacts_dir}")
    for run_id, command in going.items():
        click.echo(f"run '{run_id}' was not finished; it goes on with\n  {command}")


def tree_of(manifest: Manifest) -> dict[str, Any]:
    """What a backup says of itself, as JSON; of its files the number alone."""
    return {
        "made_at": manifest.made_at,
        "code_version": manifest.code_version,
        "schema": manifest.schema,
        "killed": manifest.killed,
        "files": len(manifest.files),
        "runs": [asdict(one) for one in manifest.runs],
        "missing_models": list(manifest.missing_models),
        "left_out": list(manifest.left_out),
    }


def _resume(run: RunHead, artifacts_dir: Path) -> str:
    """The command with which a restored run goes on."""
    import json
    import shlex

    from darwin.config.book import is_of_book
    from darwin.store.queries import ON_PAPER

    if ".." in artifacts_dir.parts:  # a config may not climb
        artifacts_dir = artifacts_dir.resolve()
    path = artifacts_dir / "runs" / run.run_id / "config.json"
    words = [str(path), "--set", f"artifacts_dir={artifacts_dir}", "--resume"]
    command = ["darwin", "run"]
    if path.is_file():
        config = json.loads(path.read_text("utf-8"))
        if is_of_book(config):
            command = ["darwin", "allocation", "run"]
        elif run.mode == "feed" and config["mode"] != ON_PAPER:
            words.append("--feed")
    return shlex.join([*command, *words])


def _say(line: str) -> None:
    click.echo(line, err=True)


def _warn(manifest: Manifest) -> None:
    for one in manifest.missing_models:
        _say(f"warning: the model {one} was not whole, so it is not in the backup")
    for one in manifest.left_out:
        _say(f"warning: {one} is no plain file or has an odd name, so it is not in the backup")

"""`darwin market experiences`: what recorded runs saw, as a file to learn from."""

from __future__ import annotations

from pathlib import Path

import click

from darwin.cli.deployment import database_options, open_database


@click.command("experiences")
@click.argument("run_ids", nargs=-1, required=True, metavar="RUN_ID...")
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="The file to write."
)
@database_options
def experiences(
    run_ids: tuple[str, ...], output: Path, artifacts_dir: str, db: str | None, as_json: bool
) -> None:
    """Write the rebalances of recorded runs, with what each action would have earned.

    The runs are those of the market agent (`darwin allocation run`); it may only have watched.

    \b
    Example:
      darwin market experiences watched-2024 watched-2025 -o watched.npz
    """
    from darwin.cli.tables import print_json
    from darwin.rl.training.book_records import recorded_experiences
    from darwin.rl.training.experience_file import write_experiences

    with open_database(artifacts_dir, db) as database:
        told = recorded_experiences(database, run_ids)
    write_experiences(output, told)
    if as_json:
        print_json({"file": str(output), "experiences": len(told), "runs": list(run_ids)})
    else:
        click.echo(f"{len(told):,} experiences of {len(run_ids)} runs: {output}")

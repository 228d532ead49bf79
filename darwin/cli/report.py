"""`darwin report` and `darwin benchmark`: a recorded run's report anew; a config's rivals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from darwin.cli.deployment import database_options, open_database

if TYPE_CHECKING:
    from darwin.store.db import Database
    from darwin.store.runs import Begun


@click.command()
@click.argument("run_id")
@database_options
def report(run_id: str, artifacts_dir: str, db: str | None, as_json: bool) -> None:
    """Write the report of a recorded run anew.

    The run is replayed from its recorded config; the bars must be the ones it saw, and what comes
    out must be what was recorded.

    \b
    Example:
      darwin report btc-breakout
    """
    from darwin.bootstrap.recorded import rewire
    from darwin.cli.making import again, report_on, write_run_files
    from darwin.cli.report_files import METRICS, PAGE
    from darwin.config.book import is_of_book
    from darwin.store.queries import provenance
    from darwin.store.runs import find_begun

    folder = Path(artifacts_dir) / "runs" / run_id
    with open_database(artifacts_dir, db) as database:
        run = find_begun(database, run_id)
        if is_of_book(json.loads(run.identity.config_json)):
            _of_book(folder, run, database, artifacts_dir)
        else:
            loaded, wired = rewire(run, artifacts_dir, database)
            result = again(wired, database, run)
            made = report_on(result, loaded, wired, provenance(database, run_id))
            write_run_files(folder, loaded, wired, run, made)
    if as_json:
        click.echo((folder / METRICS).read_text("utf-8"), nl=False)
    else:
        click.echo(f"report: {folder / PAGE}")


def _of_book(folder: Path, run: Begun, database: Database, artifacts_dir: str) -> None:
    from darwin.bootstrap.books import rewire_book
    from darwin.cli.book_kept import again, write_files

    wired = rewire_book(run, artifacts_dir)
    write_files(folder, wired, run, again(wired, database, run))


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def benchmark(config: Path, overrides: tuple[str, ...], as_json: bool) -> None:
    """Run CONFIG without recording it, and set it beside its rivals.

    Buy and hold, a moving-average crossover, the same trades entered at random bars (200 seeded
    draws), and coin-flip entries; all pay the same costs.

    \b
    Example:
      darwin benchmark configs/demo.json
    """
    from darwin.bootstrap import wire
    from darwin.cli.making import report_on, walk
    from darwin.cli.tables import print_json, print_table, terminal
    from darwin.config.load import load_config

    loaded = load_config(config, overrides)
    wired = wire(loaded, record_features=False)
    figures = report_on(walk(wired, loaded.config.run_id), loaded, wired, None).metrics
    names = ("total_return", "sharpe_ratio", "max_drawdown")
    rivals = figures["benchmarks"]
    if as_json:
        own = {name: figures[name] for name in names}
        print_json({"run_id": figures["run_id"], **own, "benchmarks": rivals})
        return
    rows = [
        (name, *(_percent(of[key]) if key != "sharpe_ratio" else _plain(of[key]) for key in names))
        for name, of in (("this run", figures), *rivals.items())
    ]
    print_table(terminal(), ("", "total return", "Sharpe", "max drawdown"), rows, numbers=[1, 2, 3])


def _percent(value: float | None) -> str:
    return "unknown" if value is None else f"{value:+.2%}"


def _plain(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"

"""`darwin report` and `darwin benchmark`: a recorded run's report anew; a config's rivals."""

from __future__ import annotations

import json
from pathlib import Path

import click

from darwin.cli.deployment import database_options, open_database
from darwin.errors import DataError, IntegrityError


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
    from darwin.bootstrap import wire
    from darwin.cli.report_files import METRICS, PAGE
    from darwin.cli.run import identify, replay, write_run_files
    from darwin.config.load import load_resolved
    from darwin.store.queries import config_of, find_run

    with open_database(artifacts_dir, db) as database:
        recorded = find_run(database, run_id)
        tree = json.loads(config_of(database, run_id)) | {"artifacts_dir": artifacts_dir}
    loaded = load_resolved(tree, f"the recorded config of run '{run_id}'")
    wired = wire(loaded)
    if wired.data_digest != recorded.data_digest:
        raise DataError(
            f"the bars of run '{run_id}' are not the ones it saw",
            where=", ".join(wired.data_digests),
            mend="bring the old files back, or run again under another run_id",
        )
    made = replay(wired, loaded)
    if (made.metrics["candidates"], made.metrics["trades"]) != (
        recorded.candidates,
        recorded.taken,
    ):
        raise IntegrityError(
            f"run '{run_id}' does not come out as recorded: "
            f"{made.metrics['candidates']} candidates and {made.metrics['trades']} trades, "
            f"not {recorded.candidates} and {recorded.taken}",
            mend=f"it was recorded by code {recorded.code_version}; use that version",
        )
    folder = Path(artifacts_dir) / "runs" / run_id
    write_run_files(folder, loaded, wired, identify(loaded, wired), made)
    if as_json:
        click.echo((folder / METRICS).read_text("utf-8"), nl=False)
    else:
        click.echo(f"report: {folder / PAGE}")


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
    from darwin.cli.run import replay
    from darwin.cli.tables import print_json, print_table, terminal
    from darwin.config.load import load_config

    loaded = load_config(config, overrides)
    figures = replay(wire(loaded, record_features=False), loaded).metrics
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

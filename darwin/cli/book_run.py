"""`darwin allocation run`: one run of a book, from a config to a recorded result and its report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


@click.command("run")
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--resume", is_flag=True, help="Go on with a run that was stopped.")
@click.option("--accept-code", is_flag=True, help="With --resume: go on though the code changed.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key.")
@click.option("--json", "as_json", is_flag=True, help="Print the metrics as JSON on stdout.")
def run(
    config: Path, resume: bool, accept_code: bool, overrides: tuple[str, ...], as_json: bool
) -> None:
    """Make the run of a book that CONFIG describes, record it, and write its report.

    Its block `allocation` names the agent: the allocator over all symbols, or the market agent on
    one. Each rebalance goes through the one door, and is recorded with what came of it.
    `checkpoint seq=N` says that the first N facts are safe against any crash. A run that was
    stopped wants --resume and ends as if it had not been; one that is finished with the same
    config, data and code is not run again.

    \b
    Examples:
      darwin allocation run configs/books/allocation.json
      darwin allocation run configs/books/allocation.json --set run_id=dear --set costs.taker_bps=20
    """
    from darwin.cli.book_kept import METRICS, PAGE, execute
    from darwin.config.load import load_book

    if accept_code and not resume:
        raise click.UsageError("--accept-code goes with --resume: it lets a stopped run go on")
    loaded = load_book(config, overrides)
    metrics, folder = execute(loaded, resume=resume, accept_code=accept_code)
    if as_json:
        click.echo((folder / METRICS).read_text("utf-8"), nl=False)
    elif metrics is None:
        click.echo(f"run '{loaded.config.run_id}' is finished already, with the same inputs")
        click.echo(f"report: {folder / PAGE}")
    else:
        _summarise(metrics)
        click.echo(f"report: {folder / PAGE}")


def _summarise(metrics: dict[str, Any]) -> None:
    from darwin.cli.tables import number, print_table, terminal
    from darwin.engine.book_report import verdict_on_book

    click.echo(verdict_on_book(metrics))
    rows = [
        (
            one["name"].replace("_", " "),
            *(_share(one[key]) for key in ("total_return", "max_drawdown")),
            number(one["sharpe"]),
        )
        for one in metrics["figures"]
    ]
    print_table(terminal(), ("book", "return", "drawdown", "Sharpe"), rows, numbers=range(1, 4))


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"

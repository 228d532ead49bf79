"""`darwin allocation|market benchmark`: a model of books, or the benchmarks alone, held out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from darwin.cli.book_fetch import Latest, bring_in, latest_options
from darwin.cli.book_options import panel_from_files, symbols_named
from darwin.cli.instants import instant
from darwin.core.rebalance import MARKET
from darwin.errors import ConfigError
from darwin.rl.cli.options import ARTIFACTS, MODELS, Finite, placed

if TYPE_CHECKING:
    from collections.abc import Callable

    from darwin.allocation.benchmark import Benchmark
    from darwin.allocation.benchmark_settings import BenchmarkSettings
    from darwin.cli.benchmark_model import BookModel
    from darwin.core.panel import Panel

EVERY = 24
EXIT_CODES = {"passed": 0, "refused": 10, "undecided": 11}


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed((
        click.option("--data", type=click.Path(path_type=Path), required=True, metavar="DIR",
                     help="The folder with SYMBOL-TIMEFRAME.parquet or .csv."),
        click.option("--symbols", metavar="A,B,…",
                     help="One for a market, more for a book; default: the model's."),
        click.option("--timeframe", default="1h", show_default=True, metavar="BAR",
                     help="Length of a bar."),
        click.option("--start", metavar="DAY", help="First bar; default: the first of all."),
        click.option("--end", metavar="DAY", help="First bar that is left out."),
        click.option("--test-from", metavar="DAY",
                     help="Begin of the test; default: after the model's training, else the last"
                     " 40 % of the bars."),
        click.option("--funding", is_flag=True, help="Charge funding of perpetuals."),
        click.option("--cost-bps", type=Finite(0, 1000), default=5.0, show_default=True,
                     metavar="BPS", help="Of what is traded."),
        click.option("--every", type=click.IntRange(1, 100_000), metavar="BARS",
                     help=f"From one decision to the next; default: the model's, else {EVERY}."),
        click.option("--windows", type=click.IntRange(1), default=4, show_default=True, metavar="N",
                     help="Tests that follow each other."),
        click.option("--embargo", type=click.IntRange(0), default=24, show_default=True,
                     metavar="BARS", help="Left out between a training and its test."),
        click.option("--seeds", type=click.IntRange(1, 1000), default=20, show_default=True,
                     metavar="N", help="Books of each strategy by chance."),
        click.option("--seed", type=click.IntRange(0), default=0, show_default=True, metavar="N",
                     help="Of all chance."),
        click.option("--model", metavar="VERSION|DIR", help="The model to judge; default: none."),
        click.option("--models-dir", metavar="DIR", help="The models, if elsewhere."),
        click.option("--artifacts-dir", metavar="DIR", envvar="DARWIN__ARTIFACTS_DIR",
                     default=ARTIFACTS, show_default=True, show_envvar=True,
                     help="Where the deployment keeps its files."),
        click.option("--guide", type=click.Path(path_type=Path), metavar="FILE",
                     help="Write the figures as JSON in the names of the HTTP answer as well."),
        click.option("--page", type=click.Path(path_type=Path), metavar="FILE",
                     help="Write a page as well."),
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
    )):  # fmt: skip
        command = option(command)
    return command


@click.command("benchmark")
@_options
@latest_options
def benchmark_allocation(**asked: Any) -> int:
    """Set a model of books beside those who know nothing, on bars that it has not seen.

    Exit 0: it is the best of all by the test and holds every bound; 10: it misses one, or another
    wins; 11: not yet known. Without a model the benchmarks are judged among themselves, exit 0.

    \b
    Examples:
      darwin allocation benchmark --data data --symbols BTC/USDT,ETH/USDT --test-from 2024-01-01
      darwin allocation benchmark --data data --model artifacts/rl_models/allocator/current
    """
    return _benchmark(**asked)


@click.command("benchmark")
@_options
@latest_options
def benchmark_market(**asked: Any) -> int:
    """Set a model of the market agent beside those who know nothing, on one symbol.

    As `darwin allocation benchmark`, with being flat among the rivals and no weights.

    \b
    Examples:
      darwin market benchmark --data data --symbols BTC/USDT --test-from 2024-01-01
      darwin market benchmark --data data --model artifacts/rl_models/market/current
    """
    return _benchmark(agent=MARKET, **asked)


def _benchmark(
    *,
    data: Path,
    symbols: str | None,
    timeframe: str,
    start: str | None,
    end: str | None,
    funding: bool,
    every: int | None,
    model: str | None,
    models_dir: str | None,
    artifacts_dir: str,
    page: Path | None,
    guide: Path | None,
    lookback_hours: int | None,
    fetch_from: str | None,
    as_json: bool,
    agent: str | None = None,
    **asked: Any,
) -> int:
    """Judge and show; `agent`: models of this one alone."""
    from darwin.allocation.benchmark import benchmark_of
    from darwin.allocation.benchmark_tree import tree_of
    from darwin.cli.benchmark_model import book_model
    from darwin.core.market import Timeframe

    models = placed(artifacts_dir, models_dir or MODELS)
    known = (
        None if model is None else book_model(placed(artifacts_dir, model), model, models, agent)
    )
    frame = Timeframe.parse(timeframe)
    names = _names(symbols, known)
    if agent == MARKET and len(names) != 1:
        raise ConfigError(
            f"the market agent trades one symbol, not {len(names)}", where="--symbols",
            mend="name one, or use `darwin allocation benchmark`",
        )  # fmt: skip
    latest = Latest(lookback_hours, fetch_from)
    start, end = bring_in(latest, data, names, frame, (start, end))
    panel = panel_from_files(data, names, frame, (start, end), funding=funding)
    settings = _settings(panel, known, every, **asked)
    told = benchmark_of(panel, None if known is None else known.judged(panel, settings), settings)
    tree = tree_of(told)
    _show(tree, as_json)
    if guide is not None:
        _write_guide(guide, told, tree)
    if page is not None:
        _write(page, told)
    return 0 if tree["verdict"] is None else EXIT_CODES[tree["verdict"]]


def _names(symbols: str | None, known: BookModel | None) -> tuple[str, ...]:
    if symbols is None and known is not None:
        return known.terms.symbols
    names = symbols_named(symbols)
    if not names or len(set(names)) != len(names):
        raise click.BadParameter(
            "name each symbol once, as BTC/USDT,ETH/USDT", param_hint="--symbols"
        )
    return names


def _settings(
    panel: Panel,
    known: BookModel | None,
    every: int | None,
    *,
    test_from: str | None,
    embargo: int,
    **more: Any,
) -> BenchmarkSettings:
    from darwin.allocation.benchmark_settings import BenchmarkSettings

    begins = None if test_from is None else instant(test_from, "--test-from")
    if begins is None and known is not None and known.trained_until is not None:
        begins = known.trained_until + embargo * panel.timeframe.ms
    step = every or (EVERY if known is None else known.terms.every)
    return BenchmarkSettings(every=step, test_from=begins, embargo=embargo, **more)


def _show(tree: dict[str, Any], as_json: bool) -> None:
    from darwin.cli.tables import print_json, print_table, terminal
    from darwin.report import benchmark_words as said

    if as_json:
        print_json(tree)
        return
    console = terminal()
    console.print(said.verdict(tree))
    if tree["judged"] is not None:
        console.print(tree["why"])
        rows = [said.criterion(one) for one in tree["criteria"]]
        console.print()
        print_table(console, ("bound of", "", "is", "interval", ""), rows, numbers=[2, 3])
    console.print()
    table = []
    for name, one in tree["strategies"].items():
        cells = said.cells(one)
        table.append([said.name(name), *(value for value, _ in cells), said.p_value(one)])
        table.append(["", *(f"{interval}" for _, interval in cells), ""])
    print_table(console, ("", *said.HEADS), table, numbers=range(1, len(said.HEADS) + 1))
    console.print()
    for sentence in said.basis(tree):
        console.print(sentence)


def _write_guide(path: Path, told: Benchmark, tree: dict[str, Any]) -> None:
    from darwin.allocation.benchmark_tree import guide_metrics
    from darwin.report.files import json_text, write_text

    beside = {name: tree[name] for name in ("verdict", "test", "symbols", "timeframe", "sampling")}
    write_text(path, json_text(guide_metrics(told) | beside))


def _write(path: Path, told: Benchmark) -> None:
    from darwin.report.benchmark import page
    from darwin.report.files import write_text

    write_text(path, page(told))
    click.echo(f"page: {path}", err=True)

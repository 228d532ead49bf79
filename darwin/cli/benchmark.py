"""`darwin benchmark CONFIG`: a run, or a book, beside those who know nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from darwin.allocation.benchmark_settings import BenchmarkSettings

if TYPE_CHECKING:
    from darwin.allocation.benchmark_settings import Judged
    from darwin.bootstrap.books import WiredBook
    from darwin.cli.benchmark_model import BookModel
    from darwin.config.load import Loaded, LoadedBook

_USUAL = BenchmarkSettings()


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key.")
@click.option(
    "--windows",
    type=click.IntRange(1),
    default=_USUAL.windows,
    show_default=True,
    metavar="N",
    help="Tests that follow each other.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    metavar="N",
    help="Of intervals and test; of a book all chance.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")  # fmt: skip
def benchmark(
    config: Path, overrides: tuple[str, ...], windows: int, seed: int, as_json: bool
) -> None:
    """Run CONFIG without recording it, and judge it beside its rivals.

    Buy and hold, a moving-average crossover, the same trades entered at random bars (200 seeded
    draws), coin-flip entries, equal weight and minimum variance of its symbols; all pay the same
    costs. Each figure has its interval, and somebody is named winner only where a test says so. A
    CONFIG of a book is judged as `darwin allocation benchmark` does, with the model it names.
    Exit 0 whatever is found.

    \b
    Examples:
      darwin benchmark configs/demo.json
      darwin benchmark configs/books/allocation.json --json
    """
    from darwin.config.load import LoadedBook, load_either

    loaded = load_either(config, overrides)
    if isinstance(loaded, LoadedBook):
        _of_book(loaded, windows, seed, as_json)
    else:
        _of_run(loaded, BenchmarkSettings(windows=windows, seed=seed), as_json)


def _of_run(loaded: Loaded, settings: BenchmarkSettings, as_json: bool) -> None:
    from darwin.bootstrap import wire
    from darwin.cli.benchmark_books import show_judgement
    from darwin.cli.making import report_on, walk
    from darwin.cli.tables import print_json, print_table, terminal
    from darwin.report import benchmark_words as said
    from darwin.report.run_benchmark import run_benchmark, run_tree

    wired = wire(loaded, record_features=False)
    report = report_on(walk(wired, loaded.config.run_id), loaded, wired, None)
    tree = run_tree(run_benchmark(report, settings))
    if as_json:
        print_json(tree)
        return
    console = terminal()
    if tree["synthetic"]:
        console.print("The market is SYNTHETIC: nothing here speaks of a real market.")
    show_judgement(console, tree)
    heads, rows = said.window_rows(tree)
    print_table(console, heads, rows, numbers=range(1, len(heads)))
    console.print()
    for sentence in said.basis_of_run(tree):
        console.print(sentence)


def _of_book(loaded: LoadedBook, windows: int, seed: int, as_json: bool) -> None:
    """The benchmark of books on the bars and at the costs of a config, with its agent if any."""
    from darwin.allocation.benchmark import benchmark_of
    from darwin.allocation.benchmark_tree import tree_of
    from darwin.bootstrap.books import wire_book
    from darwin.cli.benchmark_books import settings_of, show

    wired = wire_book(loaded)
    panel, known = wired.plan.panel, _model_of(wired)
    settings = settings_of(
        panel, known, wired.plan.every, test_from=None, embargo=_USUAL.embargo,
        cost_bps=wired.plan.rules.cost_rate * 1e4, windows=windows, seeds=_USUAL.seeds, seed=seed,
    )  # fmt: skip
    judged = _rule_of(wired) if known is None else known.judged(panel, settings)
    told = benchmark_of(panel, judged, settings)
    tree = {"run_id": wired.config.run_id, "synthetic": _is_synthetic(wired)} | tree_of(told)
    if not as_json and tree["synthetic"]:
        click.echo("The market is SYNTHETIC: nothing here speaks of a real market.")
    show(tree, as_json)


def _is_synthetic(wired: WiredBook) -> bool:
    return wired.config.market.provider == "synthetic"


def _model_of(wired: WiredBook) -> BookModel | None:
    """The model that `current` names; None where a rule stands in its place, or there is none."""
    from darwin.cli.benchmark_model import book_model
    from darwin.config.places import models_dir

    asked = wired.config.allocation.enabled and wired.policies.stand_in is None
    models = models_dir(wired.config, wired.agent)
    current = models / wired.agent / "current"
    if not asked or not current.is_dir():
        return None
    return book_model(current, "current", models, wired.agent)


def _rule_of(wired: WiredBook) -> Judged | None:
    from darwin.allocation.benchmark_agent import followed
    from darwin.allocation.benchmark_settings import Judged

    rule, plan = wired.policies.stand_in, wired.plan
    if rule is None or not wired.config.allocation.enabled:
        return None
    return Judged.fixed(wired.agent, followed(plan.page, rule.policy, plan.rules.cost_rate))

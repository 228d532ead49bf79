"""`darwin allocation evaluate` and `darwin market evaluate`: a model on held-out bars."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from darwin.cli.book_options import bar_options, panel_of, symbols_named, terms_of
from darwin.cli.instants import instant
from darwin.core.rebalance import ALLOCATOR, MARKET
from darwin.errors import ConfigError, ModelError
from darwin.rl.cli.options import Finite, database_options, placed, resolved

if TYPE_CHECKING:
    from collections.abc import Callable

    from darwin.rl.serving.book_policy import BookNumpyPolicy

NOT_PASSED = 10


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--output-dir", metavar="DIR", help="Where the report is written."),
        click.option(
            "--cost-bps", type=Finite(0, 1000), default=5.0, show_default=True,
            help="Of what is traded.",
        ),
        click.option("--model", required=True, metavar="DIR", help="Folder with its spec.json."),
    ):  # fmt: skip
        command = option(command)
    return command


@click.command("evaluate")
@_options
@bar_options
@database_options
def evaluate_allocation(**asked: Any) -> int:
    """Let a model of the allocator run over held-out bars beside equal weights.

    Symbols and how often it decides are those of the model. Held out is what a training would
    hold out of these bars, or all from --test-from on. Exit 10: the 99% interval of its daily lead
    does not lie above zero.

    \b
    Examples:
      darwin allocation evaluate --model artifacts/rl_models/allocator/current
      darwin allocation evaluate --model trained/model --data data --test-from 2025-01-01
    """
    return _evaluate(ALLOCATOR, **asked)


@click.command("evaluate")
@_options
@bar_options
@database_options
def evaluate_market(**asked: Any) -> int:
    """Let a model of the market agent run over held-out bars beside flat and buy and hold.

    \b
    Example:
      darwin market evaluate --model artifacts/rl_models/market/current --bars 40000
    """
    return _evaluate(MARKET, **asked)


def _evaluate(
    agent: str,
    *,
    model: str,
    output_dir: str | None,
    cost_bps: float,
    test_from: str | None,
    artifacts_dir: str,
    db: str | None,
    as_json: bool,
    **more: Any,
) -> int:
    from darwin.cli.book_told import judged_tree, print_told, write_files
    from darwin.cli.tables import print_json
    from darwin.rl.serving.book_policy import page_of

    policy = _policy(agent, placed(artifacts_dir, model))
    terms_of_model = policy.spec.book
    assert terms_of_model is not None
    from darwin.rl.training.book_judge import judged
    from darwin.rl.training.book_served import ground_of_model, served_targets

    symbols = more.pop("symbols")
    if symbols is not None and symbols_named(symbols) != terms_of_model.symbols:
        raise ConfigError(
            f"the model was trained on {', '.join(terms_of_model.symbols)[:100]}",
            where=f"--symbols {symbols[:100]}",
            mend="leave --symbols out, or name the same in the same order",
        )
    if symbols is None and more["data"] is not None:
        symbols = ",".join(terms_of_model.symbols)
    panel = panel_of(assets=None if more["data"] else len(terms_of_model.symbols), symbols=symbols,
                     **more)  # fmt: skip
    terms = terms_of(agent, cost_bps=cost_bps, every=terms_of_model.every)
    cut_at = None if test_from is None else instant(test_from, "--test-from")
    ground, stretch = ground_of_model(page_of(policy.spec), panel, policy, terms, cut_at)
    rows, targets = served_targets(ground, stretch, policy)
    found = judged(ground, stretch, rows, targets)
    told = judged_tree(agent, panel, found) | {"training_end": policy.spec.training_end}
    told["bars_were_known"] = _were_known(policy, int(found.closed[0]))
    folder = placed(artifacts_dir, output_dir or f"artifacts/rl_evaluations/{agent}")
    write_files(folder, told, found, panel, None)
    if as_json:
        print_json(told)
    else:
        print_told(told, folder)
        if told["bars_were_known"]:
            click.echo("These bars lie before the end of its training: they prove little.")
    return 0 if told["learned"] else NOT_PASSED


def _were_known(policy: BookNumpyPolicy, first: int) -> bool:
    end = policy.spec.training_end_ms
    return end is not None and first <= end


def _policy(agent: str, folder: Path) -> BookNumpyPolicy:
    from darwin.rl.registry import files
    from darwin.rl.serving.book_policy import book_policy_of

    found = files.read(
        resolved(folder), (files.SPEC, files.WEIGHTS), also=(files.MANIFEST, files.ZIP)
    )
    policy = book_policy_of(found[files.SPEC], found[files.WEIGHTS])
    if policy.spec.agent != agent:
        raise ModelError(
            f"this is a model of {policy.spec.agent}", where=str(folder),
            mend=f"name one of {agent}",
        )  # fmt: skip
    return policy

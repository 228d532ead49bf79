"""`darwin allocation evaluate` and `darwin market evaluate`: a model on held-out bars."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from darwin.cli.book_options import bar_options, panel_of, symbols_named, terms_of
from darwin.cli.instants import instant
from darwin.core.market import Timeframe
from darwin.core.rebalance import ALLOCATOR, MARKET
from darwin.errors import ConfigError, ModelError
from darwin.rl.cli.options import Finite, database_options, placed, resolved

if TYPE_CHECKING:
    from collections.abc import Callable

    from darwin.rl.serving.book_policy import BookNumpyPolicy
    from darwin.rl.serving.spec_file import BookTerms

NOT_PASSED, INCONCLUSIVE = 10, 11


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
    does not lie above zero; 11: it does, but on bars before the end of its training, which had
    their part in it.

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

    As `darwin allocation evaluate`; what it has to beat is to stay flat.

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

    _take_terms_of_model(more, terms_of_model)
    panel = panel_of(
        assets=None if more["data"] else len(terms_of_model.symbols), **more
    )  # fmt: skip
    terms = terms_of(agent, cost_bps=cost_bps, every=terms_of_model.every)
    cut_at = None if test_from is None else instant(test_from, "--test-from")
    ground, stretch = ground_of_model(page_of(policy.spec), panel, policy, terms, cut_at)
    rows, targets = served_targets(ground, stretch, policy)
    found = judged(ground, stretch, rows, targets)
    told = judged_tree(agent, panel, found) | {"training_end": policy.spec.training_end}
    known = _were_known(policy, int(found.closed[0]))
    told["bars_were_known"] = known
    code = _code(led=told["learned"], known=known)
    if known:
        told |= _of_known_bars(told, policy.spec.training_end, data=more["data"])
    folder = placed(artifacts_dir, output_dir or f"artifacts/rl_evaluations/{agent}")
    write_files(folder, told, found, panel, None)
    if as_json:
        print_json(told)
    else:
        print_told(told, folder)
    return code


def _code(*, led: bool, known: bool) -> int:
    if not led:
        return NOT_PASSED
    return INCONCLUSIVE if known else 0


def _take_terms_of_model(more: dict[str, Any], model: BookTerms) -> None:
    """Let the bars be those that the model is about. Raises ConfigError for others."""
    symbols, timeframe = more["symbols"], more["timeframe"]
    if symbols is not None and symbols_named(symbols) != model.symbols:
        raise ConfigError(
            f"the model was trained on {', '.join(model.symbols)[:100]}",
            where=f"--symbols {symbols[:100]}",
            mend="leave --symbols out, or name the same in the same order",
        )
    if timeframe is not None and Timeframe.parse(timeframe) != Timeframe.parse(model.timeframe):
        raise ConfigError(
            f"the model was trained on bars of {model.timeframe}",
            where=f"--timeframe {timeframe[:20]}",
            mend="leave --timeframe out",
        )
    more["timeframe"] = model.timeframe
    if more["data"] is not None:
        more["symbols"] = ",".join(model.symbols)


def _of_known_bars(told: dict[str, Any], end: str | None, *, data: Path | None) -> dict[str, Any]:
    """What is said of bars that the model may have been chosen by: whatever it led by, no proof."""
    if end is None:
        why = "The model does not say until when it was trained: nothing is proved by any bars."
    else:
        later = "more --bars" if data is None else "later ones with --test-from"
        why = (
            f"These bars lie before the end of its training, {end}: they prove little."
            f" Name {later}."
        )
    verdict = told["verdict"].replace("Learned:", "A lead on known bars:", 1)
    return {"learned": False, "verdict": f"{verdict} {why}"}


def _were_known(policy: BookNumpyPolicy, first: int) -> bool:
    end = policy.spec.training_end_ms
    return end is None or first <= end


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

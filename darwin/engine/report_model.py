"""What a model that was the expert of a run cost, where its answers came from, and which failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from darwin.core.decision import NO_ANSWER
from darwin.core.expert import Expense
from darwin.engine.report_words import number
from darwin.engine.result import RunResult


def model_figures(
    result: RunResult, about: Mapping[str, Any] | None, expense: Expense | None
) -> dict[str, Any] | None:
    """The figures of an expert that is a model, of which `about` tells; None where it is none.

    `expense` is what the run has spent, where that is on record: an answer that an earlier run was
    given costs it nothing, though its verdict states what it cost then.
    """
    if about is None:
        return None
    calls = result.verdicts.calls.values()
    failures = Counter(
        flags[0].removeprefix(NO_ANSWER)
        for flags in result.verdicts.flags.values()
        if flags[0].startswith(NO_ANSWER)
    )
    spent = expense or Expense()
    return {
        **about,
        "prompts": len({call.prompt_sha256 for call in calls}),
        "failed": sum(failures.values()),
        "failures": dict(sorted(failures.items())),
        "input_tokens": sum(call.input_tokens or 0 for call in calls),
        "output_tokens": sum(call.output_tokens or 0 for call in calls),
        "requests_sent": spent.sent,
        "answered": spent.answered,
        "from_record": spent.from_record,
        "spent_usd": spent.usd,
    }


def mean_cost_usd(result: RunResult) -> float:
    """What a call of the expert cost in the mean, over all it was asked; NaN of none."""
    cost = result.verdicts.cost_usd[result.verdicts.asked]
    return float(np.mean(cost)) if len(cost) else float("nan")


def model_sentences(expert: dict[str, Any]) -> list[str]:
    """What a reader must know of a model's answers first; none where no model was asked."""
    model = expert["model"]
    if model is None:
        return []
    said = (
        f"The expert is the model '{model['model']}' (prompt {model['prompt_version']}):"
        f" {expert['calls']:,} questions, {model['requests_sent']:,} requests sent,"
        f" {model['from_record']:,} answers from the record, {number(model['spent_usd'], 4)} USD"
        " spent at most."
    )
    if not model["failed"]:
        return [said]
    share = model["failed"] / expert["calls"]
    return [
        said,
        f"{model['failed']:,} of them ({share:.0%}) had no answer and were skipped:"
        f" {why_not(model)}.",
    ]


def never_answered(model: Mapping[str, Any], calls: int) -> bool:
    """Whether a model was asked `calls` times, and not one sound answer came."""
    return bool(0 < calls == model["failed"])


def why_not(model: Mapping[str, Any]) -> str:
    """Why there was no answer, each cause with how often it was."""
    return ", ".join(f"{name} {times:,}" for name, times in model["failures"].items())


def silence_sentence(expert: dict[str, Any]) -> str | None:
    """The headline of a run whose model answered nothing; None for any other run."""
    model = expert["model"]
    if model is None or not never_answered(model, expert["calls"]):
        return None
    return (
        f"THE EXPERT NEVER ANSWERED: the model '{model['model']}' gave no sound answer to any of"
        f" {expert['calls']:,} questions ({why_not(model)}). Nothing here speaks of its judgement."
    )

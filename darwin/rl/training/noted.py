"""Train a network and write it into the ledger of trials, before anybody looks at its test."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from darwin.rl.training.gains import gain_sharpe
from darwin.rl.training.network import Network, scores
from darwin.rl.training.rows import Rows
from darwin.rl.training.splits import Cuts
from darwin.rl.training.trainer import Evaluation, Job, Tell, Trained, at_rate, train
from darwin.rl.training.trials import SEED, Trial

Note = Callable[[Trial], None]
"""Told of each network that was trained."""


def noted(job: Job, tell: Tell, note: Note, rows: Rows, plan_digest: str, cuts: Cuts) -> Trained:
    """Train a network and note it, also where it is stopped after a look at validation.

    `rows` are all that the course reads, `cuts` how they are cut.
    """
    looks: list[Evaluation] = []
    network = None

    def told(steps: int, found: Evaluation | None) -> None:
        looks.extend([] if found is None else [found])
        tell(steps, found)

    try:
        trained = train(job, told)
        looks, network = list(trained.history), trained.network
    finally:
        if looks:
            note(_trial(job, looks, network, rows, plan_digest, cuts))
    return trained


def _trial(
    job: Job,
    looks: Sequence[Evaluation],
    network: Network | None,
    rows: Rows,
    plan_digest: str,
    cuts: Cuts,
) -> Trial:
    """What the ledger keeps of a job; without a network it was stopped after `looks`."""
    return Trial(
        rows.page.name, SEED, network is not None, rows.digest, plan_digest, job.recipe.algo,
        job.seed, looks[-1].steps, int(rows.decided.min()), cuts.test_from,
        int(rows.settled.max()), max(one.learned_gain for one in looks),
        None if network is None else validation_sharpe(job, network),
    )  # fmt: skip


def validation_sharpe(job: Job, network: Network) -> float | None:
    """The Sharpe ratio per day of what a network gains on validation; None of few days."""
    rows, seen = job.validation, job.normaliser(job.validation.observations)
    score, rate = scores(rows.page, network, seen), job.recipe.departure_rate or 0.0
    found = gain_sharpe(rows, at_rate(rows, network, seen, score, rate)).per_day
    return None if math.isnan(found) else found

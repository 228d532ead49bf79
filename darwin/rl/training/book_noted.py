"""Train an agent of books and write it into the ledger of trials, before its test is looked at."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

from darwin.core.panel import Panel
from darwin.rl.training.book_ground import Stretch, digest_of
from darwin.rl.training.book_judge import lead_sharpe
from darwin.rl.training.book_trainer import BookJob, BookLook, BookTrained, Tell, train
from darwin.rl.training.book_walk import decider, walked
from darwin.rl.training.network import Network
from darwin.rl.training.noted import Note
from darwin.rl.training.trials import SEED, Trial


def noted(job: BookJob, tell: Tell, note: Note, plan_digest: str) -> BookTrained:
    """Train and note it, also where it is stopped after a look at validation."""
    looks: list[BookLook] = []
    network = None

    def told(steps: int, found: BookLook | None) -> None:
        looks.extend([] if found is None else [found])
        tell(steps, found)

    try:
        trained = train(job, told)
        looks, network = list(trained.history), trained.network
    finally:
        if looks:
            note(_trial(job, looks, network, plan_digest))
    return trained


def time_of(panel: Panel, stretch: Stretch, every: int) -> tuple[int, int]:
    """The first decision of a stretch and its last outcome, ms UTC."""
    last = stretch.stop - 1 + every
    return (
        int(panel.time[stretch.start]) + panel.timeframe.ms,
        int(panel.time[last]) + panel.timeframe.ms,
    )


def _trial(
    job: BookJob, looks: Sequence[BookLook], network: Network | None, plan_digest: str
) -> Trial:
    """What the ledger keeps of a job; without a network it was stopped after `looks`."""
    ground, every = job.ground, job.ground.terms.every
    panel = ground.panel
    begins, _ = time_of(panel, job.stretches.train, every)
    test_from, until = time_of(panel, job.stretches.test, every)
    if job.experiences is not None:
        begins = int(job.experiences.time.min())
    return Trial(
        ground.page.name, SEED, network is not None, _data_digest(job), plan_digest,
        job.recipe.algo, job.seed, looks[-1].steps, begins, test_from, until,
        max(one.reward for one in looks), None if network is None else _sharpe(job, network),
    )  # fmt: skip


def _data_digest(job: BookJob) -> str:
    """SHA-256 over the bars, and over the experiences that are learned from."""
    bars = digest_of(job.ground.page, job.ground.panel, job.ground.terms)
    told = job.experiences
    if told is None:
        return bars
    digest = hashlib.sha256(bars.encode())
    for array in (told.observations, told.earned, told.ends, told.time):
        digest.update(array.tobytes())
    return digest.hexdigest()


def _sharpe(job: BookJob, network: Network) -> float | None:
    """The Sharpe ratio per day of the lead on validation; None where it cannot be said."""
    stretch = job.stretches.validation
    done = walked(job.ground, stretch, decider(job.ground.page, network))
    found = lead_sharpe(job.ground, stretch, done.rows[:, 0], done.targets[:, 0]).per_day
    return None if math.isnan(found) else found

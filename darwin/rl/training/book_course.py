"""A course of training for an agent of books: bars cut in time, a network, one look at the test."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from darwin.allocation.experiences import Experiences
from darwin.core.panel import Panel
from darwin.errors import ConfigError
from darwin.rl.serving.book_policy import book_policy_of
from darwin.rl.serving.spec_file import BookTerms, HeldOut, ModelSpec
from darwin.rl.training.book_ground import (
    Ground,
    Stretches,
    Terms,
    TrainedPage,
    cut,
    digest_of,
    ground_of,
)
from darwin.rl.training.book_judge import Judged, is_led, judged, lead_sharpe, verdict
from darwin.rl.training.book_noted import noted, time_of
from darwin.rl.training.book_recipes import LOOKS
from darwin.rl.training.book_trainer import PARTS, BookJob, BookLook, BookTrained
from darwin.rl.training.book_walk import Walked, decider, walked
from darwin.rl.training.book_world import LENGTH
from darwin.rl.training.export import exported, instant_of, layers_of
from darwin.rl.training.network import Network
from darwin.rl.training.noted import Note
from darwin.rl.training.pulse import Feel, unfelt
from darwin.rl.training.recipes import Recipe
from darwin.stats.deflated import DailySharpe
from darwin.stats.drift import reference_of

WIDEST_REFERENCE = 500
"""Columns beyond which a model does not carry how its rows of training were distributed."""


@dataclass(frozen=True)
class BookPlan:
    """What a course is asked to do."""

    recipe: Recipe
    episodes: int
    terms: Terms
    seed: int = 0
    length: int = LENGTH  # steps of an episode
    test_from: int | None = None  # ms UTC
    patience: int | None = None

    @property
    def timesteps(self) -> int:
        """Decisions to learn from."""
        return self.episodes * self.length

    def digest(self) -> str:
        """SHA-256 over all that it says, 64 hex digits."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class BookCourse:
    """What came of it; figures are on the test, which was looked at once."""

    plan: BookPlan
    ground: Ground
    stretches: Stretches
    trained: BookTrained
    judged: Judged
    sharpe: DailySharpe  # of the daily lead on the test, which its trials deflate
    files: dict[str, bytes] = field(repr=False)

    @property
    def learned(self) -> bool:
        """Whether the 99 % interval of the lead over the baseline is above zero.

        Only then is anything to be handed over.
        """
        return is_led(self.judged)

    @property
    def test_time(self) -> tuple[int, int]:
        """The first decision of the test and its last outcome, ms UTC."""
        return time_of(self.ground.panel, self.stretches.test, self.plan.terms.every)

    def verdict(self) -> str:
        """What a careful reader takes away."""
        return verdict(self.judged)


Told = Callable[[int, BookLook | None], None]


def run_book_course(
    page: TrainedPage,
    panel: Panel,
    plan: BookPlan,
    *,
    folder: Path | None = None,
    tensorboard: Path | None = None,
    experiences: Experiences | None = None,
    tell: Told = lambda steps, look: None,
    note: Note = lambda trial: None,
    feel: Feel = unfelt,
) -> BookCourse:
    """Train on `panel` as `plan` says, or on `experiences` and judge on the panel.

    Raises ConfigError and DataError where there are too few bars to be cut. With a folder
    checkpoints are kept there, and what is found there is gone on with. `note` is told of the
    network before its test is looked at.
    """
    stretches = cut(page, panel, plan.terms.every, plan.test_from)
    if experiences is not None:
        _refuse_overlap(experiences, panel, stretches, page)
    ground = ground_of(page, panel, stretches.train, plan.terms)
    job = BookJob(
        ground, stretches, plan.recipe, plan.seed, plan.timesteps,
        max(plan.timesteps // LOOKS, plan.recipe.rollout), length=plan.length,
        tensorboard=tensorboard, folder=folder, patience=plan.patience, experiences=experiences,
        feel=feel,
    )  # fmt: skip
    trained = noted(job, tell, note, plan.digest())
    decide = decider(page, trained.network)
    done = walked(ground, stretches.test, decide)
    on_test = (ground, stretches.test, done.rows[:, 0], done.targets[:, 0])
    found, sharpe = judged(*on_test), lead_sharpe(*on_test)
    files = _files(ground, stretches, plan, trained.network, found)
    return BookCourse(plan, ground, stretches, trained, found, sharpe, files)


def _files(
    ground: Ground, stretches: Stretches, plan: BookPlan, network: Network, found: Judged
) -> dict[str, bytes]:
    page, panel, decide = ground.page, ground.panel, decider(ground.page, network)
    probes = walked(ground, stretches.validation, decide, PARTS).observations
    trained_on: Walked = walked(ground, stretches.train, decide, PARTS)
    agent, base = found.figures[:2]
    last = stretches.test.stop - 1 + plan.terms.every
    spec = ModelSpec(
        agent=page.name,
        head=network.head,
        layers=layers_of(network, len(page.names)),
        threshold=None,
        observation_schema=page.schema,
        mean=tuple(ground.normaliser.mean.tolist()),
        sd=tuple(ground.normaliser.sd.tolist()),
        training_end=instant_of(int(panel.time[last]) + panel.timeframe.ms),
        data_digest=digest_of(page, panel, plan.terms),
        config_digest=plan.digest(),
        metrics={
            "test.daily_lead": found.lead.value,
            "test.total_return": agent.total_return,
            "test.baseline_total_return": base.total_return,
            "test.max_drawdown": agent.max_drawdown,
            "test.turnover": agent.turnover,
        },
        held_out=HeldOut(found.lead.value, 0.0),
        reference=(
            reference_of(trained_on.observations.astype("f8"))
            if len(page.names) <= WIDEST_REFERENCE else None
        ),
        book=BookTerms(panel.symbols, panel.timeframe.name, plan.terms.every),
    )  # fmt: skip
    return exported(spec, network, ground.normaliser, probes, book_policy_of)


def _refuse_overlap(
    told: Experiences, panel: Panel, stretches: Stretches, page: TrainedPage
) -> None:
    """Experiences must end before validation begins, and be of this page."""
    if told.schema != page.schema:
        raise ConfigError(
            f"the experiences are of other observations than {page.name} sees now",
            where=f"schema {told.schema[:12]} instead of {page.schema[:12]}",
            mend="record them with this version of Darwin",
        )
    begins = int(panel.time[stretches.validation.start])
    if int(told.time.max()) > begins:
        raise ConfigError(
            "experiences reach into the bars that validate what is learned from them",
            where=f"they end at {instant_of(int(told.time.max()))}",
            mend=f"record them up to {instant_of(begins)}, or name bars that go on for longer",
        )

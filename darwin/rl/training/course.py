"""One course of training: rows cut in time, seeds trained, a threshold, one look at the test."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from darwin.core.market import FloatArray
from darwin.errors import ConfigError
from darwin.rl.agents.spec import AgentSpec
from darwin.rl.serving.spec_file import CATEGORICAL, HeldOut
from darwin.rl.serving.weights_file import FEWEST_PROBES
from darwin.rl.training import supervised
from darwin.rl.training.continued import Origin
from darwin.rl.training.export import files_of, merged
from darwin.rl.training.gains import Gains, departs, gain_sharpe, gains
from darwin.rl.training.network import Network, actions_of, scores
from darwin.rl.training.noted import Note, noted
from darwin.rl.training.pulse import Pulse, unfelt
from darwin.rl.training.recipes import Recipe
from darwin.rl.training.rows import Normaliser, Rows, without_strange
from darwin.rl.training.splits import Split, cuts_of, split
from darwin.rl.training.trainer import Budget, Evaluation, Job, Trained
from darwin.stats.deflated import DailySharpe

HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Plan:
    """What a course is asked to do."""

    recipe: Recipe
    timesteps: int
    eval_freq: int
    seed: int = 0
    seeds: int = 3  # networks, trained alike but for their seed, that are merged into one
    embargo_ms: int = 24 * HOUR_MS
    test_from: int | None = None  # ms UTC
    device: str = "cpu"
    patience: int | None = None
    budget: Budget | None = None
    continues: str | None = None  # SHA-256 of the version that is gone on from
    seen_until: int | None = None  # ms UTC, by that version

    def digest(self) -> str:
        """SHA-256 over all that it says, 64 hex digits."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def continuing(plan: Plan, origin: Origin) -> Plan:
    """`plan` gone on with from `origin`, whose network keeps its shape: seeds are not merged."""
    return replace(
        plan, recipe=replace(plan.recipe, hidden=origin.hidden),
        continues=origin.model.sha256, seen_until=origin.seen_until,
    )  # fmt: skip


class Seed(NamedTuple):
    """One network of a course."""

    seed: int
    trained: Trained


class Ready(NamedTuple):
    """What a course is about to train on."""

    rows: Rows
    plan: Plan
    parts: Split  # as cut
    job: Job  # of the first seed


class Inspector(Protocol):
    """Looks before anything is trained, and before the test is looked at; may raise to end it."""

    def before_training(self, ready: Ready) -> None:
        """Rows are cut and standardised; nothing is trained yet."""
        ...

    def before_test(self, ready: Ready, network: Network, threshold: float | None) -> None:
        """The network is trained and has its threshold."""
        ...


@dataclass(frozen=True)
class Course:
    """What came of it; gains are on the test, which was looked at once."""

    page: AgentSpec
    plan: Plan
    rows: Rows  # all that were read
    parts: Split
    normaliser: Normaliser
    seeds: tuple[Seed, ...]
    network: Network
    threshold: float | None
    actions: FloatArray  # on the test, (n,)
    test: Gains
    of_seeds: tuple[float, ...]  # learned gain on the test of each network alone
    learner: Gains  # of the supervised learner
    learner_on_validation: Gains
    files: dict[str, bytes] = field(repr=False)
    before: Gains | None = None  # of the version that was gone on from, at the same rate
    gone_on_from: str | None = None  # the name of that version

    @property
    def learned(self) -> bool:
        """Whether a new network shows a learned gain on the test: its 99 % interval is above zero.

        Only then is anything to be handed over.
        """
        return self.stays is None and self.test.decisive.low > 0.0

    @property
    def stays(self) -> str | None:
        """The version that was gone on from, where no look at validation did better than it."""
        return self.gone_on_from if _best(self.seeds).trained.best.steps == 0 else None

    @property
    def beats_the_learner(self) -> bool:
        """Whether the network gained more than the supervised learner did."""
        return self.test.learned.value > self.learner.learned.value

    @property
    def test_time(self) -> tuple[int, int]:
        """The first decision of the test and its last outcome, ms UTC."""
        return int(self.parts.test.decided.min()), int(self.parts.test.settled.max())

    @property
    def sharpe(self) -> DailySharpe:
        """The Sharpe ratio of the learned gain on the test, which its trials deflate."""
        return gain_sharpe(self.parts.test, self.actions)

    def verdict(self) -> str:
        """What a careful reader takes away, one sentence or two."""
        gain, sure = self.test.learned, self.test.decisive
        spread = (
            f"99 % interval {sure.low:+.4f} to {sure.high:+.4f}"
            f" (95 %: {gain.low:+.4f} to {gain.high:+.4f})"
        )
        if math.isnan(gain.low):
            spread = "on too few days for an interval"
        told = f"{gain.value:+.4f} R per decision, {spread}"
        if self.stays is not None:
            return (
                f"Version {self.stays} stays: no look at validation did better than it."
                f" Its learned gain is {told}."
            )
        if not self.learned:
            return f"Nothing learnable found: the learned gain is {told}."
        beside = "" if self.beats_the_learner else (
            " It does not beat the supervised learner on the same rows"
            f" ({self.learner.learned.value:+.4f} R)."
        )  # fmt: skip
        return f"Learned: {told} beyond a rival that is as busy at random.{beside}"


Told = Callable[[int, int, Evaluation | None], None]
"""(seed, steps, evaluation) of a course under way."""
Felt = Callable[[int, Pulse], None]
"""(seed, moment) of the same, at each update."""


class Prepared(NamedTuple):
    """Rows as a course and a search read them."""

    parts: Split  # training without its strange rows
    normaliser: Normaliser  # of those


def prepare(rows: Rows, plan: Plan) -> Prepared:
    """Cut `rows` as `plan` says. Raises ConfigError where they are too few to be cut."""
    parts = split(rows, cuts_of(rows, plan.embargo_ms, plan.test_from, plan.seen_until))
    if len(parts.validation) < FEWEST_PROBES:
        raise ConfigError(
            f"{len(parts.validation)} rows of validation are too few: a model carries"
            f" {FEWEST_PROBES} or more of them, on which it is tried before it serves",
            mend="name more runs, or longer ones",
        )
    known, normaliser = without_strange(parts.train)
    return Prepared(parts._replace(train=known), normaliser)


def job_of(train: Rows, validation: Rows, normaliser: Normaliser, plan: Plan, seed: int) -> Job:
    """The training of one network as `plan` says, which keeps nothing and writes no curves."""
    return Job(
        train, validation, normaliser,
        replace(plan.recipe, departure_rate=train.page.departure_rate),
        seed, plan.timesteps, plan.eval_freq,
        device=plan.device, patience=plan.patience, budget=plan.budget,
    )  # fmt: skip


def run_course(
    rows: Rows,
    plan: Plan,
    *,
    folder: Path | None = None,
    tensorboard: Path | None = None,
    tell: Told = lambda seed, steps, evaluation: None,
    feel: Felt = lambda seed, pulse: None,
    note: Note = lambda trial: None,
    origin: Origin | None = None,
    inspector: Inspector | None = None,
) -> Course:
    """Train on `rows` as `plan` says. Raises ConfigError where rows are too few to be cut.

    From the network of `origin`, if there is one, which `plan` must name: see `continuing`.

    With a folder each seed keeps its checkpoints there, and what is found there is gone on with.
    """
    page = rows.page
    parts, normaliser = prepare(rows, plan)
    known, rate = parts.train, page.departure_rate
    ridge = supervised.fit(known, parts.validation, normaliser, rate or 0.0)
    beside = gains(parts.validation, supervised.act(ridge, parts.validation, rate or 0.0))
    jobs = [
        replace(
            job_of(known, parts.validation, normaliser, plan, seed),
            tensorboard=None if tensorboard is None else tensorboard / f"seed_{seed}",
            folder=None if folder is None else folder / f"seed_{seed}",
            baselines={"supervised_gain_r": beside.learned.value},
            start=None if origin is None else origin.network_on(normaliser),
            feel=partial(feel, seed),
        )
        for seed in range(plan.seed, plan.seed + plan.seeds)
    ]  # fmt: skip
    ready = Ready(rows, plan, split(rows, parts.cuts), replace(jobs[0], feel=unfelt))
    if inspector is not None:
        inspector.before_training(ready)
    seeds = [
        Seed(job.seed, noted(job, partial(tell, job.seed), note, rows, plan.digest(), parts.cuts))
        for job in jobs
    ]
    network = _joined(seeds) if origin is None else _best(seeds).trained.network
    threshold = threshold_of(network, parts.validation, normaliser, rate)
    if inspector is not None:
        inspector.before_test(ready, network, threshold)
    test = _judgeable(parts.test, normaliser)
    actions = actions_of(page, network, normaliser(test.observations), threshold)
    found = gains(test, actions)
    of_seeds = tuple(
        gains(
            test, _alone(one.trained.network, parts.validation, test, normaliser, rate)
        ).learned.value
        for one in seeds
    )
    learner = gains(test, supervised.act(ridge, test, float(departs(test, actions).mean())))
    return Course(
        page, plan, rows, Split(known, parts.validation, test, parts.cuts), normaliser,
        tuple(seeds), network, threshold, actions, found, of_seeds, learner, beside,
        files_of(
            page, network, normaliser, parts.validation, known.observations,
            threshold=threshold,
            training_end_ms=int(rows.settled.max()),  # the test decides whether it is handed over
            data_digest=rows.digest,
            config_digest=plan.digest(),
            metrics=_metrics(found, learner, of_seeds),
            held_out=HeldOut(found.learned.value, 0.0),
        ),
        None if origin is None else gains(
            test, _alone(origin.network_on(normaliser), parts.validation, test, normaliser, rate)
        ),
        None if origin is None else origin.model.version,
    )  # fmt: skip


def threshold_of(
    network: Network, validation: Rows, normaliser: Normaliser, rate: float | None
) -> float | None:
    """Where leaving the baseline happens at `rate` on validation; None for sizes.

    Of the meta-learner only what changes a verdict counts: to skip a take, to take a skip.
    """
    if rate is None:
        return None
    page, seen = validation.page, normaliser(validation.observations)
    score = scores(page, network, seen)
    free = actions_of(page, network, seen, _least(network))
    counts = departs(validation, free) > 0.0
    if not counts.any():
        return None
    share = min(rate * len(score) / int(counts.sum()), 1.0)
    at = float(np.quantile(score[counts], 1.0 - share))
    if network.head == CATEGORICAL:
        return min(max(at, 1e-9), 1.0 - 1e-9)
    return max(at, 0.0)


def interquartile_mean(values: tuple[float, ...]) -> float:
    """The mean of the middle half (Agarwal et al. 2021); of fewer than four, of all."""
    ordered = np.sort(np.array(values))
    cut = len(ordered) // 4
    return float(ordered[cut : len(ordered) - cut].mean())


def _least(network: Network) -> float:
    """A threshold that every row reaches."""
    return 1e-12 if network.head == CATEGORICAL else 0.0


def _joined(seeds: list[Seed]) -> Network:
    """All networks as one where their shape allows it, else the best on validation."""
    networks = [one.trained.network for one in seeds]
    if all(len(network.layers) == 2 for network in networks):
        return merged(networks)
    return _best(seeds).trained.network


def _best(seeds: Sequence[Seed]) -> Seed:
    """The one that did best on validation."""
    return max(seeds, key=lambda one: one.trained.best.learned_gain)


def _alone(
    network: Network, validation: Rows, test: Rows, normaliser: Normaliser, rate: float | None
) -> FloatArray:
    threshold = threshold_of(network, validation, normaliser, rate)
    return actions_of(test.page, network, normaliser(test.observations), threshold)


def _judgeable(test: Rows, normaliser: Normaliser) -> Rows:
    """The door refuses to judge rows beyond 10 sd; the test leaves them out and counts them."""
    return test.but_for("beyond 10 sd in the test", ~normaliser.is_strange(test.observations))


def _metrics(found: Gains, learner: Gains, of_seeds: tuple[float, ...]) -> dict[str, float]:
    """What the spec tells of it; bounds that are not known are left out."""
    told = {
        "test/learned_gain_r": found.learned.value,
        "test/learned_gain_low_r": found.learned.low,
        "test/learned_gain_high_r": found.learned.high,
        "test/gain_over_baseline_r": found.over_baseline.value,
        "test/departure_rate": found.departures,
        "test/supervised_learned_gain_r": learner.learned.value,
        "test/seeds_interquartile_mean_r": interquartile_mean(of_seeds),
    }
    return {name: figure for name, figure in told.items() if math.isfinite(figure)}

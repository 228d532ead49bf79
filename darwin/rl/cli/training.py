"""One training as a command carries it out: rows, canaries, the course, its report, its model."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from darwin.errors import ConfigError
from darwin.rl.cli.canary_page import alarm_tree, findings_tree
from darwin.rl.cli.ledger import ledger
from darwin.rl.cli.options import Deployment, open_registry, placed
from darwin.rl.cli.progress_file import ProgressFile
from darwin.rl.cli.training_files import write_alarm, write_training
from darwin.rl.cli.training_options import observing, rows_of, watch_of
from darwin.rl.cli.training_page import tree_of

if TYPE_CHECKING:
    from darwin.rl.registry.registry import Registry
    from darwin.rl.registry.versions import Version
    from darwin.rl.training.canaries.finding import Finding
    from darwin.rl.training.continued import Origin
    from darwin.rl.training.course import Course, Felt, Plan, Told
    from darwin.rl.training.pulse import Pulse
    from darwin.rl.training.rows import Rows
    from darwin.rl.training.trials import Count


@dataclass(frozen=True)
class Asked:
    """A training that was asked for."""

    agent: str
    run_ids: tuple[str, ...]
    where: Deployment
    artifacts_dir: str
    by: str
    reason: str
    more_db: tuple[str, ...] = ()
    allow_small: bool = False
    last_days: float | None = None
    version: str | None = None  # to go on from
    skip_canaries: bool = False
    tensorboard_log: str | None = None
    resume: bool = False  # go on where the same training was stopped
    begun: bool = True  # with `resume`: refuse where none was begun; else begin it
    shown: ProgressFile = field(default_factory=lambda: ProgressFile(None))


@dataclass(frozen=True)
class Done:
    """What came of a training."""

    course: Course
    count: Count
    findings: tuple[Finding, ...] | None
    told: dict[str, Any]  # as its report has it
    folder: Path  # of that report
    made: Version | None  # None: nothing was handed over


Deliver: TypeAlias = "Callable[[Asked, Course], Version | None]"
"""Hand the model of a course over, or not."""


def carry_out(asked: Asked, plan: Plan, deliver: Deliver | None = None) -> Done:
    """Train, write the report, and hand over what learned something.

    `deliver` does that; None: `hand_over_what_learned`. Raises CanaryError where a canary sings,
    ConfigError for rows that are no good, ModelError where the registry refuses the model.
    """
    from darwin.rl.training.canaries.finding import CanaryError
    from darwin.rl.training.course import continuing, run_course

    agent, run_ids, where = asked.agent, asked.run_ids, asked.where
    dbs = (where.db, *map(Path, asked.more_db))
    asked.shown.say("reading what was recorded")
    observe = observing(agent, asked.artifacts_dir)
    rows = rows_of(agent, run_ids, dbs, asked.allow_small, observe, asked.last_days)
    origin = None
    if asked.version is not None:
        origin = _origin(where, agent, asked.version, plan)
        plan = continuing(plan, origin)
    watch = None
    if not asked.skip_canaries:
        watch = watch_of(rows, run_ids, dbs, observe, asked.last_days)
    folder = placed(asked.artifacts_dir, "artifacts/rl_training") / agent / _key(rows, plan)
    resume = asked.resume and (asked.begun or folder.exists())
    note = ledger(where.db, asked.by, resume=resume)
    _make_ready(folder, resume=resume)
    log = None if asked.tensorboard_log is None else Path(asked.tensorboard_log)
    asked.shown.say("looking for bugs of training first")
    try:
        with _progress(plan) as tell:
            course = run_course(
                rows, plan, folder=folder, tell=tell, note=note, origin=origin, inspector=watch,
                tensorboard=log, feel=_felt(asked.shown, plan),
            )  # fmt: skip
    except CanaryError as alarm:
        report = write_alarm(folder, alarm_tree(rows, plan, run_ids, alarm))
        raise CanaryError(alarm.findings, str(report)) from alarm
    asked.shown.say("trained, and looked at on the test", 100.0)
    findings = None if watch is None else watch.findings
    count = _count(where.db, course)
    told = tree_of(course, count, run_ids) | {"canaries": findings_tree(findings)}
    write_training(folder, told)
    made = (deliver or hand_over_what_learned)(asked, course)
    return Done(course, count, findings, told, folder, made)


def hand_over_what_learned(asked: Asked, course: Course) -> Version | None:
    """The version that the model of a course becomes, if its test shows a learned gain."""
    return hand_over(asked, course.files) if course.learned else None


def hand_over(asked: Asked, files: dict[str, bytes]) -> Version:
    """The version that these files become: it serves, or challenges one that may act.

    A training that was taken up again does not hand over a model that was handed over before,
    wherever its version has come to since.
    """
    with open_registry(asked.where, to_change=True, make=True) as registry:
        before = _handed_over(registry, asked.agent, files) if asked.resume else None
        if before is None:
            return _deploy(registry, asked, files)
    click.echo(
        f"version {before.name} is this very model ({before.place}): it is not handed over again",
        err=True,
    )
    return before


def _handed_over(registry: Registry, agent: str, files: dict[str, bytes]) -> Version | None:
    from darwin.rl.registry.files import identity, whole

    sha256 = identity("", whole(files)).sha256
    found = [one for one in registry.shelf(agent).kept if one.model.sha256 == sha256]
    return found[-1] if found else None


def _deploy(registry: Registry, asked: Asked, files: dict[str, bytes]) -> Version:
    from darwin.rl.graduation.record import may_act
    from darwin.rl.registry.deploy import deploy
    from darwin.rl.serving.validation import validate_files

    agent = asked.agent
    acts = may_act(registry.database, agent, registry.shelf(agent).serving)
    return deploy(
        registry, agent, files, by=asked.by, reason=asked.reason, now=datetime.now(UTC),
        active=acts, validate=validate_files,
    )  # fmt: skip


def _origin(where: Deployment, agent: str, version: str, plan: Plan) -> Origin:
    """The version to go on from. Raises ConfigError, ModelError where it cannot be."""
    from darwin.rl.agents.pages import PAGES
    from darwin.rl.training.continued import origin_of

    with open_registry(where) as registry:
        model = registry.shelf(agent).pick(version).model
        files = registry.load(agent, model)
    return origin_of(PAGES[agent], model, files, plan.recipe.algo)


def _key(rows: Rows, plan: Plan) -> str:
    """The name of the folder in which this very training is kept."""
    return hashlib.sha256(f"{rows.digest}{plan.digest()}".encode()).hexdigest()[:16]


def _make_ready(folder: Path, *, resume: bool) -> None:
    import shutil

    if resume and not folder.exists():
        raise ConfigError(
            "no such training was begun here",
            where=str(folder),
            mend="leave --resume out; runs, steps, seeds and all else must be as they were",
        )
    if not resume and folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)


def _felt(shown: ProgressFile, plan: Plan) -> Felt:
    def felt(seed: int, pulse: Pulse) -> None:
        shown.felt("steps", plan.timesteps, plan.seeds, seed - plan.seed, pulse)

    return felt


@contextmanager
def _progress(plan: Plan) -> Iterator[Told]:
    """A bar on a terminal, a line for each look at validation otherwise."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f}%"),
        TimeRemainingColumn(), console=console, disable=not console.is_terminal,
    )  # fmt: skip
    task = bar.add_task("training", total=plan.timesteps * plan.seeds)

    def tell(seed: int, steps: int, found: Any) -> None:
        done = (seed - plan.seed) * plan.timesteps + min(steps, plan.timesteps)
        bar.update(task, completed=done)
        if found is not None:
            told = f"seed {seed}: {steps:,} steps, learned gain {found.learned_gain:+.4f} R"
            if console.is_terminal:
                bar.update(task, description=told)
            else:
                click.echo(told, err=True)

    with bar:
        yield tell


def _count(db: Path, course: Course) -> Count:
    from darwin.rl.training import trials
    from darwin.store.db import connect_readonly

    with connect_readonly(db) as database:
        return trials.counted(database, course.page.name, *course.test_time)

"""`python -m darwin.rl.cli.train_agent`, also `darwin rl train`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from darwin.core.agents import AGENTS
from darwin.errors import ConfigError
from darwin.rl.cli.canary_page import alarm_tree, findings_tree, print_findings
from darwin.rl.cli.columns import print_json
from darwin.rl.cli.ledger import ledger
from darwin.rl.cli.options import Deployment, act_options, database_options, open_registry, placed
from darwin.rl.cli.training_files import PAGE, write_alarm, write_training
from darwin.rl.cli.training_options import (
    observing,
    plan_of,
    plan_options,
    require_training,
    row_options,
    rows_of,
    watch_of,
)
from darwin.rl.cli.training_page import print_course, tree_of, version_tree

if TYPE_CHECKING:
    from darwin.rl.registry.registry import Registry
    from darwin.rl.registry.versions import Version
    from darwin.rl.training.continued import Origin
    from darwin.rl.training.course import Course, Plan, Told
    from darwin.rl.training.rows import Rows
    from darwin.rl.training.trials import Count

NOTHING_LEARNED = 10


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("agent", type=click.Choice(AGENTS))
@row_options
@click.option("--output-dir", metavar="DIR", help="Where its models lie, if elsewhere.")
@plan_options
@click.option(
    "--from", "version", metavar="VERSION",
    help="Go on from this version; validation and test are of what is new to it.",
)  # fmt: skip
@click.option("--recipe", metavar="FILE", help="How to train, as `darwin rl tune` wrote it.")
@click.option("--tensorboard-log", metavar="DIR", help="Write curves for TensorBoard there.")
@click.option("--resume", is_flag=True, help="Go on with the same training where it was stopped.")
@click.option("--skip-canaries", is_flag=True, help="Do not look for bugs of training first.")
@act_options
@database_options
def train(
    agent: str,
    run_ids: tuple[str, ...],
    output_dir: str | None,
    tensorboard_log: str | None,
    more_db: tuple[str, ...],
    allow_small: bool,
    last_days: float | None,
    version: str | None,
    resume: bool,
    skip_canaries: bool,
    by: str,
    reason: str,
    artifacts_dir: str,
    db: str | None,
    as_json: bool,
    **asked: Any,
) -> int:
    """Train AGENT on the candidates of finished runs, and look once at what it learned.

    Rows are cut in time into training, validation and test; what the test shows is what is told.
    A model with a learned gain whose 99% interval lies above zero becomes a version that serves,
    or challenges one that may act: in either case it only watches until it is promoted. Without
    one, exit 10 says that nothing learnable was found, and the registry stays as it was.

    With --from VERSION its network learns on, from the --last-days of the runs if one likes, and
    is judged on rows that it has not seen. Where nothing does better, VERSION stays: exit 10.

    Canaries look first for bugs of rows, rewards, world and learner; where one finds any, exit 3
    names it and the test is not looked at.

    \b
    Examples:
      darwin rl train gate --run-ids run_001,run_002 --by Ada --reason "first training"
      python -m darwin.rl.cli.train_agent gate --run-ids run_001 --total-timesteps 100000
      darwin rl train gate --run-ids run_003 --from 20260401_120000 --last-days 30
    """
    require_training()
    where = Deployment.of(artifacts_dir, db, _models_dir(agent, output_dir, artifacts_dir))
    plan = plan_of(agent, **asked)
    from darwin.rl.training.canaries.finding import CanaryError
    from darwin.rl.training.course import continuing, run_course

    dbs = (where.db, *map(Path, more_db))
    observe = observing(agent, artifacts_dir)
    rows = rows_of(agent, run_ids, dbs, allow_small, observe, last_days)
    origin = None
    if version is not None:
        origin = _origin(where, agent, version, plan)
        plan = continuing(plan, origin)
    watch = None if skip_canaries else watch_of(rows, run_ids, dbs, observe, last_days)
    folder = placed(artifacts_dir, "artifacts/rl_training") / agent / _key(rows, plan)
    note = ledger(where.db, by, resume=resume)
    _make_ready(folder, resume=resume)
    try:
        with _progress(plan) as tell:
            course = run_course(
                rows, plan, folder=folder, tell=tell, note=note, origin=origin, inspector=watch,
                tensorboard=None if tensorboard_log is None else Path(tensorboard_log),
            )  # fmt: skip
    except CanaryError as alarm:
        report = write_alarm(folder, alarm_tree(rows, plan, run_ids, alarm))
        raise CanaryError(alarm.findings, str(report)) from alarm
    findings = None if watch is None else watch.findings
    count = _count(where.db, course)
    told = tree_of(course, count, run_ids) | {"canaries": findings_tree(findings)}
    write_training(folder, told)
    made = None
    if course.learned:
        with open_registry(where, to_change=True, make=True) as registry:
            made = _hand_over(registry, agent, course, by, reason)
    if as_json:
        print_json(told | version_tree(made) | {"trained": count.trained})
        click.echo(f"report: {folder / PAGE}", err=True)
    else:
        print_findings(findings)
        print_course(course, count, made, folder)
    return 0 if course.learned else NOTHING_LEARNED


def _origin(where: Deployment, agent: str, version: str, plan: Plan) -> Origin:
    """The version to go on from. Raises ConfigError, ModelError where it cannot be."""
    from darwin.rl.agents.pages import PAGES
    from darwin.rl.training.continued import origin_of

    with open_registry(where) as registry:
        model = registry.shelf(agent).pick(version).model
        files = registry.load(agent, model)
    return origin_of(PAGES[agent], model, files, plan.recipe.algo)


def _models_dir(agent: str, output_dir: str | None, artifacts_dir: str) -> str | None:
    """The folder of all models, where `output_dir` is that of this agent's."""
    if output_dir is None:
        return None
    path = Path(output_dir)
    if path.name != agent:
        raise ConfigError(
            f"models of {agent} lie in a folder of that name, not in '{path.name}'",
            where="--output-dir",
            mend=f"write {path / agent}",
        )
    return str(path.parent)


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


def _hand_over(registry: Registry, agent: str, course: Course, by: str, reason: str) -> Version:
    from darwin.rl.graduation.record import may_act
    from darwin.rl.registry.deploy import deploy
    from darwin.rl.serving.validation import validate_files

    acts = may_act(registry.database, agent, registry.shelf(agent).serving)
    return deploy(
        registry, agent, course.files, by=by, reason=reason, now=datetime.now(UTC),
        active=acts, validate=validate_files,
    )  # fmt: skip


if __name__ == "__main__":
    from darwin.rl.cli.door import leave_through

    leave_through(train)

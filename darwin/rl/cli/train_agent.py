"""`python -m darwin.rl.cli.train_agent`, also `darwin rl train`."""

from __future__ import annotations

import hashlib
import json
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
from darwin.rl.cli.options import Deployment, act_options, database_options, open_registry, placed
from darwin.rl.cli.training_options import (
    plan_of,
    plan_options,
    require_training,
    row_options,
    rows_of,
    watch_of,
)
from darwin.rl.cli.training_page import print_course, tree_of

if TYPE_CHECKING:
    from darwin.rl.registry.registry import Registry
    from darwin.rl.registry.versions import Version
    from darwin.rl.training.course import Course, Plan, Told
    from darwin.rl.training.rows import Rows

NOTHING_LEARNED = 10


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("agent", type=click.Choice(AGENTS))
@row_options
@click.option("--output-dir", metavar="DIR", help="Where its models lie, if elsewhere.")
@plan_options
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
    A model with a learned gain whose 95% interval lies above zero becomes a version that serves,
    or challenges one that may act: in either case it only watches until it is promoted. Without
    one, exit 10 says that nothing learnable was found, and the registry stays as it was.

    Canaries look first for bugs of rows, rewards, world and learner; where one finds any, exit 3
    names it and the test is not looked at.

    \b
    Examples:
      darwin rl train gate --run-ids run_001,run_002 --by Ada --reason "first training"
      python -m darwin.rl.cli.train_agent gate --run-ids run_001 --total-timesteps 100000
    """
    require_training()
    where = Deployment.of(artifacts_dir, db, _models_dir(agent, output_dir, artifacts_dir))
    plan = plan_of(agent, **asked)
    from darwin.rl.training.canaries.finding import CanaryError
    from darwin.rl.training.course import run_course

    dbs = (where.db, *map(Path, more_db))
    rows = rows_of(agent, run_ids, dbs, allow_small)
    watch = None if skip_canaries else watch_of(rows, run_ids, dbs)
    folder = placed(artifacts_dir, "artifacts/rl_training") / agent / _key(rows, plan)
    _make_ready(folder, resume=resume)
    report = folder / "report.json"
    try:
        with _progress(plan) as tell:
            course = run_course(
                rows, plan, folder=folder, tell=tell, inspector=watch,
                tensorboard=None if tensorboard_log is None else Path(tensorboard_log),
            )  # fmt: skip
    except CanaryError as alarm:
        _write_tree(report, alarm_tree(rows, plan, run_ids, alarm))
        raise CanaryError(alarm.findings, str(report)) from alarm
    findings = None if watch is None else watch.findings
    version = None
    if course.learned:
        with open_registry(where, to_change=True, make=True) as registry:
            version = _hand_over(registry, agent, course, by, reason)
    told = tree_of(course, version, run_ids) | {"canaries": findings_tree(findings)}
    _write_tree(report, told)
    if as_json:
        print_json(told)
    else:
        print_findings(findings)
        print_course(course, version, folder)
    return 0 if course.learned else NOTHING_LEARNED


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


def _hand_over(registry: Registry, agent: str, course: Course, by: str, reason: str) -> Version:
    from darwin.rl.graduation.record import may_act
    from darwin.rl.registry.deploy import deploy
    from darwin.rl.serving.validation import validate_files

    acts = may_act(registry.database, agent, registry.shelf(agent).serving)
    return deploy(
        registry, agent, course.files, by=by, reason=reason, now=datetime.now(UTC),
        active=acts, validate=validate_files,
    )  # fmt: skip


def _write_tree(path: Path, tree: dict[str, Any]) -> None:
    aside = path.with_name(f".{path.name}.tmp")
    aside.write_text(json.dumps(tree, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    aside.replace(path)


if __name__ == "__main__":
    from darwin.rl.cli.door import leave_through

    leave_through(train)

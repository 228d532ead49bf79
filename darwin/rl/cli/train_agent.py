"""`python -m darwin.rl.cli.train_agent`, also `darwin rl train`."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from darwin.core.agents import AGENTS
from darwin.errors import ConfigError
from darwin.rl.cli.columns import print_json
from darwin.rl.cli.options import Deployment, act_options, database_options, open_registry, placed
from darwin.rl.cli.training_page import print_course, tree_of

if TYPE_CHECKING:
    from darwin.rl.registry.registry import Registry
    from darwin.rl.registry.versions import Version
    from darwin.rl.training.course import Course, Plan, Told
    from darwin.rl.training.dataset import Source
    from darwin.rl.training.rows import Rows

NOTHING_LEARNED = 10
_MOST_STEPS = 1_000_000_000


def _names(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in value.split(","))
    if not all(names) or len(set(names)) < len(names):
        raise click.BadParameter("is a list of different runs, separated by commas")
    return names


def _day(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    try:
        day = datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise click.BadParameter(f"{value!r} is no day; write 2024-01-01") from None
    return int(day.timestamp() * 1000)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("agent", type=click.Choice(AGENTS))
@click.option("--run-ids", required=True, metavar="A,B,C", callback=_names, help="Finished runs.")
@click.option("--output-dir", metavar="DIR", help="Where its models lie, if elsewhere.")
@click.option(
    "--total-timesteps",
    type=click.IntRange(1, _MOST_STEPS),
    default=100_000,
    show_default=True,
    help="Decisions to learn from, of each seed.",
)
@click.option(
    "--eval-freq",
    type=click.IntRange(1, _MOST_STEPS),
    default=10_000,
    show_default=True,
    help="Decisions between two looks at validation.",
)
@click.option("--tensorboard-log", metavar="DIR", help="Write curves for TensorBoard there.")
@click.option("--algo", default="ppo", show_default=True, help="ppo, a2c, dqn or sac.")
@click.option("--seed", type=click.IntRange(0, 2**31), default=0, show_default=True)
@click.option(
    "--seeds",
    type=click.IntRange(1, 32),
    default=3,
    show_default=True,
    help="Networks from this seed on, merged into one.",
)
@click.option("--test-from", metavar="DAY", callback=_day, help="Hold out all from this day on.")
@click.option(
    "--embargo-hours",
    type=click.FloatRange(0, 10_000),
    default=24.0,
    show_default=True,
    help="Nothing is used for so long after a cut.",
)
@click.option("--patience", type=click.IntRange(1), help="Stop after so many looks without gain.")
@click.option("--calls", type=click.IntRange(1), help="Of the gate: calls for each stretch.")
@click.option(
    "--stretch",
    type=click.IntRange(2),
    default=100,
    show_default=True,
    help="Candidates that share the calls of --calls.",
)
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="cpu", show_default=True
)
@click.option("--more-db", multiple=True, metavar="FILE", help="Further databases with runs.")
@click.option("--allow-small", is_flag=True, help="Train on few candidates, to try things out.")
@click.option("--resume", is_flag=True, help="Go on with the same training where it was stopped.")
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

    \b
    Examples:
      darwin rl train gate --run-ids run_001,run_002 --by Ada --reason "first training"
      python -m darwin.rl.cli.train_agent gate --run-ids run_001 --total-timesteps 100000
    """
    _require_training()
    where = Deployment.of(artifacts_dir, db, _models_dir(agent, output_dir, artifacts_dir))
    plan = _plan(agent, **asked)
    from darwin.rl.training.course import run_course

    rows = _rows(agent, run_ids, (where.db, *map(Path, more_db)), allow_small)
    folder = placed(artifacts_dir, "artifacts/rl_training") / agent / _key(rows, plan)
    _make_ready(folder, resume=resume)
    with _progress(plan) as tell:
        course = run_course(
            rows, plan, folder=folder, tell=tell,
            tensorboard=None if tensorboard_log is None else Path(tensorboard_log),
        )  # fmt: skip
    version = None
    if course.learned:
        with open_registry(where, to_change=True, make=True) as registry:
            version = _hand_over(registry, agent, course, by, reason)
    told = tree_of(course, version, run_ids)
    _write(folder / "report.json", json.dumps(told, indent=1, sort_keys=True) + "\n")
    if as_json:
        print_json(told)
    else:
        print_course(course, version, folder)
    return 0 if course.learned else NOTHING_LEARNED


def _require_training() -> None:
    """Raise ConfigError where what training needs is not installed."""
    from importlib.util import find_spec

    missing = [name for name in ("torch", "stable_baselines3", "gymnasium") if not find_spec(name)]
    if missing:
        raise ConfigError(
            f"training needs {', '.join(missing)}, which the core install leaves out",
            mend='pip install -e ".[rl]"',
        )


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


def _plan(
    agent: str,
    *,
    algo: str,
    total_timesteps: int,
    eval_freq: int,
    seed: int,
    seeds: int,
    test_from: int | None,
    embargo_hours: float,
    patience: int | None,
    calls: int | None,
    stretch: int,
    device: str,
) -> Plan:
    from darwin.rl.training.course import HOUR_MS, Plan
    from darwin.rl.training.recipes import recipe_of
    from darwin.rl.training.trainer import Budget

    if calls is not None and (agent != "gate" or calls >= stretch):
        raise ConfigError(
            "calls can be budgeted for the gate alone, and fewer than candidates",
            where="--calls",
            mend=f"leave it out, or name fewer than {stretch}",
        )
    if not math.isfinite(embargo_hours):
        raise ConfigError("is not a number of hours", where="--embargo-hours", mend="write 24")
    return Plan(
        recipe=recipe_of(agent, algo),
        timesteps=total_timesteps,
        eval_freq=eval_freq,
        seed=seed,
        seeds=seeds,
        embargo_ms=round(embargo_hours * HOUR_MS),
        test_from=test_from,
        device=device,
        patience=patience,
        budget=None if calls is None else Budget(calls, stretch),
    )


def _rows(agent: str, run_ids: tuple[str, ...], dbs: tuple[Path, ...], allow_small: bool) -> Rows:
    """Rows of the runs, each looked for in the databases in turn."""
    from darwin.rl.agents.pages import PAGES
    from darwin.rl.training.dataset import Source, read_rows
    from darwin.store.db import connect_readonly
    from darwin.store.queries import list_runs

    with ExitStack() as stack:
        databases = [stack.enter_context(connect_readonly(path)) for path in dbs]
        held = [{run.run_id for run in list_runs(database)} for database in databases]
        sources: list[Source] = []
        for run_id in run_ids:
            at = next((i for i, ids in enumerate(held) if run_id in ids), 0)
            sources.append(Source(databases[at], (run_id,)))
        return read_rows(PAGES[agent], sources, allow_small=allow_small)


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


def _write(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}.tmp")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)


if __name__ == "__main__":
    from darwin.rl.cli.door import leave_through

    leave_through(train)

"""Options of the commands that train: which rows, by which plan."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from darwin.errors import ConfigError
from darwin.rl.cli.options import Finite

if TYPE_CHECKING:
    from darwin.rl.training.canaries.watch import Watch
    from darwin.rl.training.course import Plan
    from darwin.rl.training.dataset import Observe, Source
    from darwin.rl.training.recipes import Recipe
    from darwin.rl.training.rows import Rows
    from darwin.store.db import Database

Command = TypeVar("Command", bound=Callable[..., Any])
_MOST_STEPS = 1_000_000_000
_DEFAULT = click.core.ParameterSource.DEFAULT


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


def row_options(command: Command) -> Command:
    """Add what names the rows: `run_ids`, `more_db`, `allow_small`, `last_days`."""
    for option in (
        click.option(
            "--last-days",
            type=Finite(0, min_open=True, max=1e5),
            help="Of their rows, those of so many days before the last decision alone.",
        ),
        click.option(
            "--allow-small", is_flag=True, help="Train on few candidates, to try things out."
        ),
        click.option(
            "--more-db", multiple=True, metavar="FILE", help="Further databases with runs."
        ),
        click.option(
            "--run-ids", required=True, metavar="A,B,C", callback=_names, help="Finished runs."
        ),
    ):
        command = option(command)
    return command


def plan_options(command: Command) -> Command:
    """Add what `plan_of` reads."""
    for option in (
        click.option(
            "--device",
            type=click.Choice(["auto", "cpu", "cuda"]),
            default="auto",
            show_default=True,
            help="auto: cuda where there is one.",
        ),
        click.option(
            "--stretch",
            type=click.IntRange(2),
            default=100,
            show_default=True,
            help="Candidates that share the calls of --calls.",
        ),
        click.option(
            "--calls", type=click.IntRange(1), help="Of the gate: calls for each stretch."
        ),
        click.option(
            "--patience", type=click.IntRange(1), help="Stop after so many looks without gain."
        ),
        click.option(
            "--embargo-hours",
            type=Finite(0, 10_000),
            default=24.0,
            show_default=True,
            help="Nothing is used for so long after a cut.",
        ),
        click.option(
            "--test-from", metavar="DAY", callback=_day, help="Hold out all from this day on."
        ),
        click.option(
            "--seeds",
            type=click.IntRange(1, 32),
            default=3,
            show_default=True,
            help="Networks from this seed on, merged into one.",
        ),
        click.option("--seed", type=click.IntRange(0, 2**31), default=0, show_default=True),
        click.option("--algo", default="ppo", show_default=True, help="ppo, a2c, dqn or sac."),
        click.option(
            "--eval-freq",
            type=click.IntRange(1, _MOST_STEPS),
            default=10_000,
            show_default=True,
            help="Decisions between two looks at validation.",
        ),
        click.option(
            "--total-timesteps",
            type=click.IntRange(1, _MOST_STEPS),
            default=100_000,
            show_default=True,
            help="Decisions to learn from, of each seed.",
        ),
    ):
        command = option(command)
    return command


def require_training(*beside: str) -> None:
    """Raise ConfigError where what training needs, and what is named, is not installed."""
    from importlib.util import find_spec

    needed = ("torch", "stable_baselines3", "gymnasium", *beside)
    missing = [name for name in needed if not find_spec(name)]
    if missing:
        raise ConfigError(
            f"training needs {', '.join(missing)}, which the core install leaves out",
            mend='pip install -e ".[rl]"',
        )


def plan_of(
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
    recipe: str | None = None,
) -> Plan:
    """The plan that the options ask for. Raises ConfigError where they do not go together."""
    from darwin.rl.training.course import HOUR_MS, Plan
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
        recipe=_recipe(agent, algo, recipe),
        timesteps=total_timesteps,
        eval_freq=eval_freq,
        seed=seed,
        seeds=seeds,
        embargo_ms=round(embargo_hours * HOUR_MS),
        test_from=test_from,
        device=_device(device),
        patience=patience,
        budget=None if calls is None else Budget(calls, stretch),
    )


def _recipe(agent: str, algo: str, file: str | None) -> Recipe:
    """The recipe in `file`, or the default one. An --algo beside it must be the same."""
    from darwin.rl.training.recipe_file import read_recipe
    from darwin.rl.training.recipes import recipe_of

    if file is None:
        return recipe_of(agent, algo)
    found = read_recipe(Path(file), agent)
    context = click.get_current_context()
    if found.algo != algo and context.get_parameter_source("algo") is not _DEFAULT:
        raise ConfigError(f"the recipe is one of {found.algo}", where=file, mend="leave --algo out")
    return found


def _device(asked: str) -> str:
    import torch

    there = torch.cuda.is_available()
    if asked == "cuda" and not there:
        raise ConfigError(
            "torch finds no CUDA device here", where="--device cuda", mend="write --device cpu"
        )
    return "cuda" if there and asked == "auto" else "cpu" if asked == "auto" else asked


@contextmanager
def sources_of(run_ids: tuple[str, ...], dbs: tuple[Path, ...]) -> Iterator[list[Source]]:
    """The runs, each looked for in the databases in turn."""
    from darwin.rl.training.dataset import Source
    from darwin.store.db import connect_readonly
    from darwin.store.queries import list_runs

    with ExitStack() as stack:
        databases = [stack.enter_context(connect_readonly(path)) for path in dbs]
        held = [{run.run_id for run in list_runs(database)} for database in databases]
        sources: list[Source] = []
        for run_id in run_ids:
            at = next((i for i, ids in enumerate(held) if run_id in ids), 0)
            sources.append(Source(databases[at], (run_id,)))
        yield sources


def rows_of(
    agent: str,
    run_ids: tuple[str, ...],
    dbs: tuple[Path, ...],
    allow_small: bool,
    observe: Observe,
    last_days: float | None = None,
) -> Rows:
    """Rows of the runs, each looked for in the databases in turn; all, or the `last_days` alone."""
    from darwin.rl.agents.pages import PAGES
    from darwin.rl.training.dataset import read_rows

    with sources_of(run_ids, dbs) as sources:
        return read_rows(
            PAGES[agent], sources, allow_small=allow_small, observe=observe, last_days=last_days
        )


def watch_of(
    rows: Rows,
    run_ids: tuple[str, ...],
    dbs: tuple[Path, ...],
    observe: Observe,
    last_days: float | None = None,
) -> Watch:
    """The canaries of a training on `rows`, with what the journal tells of them."""
    from darwin.rl.training.canaries.told import read_told
    from darwin.rl.training.canaries.watch import Watch

    with sources_of(run_ids, dbs) as sources:
        return Watch(read_told(rows.page, sources, rows, observe=observe, last_days=last_days))


def observing(agent: str, artifacts_dir: str) -> Observe:
    """Has a run that the agent took no part in made again, once, with it at the door."""
    from darwin.bootstrap.observing import observations
    from darwin.rl.agents.pages import PAGES

    made: dict[tuple[Path, str], Mapping[bytes, bytes]] = {}

    def observe(database: Database, run_id: str) -> Mapping[bytes, bytes]:
        key = database.path, run_id
        if key not in made:
            made[key] = observations(database, run_id, PAGES[agent], artifacts_dir)
        return made[key]

    return observe

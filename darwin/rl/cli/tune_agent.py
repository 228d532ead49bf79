"""`python -m darwin.rl.cli.tune_agent`, also `darwin rl tune`."""

from __future__ import annotations

import hashlib
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from darwin.core.agents import AGENTS
from darwin.errors import ConfigError
from darwin.rl.cli.columns import print_json
from darwin.rl.cli.ledger import ledger
from darwin.rl.cli.options import Deployment, database_options, login, placed, said
from darwin.rl.cli.training_options import (
    observing,
    plan_of,
    plan_options,
    require_training,
    row_options,
    rows_of,
)
from darwin.rl.cli.tuning_page import (
    Outcome,
    command_to_train,
    print_outcome,
    print_spaces,
    tell_trial,
    tree_of_search,
)

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from darwin.rl.training.search import Engine, Task

NOTHING_FINISHED = 11
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def _study_name(context: click.Context, parameter: click.Parameter, value: str | None) -> Any:
    if value is not None and not _NAME.fullmatch(value):
        raise click.BadParameter("is a name of letters, digits, '.', '_', '-', at most 64 of them")
    return value


def _seconds(context: click.Context, parameter: click.Parameter, value: float | None) -> Any:
    if value is not None and not (0.0 < value < math.inf):
        raise click.BadParameter("is not a number of seconds above 0")
    return value


def _show_spaces(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        require_training("optuna")
        print_spaces()
        context.exit()


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "default_map": {"seeds": 1}}
)
@click.argument("agent", type=click.Choice(AGENTS))
@row_options
@click.option(
    "--trials", type=click.IntRange(1, 100_000), default=30, show_default=True,
    help="Recipes that are to be finished in all, earlier ones of the study too.",
)  # fmt: skip
@click.option(
    "--jobs", type=click.IntRange(1, 1024),
    help="Recipes tried at a time; else 1, with --engine ray one for each CPU of the cluster.",
)  # fmt: skip
@click.option(
    "--timeout", type=float, callback=_seconds, metavar="SECONDS",
    help="Begin no recipe after so long; those under way are finished.",
)  # fmt: skip
@click.option("--storage", metavar="URL", help="Where the study is kept, if elsewhere.")
@click.option(
    "--study", metavar="NAME", callback=_study_name,
    help="Its name; else one that rows, plan and space give.",
)  # fmt: skip
@click.option(
    "--engine", "engine_name", type=click.Choice(["local", "ray"]), default="local",
    show_default=True, help="local: processes of this machine; ray: a cluster.",
)  # fmt: skip
@click.option("--ray-address", metavar="ADDRESS", help="The cluster; else one is started here.")
@click.option(
    "--space", is_flag=True, is_eager=True, expose_value=False, callback=_show_spaces,
    help="Print what a search may choose, and leave.",
)  # fmt: skip
@plan_options
@click.option(
    "--by", default=login, metavar="NAME", callback=said, help="Who searches; else the login name."
)
@database_options
def tune(
    agent: str,
    run_ids: tuple[str, ...],
    more_db: tuple[str, ...],
    allow_small: bool,
    last_days: float | None,
    trials: int,
    jobs: int | None,
    timeout: float | None,
    storage: str | None,
    study: str | None,
    engine_name: str,
    ray_address: str | None,
    by: str,
    artifacts_dir: str,
    db: str | None,
    as_json: bool,
    **asked: Any,
) -> int:
    """Search for a recipe to train AGENT with, by what it gains on validation.

    The rows are cut as `darwin rl train` cuts them; the test is not looked at. The default recipe
    is tried first. A search that was stopped goes on with the same command until as many recipes
    are finished as were asked for. The best is written as recipe.json. Exit 11: none was finished.

    \b
    Examples:
      darwin rl tune gate --run-ids run_001,run_002 --trials 40 --jobs 4
      darwin rl tune portfolio --run-ids run_001 --seeds 3 --engine ray --ray-address auto
      darwin rl tune --space
    """
    if ray_address is not None and engine_name != "ray":
        raise ConfigError(
            "only --engine ray joins a cluster", where="--ray-address", mend="add --engine ray"
        )
    require_training("optuna")
    where = Deployment.of(artifacts_dir, db, None)
    plan = plan_of(agent, **asked)
    from darwin.rl.training.search import Search, Task, is_finished
    from darwin.rl.training.search_space import SPACES, digest_of
    from darwin.rl.training.search_study import kept_study
    from darwin.rl.training.search_trials import ledger_rows

    dbs, observe = (where.db, *map(Path, more_db)), observing(agent, artifacts_dir)
    rows = rows_of(agent, run_ids, dbs, allow_small, observe, last_days)
    task, space = Task.of(rows, plan), SPACES[agent, plan.recipe.algo]
    terms = {"set of rows": rows.digest, "plan": plan.digest(), "space": digest_of(space)}
    name = study or hashlib.sha256("".join(terms.values()).encode()).hexdigest()[:16]
    folder = placed(artifacts_dir, "artifacts/rl_training") / agent
    url = storage or f"sqlite:///{folder / 'search.sqlite'}"
    note = ledger(where.db, by, resume=True)

    def keep(trial: FrozenTrial) -> None:
        for network in ledger_rows(trial, rows, plan):
            note(network)

    def heard(trial: FrozenTrial) -> None:
        keep(trial)
        tell_trial(trial)

    with kept_study(url, name, terms) as kept:
        for trial in filter(is_finished, kept.study.get_trials(deepcopy=False)):
            keep(trial)  # where a kill came between the study and the ledger
        search = Search(kept.study, space, plan, heard, kept.beat)
        search.run(_engine(engine_name, task, jobs, ray_address), trials, timeout)
        outcome = Outcome.of(kept.study, task, kept.place)
    if outcome.best is not None:
        from darwin.report.files import write_text
        from darwin.rl.training.recipe_file import recipe_text

        file = folder / "searches" / name / "recipe.json"
        write_text(file, recipe_text(agent, outcome.recipe))
        outcome = outcome.written(file, command_to_train(click.get_current_context(), file))
    if as_json:
        print_json(tree_of_search(outcome))
    else:
        print_outcome(outcome)
    return NOTHING_FINISHED if outcome.best is None else 0


def _engine(name: str, task: Task, jobs: int | None, address: str | None) -> Engine:
    if name == "local":
        from darwin.rl.training.search_local import LocalEngine

        return LocalEngine(task, jobs or 1)
    from importlib.util import find_spec

    if not find_spec("ray"):
        raise ConfigError(
            "a cluster needs ray, which the core install leaves out",
            where="--engine ray",
            mend='pip install -e ".[rl,ray]"',
        )
    from darwin.rl.training.search_ray import RayEngine

    return RayEngine(task, jobs, address)


if __name__ == "__main__":
    from darwin.rl.cli.door import leave_through

    leave_through(tune)

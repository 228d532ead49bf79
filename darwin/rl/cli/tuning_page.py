"""What a search came to, for a machine and for a person."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from darwin.rl.cli.columns import print_columns

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from darwin.rl.training.course import Plan
    from darwin.rl.training.recipes import Recipe
    from darwin.rl.training.search import Task

SHOWN = 10
FEWEST_FOR_IMPORTANCE = 10
_PASSED_ON = (
    "run_ids", "more_db", "allow_small", "last_days", "total_timesteps", "eval_freq", "seed",
    "test_from", "embargo_hours", "patience", "calls", "stretch", "device", "artifacts_dir", "db",
)  # fmt: skip
"""Options that mean the same to a training; seeds it merges as many as by default."""


@dataclass(frozen=True)
class Outcome:
    """What stands in a study once a search has ended."""

    task: Task
    study: str
    place: str
    trials: Sequence[FrozenTrial]  # all of them, in order
    importance: dict[str, float]  # of what may be chosen, sums to 1; empty while that is not known
    file: Path | None = None  # of the best recipe
    command: str = ""  # that trains with it

    @classmethod
    def of(cls, study: Study, task: Task, place: str) -> Outcome:
        """Read a study."""
        trials = study.get_trials()
        complete = sum(trial.state.name == "COMPLETE" for trial in trials)
        importance = _importance(study) if complete >= FEWEST_FOR_IMPORTANCE else {}
        return cls(task, study.study_name, place, trials, importance)

    @property
    def agent(self) -> str:
        """Whose recipe is searched for."""
        return self.task.train.page.name

    @property
    def plan(self) -> Plan:
        """How each recipe is tried."""
        return self.task.plan

    @property
    def ranked(self) -> list[FrozenTrial]:
        """Complete trials, the best first; of equals the earlier."""
        complete = [trial for trial in self.trials if trial.state.name == "COMPLETE"]
        return sorted(complete, key=lambda trial: (-(trial.value or 0.0), trial.number))

    @property
    def best(self) -> FrozenTrial | None:
        """The trial that gained most on validation."""
        return next(iter(self.ranked), None)

    @property
    def default(self) -> FrozenTrial | None:
        """The trial of the default recipe."""
        return next((trial for trial in self.ranked if trial.user_attrs.get("draw") == 0), None)

    @property
    def recipe(self) -> Recipe:
        """That of the best trial, which there must be."""
        from darwin.rl.training.search_space import recipe_with

        assert self.best is not None
        return recipe_with(self.plan.recipe, self.best.params)

    @property
    def counts(self) -> Counter[str]:
        """How many trials came to what."""
        return Counter(_state(trial) for trial in self.trials)

    def written(self, file: Path, command: str) -> Outcome:
        """The same, with the file of the best recipe."""
        return replace(self, file=file, command=command)


def _importance(study: Study) -> dict[str, float]:
    """How much each choice told the best tenth apart (PED-ANOVA, Watanabe et al. 2023)."""
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    return get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())


def _state(trial: FrozenTrial) -> str:
    from darwin.rl.training.search import was_interrupted

    if was_interrupted(trial):
        return "interrupted"
    names = {"COMPLETE": "complete", "PRUNED": "given up", "FAIL": "failed"}
    return names.get(trial.state.name, "under way")


def tell_trial(trial: FrozenTrial) -> None:
    """Say on stderr what a trial came to."""
    looks = len(trial.intermediate_values)
    told = {
        "complete": f"learned gain {trial.value or 0.0:+.4f} R on validation",
        "given up": f"given up after {looks} look{'s' if looks > 1 else ''}",
        "failed": f"failed: {trial.user_attrs.get('fault')}",
    }
    click.echo(f"trial {trial.number}: {told[_state(trial)]}", err=True)


def tree_of_search(outcome: Outcome) -> dict[str, Any]:
    """All that was found, for a machine."""
    from darwin.rl.training.recipe_file import tree_of_recipe

    best, default = outcome.best, outcome.default
    return {
        "agent": outcome.agent,
        "algo": outcome.plan.recipe.algo,
        "study": outcome.study,
        "storage": outcome.place,
        "seeds": outcome.plan.seeds,
        "rows": {"train": len(outcome.task.train), "validation": len(outcome.task.validation)},
        "counts": dict(outcome.counts),
        "best": None if best is None else best.number,
        "best_learned_gain_r": None if best is None else best.value,
        "default_learned_gain_r": None if default is None else default.value,
        "recipe": None if best is None else tree_of_recipe(outcome.agent, outcome.recipe),
        "recipe_file": None if outcome.file is None else str(outcome.file),
        "command": outcome.command or None,
        "importance": outcome.importance,
        "trials": [
            {
                "number": trial.number,
                "state": _state(trial),
                "learned_gain_r": trial.value if _state(trial) == "complete" else None,
                "gains_of_seeds": trial.user_attrs.get("gains", []),
                "sharpes_of_seeds": trial.user_attrs.get("sharpes", []),
                "chosen": trial.params,
                "looks": {str(at): gain for at, gain in trial.intermediate_values.items()},
                "where": trial.user_attrs.get("where", ""),
                "tries": trial.user_attrs.get("tries", 0),
                "fault": trial.user_attrs.get("fault"),
            }
            for trial in outcome.trials
        ],
    }


def print_outcome(outcome: Outcome) -> None:
    """Tell a person what was found."""
    train, validation = len(outcome.task.train), len(outcome.task.validation)
    click.echo(
        f"{outcome.agent}: {train:,} rows of training, {validation:,} of validation;"
        f" study {outcome.study} in {outcome.place}"
    )
    click.echo(", ".join(f"{count} {what}" for what, count in sorted(outcome.counts.items())))
    best, default = outcome.best, outcome.default
    if best is None:
        click.echo("No trial was completed; there is no best recipe.")
        return
    names = list(best.params)
    print_columns(
        ("trial", "gain R", *names),
        [
            (str(one.number), f"{one.value:+.4f}", *(_short(one.params[name]) for name in names))
            for one in outcome.ranked[:SHOWN]
        ],
    )
    if outcome.importance:
        told = ", ".join(f"{name} {share:.0%}" for name, share in outcome.importance.items())
        click.echo(f"Importance: {told}.")
    beside = "" if default is None else f"; the default recipe gains {default.value:+.4f} R"
    click.echo(
        f"Best on validation: trial {best.number}, {best.value:+.4f} R per decision{beside}."
        " The best of many flatters itself; the test will tell."
    )
    click.echo(f"recipe: {outcome.file}")
    click.echo(f"train with it: {outcome.command}")


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def print_spaces() -> None:
    """Print what a search may choose."""
    from darwin.rl.training.search_space import SPACES, told

    rows = [
        (agent, algo, name, told(one))
        for (agent, algo), space in SPACES.items()
        for name, one in space.items()
    ]
    print_columns(("agent", "algo", "what", "range"), rows)


def command_to_train(context: click.Context, recipe: Path) -> str:
    """The command that trains on the same rows with the recipe in a file."""
    words = ["darwin", "rl", "train", context.params["agent"]]
    source = click.core.ParameterSource.DEFAULT
    for name in _PASSED_ON:
        if context.get_parameter_source(name) in (source, None):
            continue
        option = next(one for one in context.command.params if one.name == name)
        words += _said(option.opts[0], name, context.params[name])
    return shlex.join([*words, "--recipe", str(recipe)])


def _said(option: str, name: str, value: Any) -> list[str]:
    if name == "run_ids":
        return [option, ",".join(value)]
    if name == "test_from":
        return [option, f"{datetime.fromtimestamp(value / 1000, UTC):%Y-%m-%d}"]
    if isinstance(value, bool):
        return [option] if value else []
    many = value if isinstance(value, tuple) else (value,)
    return [word for one in many for word in (option, str(one))]

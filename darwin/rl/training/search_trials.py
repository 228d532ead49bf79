"""What the ledger keeps of a trial of a search: it was one more look at validation."""

from __future__ import annotations

from dataclasses import replace

from optuna.trial import FrozenTrial

from darwin.rl.training.course import Plan
from darwin.rl.training.rows import Rows
from darwin.rl.training.search_space import recipe_with
from darwin.rl.training.splits import cuts_of
from darwin.rl.training.trials import SEARCH, Trial


def ledger_rows(trial: FrozenTrial, rows: Rows, plan: Plan) -> list[Trial]:
    """One for each network of a finished trial that validation was looked at with.

    Of a trial that was given up the last network alone is known, by its best look and without a
    Sharpe ratio; of one that failed before any look there is none.
    """
    tried = replace(plan, recipe=recipe_with(plan.recipe, trial.params))
    gains: list[float] = list(trial.user_attrs.get("gains", ()))
    finished, sharpes = bool(gains), [*trial.user_attrs.get("sharpes", ()), *[None] * len(gains)]
    if not finished and trial.intermediate_values:
        gains = [max(trial.intermediate_values.values())]
    looked = plan.timesteps if finished else plan.eval_freq * max(trial.intermediate_values or [0])
    test_from = cuts_of(rows, plan.embargo_ms, plan.test_from).test_from
    return [
        Trial(
            rows.page.name, SEARCH, finished, rows.digest, tried.digest(), tried.recipe.algo,
            plan.seed + at, min(looked, plan.timesteps), int(rows.decided.min()), test_from,
            int(rows.settled.max()), gain, sharpes[at] if finished else None,
        )
        for at, gain in enumerate(gains)
    ]  # fmt: skip

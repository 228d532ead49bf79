"""Two small trainings whose result is known: one must learn all, the other nothing."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from darwin.core.market import FloatArray
from darwin.rl.training.canaries import pay
from darwin.rl.training.canaries.bars import spread
from darwin.rl.training.canaries.finding import Finding, unchecked
from darwin.rl.training.gains import groups_of, learned_gain
from darwin.rl.training.network import actions_of, scores
from darwin.rl.training.recipes import A2C, PPO, SAC, recipe_of
from darwin.rl.training.rows import Normaliser, Rows
from darwin.rl.training.trainer import Job, at_rate, train

LEAST_SHARE = 0.80
"""Of what is attainable, for who sees the outcome."""

FURTHEST_ERRORS = 4.0
"""A mean gain on permuted outcomes lies further from zero once in 16,000 trainings."""

_STEPS = 40_960  # of the oracle, twice that for sizes; the other has no mark to reach
_ENVIRONMENTS = {PPO: 128, A2C: 32}  # fewer than in a training: more updates out of as many steps
_ROWS = 4_000
_PERMUTATIONS = 400
_SEED = 20_260_201


def outcome_is_learned_when_seen(job: Job) -> Finding:
    """*Oracle*: with R among what it sees, the learner earns 80 % of what could be earned.

    Measured beyond the best action that is the same for all rows, with the rewards of double
    entry: a learner that does not learn, a reward of another action and a world that shows another
    row all stay below.
    """
    rows = _some(job.train)
    seen = rows.observations.copy()
    seen[:, 0] = rows.r
    rows = rows.with_observations(seen)
    normaliser = Normaliser.of(rows)
    worth = pay.table(rows)
    if rows.page.is_continuous:
        worth = np.column_stack([np.zeros(len(rows)), worth])
    blind, all_ = float(worth.mean(axis=0).max()), float(worth.max(axis=1).mean())
    if not all_ - blind > 1e-6:
        return unchecked("oracle", "no row has anything to be earned beyond the same for all")
    steps = 2 * _STEPS if rows.page.is_continuous else _STEPS
    network = train(_short(job, rows, rows, normaliser, steps)).network
    actions = actions_of(rows.page, network, normaliser(rows.observations), None)
    earned = (
        actions * rows.r if rows.page.is_continuous
        else worth[np.arange(len(rows)), actions.astype(np.int64)]
    )  # fmt: skip
    share = (float(earned.mean()) - blind) / (all_ - blind)
    instead = " (learned with ppo, as sac would take minutes)" if job.recipe.algo == SAC else ""
    said = f"who sees the outcome earns {share:.1%} of what is attainable{instead}"
    return Finding("oracle", share >= LEAST_SHARE, share, said)


def nothing_is_learned_by_chance(job: Job) -> Finding:
    """*Shuffle*: trained on permuted outcomes, the gain on validation is zero but for chance.

    Whole outcomes are permuted (R, verdict, call) among rows whose rival is the same, so that
    nothing that is seen tells them. The mean gain over many permutations of validation, under the
    actions of the trained network, is compared with its standard error.
    """
    rng = np.random.default_rng(_SEED)
    validation = _some(job.validation)
    mixed = _permuted(_some(job.train), rng)
    network = train(_short(job, mixed, validation, job.normaliser, _STEPS // 5)).network
    seen = job.normaliser(validation.observations)
    score = scores(validation.page, network, seen)
    rate = validation.page.departure_rate or 0.0
    actions = at_rate(validation, network, seen, score, rate)
    away = errors_from_zero(validation, actions, rng)
    if away is None:
        return unchecked("shuffle", "the network does the same for all, or outcomes are alike")
    said = f"on permuted outcomes the learned gain lies {away:+.1f} standard errors from zero"
    return Finding("shuffle", abs(away) <= FURTHEST_ERRORS, away, said)


def errors_from_zero(rows: Rows, actions: FloatArray, rng: np.random.Generator) -> float | None:
    """How many standard errors the mean gain of `actions` (n,) over permutations is from zero.

    None where all permutations come to the same.
    """
    gains = [learned_gain(_permuted(rows, rng), actions) for _ in range(_PERMUTATIONS)]
    error = float(np.std(gains, ddof=1)) / math.sqrt(_PERMUTATIONS)
    return float(np.mean(gains)) / error if error > 1e-12 else None


def _some(rows: Rows) -> Rows:
    """At most so many rows, evenly."""
    return rows.select(spread(len(rows), _ROWS))


def _permuted(rows: Rows, rng: np.random.Generator) -> Rows:
    """The same candidates with each other's outcomes, within groups whose rival is the same."""
    order, groups = np.arange(len(rows)), groups_of(rows)
    for group in np.unique(groups):
        mine = np.flatnonzero(groups == group)
        order[mine] = rng.permutation(mine)
    return replace(
        rows, r=rows.r[order], take=rows.take[order], call_cost_r=rows.call_cost_r[order]
    )


def _short(job: Job, rows: Rows, validation: Rows, normaliser: Normaliser, steps: int) -> Job:
    """A training of a second or two by the page's own recipe, looked at once at its end."""
    agent, algo = rows.page.name, PPO if job.recipe.algo == SAC else job.recipe.algo
    recipe = replace(recipe_of(agent, algo), departure_rate=rows.page.departure_rate)
    recipe = replace(recipe, environments=_ENVIRONMENTS.get(algo, recipe.environments))
    return Job(rows, validation, normaliser, recipe, 0, steps, steps)

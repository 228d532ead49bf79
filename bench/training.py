"""How fast training is: beside stable-baselines3 at its defaults, on the same rows of the gate."""

from __future__ import annotations

import time
import warnings
from dataclasses import replace

import numpy as np

from bench.planted import best_on_what_is_seen, planted_world, who_expects
from bench.tables import table
from darwin.core.agents import GATE
from darwin.rl.training.course import Plan, cuts_of, run_course, split
from darwin.rl.training.gains import learned_gain
from darwin.rl.training.network import network_of, scores
from darwin.rl.training.recipes import PPO as OURS
from darwin.rl.training.recipes import recipe_of
from darwin.rl.training.rows import Normaliser, Rows, without_strange
from darwin.rl.training.trainer import Evaluation, Job, at_rate, train

STEPS, EVALUATE = 100_000, 10_000
DEFAULTS_AT_MOST = 120_000
SEEDS = (0, 1, 2, 3, 4)
RATE, WANTED = 0.3, 0.8


def main() -> None:
    """Print the goals of training."""
    world, other, third = (planted_world(seed) for seed in (211, 212, 213))
    rows = world.rows[GATE]
    began = time.perf_counter()
    run_course(rows, Plan(recipe_of(GATE), STEPS, EVALUATE, seeds=1))
    course_s = time.perf_counter() - began
    parts = split(rows, cuts_of(rows, 24 * 3_600_000))
    known, normaliser = without_strange(parts.train)
    test = parts.test
    paid = test.with_outcomes(np.array([world.paid[one] for one in test.ids]))
    seen = best_on_what_is_seen([other, third], GATE)
    oracle = learned_gain(paid, who_expects(test, seen(test), RATE))
    ours = [_ours(known, normaliser, paid, WANTED * oracle, s) for s in SEEDS]
    theirs = [_defaults(known, normaliser, paid, WANTED * oracle, seed) for seed in SEEDS]
    table(
        f"Training the gate on {len(known):,} rows; {WANTED:.0%} of the best on what is seen is"
        f" {WANTED * oracle:+.4f} R",
        ("", "steps/s", "s to it, by seed", "reached"),
        [
            (name, f"{np.median([rate for rate, _ in found]):,.0f}",
             ", ".join("-" if s is None else f"{s:.2f}" for _, s in found),
             f"{sum(s is not None for _, s in found)} of {len(found)}")
            for name, found in (("Darwin", ours), ("stable-baselines3 defaults", theirs))
        ],
    )  # fmt: skip
    print(
        f"\n{STEPS:,} PPO steps of the gate, evaluations and one look at the test: {course_s:.1f} s"
    )


def _ours(
    known: Rows, normaliser: Normaliser, paid: Rows, wanted: float, seed: int
) -> tuple[float, float | None]:
    """Steps per second, and the seconds until an evaluation on `paid` came to `wanted`.

    The looks are at the rows that count: nothing else would tell when the learner got there.
    """
    reached: list[float] = []
    began = time.perf_counter()

    def tell(_steps: int, found: Evaluation | None) -> None:
        if found is not None and found.learned_gain >= wanted and not reached:
            reached.append(time.perf_counter() - began)

    recipe = replace(recipe_of(GATE), departure_rate=RATE)
    train(Job(known, paid, normaliser, recipe, seed, STEPS, 4096), tell)
    took = time.perf_counter() - began
    return STEPS / took, reached[0] if reached else None


def _defaults(
    known: Rows, normaliser: Normaliser, paid: Rows, wanted: float, seed: int
) -> tuple[float, float | None]:
    """The same of PPO as it comes, on the scalar environment, looked at every 8,192 steps."""
    import torch
    from stable_baselines3 import PPO

    from darwin.rl.training.gym_env import ReplayEnv

    torch.set_num_threads(1)
    page, shown = paid.page, normaliser(paid.observations)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = PPO("MlpPolicy", ReplayEnv(GATE, known, normaliser), seed=seed, device="cpu")
    spent, steps = 0.0, 0
    while steps < DEFAULTS_AT_MOST:
        began = time.perf_counter()
        model.learn(8192, reset_num_timesteps=False)
        spent += time.perf_counter() - began
        steps += 8192
        network = network_of(model, page, OURS)
        score = scores(page, network, shown)
        if learned_gain(paid, at_rate(paid, network, shown, score, RATE)) >= wanted:
            return steps / spent, spent
    return steps / spent, None

"""What is learned where something is planted, and where nothing is: worlds unseen in development.

*Planted*: gains are reckoned with E[R] by the law of the world instead of what chance made of it,
and compared with the rule that knows it: it leaves the baseline where E[R] is lowest, as often as
the network does. It ranks by one simulation of the law and is paid by another. *Null*: nothing is
planted and trading costs nothing, so that there is nothing to be learned.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from bench import learning_worlds as worlds
from bench.tables import table
from darwin.core.agents import AGENTS
from darwin.rl.training.course import Course, Plan, interquartile_mean, run_course
from darwin.rl.training.gains import departs, gains, learned_gain
from darwin.rl.training.recipes import recipe_of
from darwin.rl.training.rows import Rows
from darwin.rl.training.supervised import leave_at_rate

PLANTED_SEEDS = (201, 202, 203, 204, 205)
NULL_SEEDS = tuple(range(301, 311))
BARS, EDGE, PAIRS = 40_000, 0.3, 256
STEPS, EVALUATE = 100_000, 10_000


def main() -> None:
    """Print both tables."""
    planted(PLANTED_SEEDS)
    null(NULL_SEEDS)


def planted(seeds: tuple[int, ...]) -> None:
    """Train each page in each world."""
    rows, shares, learned = [], [], dict.fromkeys(AGENTS, 0)
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            database = worlds.make(Path(folder), seed, EDGE, BARS, {})
            for agent in AGENTS:
                began = time.perf_counter()
                course = _course(worlds.rows_in(database, agent), seed)
                took = time.perf_counter() - began
                ours, bayes, auc = _by_the_law(course, database)
                learned[agent] += course.learned
                if agent == "gate":
                    shares.append(ours / bayes)
                test = course.test.learned
                rows.append((
                    f"{seed} {agent}", f"{len(course.rows):,}", f"{auc:.3f}",
                    f"{test.value:+.4f}", f"{test.low:+.4f} .. {test.high:+.4f}",
                    f"{interquartile_mean(course.of_seeds):+.4f}",
                    f"{course.learner.learned.value:+.4f}",
                    f"{ours:+.4f}", f"{bayes:+.4f}", f"{ours / bayes:.0%}", f"{took:.1f}",
                ))  # fmt: skip
    table(
        f"Planted world, edge {EDGE}: learned gain on the test, R per decision",
        ("world, agent", "rows", "AUC", "gain", "95 % interval", "IQM of seeds", "supervised",
         "by E[R]", "Bayes", "share", "s"),
        rows,
    )  # fmt: skip
    print(f"\ngate: {sum(share >= 0.8 for share in shares)} of {len(shares)} reach 80 % of Bayes")
    for agent, count in learned.items():
        print(f"{agent}: interval above zero in {count} of {len(seeds)}")


def null(seeds: tuple[int, ...]) -> None:
    """Train each page where nothing is to be learned."""
    rows, outside = [], 0
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            database = worlds.make(Path(folder), seed, 0.0, BARS, worlds.FREE)
            for agent in AGENTS:
                course = _course(worlds.rows_in(database, agent), seed)
                wide = gains(course.parts.test, course.actions, level=0.99).learned
                excludes = not wide.low <= 0.0 <= wide.high
                outside += excludes
                rows.append((
                    f"{seed} {agent}", f"{len(course.rows):,}", f"{wide.value:+.4f}",
                    f"{wide.low:+.4f} .. {wide.high:+.4f}", "excludes zero" if excludes else "",
                    course.verdict().partition(":")[0],
                ))  # fmt: skip
    table(
        "Null world, free of costs: learned gain on the test, R per decision",
        ("world, agent", "rows", "gain", "99 % interval", "", "verdict"),
        rows,
    )
    print(f"\n{outside} of {len(rows)} intervals exclude zero")


def _course(rows: Rows, seed: int) -> Course:
    return run_course(rows, Plan(recipe_of(rows.page.name), STEPS, EVALUATE, seed=seed))


def _by_the_law(course: Course, database: Path) -> tuple[float, float, float]:
    """Learned gain by E[R] of the network and of the rule that knows it, and the AUC."""
    test = course.parts.test
    ranks, auc = worlds.promised(test, database, PAIRS, 0)
    expected, _ = worlds.promised(test, database, PAIRS, 1)
    paid = test.with_outcomes(expected)
    rate = float(departs(test, course.actions).mean())
    known = test.with_outcomes(ranks)
    if test.page.is_continuous:
        best = leave_at_rate(known, ranks[:, None], rate)
    else:
        worth = known.rewards - known.rewards[:, [int(test.page.baseline)]]
        best = leave_at_rate(known, worth, rate)
    assert np.isfinite(best).all()
    return learned_gain(paid, course.actions), learned_gain(paid, best), auc

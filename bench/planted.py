"""What is learned where something is planted, and where nothing is: worlds unseen in development.

*Planted*: gains are reckoned with E[R] by the law of the world instead of what chance made of it.
They are compared with two rules that leave the baseline as often as the network does, where E[R] is
lowest. The *best on what is seen* estimates E[R | observation]: a network fitted to the law's E[R]
on the observations of the other four worlds, whose labels carry no chance. It estimates from below,
so that shares of it are upper bounds. The *observer* knows the law and every bar; an observation is
less than that. *Null*: nothing is planted and trading costs nothing, so that there is nothing to be
learned.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench import learning_worlds as worlds
from bench.tables import table
from darwin.core.agents import AGENTS, GATE
from darwin.core.market import FloatArray
from darwin.rl.training.course import Course, Plan, interquartile_mean, run_course
from darwin.rl.training.gains import departs, learned_gain
from darwin.rl.training.recipes import recipe_of
from darwin.rl.training.rows import Normaliser, Rows
from darwin.rl.training.supervised import leave_at_rate

PLANTED_SEEDS = (201, 202, 203, 204, 205)
NULL_SEEDS = tuple(range(301, 311))
BARS, EDGE, PAIRS = 40_000, 0.25, 128
STEPS, EVALUATE = 100_000, 10_000


class World(NamedTuple):
    """A planted world: its rows by agent, and what its law promises of each candidate."""

    seed: int
    rows: dict[str, Rows]
    ranks: dict[bytes, float]  # E[R] by candidate id, from one simulation of the law
    paid: dict[bytes, float]  # and from another, so that noise in the ranks is not paid for
    auc: float


def main() -> None:
    """Print both tables."""
    planted(PLANTED_SEEDS)
    null(NULL_SEEDS)


def planted(seeds: tuple[int, ...]) -> None:
    """Train each page in each world."""
    made = [planted_world(seed) for seed in seeds]
    rows, learned, shares = [], dict.fromkeys(AGENTS, 0), []
    for world in made:
        for agent in AGENTS:
            began = time.perf_counter()
            course = _course(world.rows[agent], world.seed)
            took = time.perf_counter() - began
            seen = best_on_what_is_seen([one for one in made if one is not world], agent)
            ours, best, observer = by_the_law(course, world, seen)
            learned[agent] += course.learned
            shares += [ours / best] if agent == GATE else []
            test, sure = course.test.learned, course.test.decisive
            rows.append((
                f"{world.seed} {agent}", f"{len(course.rows):,}", f"{world.auc:.3f}",
                f"{test.value:+.4f}", f"{test.low:+.4f} .. {test.high:+.4f}",
                f"{sure.low:+.4f} .. {sure.high:+.4f}",
                f"{interquartile_mean(course.of_seeds):+.4f}",
                f"{course.learner.learned.value:+.4f}", f"{ours:+.4f}",
                f"{best:+.4f}", f"{ours / best:.0%}", f"{ours / observer:.0%}", f"{took:.1f}",
            ))  # fmt: skip
    table(
        f"Planted worlds, edge {EDGE}: learned gain on the test, R per decision",
        ("world, agent", "rows", "AUC", "gain", "95 % interval", "99 % interval", "IQM of seeds",
         "supervised", "by E[R]", "best on seen", "share", "of observer", "s"),
        rows,
    )  # fmt: skip
    reached = sum(share >= 0.8 for share in shares)
    print(f"\ngate: at least 80 % of the best on what is seen in {reached} of {len(shares)}")
    for agent, count in learned.items():
        print(f"{agent}: 99 % interval above zero, a model handed over in {count} of {len(made)}")


def null(seeds: tuple[int, ...]) -> None:
    """Train each page where nothing is to be learned."""
    rows, outside, idle = [], 0, 0
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            database = worlds.make(Path(folder), seed, 0.0, BARS, worlds.FREE)
            for agent in AGENTS:
                course = _course(worlds.rows_in(database, agent), seed)
                wide = course.test.decisive
                excludes = not wide.low <= 0.0 <= wide.high
                outside += excludes
                idle += not course.learned
                rows.append((
                    f"{seed} {agent}", f"{len(course.rows):,}", f"{wide.value:+.4f}",
                    f"{wide.low:+.4f} .. {wide.high:+.4f}", "excludes zero" if excludes else "",
                    course.verdict().partition(":")[0],
                ))  # fmt: skip
    table(
        "Null worlds, free of costs: learned gain on the test, R per decision",
        ("world, agent", "rows", "gain", "99 % interval", "", "verdict"),
        rows,
    )
    print(f"\n{outside} of {len(rows)} intervals exclude zero")
    print(f"{idle} of {len(rows)} reports say that nothing learnable was found")


def planted_world(seed: int, bars: int = BARS) -> World:
    """Make the run of one world, and reckon what its law promises."""
    with tempfile.TemporaryDirectory() as folder:
        database = worlds.make(Path(folder), seed, EDGE, bars, {})
        rows = {agent: worlds.rows_in(database, agent) for agent in AGENTS}
        widest = max(rows.values(), key=len)
        ranks, auc = worlds.promised(widest, database, PAIRS, 0)
        paid, _ = worlds.promised(widest, database, PAIRS, 1)
    ids = widest.ids.tolist()
    return World(seed, rows, dict(zip(ids, ranks, strict=True)), dict(zip(ids, paid, strict=True)),
                 auc)  # fmt: skip


def best_on_what_is_seen(others: list[World], agent: str) -> Callable[[Rows], FloatArray]:
    """E[R | observation] of rows, shape (n,): the law's E[R] regressed on `others`' observations.

    A network of two layers of 128, thirty passes, weights decayed.
    """
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    seen = np.concatenate([one.rows[agent].observations for one in others])
    normaliser = Normaliser(seen.mean(axis=0), np.maximum(seen.std(axis=0), 1e-6))
    told = [(one.ranks[i] + one.paid[i]) / 2 for one in others for i in one.rows[agent].ids]
    x = torch.from_numpy(np.clip(normaliser(seen), -10.0, 10.0))
    y = torch.tensor(told, dtype=torch.float32)[:, None]
    net = torch.nn.Sequential(
        torch.nn.Linear(x.shape[1], 128), torch.nn.Tanh(), torch.nn.Linear(128, 128),
        torch.nn.Tanh(), torch.nn.Linear(128, 1),
    )  # fmt: skip
    passes, batch = 30, 512
    steps = passes * (-(-len(x) // batch))
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-4)
    falling = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, steps)
    for _ in range(passes):
        for some in torch.randperm(len(x)).split(batch):
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(net(x[some]), y[some]).backward()
            optimizer.step()
            falling.step()

    def expect(rows: Rows) -> FloatArray:
        shown = torch.from_numpy(np.clip(normaliser(rows.observations), -10.0, 10.0))
        with torch.no_grad():
            expected: FloatArray = net(shown)[:, 0].numpy().astype(np.float64)
        return expected

    return expect


def by_the_law(
    course: Course, world: World, seen: Callable[[Rows], FloatArray]
) -> tuple[float, float, float]:
    """Learned gain by E[R] on the test: the network's, the best on what is seen, the observer's."""
    test = course.parts.test
    rate = float(departs(test, course.actions).mean())
    paid = test.with_outcomes(np.array([world.paid[one] for one in test.ids]))
    ranks = np.array([world.ranks[one] for one in test.ids])
    return (
        learned_gain(paid, course.actions),
        learned_gain(paid, who_expects(test, seen(test), rate)),
        learned_gain(paid, who_expects(test, ranks, rate)),
    )


def who_expects(rows: Rows, expected: FloatArray, rate: float) -> FloatArray:
    """Actions, shape (n,), of who expects these R and leaves the baseline at `rate`."""
    known = rows.with_outcomes(expected)
    if rows.page.is_continuous:
        return leave_at_rate(known, expected[:, None], rate)
    return leave_at_rate(known, known.rewards - known.rewards[:, [int(rows.page.baseline)]], rate)


def _course(rows: Rows, seed: int) -> Course:
    return run_course(rows, Plan(recipe_of(rows.page.name), STEPS, EVALUATE, seed=seed))

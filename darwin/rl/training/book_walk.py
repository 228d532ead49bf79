"""A network walks over a stretch: what it would have done at each decision, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from darwin.core.market import FloatArray, IntArray
from darwin.rl.serving.book_policy import FLAT, weights_of
from darwin.rl.serving.heads import head
from darwin.rl.training.book_ground import Ground, Stretch, TrainedPage
from darwin.rl.training.book_world import BookWorld
from darwin.rl.training.network import Network
from darwin.rl.training.worlds import Observations

Decide = Callable[[Observations], FloatArray]
"""Standardised observations (e, k) to weights (e, n)."""


class Walked(NamedTuple):
    """Decisions of `parts` books, arrays over (steps, parts)."""

    rows: IntArray
    targets: FloatArray  # (steps, parts, n)
    rewards: FloatArray
    growth: FloatArray
    turnover: FloatArray
    observations: NDArray[np.float32]  # (steps · parts, k), not standardised


class _Parade(BookWorld):
    """Books that begin one after another along the stretch instead of by chance."""

    def _places(self, count: int) -> tuple[IntArray, IntArray]:
        apart = self._length * self._every
        first = self._stretch.start + apart * np.arange(self.size, dtype=np.int64)
        return first[:count], np.full(count, self._stretch.stop)


def decider(page: TrainedPage, network: Network) -> Decide:
    """What `network` asks for, by the very heads that serve."""
    if page.is_continuous:
        return lambda seen: page.targets(weights_of(network.head, network.outputs(seen)))
    decide = head(network.head, page.outputs, FLAT, None)

    def targets(seen: Observations) -> FloatArray:
        codes = [decide(row).action for row in network.outputs(seen).tolist()]
        return page.targets(np.array(codes))

    return targets


def walked(ground: Ground, stretch: Stretch, decide: Decide, parts: int = 1) -> Walked:
    """Walk over `stretch`, cut in `parts` that are walked at once; what is left over is left out.

    Each part begins with the weights of the baseline held.
    """
    every = ground.terms.every
    steps = (stretch.stop - stretch.start) // every // parts
    world = _Parade(ground, stretch, parts, length=steps)
    seen, n, k = world.start(), ground.page.assets, ground.columns.shape[1]
    rows = np.empty((steps, parts), dtype=np.int64)
    targets, observations = np.empty((steps, parts, n)), np.empty((steps, parts, world.width))
    rewards, growth, turnover = (np.empty((steps, parts)) for _ in range(3))
    for at in range(steps):
        rows[at] = world.rows
        observations[at, :, :k] = ground.columns[world.rows]
        observations[at, :, k:] = ground.page.moments(world.books)
        asked = ground.asked[world.rows][:, None]
        targets[at] = np.where(asked, decide(seen), ground.baseline)
        moved = world.step(targets[at])
        rewards[at], growth[at] = moved.rewards, world.made.growth
        turnover[at] = world.made.turnover
        seen = moved.observations
    return Walked(
        rows, targets, rewards, growth, turnover,
        observations.reshape(-1, world.width).astype(np.float32),
    )  # fmt: skip


def of_baseline(ground: Ground) -> Decide:
    """What stands without an agent."""
    return lambda seen: np.broadcast_to(ground.baseline, (len(seen), len(ground.baseline)))

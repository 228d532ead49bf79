"""A served model over a stretch of bars, asked row by row as a run would ask it."""

from __future__ import annotations

import numpy as np

from darwin.core.agents import FURTHEST_SD
from darwin.core.market import FloatArray, IntArray
from darwin.core.panel import Panel
from darwin.core.rebalance import BookState
from darwin.rl.serving.book_policy import BookNumpyPolicy
from darwin.rl.training.book_ground import Ground, Stretch, Terms, TrainedPage, cut
from darwin.rl.training.rows import Normaliser
from darwin.trading import book


def ground_of_model(
    page: TrainedPage, panel: Panel, policy: BookNumpyPolicy, terms: Terms, test_from: int | None
) -> tuple[Ground, Stretch]:
    """The bars as the model sees them, and those that are held out. Raises DataError."""
    columns = page.columns(panel)
    normaliser = Normaliser(np.array(policy.spec.mean), np.array(policy.spec.sd))
    stretch = cut(page, panel, terms.every, test_from).test
    return Ground(page, panel, terms, columns, normaliser), stretch


def served_targets(
    ground: Ground, stretch: Stretch, policy: BookNumpyPolicy
) -> tuple[IntArray, FloatArray]:
    """Rows (k,) and what a book of this model asked for there, (k, n); it begins as its baseline.

    A row that the door would refuse, or advice that it would not take, leaves the baseline.
    """
    page, every = ground.page, ground.terms.every
    rows = stretch.rows(every)
    gap, body, carry = ground.holding
    targets = np.empty((len(rows), page.assets))
    state = BookState(tuple(ground.baseline.tolist()), 1.0, 1.0)
    for at, row in enumerate(rows.tolist()):
        seen = np.append(ground.columns[row], np.array(page.moment(state), dtype=np.float32))
        targets[at] = page.baseline(state)
        if policy.strangeness(seen) <= FURTHEST_SD:
            action = policy.advise(seen).action
            if page.is_legal(action):
                targets[at] = page.target(action)
        moved = book.step(
            np.array([state.weights]), targets[at : at + 1], gap[row : row + 1],
            body[row : row + 1], carry[row : row + 1], ground.terms.cost_rate,
        )  # fmt: skip
        value = state.value * float(moved.growth[0])
        state = state.after(targets[at].tolist(), moved.weights[0].tolist(), value)
    return rows, targets

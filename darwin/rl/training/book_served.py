"""A served model over a stretch of bars, asked row by row as a run would ask it."""

from __future__ import annotations

import numpy as np

from darwin.allocation.benchmark_agent import followed
from darwin.core.market import FloatArray, IntArray
from darwin.core.panel import Panel
from darwin.core.rebalance import BookState
from darwin.rl.serving.book_policy import BookNumpyPolicy
from darwin.rl.training.book_ground import Ground, Stretch, Terms, TrainedPage, held_out
from darwin.rl.training.rows import Normaliser


def ground_of_model(
    page: TrainedPage, panel: Panel, policy: BookNumpyPolicy, terms: Terms, test_from: int | None
) -> tuple[Ground, Stretch]:
    """The bars as the model sees them, and those that are held out. Raises DataError."""
    columns = page.columns(panel)
    normaliser = Normaliser(np.array(policy.spec.mean), np.array(policy.spec.sd))
    stretch = held_out(page, panel, terms.every, test_from)
    return Ground(page, panel, terms, columns, normaliser), stretch


def served_targets(
    ground: Ground, stretch: Stretch, policy: BookNumpyPolicy
) -> tuple[IntArray, FloatArray]:
    """Rows (k,) and what a book of this model asked for there, (k, n); it begins as its baseline.

    A row that the door would refuse, or advice that it would not take, leaves the baseline.
    """
    rows = stretch.rows(ground.terms.every)
    begins = BookState(tuple(ground.baseline.tolist()), 1.0, 1.0)
    asked = followed(ground.page, policy, ground.terms.cost_rate)
    return rows, asked(ground.panel, rows, begins).targets

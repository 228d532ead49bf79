"""Superior predictive ability (Hansen 2005): is anyone in the field better than this one?

The test itself is that of the package `arch`, of the extra `report`. It compares plain means; here
each difference is first divided by its own standard deviation, so that the most volatile rival does
not decide alone.
"""

from __future__ import annotations

import importlib.util
import math

import numpy as np

from darwin.core.market import FloatArray
from darwin.stats.stationary import mean_stretch

REPS = 2_000
HOW_TO_HAVE_IT = 'the test needs the package arch: pip install -e ".[report]"'
FEWEST_ROWS = 10
_SAME = 1e-12  # standard deviation of a difference below which two series are one


def is_installed() -> bool:
    """Whether the package that tests is there."""
    return importlib.util.find_spec("arch") is not None


def superior_p_value(
    base: FloatArray, models: FloatArray, rng: np.random.Generator, reps: int = REPS
) -> float:
    """How likely such results are if none of `models`, shape (n, k), gains more than `base`, (n,).

    The consistent p-value of Hansen, by the stationary bootstrap, at least 1 / `reps`. A model that
    does not differ from `base` in any row cannot be better; without others the answer is 1. NaN
    where `arch` is missing, and below FEWEST_ROWS.
    """
    if not is_installed() or len(base) < FEWEST_ROWS:
        return float("nan")
    differences = models - base[:, None]
    spread = differences.std(axis=0)
    differs = spread > _SAME
    if not differs.any():
        return 1.0
    gained = differences[:, differs] / spread[differs]
    if not (gained.mean(axis=0) > 0.0).any():
        return 1.0  # none is better in this sample
    from arch.bootstrap import SPA  # noqa: PLC0415  an extra, and slow to import

    stretch = max(mean_stretch(column) for column in gained.T)
    test = SPA(np.zeros(len(base)), -gained, math.ceil(stretch), reps, "stationary", seed=rng)
    test.compute()
    return max(float(test.pvalues["consistent"]), 1.0 / reps)


def best_of_all_p_values(
    gains: FloatArray, rng: np.random.Generator, reps: int = REPS
) -> FloatArray:
    """For each column of `gains`, shape (n, k): how likely this is if it is not the best of all.

    Of each other the test must refute that it is the best of the field itself: then it is beaten
    by one that gains more, that one by another, and in the end by the only one that is left, as in
    a model confidence set of one (Hansen, Lunde and Nason 2011). All of them must be refuted, so
    the answer is the largest of their p-values (Berger 1982); 1 for all columns but the one that
    gains most. Shape (k,); NaN where the test is not to be had, and for one column alone.
    """
    k = gains.shape[1]
    if k < 2:
        return np.full(k, np.nan)
    means = gains.mean(axis=0)
    if not np.isfinite(means).all() or len(gains) < FEWEST_ROWS or not is_installed():
        return np.full(k, np.nan)
    first = int(means.argmax())
    best = np.ones(k)
    best[first] = max(
        superior_p_value(gains[:, rival], np.delete(gains, rival, axis=1), rng, reps)
        for rival in range(k)
        if rival != first
    )
    return best

"""Books that know nothing: buy & hold, MA crossover, equal weight, minimum variance, chance.

A strategy may decide at the closes of given rows; it says at which of them it does, and what
weights it then asks for. It uses no bar after the close at which it decides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np

from darwin.allocation.minimum_variance import (
    long_only_minimum_variance,
    minimum_variance,
    shrunk,
)
from darwin.core.market import FloatArray, IntArray
from darwin.core.panel import Panel
from darwin.core.rebalance import BookState

FAST_BARS, SLOW_BARS = 50, 200


class Plan(NamedTuple):
    """What a strategy decides: at the closes of `rows` (k,), ascending, `targets` (k, n)."""

    rows: IntArray
    targets: FloatArray


Strategy: TypeAlias = Callable[[Panel, IntArray, BookState], Plan]
"""Decides over a panel at some of the given rows; the book is the one at the first of them."""


def buy_and_hold(panel: Panel, rows: IntArray, book: BookState) -> Plan:
    """Split the book equally over all assets at the first row, and never trade again."""
    return Plan(rows[:1], _equal(panel, len(rows[:1])))


def equal_weight(panel: Panel, rows: IntArray, book: BookState) -> Plan:
    """Give each asset the same weight again at every row."""
    return Plan(rows, _equal(panel, len(rows)))


def flat(panel: Panel, rows: IntArray, book: BookState) -> Plan:
    """Hold nothing."""
    return Plan(rows[:1], np.zeros((len(rows[:1]), panel.assets)))


def ma_crossover(fast: int = FAST_BARS, slow: int = SLOW_BARS) -> Strategy:
    """Hold an equal part of each asset whose mean of `fast` closes is above that of `slow`.

    The parts of the others are cash. It decides where that changes for some asset, and until there
    are `slow` bars it holds nothing.
    """

    def strategy(panel: Panel, rows: IntArray, book: BookState) -> Plan:
        held = np.zeros((len(rows), panel.assets), dtype=bool)
        known = rows >= slow - 1
        ends = rows[known]
        held[known] = _means(panel.close, ends, fast) > _means(panel.close, ends, slow)
        changed = np.ones(len(rows), dtype=bool)
        changed[1:] = (held[1:] != held[:-1]).any(axis=1)
        return Plan(rows[changed], held[changed] / panel.assets)

    return strategy


def least_variance(lookback: int, shrinkage: float = 0.0, long_only: bool = True) -> Strategy:
    """Take the weights of least variance over the last `lookback` returns, at every row.

    Equal weights until there are so many.
    """
    solve = long_only_minimum_variance if long_only else minimum_variance

    def strategy(panel: Panel, rows: IntArray, book: BookState) -> Plan:
        targets = _equal(panel, len(rows))
        for at, row in enumerate(rows.tolist()):
            if row >= lookback:
                close = panel.close[row - lookback : row + 1]
                covariance = np.cov(close[1:] / close[:-1], rowvar=False).reshape(panel.assets, -1)
                targets[at] = solve(shrunk(covariance, shrinkage))
        return Plan(rows, targets)

    return strategy


def random_weights(rng: np.random.Generator) -> Strategy:
    """Draw anew at every row: any weights of assets and cash are as likely as any others.

    With one asset: long, flat or short.
    """

    def strategy(panel: Panel, rows: IntArray, book: BookState) -> Plan:
        if panel.assets == 1:
            return Plan(rows, rng.integers(-1, 2, (len(rows), 1)).astype(np.float64))
        drawn = rng.dirichlet(np.ones(panel.assets + 1), len(rows))
        return Plan(rows, drawn[:, :-1])

    return strategy


def matched(plan: Plan, rng: np.random.Generator) -> Strategy:
    """Do what `plan` does at other times and with other assets, both drawn once.

    The decisions keep their order, number and distances, in rows; which one comes first is drawn,
    and after the last the first follows. What stands before the first is held from the beginning.
    Assets change places. So exposure, concentration and turnover stay those of `plan`, but for the
    first trade and for how the prices move weights; only whether they fit the market is chance.
    """

    def strategy(panel: Panel, rows: IntArray, book: BookState) -> Plan:
        n = len(rows)
        if n == 0 or len(plan.rows) == 0:
            return Plan(rows[:0], plan.targets[:0])
        shift = int(rng.integers(1, n)) if n > 1 else 0
        places = (np.searchsorted(rows, plan.rows) + shift) % n
        order = np.argsort(places, kind="stable")
        places, targets = places[order], plan.targets[order][:, rng.permutation(panel.assets)]
        if places[0] > 0:
            places = np.concatenate([[0], places])
            targets = np.concatenate([targets[-1:], targets])
        return Plan(rows[places], targets)

    return strategy


def _equal(panel: Panel, times: int) -> FloatArray:
    return np.full((times, panel.assets), 1.0 / panel.assets)


def _means(close: FloatArray, ends: IntArray, span: int) -> FloatArray:
    """Mean of the `span` closes that end at each of `ends`, shape (k, n)."""
    if not len(ends):
        return np.empty((0, close.shape[1]))
    windows = np.lib.stride_tricks.sliding_window_view(close, span, axis=0)
    mean: FloatArray = windows[ends - span + 1].mean(axis=2)
    return mean

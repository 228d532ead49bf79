"""The book of an allocation: what weights become as prices move, and what it costs to change them.

A weight is the value of a holding over that of the whole book, below zero for a short; what the
weights leave of 1 is cash. Everything works on any number of books at once, and one book alone
gives the bits of its row among others.

A decision at a close is carried out at the next open. Its cost is `cost_rate` times what is traded,
reckoned before the cost is paid; the trade is thereby overstated by the cost itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from darwin.core.market import FloatArray, IntArray
from darwin.core.panel import Panel


class Moved(NamedTuple):
    """What a step did to books, arrays over books."""

    growth: FloatArray  # value after over value before, (e,); 0: ruined
    weights: FloatArray  # at the end of the step, (e, n)
    turnover: FloatArray  # sum of what was traded, over the value at the trade, (e,)
    cost: FloatArray  # paid for it, over the same, (e,)


def drift(
    weights: FloatArray, growth: FloatArray, carry: FloatArray | float = 0.0
) -> tuple[FloatArray, FloatArray]:
    """Hold `weights` (e, n) while each asset becomes `growth` of itself, and `carry` is paid.

    Gives the growth of each book, (e,), and its weights afterwards, (e, n). A book that is worth
    nothing any more holds nothing.
    """
    gain: FloatArray = (weights * (growth - 1.0 - carry)).sum(axis=-1)
    book = np.maximum(1.0 + gain, 0.0)
    alive = book > 0.0
    after = np.where(alive[..., None], weights * growth, 0.0)
    after /= np.where(alive, book, 1.0)[..., None]
    return book, after


def step(
    weights: FloatArray,
    target: FloatArray,
    gap: FloatArray,
    body: FloatArray,
    carry: FloatArray | float,
    cost_rate: float,
) -> Moved:
    """Hold `weights` over the gap, trade to `target` at the open, hold that to the end.

    Weights and prices have shape (e, n), as `Panel.holding` gives them.
    """
    before, held = drift(weights, gap)
    turnover: FloatArray = np.abs(target - held).sum(axis=-1)
    cost = np.minimum(cost_rate * turnover, 1.0)
    after, drifted = drift(target, body, carry)
    growth = before * (1.0 - cost) * after
    return Moved(growth, np.where(growth[..., None] > 0.0, drifted, 0.0), turnover, cost)


class Stretch(NamedTuple):
    """One book from the close of a decision to a later close, bar by bar."""

    growth: FloatArray  # value at each close over that at the decision, (bars,); 0: ruined
    weights: FloatArray  # at each close, (bars, n)
    turnover: float  # of the trade at the first open, over the value then
    cost: float  # paid for it, over the same


def stretch(
    panel: Panel, row: int, end: int, weights: FloatArray, target: FloatArray, cost_rate: float
) -> Stretch:
    """Decide on `target` at the close of `row` where `weights` are held; hold it until `end`."""
    held = slice(row + 1, end + 1)
    entry = panel.open[row + 1]
    growth = panel.close[held] / entry  # (bars, n)
    carry = np.cumsum(growth * panel.funding[held], axis=0)
    before, was = drift(weights, entry / panel.close[row])
    turnover = float(np.abs(target - was).sum())
    cost = min(cost_rate * turnover, 1.0)
    at_open = before * (1.0 - cost)
    book, after = drift(np.broadcast_to(target, growth.shape), growth, carry)
    alive = np.minimum.accumulate(book * at_open > 0.0)  # what is ruined stays so
    value = np.where(alive, at_open * book, 0.0)
    return Stretch(value, np.where(alive[:, None], after, 0.0), turnover, cost)


@dataclass(frozen=True, slots=True)
class Walk:
    """One book over a panel, from the close of its first decision on."""

    value: FloatArray  # at each close, of a book that began with 1, (t,)
    weights: FloatArray  # at each close, (t, n)
    turnover: FloatArray  # of each decision, over the value at its trade, (k,)
    cost: FloatArray  # paid for each, over the same, (k,)


def walk(panel: Panel, rows: IntArray, targets: FloatArray, cost_rate: float) -> Walk:
    """Follow `targets` (k, n), decided at the closes of `rows` (k,), ascending.

    Before the first decision all is cash. A decision at the last close is never carried out: it
    has neither turnover nor cost.
    """
    t, k = len(panel), len(rows)
    value, weights = np.ones(t), np.zeros((t, panel.assets))
    turnover, cost = np.zeros(k), np.zeros(k)
    for i, row in enumerate(rows.tolist()):
        end = int(rows[i + 1]) if i + 1 < k else t - 1
        if row + 1 >= t or end <= row:
            continue
        held = slice(row + 1, end + 1)
        part = stretch(panel, row, end, weights[row], targets[i], cost_rate)
        turnover[i], cost[i] = part.turnover, part.cost
        value[held], weights[held] = value[row] * part.growth, part.weights
        if not part.growth[-1] > 0.0:
            value[end:] = 0.0
            break
    return Walk(value, weights, turnover, cost)

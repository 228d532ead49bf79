"""A model of a book agent as a strategy: asked at each row with the book as it then stands."""

from __future__ import annotations

import numpy as np

from darwin.allocation.strategies import Plan, Strategy
from darwin.core.agents import FURTHEST_SD
from darwin.core.market import FloatArray, IntArray
from darwin.core.panel import Panel
from darwin.core.rebalance import BookPage, BookPolicy, BookState
from darwin.trading.book import step


def followed(page: BookPage, policy: BookPolicy, cost_rate: float) -> Strategy:
    """Do at every row what `policy` advises.

    Where the door would not let it act, the weights of the page's baseline are taken: it sees what
    is not known yet or too far from its training, or asks for what its page does not allow.
    """

    def strategy(panel: Panel, rows: IntArray, book: BookState) -> Plan:
        columns = page.columns(panel)
        targets = np.zeros((len(rows), panel.assets))
        for at, row in enumerate(rows.tolist()):
            seen = np.concatenate([columns[row], page.moment(book)]).astype(np.float32)
            targets[at] = page.baseline(book)
            if policy.strangeness(seen) <= FURTHEST_SD:
                action = policy.advise(seen).action
                if page.is_legal(action):
                    targets[at] = page.target(action)
            if at + 1 < len(rows):
                book = _carried_on(panel, row, int(rows[at + 1]), book, targets[at], cost_rate)
        return Plan(rows, targets)

    return strategy


def _carried_on(
    panel: Panel, row: int, until: int, book: BookState, target: FloatArray, cost_rate: float
) -> BookState:
    """The book at the close of `until`, after a decision at that of `row`."""
    gap, body, carry = panel.holding(np.array([row]), until - row)
    moved = step(np.array([book.weights]), target[None], gap, body, carry, cost_rate)
    value = book.value * float(moved.growth[0])
    return book.after(target.tolist(), moved.weights[0].tolist(), value)

"""Rebalances: decisions about a whole book of assets instead of one candidate.

A rebalance happens at the close of a bar and is known by the symbols and the time of that bar
alone, so that it is the same decision in every run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from darwin.core.agents import AGENTS
from darwin.core.market import FloatArray
from darwin.core.panel import Panel

ALLOCATOR, MARKET = "allocator", "market"
BOOK_AGENTS = (ALLOCATOR, MARKET)
"""Agents that decide about a book: target weights of many assets, the position in one."""
ALL_AGENTS = (*AGENTS, *BOOK_AGENTS)
"""All that may have models."""


def rebalance_id(symbols: Sequence[str], bar_time: int) -> int:
    """The 64-bit id of the rebalance at the close of the bar that opened at `bar_time`, ms UTC."""
    text = "\n".join(("rebalance", *symbols, str(bar_time)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


class BookState(NamedTuple):
    """The book that an agent is asked about, at a close."""

    weights: tuple[float, ...]  # of the assets, in order; what they leave of 1 is cash
    value: float  # over that at the start
    peak: float  # the highest value so far, over the same
    entry: float = 1.0  # at the decision that last turned a holding, over the same

    @classmethod
    def start(cls, assets: int) -> BookState:
        """A book of cash alone."""
        return cls((0.0,) * assets, 1.0, 1.0)

    def after(self, target: Sequence[float], weights: Sequence[float], value: float) -> BookState:
        """The book at a later close, where it asked for `target` and came to `weights`, `value`.

        A holding is turned where its target has another sign than the weight before.
        """
        turned = [_sign(new) != _sign(old) for new, old in zip(target, self.weights, strict=True)]
        entry = self.value if any(turned) else self.entry
        return BookState(tuple(weights), value, max(self.peak, value), entry)

    @property
    def drawdown(self) -> float:
        """Value over its peak, minus 1: zero or below."""
        return self.value / self.peak - 1.0


def _sign(weight: float) -> int:
    return (weight > 0.0) - (weight < 0.0)


class BookPage(Protocol):
    """The page of an agent that decides about a book of `assets` assets."""

    @property
    def name(self) -> str:
        """One of `BOOK_AGENTS`."""
        ...

    @property
    def assets(self) -> int:
        """How many assets it is about."""
        ...

    @property
    def schema(self) -> str:
        """SHA-256 over what it sees: names, order and meaning, 64 hex digits."""
        ...

    @property
    def warmup(self) -> int:
        """Bars before the first of which all of its observation is known."""
        ...

    def columns(self, panel: Panel) -> NDArray[np.float32]:
        """What is known of the market at each close, shape (t, k); NaN while it is not.

        The row of an instant does not change when later instants are there.
        """
        ...

    def moment(self, book: BookState) -> tuple[float, ...]:
        """The rest of the observation, which follows the columns."""
        ...

    def is_legal(self, action: tuple[float, ...]) -> bool:
        """Whether the agent may do that; False for NaN and for another number of numbers."""
        ...

    def target(self, action: tuple[float, ...]) -> FloatArray:
        """The weights that a legal action asks for, shape (n,)."""
        ...

    def baseline(self, book: BookState) -> FloatArray:
        """The weights that stand without the agent, shape (n,)."""
        ...


class BookAdvice(NamedTuple):
    """What an agent would do with a book; by itself it changes nothing."""

    action: tuple[float, ...]  # allocator: weights of assets, then cash; market: one code
    probability: float | None  # of that action; None where actions are continuous


class BookPolicy(Protocol):
    """A model of such an agent, ready to be asked."""

    def strangeness(self, observation: NDArray[np.float32]) -> float:
        """The largest |x − mean| / sd over the columns of a row; NaN where it is not finite."""
        ...

    def advise(self, observation: NDArray[np.float32]) -> BookAdvice:
        """What the agent would do, seeing `observation`, shape (k,). May raise anything."""
        ...

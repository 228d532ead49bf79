"""The market agent: flat, long or short on one symbol.

It sees features of the catalog that need no volume, its position, what that has returned since it
was taken, and its drawdown. It may be flat (0), long (1) or short (2) with the whole book; without
it the book is flat. A position that is kept is brought back to the whole book at each rebalance:
only a short drifts away from it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from darwin.allocation.seen import FALL, RETURN, WEIGHT, Books, Scale, within
from darwin.core.market import Bars, FloatArray
from darwin.core.panel import Panel
from darwin.core.rebalance import MARKET, BookState
from darwin.errors import ConfigError
from darwin.features import catalog
from darwin.features.formula import expand
from darwin.features.pipeline import Frame

REVISION = 1
"""Raise it when arithmetic changes that names and formulas do not show."""

ACTIONS = ("flat", "long", "short")
"""What may be done, by code."""
WEIGHTS = (0.0, 1.0, -1.0)
"""What each of them holds."""
_NEEDS_VOLUME = ("volume", "backed_move")
_OF_LONGER_BARS = ("x4_", "x24_")
FEATURES = tuple(
    name
    for name in catalog.NAMES
    if not any(word in name for word in _NEEDS_VOLUME) and not name.startswith(_OF_LONGER_BARS)
)


@dataclass(frozen=True)
class MarketPage:
    """The page. Implements `core.rebalance.BookPage`."""

    name: str = MARKET
    assets: int = 1
    warmup: int = 200  # of the longest mean among them
    scales: tuple[Scale, ...] = (WEIGHT, RETURN, FALL)

    @property
    def is_continuous(self) -> bool:
        """Its actions are codes."""
        return False

    @property
    def outputs(self) -> int:
        """How many numbers a model of it gives before its head."""
        return len(ACTIONS)

    @property
    def market_names(self) -> tuple[str, ...]:
        """What `columns` hold."""
        return FEATURES

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All columns of an observation, in order."""
        return (*FEATURES, "position", "unrealised_return", "drawdown")

    @cached_property
    def schema(self) -> str:
        """SHA-256 over the names of all columns, their order and what each means."""
        lines = [f"{self.name} revision {REVISION}, catalog revision {catalog.REVISION}"]
        lines += [f"{name}={expand(name)}" for name in FEATURES]
        lines += [*self.names[len(FEATURES) :], repr(self.scales)]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def columns(self, panel: Panel) -> NDArray[np.float32]:
        """What is known of the market at each close, shape (t, k)."""
        if panel.assets != 1:
            raise ConfigError(
                f"the market agent was shown {panel.assets} symbols", mend="name one symbol"
            )
        frame = Frame(
            Bars(
                panel.symbols[0], panel.timeframe, panel.time, panel.open[:, 0], panel.high[:, 0],
                panel.low[:, 0], panel.close[:, 0], np.zeros(len(panel)),
            )
        )  # fmt: skip
        return frame.take(FEATURES, np.arange(len(panel))).astype(np.float32)

    def moments(self, books: Books) -> FloatArray:
        """The rest of the observation for any number of books, shape (e, 3)."""
        held = books.weights[:, 0]
        since = np.where(held != 0.0, books.value / books.entry - 1.0, 0.0)
        return np.column_stack(
            [within(WEIGHT, held), within(RETURN, since), within(FALL, books.drawdown)]
        )

    def moment(self, book: BookState) -> tuple[float, ...]:
        """The same for one book."""
        return tuple(self.moments(Books.of(book))[0].tolist())

    def is_legal(self, action: tuple[float, ...]) -> bool:
        """Whether this is one of the three codes."""
        if len(action) != 1 or isinstance(action[0], bool):
            return False
        return isinstance(action[0], (int, float)) and action[0] in range(len(ACTIONS))

    def target(self, action: tuple[float, ...]) -> FloatArray:
        """The weight that is asked for, shape (1,)."""
        return np.array([WEIGHTS[int(action[0])]])

    def targets(self, actions: FloatArray) -> FloatArray:
        """The same of many codes, shape (e, 1), of codes (e,)."""
        return np.take(WEIGHTS, actions.astype(np.int64))[:, None]

    def baseline(self, book: BookState) -> FloatArray:
        """Flat, shape (1,)."""
        return np.zeros(1)


MARKET_PAGE = MarketPage()

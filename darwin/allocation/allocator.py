"""The allocator: which share of the book in which asset, and how much of it in cash?

It sees what each asset returned over several horizons, in units of its own volatility, how volatile
it is, how it moves with the basket, how much all of them move together, its own weights, cash and
drawdown. It may ask for any weights from 0 to 1 that leave cash of at least 0. Without it every
asset has the same weight.

Volatilities are roots of mean squared returns of bars, without a mean taken out. The mean
correlation weighs pairs by their volatilities, as the implied correlation of an index does: it is
what the variance of the basket has beyond that of its parts, over the most that it could have.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from darwin.allocation.seen import FALL, WEIGHT, Books, Scale, within
from darwin.core.market import FloatArray
from darwin.core.panel import Panel
from darwin.core.rebalance import ALLOCATOR, BookState
from darwin.errors import ConfigError
from darwin.features.windows import window_sum

REVISION = 1
"""Raise it when arithmetic changes that names do not show."""

HORIZONS = (1, 4, 12, 24, 72, 168)
"""Bars over which returns are told."""
FAST, SLOW = 24, 168
"""Bars over which volatilities are told, the second for correlations too."""
MOST_ASSETS = 100
SUM_OF_WEIGHTS = 1e-6
"""How far weights and cash together may be from 1."""
_LEAST_VARIANCE = 1e-16  # of a bar: a market that does not move has no larger one


@dataclass(frozen=True)
class AllocatorPage:
    """The page for one number of assets. Implements `core.rebalance.BookPage`."""

    assets: int
    name: str = ALLOCATOR
    warmup: int = SLOW

    @property
    def is_continuous(self) -> bool:
        """Its actions are weights instead of codes."""
        return True

    @property
    def outputs(self) -> int:
        """How many numbers a model of it gives before its head: one for each asset, then cash."""
        return self.assets + 1

    @cached_property
    def market_names(self) -> tuple[str, ...]:
        """What `columns` hold."""
        each = [f"return_in_vol_{bars}" for bars in HORIZONS]
        each += [f"log_vol_{FAST}", f"log_vol_{SLOW}", f"basket_correlation_{SLOW}"]
        names = [f"{name}[{at}]" for name in each for at in range(self.assets)]
        return (*names, f"mean_correlation_{SLOW}")

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All columns of an observation, in order."""
        held = (f"weight[{at}]" for at in range(self.assets))
        return (*self.market_names, *held, "cash", "drawdown")

    @cached_property
    def scales(self) -> tuple[Scale, ...]:
        """Of the columns that `moments` give."""
        return (*(WEIGHT,) * (self.assets + 1), FALL)

    @cached_property
    def schema(self) -> str:
        """SHA-256 over the names of all columns and the revision of what they mean."""
        text = "\n".join((f"{self.name} revision {REVISION}", *self.names, repr(self.scales)))
        return hashlib.sha256(text.encode()).hexdigest()

    def columns(self, panel: Panel) -> NDArray[np.float32]:
        """What is known of the market at each close, shape (t, k)."""
        self._require(panel)
        moved = np.full(panel.close.shape, np.nan)
        moved[1:] = np.log(panel.close[1:] / panel.close[:-1])
        vol = {bars: _volatility(moved, bars) for bars in (FAST, SLOW)}
        pieces = [
            np.arcsinh(_summed(moved, bars) / (vol[SLOW] * math.sqrt(bars))) for bars in HORIZONS
        ]
        pieces += [np.log(vol[FAST]), np.log(vol[SLOW])]
        basket = moved.sum(axis=1, keepdims=True) / self.assets
        whole = _volatility(basket, SLOW)
        pieces += [_summed(moved * basket, SLOW) / SLOW / (vol[SLOW] * whole)]
        pieces += [self._mean_correlation(whole[:, 0], vol[SLOW])[:, None]]
        return np.concatenate(pieces, axis=1).astype(np.float32)

    def moments(self, books: Books) -> FloatArray:
        """The rest of the observation for any number of books, shape (e, n + 2)."""
        cash = 1.0 - books.weights.sum(axis=1, keepdims=True)
        fallen = within(FALL, books.drawdown)[:, None]
        return np.hstack([within(WEIGHT, books.weights), within(WEIGHT, cash), fallen])

    def moment(self, book: BookState) -> tuple[float, ...]:
        """The same for one book."""
        return tuple(self.moments(Books.of(book))[0].tolist())

    def is_legal(self, action: tuple[float, ...]) -> bool:
        """Whether these are weights of all assets and of cash, none below 0, together 1."""
        if len(action) != self.assets + 1 or not all(_is_share(weight) for weight in action):
            return False
        return abs(sum(action) - 1.0) <= SUM_OF_WEIGHTS

    def target(self, action: tuple[float, ...]) -> FloatArray:
        """The weights of the assets, shape (n,)."""
        return np.array(action[: self.assets], dtype=np.float64)

    def targets(self, actions: FloatArray) -> FloatArray:
        """The same of many, shape (e, n), of weights and cash (e, n + 1)."""
        return actions[:, : self.assets]

    def baseline(self, book: BookState) -> FloatArray:
        """The same weight for each asset, and no cash, shape (n,)."""
        return np.full(self.assets, 1.0 / self.assets)

    def _mean_correlation(self, whole: FloatArray, vol: FloatArray) -> FloatArray:
        """Of all pairs, weighed by their volatilities, shape (t,); 0 for one asset."""
        n = self.assets
        if n == 1:
            return np.where(np.isnan(whole), np.nan, 0.0)
        own = (vol * vol).sum(axis=1)
        most = np.square(vol.sum(axis=1)) - own
        shared: FloatArray = (whole * whole * n * n - own) / most
        return np.clip(shared, -1.0, 1.0)

    def _require(self, panel: Panel) -> None:
        if panel.assets != self.assets:
            raise ConfigError(
                f"a page of {self.assets} assets was shown a panel of {panel.assets}",
                mend="name as many symbols as the model has assets",
            )


@lru_cache(maxsize=32)
def allocator_page(assets: int) -> AllocatorPage:
    """The page for `assets` assets, 1 to MOST_ASSETS. Raises ConfigError for another number."""
    if not (1 <= assets <= MOST_ASSETS):
        raise ConfigError(
            f"an allocator of {assets} assets", mend=f"name 1 to {MOST_ASSETS} symbols"
        )
    return AllocatorPage(assets)


def _is_share(weight: object) -> bool:
    if isinstance(weight, bool) or not isinstance(weight, (int, float)):
        return False
    return 0.0 <= weight <= 1.0


def _summed(values: FloatArray, bars: int) -> FloatArray:
    """Sums over the last `bars` rows of each column, shape (t, n); NaN until there are so many."""
    return np.column_stack([window_sum(column, None, bars)[0] for column in values.T])


def _volatility(moved: FloatArray, bars: int) -> FloatArray:
    """Root of the mean squared move of a bar, shape (t, n)."""
    mean: FloatArray = _summed(moved * moved, bars) / bars
    return np.sqrt(np.maximum(mean, _LEAST_VARIANCE))

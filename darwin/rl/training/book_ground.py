"""The ground that books walk on: a panel as a page sees it, and what holding its assets gave."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from darwin.allocation.reward import Reward
from darwin.allocation.seen import Books, Scale
from darwin.core.agents import FURTHEST_SD
from darwin.core.market import BoolArray, FloatArray, IntArray
from darwin.core.panel import Holding, Panel
from darwin.core.rebalance import BookPage, BookState
from darwin.errors import DataError
from darwin.rl.training.rows import Normaliser

FEWEST_DECISIONS = 100
"""Of each stretch."""
SHARES = (0.6, 0.2, 0.2)
"""Of training, validation and the test."""


class TrainedPage(BookPage, Protocol):
    """What training asks of a page of books beside what serving does."""

    @property
    def outputs(self) -> int:
        """How many numbers a model of it gives before its head."""
        ...

    @property
    def is_continuous(self) -> bool:
        """Whether its actions are weights instead of codes."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """All columns of an observation, in order."""
        ...

    @property
    def scales(self) -> tuple[Scale, ...]:
        """Of the columns that `moments` give."""
        ...

    def moments(self, books: Books) -> FloatArray:
        """`moment` of any number of books, shape (e, columns)."""
        ...

    def targets(self, actions: FloatArray) -> FloatArray:
        """`target` of any number of actions, shape (e, n)."""
        ...


class Terms(NamedTuple):
    """How a book is run and paid."""

    every: int = 1  # bars from one decision to the next
    cost_rate: float = 0.0005  # of what is traded
    reward: Reward = Reward()


class Stretch(NamedTuple):
    """Decisions at the closes of rows [start, stop)."""

    start: int
    stop: int

    def rows(self, every: int) -> IntArray:
        """Where one book that begins at the start decides."""
        return np.arange(self.start, self.stop, every)


class Stretches(NamedTuple):
    """A panel cut in time; between two of them no bar belongs to both."""

    train: Stretch
    validation: Stretch
    test: Stretch


@dataclass(frozen=True)
class Ground:
    """A panel, standardised, and how books are run on it."""

    page: TrainedPage
    panel: Panel
    terms: Terms
    columns: NDArray[np.float32]  # (t, k), not standardised
    normaliser: Normaliser  # of all columns of an observation

    @cached_property
    def seen(self) -> NDArray[np.float32]:
        """The columns of the market, standardised, shape (t, k)."""
        k = self.columns.shape[1]
        away = (self.columns - self.normaliser.mean[:k]) / self.normaliser.sd[:k]
        return np.nan_to_num(away, posinf=0.0, neginf=0.0).astype(np.float32)

    @cached_property
    def asked(self) -> BoolArray:
        """At which rows the door would ask an agent: all is known and nothing strange, (t,)."""
        k = self.columns.shape[1]
        away = np.abs((self.columns - self.normaliser.mean[:k]) / self.normaliser.sd[:k])
        calm: BoolArray = away.max(axis=1, initial=0.0) <= FURTHEST_SD
        return calm

    @cached_property
    def holding(self) -> Holding:
        """What `every` bars of holding give, decided at each row that has them, (m, n) each."""
        every = self.terms.every
        return self.panel.holding(np.arange(len(self.panel) - every), every)

    @cached_property
    def baseline(self) -> FloatArray:
        """The weights that stand where the agent is not asked, shape (n,)."""
        return self.page.baseline(BookState.start(self.page.assets))


def digest_of(page: TrainedPage, panel: Panel, terms: Terms) -> str:
    """SHA-256 over prices, page and terms, 64 hex digits."""
    digest = hashlib.sha256(repr((page.schema, panel.symbols, terms)).encode())
    digest.update(panel.time.astype("<i8").tobytes())
    for prices in (panel.open, panel.high, panel.low, panel.close, panel.funding):
        digest.update(np.ascontiguousarray(prices, dtype="<f8").tobytes())
    return digest.hexdigest()


def cut(page: TrainedPage, panel: Panel, every: int, test_from: int | None = None) -> Stretches:
    """Cut the decisions after the warm-up in three. Raises DataError where they are too few.

    With `test_from`, ms UTC, the test begins with the first bar that opens then or later.
    Between two stretches as many bars are left out as a window of the page reaches back, so that
    no bar of training is looked at in validation, nor one of validation in the test.
    """
    first, last = page.warmup, len(panel) - every
    if test_from is None:
        end = first + int((SHARES[0] + SHARES[1]) * (last - first))
        begin = end + page.warmup
    else:
        end = int(np.searchsorted(panel.time, test_from)) - page.warmup - every
        begin = end + page.warmup + every
    middle = first + int(SHARES[0] / (SHARES[0] + SHARES[1]) * (end - first))
    found = Stretches(
        Stretch(first, middle), Stretch(middle + page.warmup + every, end), Stretch(begin, last)
    )
    for name, one in zip(Stretches._fields, found, strict=True):
        _require_enough(one, name, page, panel, every)
    return found


def held_out(page: TrainedPage, panel: Panel, every: int, test_from: int | None) -> Stretch:
    """What `cut` keeps for the test, where nothing is to be trained: the rest may be short.

    Raises DataError where its decisions are too few.
    """
    first, last = page.warmup, len(panel) - every
    if test_from is None:
        begin = first + int((SHARES[0] + SHARES[1]) * (last - first)) + page.warmup
    else:
        begin = max(int(np.searchsorted(panel.time, test_from)), first)
    found = Stretch(begin, last)
    _require_enough(found, "test", page, panel, every)
    return found


def _require_enough(one: Stretch, name: str, page: TrainedPage, panel: Panel, every: int) -> None:
    if (one.stop - one.start) // every < FEWEST_DECISIONS:
        raise DataError(
            f"{max(one.stop - one.start, 0) // every} decisions are too few for {name}",
            where=f"{len(panel)} bars, {page.warmup} of them to warm up",
            mend=f"give bars for {FEWEST_DECISIONS} decisions of each part, or decide more often",
        )


def ground_of(page: TrainedPage, panel: Panel, train: Stretch, terms: Terms) -> Ground:
    """Standardise a panel by the rows of training."""
    columns = page.columns(panel)
    return Ground(
        page, panel, terms, columns, normaliser_of(page, columns[train.start : train.stop])
    )


def normaliser_of(page: TrainedPage, columns: NDArray[np.float32]) -> Normaliser:
    """Mean and sd of rows of training, (m, k), less those beyond 10 sd; of the book its scales."""
    known = columns[np.isfinite(columns).all(axis=1)].astype(np.float64)
    while True:
        mean, sd = known.mean(axis=0), known.std(axis=0)
        sd = np.where(sd > 1e-6 * np.maximum(1.0, np.abs(mean)), sd, 1.0)
        calm = (np.abs((known - mean) / sd) <= FURTHEST_SD).all(axis=1)
        if calm.all():
            break
        known = known[calm]
    scales = np.array([scale.sd for scale in page.scales])
    return Normaliser(np.append(mean, np.zeros(len(scales))), np.append(sd, scales))

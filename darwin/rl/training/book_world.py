"""Books that an agent runs, any number of them side by side: the world it is trained in.

An episode begins at a row by chance, with the weights of the baseline already held, and lasts for a
number of steps; at its end it is cut off. Only a ruined book ends for good. Where the door would
not ask the agent (a strange row) its baseline stands, in training as in service.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from darwin.allocation.reward import Reward, recent_volatility
from darwin.allocation.seen import Books
from darwin.core.market import BoolArray, FloatArray, IntArray
from darwin.rl.training.book_ground import Ground, Stretch, TrainedPage
from darwin.rl.training.worlds import Chance, Moved, Observations
from darwin.trading import book

LENGTH = 252
"""Steps of an episode."""


class Bent(NamedTuple):
    """What a trainer does to rewards so that they are learned from; neither moves the best policy.

    What a book that follows the baseline is paid for the same step, from the start of the same
    episode on, is taken out, which is most of the noise; the rest is put on a scale of about 1.
    """

    beside_baseline: bool = False
    scale: float = 1.0


AS_PAID = Bent()


class Made(NamedTuple):
    """What the last step made of each book, whether it ended or not."""

    growth: FloatArray  # (e,)
    weights: FloatArray  # (e, n)
    turnover: FloatArray  # (e,)
    cost: FloatArray  # over value, (e,)


class SideBySide(Chance, ABC):
    """What books on any ground have in common."""

    _STATE = (
        "_at", "_step", "_end", "_weights", "_value", "_peak", "_entry", "_recent",
        "_base_weights", "_base_value", "_base_peak", "_base_recent",
    )  # fmt: skip
    _at: IntArray  # where each decides next
    _step: IntArray  # of its episode
    _end: IntArray  # the row at which its episode must have ended
    _weights: FloatArray  # (e, n)
    _value: FloatArray
    _peak: FloatArray
    _entry: FloatArray
    _recent: FloatArray  # returns of the last steps, (e, steps)
    _base_weights: FloatArray  # the same of the book that follows the baseline
    _base_value: FloatArray
    _base_peak: FloatArray
    _base_recent: FloatArray
    made: Made

    def __init__(
        self, page: TrainedPage, reward: Reward, size: int, length: int, seed: int, bent: Bent
    ) -> None:
        super().__init__(seed)
        self.size, self.width = size, len(page.names)
        self._page, self._reward, self._length, self._bent = page, reward, length, bent
        self._scales = np.array([scale.sd for scale in page.scales])
        self._begin_all()

    def start(self, seed: int | None = None) -> Observations:
        """Begin an episode in each."""
        self._begin(seed)
        self._begin_all()
        self._renew(np.ones(self.size, dtype=np.bool_))
        return self.look()

    @property
    def books(self) -> Books:
        """The books as they are."""
        return Books(self._weights, self._value, self._peak, self._entry)

    @property
    def rows(self) -> IntArray:
        """Where each book decides next, shape (e,)."""
        return self._at

    def step(self, targets: FloatArray) -> Moved:
        """Ask for weights, shape (e, n), hold them until the next decision, and pay for it."""
        at = self._at
        wanted = np.where(self._asked(at)[:, None], targets, self._baseline)
        turned = (np.sign(wanted) != np.sign(self._weights)).any(axis=1)
        self._entry = np.where(turned, self._value, self._entry)
        self.made = self._hold(at, self._weights, wanted)
        growth, self._weights = self.made.growth, self.made.weights.copy()
        self._value = self._value * growth
        self._peak = np.maximum(self._peak, self._value)
        rewards = self._paid(self.made, self._recent, self._value / self._peak - 1.0)
        if self._bent.beside_baseline:
            rewards = rewards - self._paid_beside(at)
        rewards = rewards * self._bent.scale
        self._step = self._step + 1
        self._at = self._next(at)
        ruined: BoolArray = growth <= 0.0
        ended: BoolArray = (self._step >= self._length) | (self._at >= self._end) | ruined
        seen = last = self.look()
        if ended.any():
            self._renew(ended)
            seen = self.look()
        return Moved(seen, rewards, ended, last, ruined)

    def look(self) -> Observations:
        """What each agent sees, standardised."""
        moments = self._page.moments(self.books) / self._scales
        market = self._market(self._at)
        return np.concatenate([market, moments], axis=1, dtype=np.float32, casting="same_kind")

    def _paid(self, made: Made, recent: FloatArray, drawdown: FloatArray) -> FloatArray:
        steps, returns = recent.shape[1], made.growth - 1.0
        recent[np.arange(self.size), self._step % steps] = returns
        known = np.minimum(self._step + 1, steps).astype(np.float64)
        return self._reward.pay(returns, recent_volatility(recent, known), drawdown, made.cost)

    def _paid_beside(self, at: IntArray) -> FloatArray:
        """What the book that follows the baseline is paid."""
        base = np.broadcast_to(self._baseline, self._base_weights.shape)
        made = self._hold(at, self._base_weights, base)
        self._base_weights = made.weights
        self._base_value = self._base_value * made.growth
        self._base_peak = np.maximum(self._base_peak, self._base_value)
        return self._paid(made, self._base_recent, self._base_value / self._base_peak - 1.0)

    def _begin_all(self) -> None:
        e = self.size
        self._at, self._step, self._end = (np.zeros(e, np.int64) for _ in range(3))
        self._value, self._peak, self._entry = np.ones(e), np.ones(e), np.ones(e)
        self._weights = np.zeros((e, self._page.assets))
        self._recent = np.zeros((e, self._reward.steps))
        self._base_value, self._base_peak = np.ones(e), np.ones(e)
        self._base_weights = np.zeros((e, self._page.assets))
        self._base_recent = np.zeros((e, self._reward.steps))

    def _renew(self, which: BoolArray) -> None:
        count = int(np.count_nonzero(which))
        self._at[which], self._end[which] = self._places(count)
        self._step[which] = 0
        self._weights[which] = self._baseline
        self._value[which], self._peak[which], self._entry[which] = 1.0, 1.0, 1.0
        self._recent[which] = 0.0
        self._base_weights[which] = self._baseline
        self._base_value[which], self._base_peak[which] = 1.0, 1.0
        self._base_recent[which] = 0.0

    @property
    @abstractmethod
    def _baseline(self) -> FloatArray:
        """Weights where the agent is not asked, and with which a book begins, (n,)."""

    @abstractmethod
    def _asked(self, at: IntArray) -> BoolArray:
        """Whether the door would ask the agent there, (e,)."""

    @abstractmethod
    def _market(self, at: IntArray) -> NDArray[np.float32]:
        """Standardised columns of the market, (e, k)."""

    @abstractmethod
    def _hold(self, at: IntArray, held: FloatArray, targets: FloatArray) -> Made:
        """Trade from what is held to `targets`, both (e, n), and hold them to the next decision."""

    @abstractmethod
    def _next(self, at: IntArray) -> IntArray:
        """Where the next decision is."""

    @abstractmethod
    def _places(self, count: int) -> tuple[IntArray, IntArray]:
        """Where new episodes begin, and the row at which they must have ended."""


class BookWorld(SideBySide):
    """Books on a stretch of a panel."""

    def __init__(
        self,
        ground: Ground,
        stretch: Stretch,
        size: int,
        *,
        length: int = LENGTH,
        seed: int = 0,
        bent: Bent = AS_PAID,
    ) -> None:
        """Run `size` books over `stretch`, each episode for `length` steps at most."""
        self._ground, self._stretch = ground, stretch
        self._every, self._cost_rate = ground.terms.every, ground.terms.cost_rate
        steps = (stretch.stop - stretch.start) // self._every
        super().__init__(ground.page, ground.terms.reward, size, min(length, steps), seed, bent)

    @property
    def _baseline(self) -> FloatArray:
        return self._ground.baseline

    def _asked(self, at: IntArray) -> BoolArray:
        return self._ground.asked[at]

    def _market(self, at: IntArray) -> NDArray[np.float32]:
        return self._ground.seen[at]

    def _hold(self, at: IntArray, held: FloatArray, targets: FloatArray) -> Made:
        gap, body, carry = self._ground.holding
        moved = book.step(held, targets, gap[at], body[at], carry[at], self._cost_rate)
        return Made(*moved)

    def _next(self, at: IntArray) -> IntArray:
        return at + self._every

    def _places(self, count: int) -> tuple[IntArray, IntArray]:
        latest = self._stretch.stop - self._length * self._every
        first = self._rng.integers(self._stretch.start, latest + 1, count)
        return first, np.full(count, self._stretch.stop)

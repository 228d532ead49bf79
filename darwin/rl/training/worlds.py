"""The world an agent is trained in: recorded candidates, whose every action has a known reward.

Pure numpy and batched: one call moves all environments. `vec_env.ReplayVecEnv` and the scalar
environments of `gym_env` wrap the same worlds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from darwin.core.agents import PASS
from darwin.core.market import BoolArray, FloatArray, IntArray
from darwin.rl.agents.moment import GROWTH_ENDS
from darwin.rl.agents.spec import Consequences
from darwin.rl.training.rows import Normaliser, Rows

Observations = NDArray[np.float32]


class Moved(NamedTuple):
    """What a step brought; arrays over environments, shape (e,) or (e, k)."""

    observations: Observations  # to act on next; of a new episode where one ended
    rewards: FloatArray  # R
    ended: BoolArray
    last: Observations  # what would have come next in an episode that ended
    ruined: BoolArray | None = None  # those that ended for good instead of being cut off


class World(Protocol):
    """Environments side by side."""

    width: int  # k, columns of an observation
    size: int  # e, environments

    def start(self, seed: int | None = None) -> Observations:
        """Begin an episode in each; `seed` begins the chance anew. Shape (e, k)."""
        ...

    def step(self, actions: FloatArray) -> Moved:
        """Act in each, in the agent's own unit, shape (e,)."""
        ...

    def chance(self) -> np.random.Generator:
        """Where all chance of this world comes from."""
        ...

    def look(self) -> Observations:
        """What is seen now, shape (e, k)."""
        ...

    def state(self) -> dict[str, NDArray[Any]]:
        """Where every episode stands, by name."""
        ...

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Bring every episode to where it stood."""
        ...


class Chance:
    """What worlds share: a generator that a seed begins anew, and a state that can be kept."""

    _STATE: tuple[str, ...] = ()

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def state(self) -> dict[str, NDArray[Any]]:
        """Where every episode stands, by name."""
        return {name: getattr(self, name).copy() for name in self._STATE}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Bring every episode to where it stood."""
        for name in self._STATE:
            setattr(self, name, state[name].copy())

    def chance(self) -> np.random.Generator:
        """Where all chance of this world comes from."""
        return self._rng

    def _begin(self, seed: int | None) -> None:
        if seed is not None:
            self._rng = np.random.default_rng(seed)


class TableWorld(Chance):
    """One decision, one reward: an episode is one candidate, taken in an order by chance.

    Each pass over the rows shows every candidate once.
    """

    _STATE = ("_deck", "_at")

    def __init__(self, rows: Rows, normaliser: Normaliser, size: int, seed: int = 0) -> None:
        """Environments for a page with codes."""
        super().__init__(seed)
        self.size, self.width = size, rows.observations.shape[1]
        self._seen = normaliser(rows.observations)
        self._rewards = rows.rewards
        self._deck: IntArray = np.empty(0, dtype=np.int64)
        self._at: IntArray = np.empty(0, dtype=np.int64)

    def start(self, seed: int | None = None) -> Observations:
        """Begin an episode in each."""
        self._begin(seed)
        self._deck = np.empty(0, dtype=np.int64)
        self._at = self._draw()
        return self.look()

    def look(self) -> Observations:
        """The candidates to judge."""
        return self._seen[self._at]

    def step(self, actions: FloatArray) -> Moved:
        """Pay for each action, and show the next candidates."""
        rewards = self._rewards[self._at, actions.astype(np.int64)]
        self._at = self._draw()
        seen = self._seen[self._at]
        return Moved(seen, rewards, np.ones(self.size, dtype=np.bool_), seen)

    def _draw(self) -> IntArray:
        while len(self._deck) < self.size:
            self._deck = np.concatenate([self._deck, self._rng.permutation(len(self._seen))])
        drawn, self._deck = self._deck[: self.size], self._deck[self.size :]
        return drawn


class BudgetWorld(Chance):
    """The gate with so many calls for each stretch of candidates; further passes are skips.

    An episode is a stretch of candidates in the order of time.
    """

    _STATE = ("_at", "_left", "_step")

    def __init__(
        self, rows: Rows, normaliser: Normaliser, size: int, calls: int, stretch: int, seed: int = 0
    ) -> None:
        """Environments for the gate: `calls` of the expert for every `stretch` candidates."""
        super().__init__(seed)
        self.size, self.width = size, rows.observations.shape[1]
        self._seen = normaliser(rows.observations)
        self._rewards = rows.rewards
        self._calls, self._stretch = calls, min(stretch, len(rows))
        self._at = self._left = self._step = np.zeros(size, dtype=np.int64)

    def start(self, seed: int | None = None) -> Observations:
        """Begin an episode in each."""
        self._begin(seed)
        everywhere = np.ones(self.size, dtype=np.bool_)
        self._at, self._left, self._step = (np.zeros(self.size, np.int64) for _ in range(3))
        self._renew(everywhere)
        return self.look()

    def look(self) -> Observations:
        """The candidates to judge."""
        return self._seen[self._at]

    def step(self, actions: FloatArray) -> Moved:
        """Pay for each action that the budget allows."""
        called = (actions == PASS) & (self._left > 0)
        codes = np.where(called, int(PASS), 0)
        rewards = self._rewards[self._at, codes]
        self._left = self._left - called
        self._step = self._step + 1
        self._at = (self._at + 1) % len(self._seen)
        ended: BoolArray = self._step >= self._stretch
        last = self._seen[self._at]
        self._renew(ended)
        return Moved(self._seen[self._at], rewards, ended, last)

    def _renew(self, which: BoolArray) -> None:
        count = int(np.count_nonzero(which))
        if count:
            latest = len(self._seen) - self._stretch + 1
            self._at[which] = self._rng.integers(0, latest, count)
            self._left[which], self._step[which] = self._calls, 0


class AccountWorld(Chance):
    """Sizing on a running account: an episode is a stretch of orders in the order of time.

    A position earns what its bracket is known to come to, when it is known; until then its worth is
    that of its entry. An episode begins flat, at the growth and drawdown that the record had.
    """

    MOST_OPEN = 64
    _STATE = ("_at", "_step", "_equity", "_peak", "_held", "_gain", "_until")
    _at: IntArray
    _step: IntArray
    _equity: FloatArray
    _peak: FloatArray
    _held: FloatArray  # (e, MOST_OPEN), worth of each open position; 0: a free slot
    _gain: FloatArray  # (e, MOST_OPEN), what it will have come to
    _until: IntArray  # (e, MOST_OPEN), when that is known, ms UTC

    def __init__(
        self, rows: Rows, normaliser: Normaliser, size: int, stretch: int = 128, seed: int = 0
    ) -> None:
        """Environments for a page with fractions."""
        super().__init__(seed)
        page = rows.page
        self.size, self.width = size, rows.observations.shape[1]
        self._page, self._rows, self._normaliser = page, rows, normaliser
        self._stretch = min(stretch, len(rows))
        self._exposure, self._open, self._drawdown, self._growth = (
            page.place(name) for name in ("exposure", "open_positions", "drawdown", "equity_growth")
        )
        self._full = np.minimum(rows.risk / rows.stop, rows.most_exposure)
        self._begin_all()

    def start(self, seed: int | None = None) -> Observations:
        """Begin an episode in each."""
        self._begin(seed)
        self._begin_all()
        self._renew(np.ones(self.size, dtype=np.bool_))
        return self.look()

    def step(self, actions: FloatArray) -> Moved:
        """Size each order, and go on to the next one."""
        at, rows = self._at, self._rows
        size = np.clip(actions, 0.0, 1.0)
        worth = size * self._full[at] * self._equity
        self._hold(size, worth)
        after = Consequences(
            rows.r[at],
            rows.take[at],
            rows.call_cost_r[at],
            self._equity / self._peak - 1.0,
            self._held.sum(axis=1) / self._equity,
        )
        rewards = self._page.reward(size, after)
        self._at = at + 1
        self._step = self._step + 1
        ended: BoolArray = (self._step >= self._stretch) | (self._at >= len(rows))
        self._at = np.minimum(self._at, len(rows) - 1)
        self._settle()
        seen = last = self.look()
        if ended.any():
            self._renew(ended)
            seen = self.look()
        return Moved(seen, rewards, ended, last)

    def _begin_all(self) -> None:
        e, slots = self.size, self.MOST_OPEN
        self._at, self._step = np.zeros(e, np.int64), np.zeros(e, np.int64)
        self._equity, self._peak = np.ones(e), np.ones(e)
        self._held = np.zeros((e, slots))
        self._gain = np.zeros((e, slots))
        self._until = np.full((e, slots), np.iinfo(np.int64).max)

    def _renew(self, which: BoolArray) -> None:
        count = int(np.count_nonzero(which))
        latest = len(self._rows) - self._stretch + 1
        start = self._rng.integers(0, latest, count)
        told = self._rows.observations[start].astype(np.float64)
        self._at[which], self._step[which] = start, 0
        self._equity[which] = np.exp(told[:, self._growth])
        fallen = np.maximum(1.0 + told[:, self._drawdown], 0.05)
        self._peak[which] = self._equity[which] / fallen
        self._held[which], self._gain[which] = 0.0, 0.0
        self._until[which] = np.iinfo(np.int64).max

    def _hold(self, size: FloatArray, worth: FloatArray) -> None:
        """Open the positions in free slots; where none is free the oldest is settled early."""
        at, everywhere = self._at, np.arange(self.size)
        slot = np.where(
            (self._held == 0.0).any(axis=1), (self._held == 0.0).argmax(axis=1),
            self._until.argmin(axis=1),
        )  # fmt: skip
        self._equity = self._equity + self._gain[everywhere, slot]
        risk = np.minimum(self._rows.risk, self._full[at] * self._rows.stop[at])
        opened = size > 0.0
        self._held[everywhere, slot] = np.where(opened, worth, 0.0)
        self._gain[everywhere, slot] = size * risk * self._equity * self._rows.r[at]
        self._until[everywhere, slot] = np.where(
            opened, self._rows.settled[at], np.iinfo(np.int64).max
        )
        self._equity = np.maximum(self._equity, 1e-6)

    def _settle(self) -> None:
        """Close what is known of by the decision that comes."""
        over = self._until <= self._rows.decided[self._at][:, None]
        if over.any():
            gained = np.where(over, self._gain, 0.0).sum(axis=1)
            self._equity = np.maximum(self._equity + gained, 1e-6)
            self._held[over], self._gain[over] = 0.0, 0.0
            self._until[over] = np.iinfo(np.int64).max
        self._peak = np.maximum(self._peak, self._equity)

    def look(self) -> Observations:
        """The orders to size, on the account as it is."""
        seen = self._rows.observations[self._at].copy()
        seen[:, self._exposure] = self._held.sum(axis=1) / self._equity
        seen[:, self._open] = (self._held > 0.0).sum(axis=1)
        seen[:, self._drawdown] = self._equity / self._peak - 1.0
        seen[:, self._growth] = np.clip(np.log(self._equity), *GROWTH_ENDS)
        return self._normaliser(seen)

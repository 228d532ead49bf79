"""The planted world of books: several assets of which a few can be told in advance, by design.

One asset drifts upwards, two hang together as a pair whose difference reverts to its mean, all
others are martingales; chance decides which is which. A single asset reverts to its mean. With
`edge` 0 every asset is a martingale: the null world, in which nothing can be learned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from darwin.core.market import SYNTHETIC_VENUE, FloatArray, Timeframe
from darwin.core.panel import Panel
from darwin.errors import ConfigError

SIGMA = 0.005
"""Standard deviation of a bar's log-return, about 47 % a year for hours."""
SHARED = 0.4  # of each asset's variance, through a common factor
FREEDOM = 5.0  # of Student's t, scaled to a variance of 1
DRIFT = 0.3  # of the drifting asset, per bar and in SIGMA, at edge 1
PULL = 0.1  # of a difference back to its mean, per bar, at edge 1; half of it is gone in 7 bars
HOURS = Timeframe("1h", 3_600_000)
FEWEST_BARS, MOST_BARS = 500, 1_000_000


@dataclass(frozen=True, slots=True)
class PlantedBook:
    """All that makes such a world; the same values give the same bars."""

    assets: int
    bars: int
    seed: int
    edge: float = 1.0
    timeframe: Timeframe = HOURS
    start_ms: int = 1_577_836_800_000  # 2020-01-01

    def check(self) -> None:
        """Raise ConfigError for values that cannot be meant."""
        if not (1 <= self.assets <= 100):
            raise ConfigError(f"a world of {self.assets} assets", mend="make 1 to 100")
        if not (FEWEST_BARS <= self.bars <= MOST_BARS):
            raise ConfigError(
                f"a world of {self.bars} bars", mend=f"make {FEWEST_BARS} to {MOST_BARS:,}"
            )
        if not (0.0 <= self.edge <= 5.0):
            raise ConfigError(f"an edge of {self.edge}", mend="choose 0 to 5; 0: the null world")

    @property
    def order(self) -> tuple[int, ...]:
        """The assets in the order of their roles: the one that drifts, the pair, all others."""
        rng = np.random.default_rng((self.seed, 1))
        return tuple(rng.permutation(self.assets).tolist())

    def panel(self) -> Panel:
        """The bars. Raises ConfigError."""
        self.check()
        close = np.exp(np.cumsum(self._moves(), axis=0)) * 100.0
        before = np.vstack([np.full((1, self.assets), 100.0), close[:-1]])
        rng = np.random.default_rng((self.seed, 2))
        beyond = np.exp(0.4 * SIGMA * np.abs(rng.standard_normal((2, *close.shape))))
        names = tuple(f"P{at:03d}/USDT:{SYNTHETIC_VENUE}" for at in range(self.assets))
        time = self.start_ms + self.timeframe.ms * np.arange(self.bars, dtype=np.int64)
        return Panel(
            names, self.timeframe, time, before, np.maximum(before, close) * beyond[0],
            np.minimum(before, close) / beyond[1], close, np.zeros_like(close),
        )  # fmt: skip

    def _moves(self) -> FloatArray:
        """Log-returns, (bars, assets), each a martingale's but for what is planted."""
        rng = np.random.default_rng((self.seed, 3))
        shocks = rng.standard_t(FREEDOM, (self.bars, self.assets + 1))
        shocks /= np.sqrt(FREEDOM / (FREEDOM - 2.0))
        own = SIGMA * np.sqrt(1.0 - SHARED) * shocks[:, 1:]
        pull = self.edge * PULL
        if self.assets == 1:
            own = SIGMA * shocks[:, 1:]
            own[:, 0] = _pulled_back(own[:, 0], pull)
            alone: FloatArray = own - SIGMA * SIGMA / 2.0
            return alone
        drifter, *others = self.order
        own[:, drifter] += self.edge * DRIFT * SIGMA
        if len(others) >= 2:
            one, other = others[:2]
            half = _pulled_back(own[:, one], pull)  # both legs move by half the difference
            own[:, one], own[:, other] = half, -half
        shared = SIGMA * np.sqrt(SHARED) * shocks[:, :1]
        moves: FloatArray = shared + own - SIGMA * SIGMA / 2.0
        return moves


def _pulled_back(shocks: FloatArray, pull: float) -> FloatArray:
    """Changes of a level that is driven by `shocks` (t,) and pulled back to zero."""
    level, moves = 0.0, np.empty_like(shocks)
    for at, shock in enumerate(shocks.tolist()):
        move = shock - pull * level
        level += move
        moves[at] = move
    return moves

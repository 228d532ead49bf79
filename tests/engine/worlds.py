"""Small worlds for tests of the loop: bars on a coarse grid, so that prices meet levels exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from darwin.brokers.simulated import SimulatedBroker
from darwin.core.account import Account
from darwin.core.candidate import Candidate, Exits, Scan
from darwin.core.decision import Verdict
from darwin.core.features import FeatureFrame
from darwin.core.market import HOUR_MS, Bars, FloatArray, Funding, Timeframe
from darwin.engine.proposals import Quiet, Setup
from darwin.engine.result import RunResult
from darwin.engine.session import Session
from darwin.engine.step import Rules
from darwin.trading.costs import FREE, Costs
from darwin.trading.limits import Limits
from darwin.trading.sizing import Sizing

NO_LIMITS = Limits(
    max_positions=None,
    max_exposure_fraction=None,
    max_orders_per_bar=None,
    max_orders_per_day=None,
    max_daily_loss_fraction=None,
    max_drawdown_fraction=None,
)
ONE_UNIT = Sizing(
    method="fixed_units", units=1.0, max_positions=None, max_exposure_fraction=None, min_order_usd=0
)


def grid_bars(
    n: int,
    seed: int,
    *,
    symbol: str = "BTC/USDT",
    step: float = 0.25,
    gaps: bool = True,
    funding: bool = False,
    start: int = 1_600_000_000_000 // HOUR_MS * HOUR_MS,
) -> Bars:
    """A random walk in steps of `step` around 128: opens gap, hours are missing."""
    rng = np.random.default_rng(seed)
    moves = rng.integers(-6, 7, n) * step
    jumps = np.where(rng.random(n) < 0.15, rng.integers(-8, 9, n) * step, 0.0)
    close = 128.0 + np.cumsum(moves)
    close = np.maximum(close, 16.0)
    open_ = np.maximum(np.concatenate(([128.0], close[:-1])) + jumps, 16.0)
    high = np.maximum(open_, close) + rng.integers(0, 5, n) * step
    low = np.minimum(open_, close) - rng.integers(0, 5, n) * step
    skipped = (rng.random(n) < 0.03) * rng.integers(1, 40, n) if gaps else np.zeros(n, np.int64)
    time = start + (np.arange(n) + np.cumsum(skipped)) * HOUR_MS
    paid = None
    if funding:
        stamps = np.arange(time[0], time[-1], 4 * HOUR_MS) + rng.integers(0, 2) * HOUR_MS // 2
        paid = Funding(stamps, rng.normal(0, 1e-3, len(stamps)))
    volume = rng.integers(1, 100, n).astype(np.float64)
    return Bars(symbol, Timeframe.parse("1h"), time, open_, high, low, close, volume, paid)


class FlatFrame:
    """Columns that need no arithmetic: the bar itself and an ATR of one price unit times `atr`."""

    version = "test"

    def __init__(self, bars: Bars, atr: float = 2.0) -> None:
        self._bars, self._atr = bars, atr

    def __len__(self) -> int:
        return len(self._bars)

    def __getitem__(self, key: str) -> FloatArray:
        if key.startswith("atr"):
            return np.full(len(self), self._atr)
        return np.asarray(getattr(self._bars, key))

    def take(self, keys: Sequence[str], rows: np.ndarray) -> FloatArray:
        return np.column_stack([self[key][rows] for key in keys])


@dataclass(frozen=True)
class Sprinkle:
    """A playbook that proposes at random bars; chance comes from the seed and the bar's close."""

    seed: int
    rate: float = 0.3

    def scan(self, frame: FeatureFrame) -> Scan:
        rng = np.random.default_rng(self.seed)
        draw = rng.random((2, len(frame)))
        return Scan(draw[0] < self.rate, draw[1] < self.rate)


@dataclass(frozen=True)
class TakeAll:
    """Takes everything; `blind` hides it from the short cut, so that the step walks."""

    blind: bool = True
    needs: tuple[str, ...] = ()

    @property
    def takes_everything(self) -> Verdict | None:
        return None if self.blind else Verdict(True, 1.0, 1.0, (), 0.0)

    def decide(self, candidate: Candidate, features: FloatArray, account: Account) -> Verdict:
        return Verdict(True, 1.0, 1.0, (), 0.0)


def play(*markets: Bars, **terms: Any) -> RunResult:
    """Run the session that `session_over` makes of the same terms."""
    return session_over(*markets, **terms).run()


def session_over(
    *markets: Bars,
    exits: Exits | Sequence[Exits] = Exits(1.0, 2.0, 8),  # noqa: B008
    seed: int = 0,
    rate: float = 0.3,
    costs: Costs = FREE,
    sizing: Sizing = ONE_UNIT,
    limits: Limits = NO_LIMITS,
    decider: object = None,
    equity: float = 1_000_000.0,
    positions_per_symbol: int = 1,
    warmup: int = 0,
    atr: float = 2.0,
) -> Session:
    """A session over `markets`, one sprinkling playbook per exits."""
    several = [exits] if isinstance(exits, Exits) else list(exits)
    setups = tuple(
        Setup(f"sprinkle#{i}", Sprinkle(seed * 100 + i, rate), one) for i, one in enumerate(several)
    )
    rules = Rules(equity, sizing, limits, costs, positions_per_symbol)
    return Session(
        markets=tuple(markets),
        setups=setups,
        decider=decider or TakeAll(),  # type: ignore[arg-type]
        rules=rules,
        open_broker=lambda foresight, clock: SimulatedBroker(
            foresight, clock, costs, limits.price_collar_fraction
        ),
        frame_of=lambda bars: FlatFrame(bars, atr),
        quiet=Quiet(warmup_bars=warmup),
    )

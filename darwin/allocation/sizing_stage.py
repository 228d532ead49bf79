"""The risk manager as the sizing stage of a run: full size, times leverage, less the hedge.

A run has no instrument to hedge with, so that the hedge takes its part out of the size itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from darwin.allocation.atr_sizing import PositionSizer
from darwin.allocation.hedging import HedgingStrategy
from darwin.allocation.leverage import VolatilityTarget, realised_volatility
from darwin.core.account import Account
from darwin.core.market import FloatArray, IntArray
from darwin.core.stake import RISK_MANAGER, Stake


@dataclass(frozen=True, slots=True)
class SizingStage:
    """Implements `core.stake.RiskRule`. Sizes at the stop of the bracket, which is so many ATR."""

    sizer: PositionSizer
    leverage: VolatilityTarget
    hedging: HedgingStrategy
    bars: int = 168

    def stake(
        self, account: Account, stop_distance: float, time: IntArray, close: FloatArray
    ) -> Stake:
        """Units wanted, and the figures they come from; none while the volatility is not known."""
        known = len(close) > self.bars
        volatility = realised_volatility(time, close) if known else float("nan")
        leverage = self.leverage.leverage(volatility)
        hedge = self.hedging.ratio(min(max(-account.drawdown, 0.0), 1.0))
        full = self.sizer.units_to_stop(account.equity, stop_distance)
        told = (
            f"{RISK_MANAGER}: volatility {volatility:.4f}, leverage {leverage:.4f},"
            f" hedge {hedge:.4f}"
        )
        return Stake(full * leverage * (1.0 - hedge), full, told)

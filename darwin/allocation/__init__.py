"""Books of many assets: how much of each, how much of all, and what protects it. Pure numpy."""

from darwin.allocation.atr_sizing import PositionSize, PositionSizer
from darwin.allocation.hedging import Hedge, HedgingStrategy
from darwin.allocation.kelly import Kelly
from darwin.allocation.leverage import VolatilityTarget
from darwin.allocation.rebalancing import PortfolioManager, Rebalance, WeightLimits
from darwin.allocation.risk import RiskDecisions, RiskManager
from darwin.allocation.states import MarketState, PortfolioState

__all__ = [
    "Hedge",
    "HedgingStrategy",
    "Kelly",
    "MarketState",
    "PortfolioManager",
    "PortfolioState",
    "PositionSize",
    "PositionSizer",
    "Rebalance",
    "RiskDecisions",
    "RiskManager",
    "VolatilityTarget",
    "WeightLimits",
]

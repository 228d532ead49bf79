"""The risk manager: weights, leverage, hedge and position sizes for one market and book."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from darwin.allocation.atr_sizing import PositionSize, PositionSizer
from darwin.allocation.by_name import ByName
from darwin.allocation.hedging import Hedge, HedgingStrategy
from darwin.allocation.kelly import Kelly
from darwin.allocation.leverage import VolatilityTarget
from darwin.allocation.rebalancing import PortfolioManager
from darwin.allocation.states import MarketState, PortfolioState, refuse_mistaken_symbols

DAYS_PER_YEAR = 365


@dataclass(frozen=True, slots=True)
class RiskDecisions(ByName):
    """What to hold, as attributes and by name."""

    rebalance_weights: Mapping[str, float]  # of the book at leverage 1
    leverage: float  # of all of them
    hedge: Hedge  # what to sell against it; not in the position sizes
    position_sizes: Mapping[str, PositionSize]  # weight times leverage, within what ATR allows
    decided_by: str  # of the weights: "policy", "equal weight", "present weights"
    reason: str  # why the present weights stand, or what cut the change; empty: nothing


class RiskManager:
    """Puts the rules together. It decides and orders nothing.

    Leverage is that of the portfolio manager's volatility target; with `kelly` also at most what
    the criterion gives for the market's trend and volatility, so that none is taken on without a
    positive one.
    """

    def __init__(
        self,
        portfolio: PortfolioManager | None = None,
        *,
        hedging: HedgingStrategy | None = None,
        sizer: PositionSizer | None = None,
        leverage: VolatilityTarget | None = None,
        kelly: Kelly | None = None,
    ) -> None:
        """Each rule has a default; `leverage` replaces that of `portfolio`."""
        self.portfolio = portfolio or PortfolioManager()
        self.hedging, self.sizer = hedging or HedgingStrategy(), sizer or PositionSizer()
        self.leverage, self.kelly = leverage or self.portfolio.leverage, kelly

    async def manage_risk(self, market_state: object, portfolio: object) -> RiskDecisions:
        """The same as `manage`, for callers that await; it waits for nothing."""
        return self.manage(market_state, portfolio)

    def manage(self, market_state: object, portfolio: object) -> RiskDecisions:
        """Decide about one state. Raises DataError for one that cannot be, naming key and mend."""
        market, book = MarketState.of(market_state), PortfolioState.of(portfolio)
        refuse_mistaken_symbols(market, book)
        new = self.portfolio.rebalance(market, book)
        leverage = self._leverage(market)
        sizes = {
            symbol: self._size(symbol, weight * leverage, market, book)
            for symbol, weight in new.weights.items()
        }
        exposure = math.fsum(abs(size.fraction) for size in sizes.values())
        hedge = self.hedging.hedge(float(book.current_drawdown), exposure)
        return RiskDecisions(new.weights, leverage, hedge, sizes, new.decided_by, new.reason)

    def _leverage(self, market: MarketState) -> float:
        volatility, trend = float(market.volatility), float(market.trend)
        leverage = self.leverage.leverage(volatility)
        if self.kelly is None:
            return leverage
        return min(leverage, self.kelly.share(trend, volatility * volatility))

    def _size(
        self, symbol: str, wanted: float, market: MarketState, book: PortfolioState
    ) -> PositionSize:
        """What is wanted of one asset, within what its ATR allows.

        Where price or ATR is not known, a day's volatility of the market stands for the ATR.
        """
        price, atr = market.prices.get(symbol), market.atr.get(symbol)
        if price is None or atr is None:
            stop = float(market.volatility) / math.sqrt(DAYS_PER_YEAR) * self.sizer.atr_multiple
        else:
            stop = atr / price * self.sizer.atr_multiple
        most, clipped_by = self.sizer.fraction(stop)
        if abs(wanted) <= most:
            most, clipped_by = abs(wanted), ""
        else:
            clipped_by = clipped_by or "risk"
        fraction = math.copysign(most, wanted)
        if price is None or book.equity is None:
            distance = None if price is None else stop * price
            return PositionSize(None, fraction, most * stop, distance, clipped_by)
        return self.sizer.at_price(fraction, clipped_by, float(book.equity), price, stop * price)

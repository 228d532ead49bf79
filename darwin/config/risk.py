"""The block `portfolio.risk_manager`: how a risk manager sizes entries."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from darwin.config.block import Block
from darwin.config.values import Share, fault

MOST_RISK = 0.05
"""No entry risks more of equity under a risk manager."""

Leverage = Annotated[float, Field(gt=0, le=100)]


class RiskManagerConfig(Block):
    """Read by `portfolio.sizing` 'risk_manager' alone."""

    target_volatility: Annotated[float, Field(gt=0, le=100)] = 0.2  # of a year
    max_leverage: Leverage = 1.0
    min_leverage: Annotated[float, Field(ge=0, le=100)] = 0.0
    volatility_bars: Annotated[int, Field(ge=2, le=10_000)] = 168
    hedge_threshold: Share = 0.05  # drawdown
    hedge_part_of_excess: Annotated[float, Field(ge=0, le=1000)] = 0.5

    @field_validator("min_leverage")
    @classmethod
    def _is_below_the_most(cls, least: float, info: ValidationInfo) -> float:
        most = info.data.get("max_leverage")
        if most is not None and not least <= most:
            raise fault("is above portfolio.risk_manager.max_leverage", "swap them or lower it")
        return least

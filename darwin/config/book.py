"""BookConfig: every key of the config of a run of a book, its default and its bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from darwin.config.block import Block
from darwin.config.model import CostsConfig, MarketConfig
from darwin.config.rl import ArtifactPath, ModelPath
from darwin.config.values import (
    Fraction,
    Multiple,
    Name,
    Options,
    Positive,
    Resume,
    RootPath,
    RunId,
    fault,
)
from darwin.core.rebalance import ALLOCATOR, MARKET

EQUAL_WEIGHT, FLAT, BUY_AND_HOLD = "equal_weight", "flat", "buy_and_hold"
BASELINES = {ALLOCATOR: (EQUAL_WEIGHT,), MARKET: (FLAT, BUY_AND_HOLD)}
"""What an agent of a book is held against, in the order of the record; the first one stands
without it, unless the config says otherwise."""


class AllocationConfig(Block):
    """Who decides about the book, how often, and how far it may go."""

    agent: Literal["allocator", "market"]
    every: Annotated[int, Field(ge=1, le=10_000)] = 24  # bars between two rebalances
    enabled: bool = True
    mode: Literal["observe", "active", "auto"] = "observe"
    model_path: ModelPath | None = None  # None: artifacts/rl_models/<agent>/current
    policy: Name | None = None  # a rule in the place of a model; None: the model that serves
    params: Options = Field(default_factory=dict)  # of that rule
    baseline: Literal["equal_weight", "flat", "buy_and_hold"] | None = None  # None: by agent
    on_model_error: Literal["stop", "baseline"] = "stop"  # an active agent's model is refused

    @field_validator("params")
    @classmethod
    def _of_a_rule(cls, params: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if params and info.data.get("policy", "") is None:
            raise fault("has no meaning without a rule", "name one as allocation.policy")
        return params

    @field_validator("baseline")
    @classmethod
    def _of_its_agent(cls, baseline: str | None, info: ValidationInfo) -> str | None:
        agent = info.data.get("agent")
        if baseline is not None and agent is not None and baseline not in BASELINES[agent]:
            mend = f"write {' or '.join(BASELINES[agent])}"
            raise fault(f"is no baseline of the {agent} agent", mend)
        return baseline

    @field_validator("model_path")
    @classmethod
    def _named_after_its_agent(cls, path: str | None, info: ValidationInfo) -> str | None:
        agent = info.data.get("agent")
        if path is not None and agent and path.split("/")[-2:] != [agent, "current"]:
            raise fault(
                f"must end in {agent}/current: which version serves is not the config's to say",
                f"write artifacts/rl_models/{agent}/current; `darwin rl rollback` moves it",
            )
        return path


class BookPortfolioConfig(Block):
    """The account."""

    starting_equity_usd: Positive = 10_000.0


class BookLimitsConfig(Block):
    """What a book may never hold, evaluated last; None switches a limit off."""

    max_weight: Fraction | None = 1.0  # of one asset, of the book's value
    max_exposure_fraction: Multiple | None = 1.0  # of all of them together
    max_position_usd: Positive | None = None
    max_daily_loss_fraction: Fraction | None = None  # then nothing becomes larger that day
    max_drawdown_fraction: Fraction | None = 0.25  # then all becomes cash
    reducing_resume: Resume = "never"


class BookConfig(Block):
    """One run of a book."""

    run_id: RunId
    mode: Literal["replay"] = "replay"
    market: MarketConfig
    costs: CostsConfig = CostsConfig()
    allocation: AllocationConfig
    portfolio: BookPortfolioConfig = BookPortfolioConfig()
    limits: BookLimitsConfig = BookLimitsConfig()
    agent_state_db: ArtifactPath | None = None
    artifacts_dir: RootPath = "artifacts"

    @field_validator("allocation")
    @classmethod
    def _one_market_for_one_symbol(
        cls, allocation: AllocationConfig, info: ValidationInfo
    ) -> AllocationConfig:
        market = info.data.get("market")
        if market is not None and allocation.agent == MARKET and len(market.symbols) != 1:
            raise fault(
                f"is about one symbol, and market.symbols names {len(market.symbols)}",
                "name one symbol, or let the allocator decide",
                ("agent",),
            )
        return allocation

    @property
    def cost_rate(self) -> float:
        """What changing a book costs, of the value traded."""
        costs = self.costs
        return (costs.taker_bps + costs.half_spread_bps + costs.slippage_bps) / 10_000.0


def is_of_book(tree: Mapping[str, Any]) -> bool:
    """Whether a config, as JSON has it, is that of a run of a book."""
    return "allocation" in tree

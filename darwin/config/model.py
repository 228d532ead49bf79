"""RunConfig: every key of a run's config, its default and its bounds."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

from darwin.config.block import Block
from darwin.config.risk import MOST_RISK, RiskManagerConfig
from darwin.config.rl import RlConfig
from darwin.config.values import (
    BASE_URL,
    AnyPath,
    BaseUrl,
    Bps,
    Count,
    CountOrNone,
    ExchangeId,
    Fraction,
    Instant,
    Multiple,
    Name,
    NotNegative,
    Options,
    Positive,
    Resume,
    RootPath,
    RunId,
    Step,
    Symbols,
    TimeframeName,
    as_tuple,
    fault,
    instant_ms,
)


class MarketConfig(Block):
    """Which bars. `bars` to `jumps_per_year` are read by the synthetic provider alone."""

    provider: Name
    path: AnyPath | None = None
    base_url: BaseUrl = BASE_URL
    exchange: ExchangeId | None = None
    symbols: Symbols
    timeframe: TimeframeName
    start: Instant | None = None
    end: Instant | None = None
    warmup_bars: CountOrNone = 400
    max_gap_bars: Count = 24
    calendar: Literal["continuous", "sessions"] = "continuous"
    funding: bool = False
    tick_size: Step | None = None
    lot_size: Step | None = None
    bars: Annotated[int, Field(ge=1, le=10_000_000)] = 10_000
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0
    edge: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    annual_volatility: Annotated[float, Field(ge=0.001, le=10)] | None = None
    jumps_per_year: Annotated[float, Field(ge=0, le=10_000)] = 0.0

    @property
    def start_ms(self) -> int | None:
        """Bars open at or after this instant, ms UTC."""
        return None if self.start is None else instant_ms(self.start)

    @property
    def end_ms(self) -> int | None:
        """Bars open before this instant, ms UTC."""
        return None if self.end is None else instant_ms(self.end)

    @field_validator("path")
    @classmethod
    def _files_have_a_place(cls, path: str | None, info: ValidationInfo) -> str | None:
        if path is None and info.data.get("provider") == "files":
            raise fault("is required by market.provider 'files'", "write the folder of the files")
        return path

    @field_validator("exchange")
    @classmethod
    def _ccxt_has_an_exchange(cls, exchange: str | None, info: ValidationInfo) -> str | None:
        if exchange is None and info.data.get("provider") == "ccxt":
            raise fault("is required by market.provider 'ccxt'", 'write for example "kraken"')
        return exchange

    @field_validator("end")
    @classmethod
    def _starts_before_it_ends(cls, end: str | None, info: ValidationInfo) -> str | None:
        start = info.data.get("start")
        if end is not None and start is not None and not instant_ms(start) < instant_ms(end):
            raise fault("must be later than market.start", "swap them or move one")
        return end

    @field_validator("tick_size", "lot_size")
    @classmethod
    def _of_known_symbols(
        cls, step: float | dict[str, float] | None, info: ValidationInfo
    ) -> float | dict[str, float] | None:
        symbols = info.data.get("symbols")
        if symbols is not None and isinstance(step, dict):
            for symbol in step:
                if symbol not in symbols:
                    mend = f"use symbols of market.symbols: {', '.join(symbols[:5])}"
                    raise fault("is no symbol of this run", mend, (symbol,))
        return step


class CostsConfig(Block):
    """Basis points of traded value; a negative maker fee is a rebate."""

    maker_bps: Annotated[float, Field(ge=-10, le=1000)] = 2.0
    taker_bps: Bps = 5.0
    half_spread_bps: Bps = 1.0
    slippage_bps: Bps = 1.0


class PortfolioConfig(Block):
    """The account, and how large an entry is; None switches a cap off."""

    starting_equity_usd: Positive = 10_000.0
    sizing: Literal["risk", "equal_weight", "fixed_units", "risk_manager"] = "risk"
    risk_per_trade: Fraction = 0.01
    units: Positive | None = None
    max_positions: Count | None = 10
    max_exposure_fraction: Multiple | None = 1.0
    positions_per_symbol: Count = 1
    min_order_usd: NotNegative = 10.0
    max_order_usd: Positive | None = None
    risk_manager: RiskManagerConfig = RiskManagerConfig()

    @field_validator("risk_per_trade")
    @classmethod
    def _within_the_most_risk(cls, risk: float, info: ValidationInfo) -> float:
        if info.data.get("sizing") == "risk_manager" and not risk <= MOST_RISK:
            what = f"is above {MOST_RISK}, the most that portfolio.sizing 'risk_manager' risks"
            raise fault(what, "lower it, or size by 'risk'")
        return risk

    @field_validator("risk_manager")
    @classmethod
    def _levers_on_margin_alone(
        cls, risk: RiskManagerConfig, info: ValidationInfo
    ) -> RiskManagerConfig:
        most = info.data.get("max_exposure_fraction")
        funded = most is not None and most <= 1.0
        if info.data.get("sizing") == "risk_manager" and funded and risk.max_leverage > 1.0:
            mend = "raise portfolio.max_exposure_fraction above 1, or write 1"
            raise fault("is above 1 in an account without margin", mend, ("max_leverage",))
        return risk

    @field_validator("units")
    @classmethod
    def _units_for_fixed_units(cls, units: float | None, info: ValidationInfo) -> float | None:
        sizing = info.data.get("sizing")
        if units is None and sizing == "fixed_units":
            raise fault(
                "is required by portfolio.sizing 'fixed_units'", "write the units of each entry"
            )
        if units is not None and sizing not in ("fixed_units", None):
            raise fault(
                f"has no meaning with portfolio.sizing '{sizing}'",
                "remove it or size by 'fixed_units'",
            )
        return units

    @field_validator("max_order_usd")
    @classmethod
    def _leaves_room_for_orders(cls, cap: float | None, info: ValidationInfo) -> float | None:
        least = info.data.get("min_order_usd")
        if cap is not None and least is not None and not cap >= least:
            raise fault("is below portfolio.min_order_usd", "no order could exist: raise it")
        return cap


class LimitsConfig(Block):
    """What refuses entries, evaluated last; None switches a limit off."""

    max_position_usd: Positive | None = None
    max_orders_per_bar: Count | None = 5
    max_orders_per_day: Count | None = 50
    max_daily_loss_fraction: Fraction | None = 0.05
    max_drawdown_fraction: Fraction | None = 0.25
    price_collar_fraction: Fraction | None = None
    max_refusals_per_bar: Count | None = 100
    reducing_resume: Resume = "never"


class TrailingConfig(Block):
    """A stop that follows once the position has come far enough."""

    activation_r: Annotated[float, Field(ge=0, le=1000)]
    distance_atr: Multiple


class ExitsConfig(Block):
    """The bracket of every candidate of a playbook; None switches a part off."""

    stop_atr: Multiple = 1.2
    target_atr: Multiple | None = 2.4
    time_stop_bars: Count | None = 32
    trailing: TrailingConfig | None = None
    anchor: Literal["signal", "fill"] = "signal"
    atr_period: Annotated[int, Field(ge=1, le=10_000)] = 14


class PlaybookConfig(Block):
    """One playbook; `params` are checked against its own parameters (`darwin.config.options`)."""

    name: Name
    params: Options = Field(default_factory=dict)
    exits: ExitsConfig = ExitsConfig()


class LiveConfig(Block):
    """How bars are waited for in mode `paper`; seconds by the clock of the venue."""

    poll_seconds: Annotated[float, Field(ge=0.01, le=3600)] = 5.0  # between two looks, at most
    grace_seconds: Annotated[float, Field(ge=0, le=86_400)] = 30.0  # for symbols that lag behind
    # and so long for those of which something is held or ordered
    missing_seconds: Annotated[float, Field(ge=0, le=31_536_000)] = 14_400.0
    # a bar or decision that comes later is not acted on; None: 300, or a bar where that is shorter
    max_staleness_seconds: Annotated[float, Field(ge=1, le=3_153_600_000)] | None = None


class DeciderConfig(Block):
    """The expert; every further key is an option of that decider."""

    model_config = ConfigDict(extra="allow")

    provider: Name
    cost_usd_per_call: Annotated[float, Field(ge=0, le=1000)] | None = None  # None: its own default

    @property
    def options(self) -> dict[str, Any]:
        """What the decider's constructor is given."""
        cost = {"cost_usd_per_call": self.cost_usd_per_call}
        return (cost if self.cost_usd_per_call is not None else {}) | (self.model_extra or {})


def _no_two_alike(entries: tuple[PlaybookConfig, ...]) -> tuple[PlaybookConfig, ...]:
    seen: dict[str, int] = {}
    for i, entry in enumerate(entries):
        first = seen.setdefault(json.dumps(entry.model_dump(), sort_keys=True), i)
        if first != i:
            raise fault(f"repeats playbooks[{first}]", "remove one or change its parameters", (i,))
    return entries


class RunConfig(Block):
    """One run."""

    run_id: RunId
    mode: str = "replay"  # or paper: bars as they close, orders simulated
    market: MarketConfig
    costs: CostsConfig = CostsConfig()
    portfolio: PortfolioConfig = PortfolioConfig()
    limits: LimitsConfig = LimitsConfig()
    playbooks: Annotated[
        tuple[PlaybookConfig, ...], Field(min_length=1, max_length=100), BeforeValidator(as_tuple)
    ]
    decider: DeciderConfig = DeciderConfig(provider="rules")
    rl: RlConfig | None = None
    live: LiveConfig = LiveConfig()
    artifacts_dir: RootPath = "artifacts"

    @property
    def on_paper(self) -> bool:
        """Whether bars come from a venue as they close."""
        return self.mode == "paper"

    @field_validator("mode")
    @classmethod
    def _available(cls, mode: str) -> str:
        if mode == "live":
            raise fault("'live' is not available in this version", 'write "paper" or "replay"')
        if mode not in ("replay", "paper"):
            raise fault("must be 'replay' or 'paper'", 'write "paper" or "replay"')
        return mode

    @field_validator("market")
    @classmethod
    def _no_end_on_paper(cls, market: MarketConfig, info: ValidationInfo) -> MarketConfig:
        if info.data.get("mode") == "paper" and market.end is not None:
            mend = "remove it; `darwin run --until` says when to stop"
            raise fault("has no meaning in mode 'paper'", mend, ("end",))
        if info.data.get("mode") == "paper" and market.funding:
            raise fault("is not to be had in mode 'paper'", "remove it", ("funding",))
        return market

    @field_validator("portfolio")
    @classmethod
    def _volatility_is_known(
        cls, portfolio: PortfolioConfig, info: ValidationInfo
    ) -> PortfolioConfig:
        market = info.data.get("market")
        if market is None or portfolio.sizing != "risk_manager":
            return portfolio
        if portfolio.risk_manager.volatility_bars > market.warmup_bars:
            raise fault(
                f"is above market.warmup_bars, {market.warmup_bars}",
                "the first candidates would have no volatility: lower it or warm up longer",
                ("risk_manager", "volatility_bars"),
            )
        return portfolio

    @field_validator("playbooks")
    @classmethod
    def _distinct(cls, playbooks: tuple[PlaybookConfig, ...]) -> tuple[PlaybookConfig, ...]:
        return _no_two_alike(playbooks)

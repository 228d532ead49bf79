"""What requests must look like: strict, with nothing beside what is named."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from darwin.core.market import SYMBOL, Timeframe
from darwin.errors import DarwinError
from darwin.store.tokens import PREFIX

TOKEN = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{20,}}")
"""What looks like a token, and is written down nowhere."""
AgentName = Literal["gate", "meta_learner", "portfolio", "allocator", "market"]


def _a_line(text: str) -> str:
    text = text.strip()
    if not text or not text.isprintable():
        raise ValueError("write one plain line that is not empty")
    if TOKEN.search(text):
        raise ValueError("a token stands in it, which would be kept for all to read")
    return text


def _symbols(text: str) -> str:
    names = text.split(",")
    if len(names) > 100 or not all(SYMBOL.fullmatch(name) for name in names):
        raise ValueError("no symbol; write BTC/USDT, or BTC/USDT,ETH/USDT for a book")
    return text


def _timeframe(text: str) -> str:
    try:
        return Timeframe.parse(text).name
    except DarwinError as fault:
        raise ValueError(fault.what) from None


Line = Annotated[str, Field(min_length=1, max_length=160), AfterValidator(_a_line)]
Symbols = Annotated[str, Field(min_length=2, max_length=2000), AfterValidator(_symbols)]
Frame = Annotated[str, Field(min_length=2, max_length=8), AfterValidator(_timeframe)]


class Asked(BaseModel):
    """A body: of these very types, finite, nothing else in it."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class MaySign(Asked):
    """Who says so and why; without `by` it is the holder of the token."""

    by: Line | None = Field(None, examples=["Ada"])
    reason: Line | None = Field(None, examples=["gate skips everything"])


class MustSign(Asked):
    """Who says so and why; without `by` it is the holder of the token."""

    by: Line | None = Field(None, examples=["Ada"])
    reason: Line = Field(examples=["a week at 1% went well"])


class Override(MustSign):
    """An act that evidence speaks for, or a named person with `override`."""

    override: bool = Field(False, description="Without the stages, time or evidence it wants.")


class Stage(Override):
    """How much of the capital."""

    stage: float = Field(ge=0, le=1, examples=[0.05], description="A share: 0.05 is 5 %.")
    max_position_usd: float | None = Field(
        None, gt=0, le=1e15, examples=[2_000.0],
        description="No position above it in which the agent acts; without it the cap stays.",
    )  # fmt: skip


class Version(MustSign):
    """A version of a model."""

    version: str = Field(min_length=1, max_length=64, examples=["20261122_030000"])


class Pin(Version):
    """Whether it is kept from being removed."""

    pinned: bool = Field(True)


class Kill(MaySign):
    """The kill switch."""

    state: Literal["on", "off"] = Field(examples=["on"])


class TrainProduction(MaySign):
    """What to learn from, and for how long."""

    symbol: Symbols = Field(examples=["BTC/USDT"])
    timeframe: Frame = Field("1h", examples=["1h"])
    lookback_hours: int = Field(720, ge=1, le=200_000, examples=[720])
    num_episodes: int = Field(100, ge=1, le=1_000_000, examples=[100])


class Benchmark(MaySign):
    """What to judge on; `num_episodes` books of each strategy by chance."""

    symbol: Symbols = Field(examples=["BTC/USDT"])
    timeframe: Frame = Field("1h", examples=["1h"])
    lookback_hours: int = Field(720, ge=1, le=200_000, examples=[720])
    num_episodes: int = Field(10, ge=1, le=1_000, examples=[10])


class Rollout(MaySign):
    """How much of the capital an agent may hold, and what its positions may be worth at most."""

    capital_percentage: float = Field(ge=0, le=100, examples=[5.0])
    max_position_size: float | None = Field(
        None, gt=0, le=1e15, examples=[50_000],
        description="USD; it only tightens what the config of a run says.",
    )  # fmt: skip
    enable_risk_guard: bool = Field(True, description="Above 0 % it cannot be switched off.")


class Retrain(MaySign):
    """Whether to answer at once, or when it is done."""

    model_config = ConfigDict(
        strict=True, extra="forbid", allow_inf_nan=False, populate_by_name=False
    )
    in_background: bool = Field(True, alias="async", examples=[True])


class ScheduleSet(MustSign):
    """When an agent is trained anew: either `cron` or `interval_days`."""

    enabled: bool = True
    cron: str | None = Field(None, max_length=100, examples=["0 3 * * 0"])
    interval_days: int | None = Field(None, ge=1, le=366, examples=[7])
    timezone: str = Field("UTC", min_length=1, max_length=64, examples=["Europe/Berlin"])
    last_days: float = Field(30.0, gt=0, le=3_660)
    timesteps: int = Field(20_000, ge=1, le=1_000_000_000)

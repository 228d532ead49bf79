"""Providers as the config asks for them: what `market.provider` names is called with `market`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from darwin.core.market import Timeframe

if TYPE_CHECKING:
    from darwin.config.model import MarketConfig
    from darwin.data.ccxt_bars import CcxtProvider
    from darwin.data.files import FilesProvider
    from darwin.data.klines import KlinesProvider
    from darwin.data.synthetic import SyntheticProvider

_SYNTHETIC_START_MS = 1_577_836_800_000  # 2020-01-01 00:00 UTC


def files(market: MarketConfig) -> FilesProvider:
    """Bars from the folder `market.path`."""
    from darwin.data.files import FilesProvider  # noqa: PLC0415  only the one in use is loaded

    return FilesProvider(
        Path(market.path or ""),
        Timeframe.parse(market.timeframe),
        market.start_ms,
        market.end_ms,
        market.funding,
        market.calendar,
        market.max_gap_bars,
    )


def klines(market: MarketConfig) -> KlinesProvider:
    """Bars from the venue at `market.base_url`."""
    from darwin.data.klines import KlinesProvider  # noqa: PLC0415

    return KlinesProvider(
        market.base_url, Timeframe.parse(market.timeframe), market.start_ms, market.end_ms
    )


def ccxt(market: MarketConfig) -> CcxtProvider:
    """Bars from the exchange that ccxt knows as `market.exchange`."""
    from darwin.data.ccxt_bars import CcxtProvider  # noqa: PLC0415

    return CcxtProvider(
        market.exchange or "", Timeframe.parse(market.timeframe), market.start_ms, market.end_ms
    )


def synthetic(market: MarketConfig) -> SyntheticProvider:
    """Bars by generator; `market.start` is their first open, 2020-01-01 by default."""
    from darwin.data.synthetic import ANNUAL_VOLATILITY, SyntheticProvider  # noqa: PLC0415

    return SyntheticProvider(
        bars=market.bars,
        seed=market.seed,
        edge=market.edge,
        start_ms=_SYNTHETIC_START_MS if market.start_ms is None else market.start_ms,
        timeframe=Timeframe.parse(market.timeframe),
        symbols=market.symbols,
        annual_volatility=market.annual_volatility or ANNUAL_VOLATILITY,
        jumps_per_year=market.jumps_per_year,
    )

"""What a careful reader must know of the inputs of a run: keys that nobody reads, gaps, memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from darwin.config.model import MarketConfig, PortfolioConfig
from darwin.core.market import Bars
from darwin.core.ports import Decider, Remembering
from darwin.engine.proposals import Quiet

_READ_BY_SOME = {
    "ccxt": ("exchange", "end"),
    "files": ("path", "end", "funding"),
    "klines": ("base_url", "end"),
    "synthetic": ("bars", "seed", "edge", "annual_volatility", "jumps_per_year"),
}


def idle_notes(market: MarketConfig) -> tuple[str, ...]:
    """Say which keys were set that this provider does not read."""
    own = _READ_BY_SOME.get(market.provider)
    if own is None:
        return ()
    fields = MarketConfig.model_fields
    others = dict.fromkeys(key for keys in _READ_BY_SOME.values() for key in keys if key not in own)
    idle = [f"market.{key}" for key in others if getattr(market, key) != fields[key].default]
    return _note_on(idle, f"The provider '{market.provider}' does not read {{}}.")


def unused_risk_notes(portfolio: PortfolioConfig) -> tuple[str, ...]:
    """Say that a risk manager was set up which sizes nothing."""
    block = PortfolioConfig.model_fields["risk_manager"]
    if portfolio.sizing == "risk_manager" or portfolio.risk_manager == block.default:
        return ()
    return (f"portfolio.sizing is '{portfolio.sizing}': nothing of risk_manager is read.",)


def funding_notes(provider: Any, market: MarketConfig) -> tuple[str, ...]:
    """Say what the inputs leave out of the funding of perpetuals."""
    if not hasattr(provider, "has_funding"):
        return ()
    if not market.funding:
        unused = [symbol for symbol in market.symbols if provider.has_funding(symbol)]
        return _note_on(
            unused,
            "Funding is not charged, although there is a series for {}; "
            "set market.funding to true to charge it.",
        )
    partly = [s for s in market.symbols if provider.report(s).bars_without_funding]
    return _note_on(partly, "The funding series of {} covers only a part of the bars.")


def gap_notes(markets: tuple[Bars, ...], quiet: Quiet) -> tuple[str, ...]:
    """Say where warming up anew after gaps leaves most bars without candidates."""
    mostly_quiet = [
        bars.symbol
        for bars in markets
        if np.count_nonzero(quiet.allows(bars)) < (len(bars) - quiet.warmup_bars) / 2
    ]
    return _note_on(
        mostly_quiet,
        "Most bars of {} can have no candidate: each gap longer than market.max_gap_bars starts "
        "the warm-up again; for a market with sessions set market.calendar to 'sessions'.",
    )


def memory_notes(decider: Decider, markets: Sequence[Bars]) -> tuple[str, ...]:
    """Say which bars an expert may remember that is a model."""
    if not isinstance(decider, Remembering):
        return ()
    from darwin.bootstrap import experts

    return experts.memory_notes(decider, markets)


def _note_on(symbols: Sequence[str], sentence: str) -> tuple[str, ...]:
    return (sentence.format(", ".join(symbols)),) if symbols else ()

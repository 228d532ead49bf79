"""The bars that rows were made of, and that no feature on record knows the future of them.

Bars come through the provider of the run's config, and count only where their digest is that of
the run. Where they are not to be had the finding says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from darwin import plugins
from darwin.core.market import Bars, IntArray
from darwin.core.ports import Provider
from darwin.engine.digest import data_digest
from darwin.errors import DarwinError
from darwin.features.pipeline import Frame
from darwin.rl.training.canaries.finding import Finding, counted, unchecked
from darwin.rl.training.canaries.told import Told

CUTS = 8
"""Candidates of each run whose features are made again from bars that end with their own."""


class Market(NamedTuple):
    """Bars of a run by symbol, or why there are none."""

    bars: Mapping[str, Bars]
    why_not: str = ""


def market_of(told: Told) -> Market:
    """Fetch the bars that a run was made of."""
    asked = told.config.market
    try:
        provider: Provider = plugins.factory("provider", asked.provider)(asked)
        bars = [provider.bars(symbol) for symbol in asked.symbols]
        digest = _digest(provider, bars, asked.symbols, told.fed_until)
    except (DarwinError, OSError) as fault:
        return Market({}, f"the bars of run '{told.run_id}' are not to be had ({fault})")
    if digest != told.data_digest:
        return Market({}, f"the bars of run '{told.run_id}' are no longer those it was made of")
    return Market({one.symbol: one for one in bars})


def _digest(
    provider: Provider, bars: Sequence[Bars], symbols: Sequence[str], fed_until: int | None
) -> str:
    """The digest that a run over these bars keeps, replayed or fed."""
    if fed_until is not None:
        return data_digest(bars, fed_until)
    names = [one.symbol for one in bars]
    lines = [f"{name} {provider.digest(one)}" for name, one in zip(names, symbols, strict=True)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def features_know_no_future(runs: Sequence[Told], markets: Sequence[Market]) -> Finding:
    """Features on record are those of bars that end with the candidate's own, bit for bit."""
    wrong: dict[str, int] = {}
    cuts, why_not = 0, ""
    for told, market in zip(runs, markets, strict=True):
        why_not = why_not or market.why_not
        if market.why_not or not len(told.facts):
            continue
        features = told.features
        for at in spread(len(told.facts), CUTS).tolist():
            bars = market.bars[told.facts["symbol"][at]]
            bar = int(np.searchsorted(bars.time, told.facts["bar_time"][at]))
            frame = Frame(bars.slice(0, bar + 1))
            again = frame.take(told.feature_names, np.array([bar]))[0]
            cuts += 1
            for name, kept, made in zip(told.feature_names, features[at], again, strict=True):
                wrong[name] = wrong.get(name, 0) + int(not _same(kept, made))
    if not cuts:
        return unchecked("prefix", why_not or "no candidate has a place")
    clean = f"{len(wrong)} features of {cuts} candidates need no bar after their own"
    faults = [(count, f"candidates whose '{name}' changes when the future is cut off")
              for name, count in wrong.items()]  # fmt: skip
    found = counted("prefix", faults, clean)
    return unchecked("prefix", why_not) if found.passed and why_not else found


def _same(kept: float, made: float) -> bool:
    return kept == made or (np.isnan(kept) and np.isnan(made))


def spread(count: int, most: int) -> IntArray:
    """Places of at most `most` of `count` things, evenly, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))

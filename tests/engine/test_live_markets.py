"""Real features, real playbooks, many bars: fed and replayed they tell the same."""

from __future__ import annotations

import gc
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from darwin.bootstrap import live, wire
from darwin.config.load import load_resolved
from darwin.core.candidate import Exits
from darwin.core.facts import Facts
from darwin.core.market import Bars, Funding
from darwin.engine.arrivals import arrivals
from tests.engine.live_runs import Collected, live_over, whimsical
from tests.engine.worlds import grid_bars, session_over

pytestmark = pytest.mark.slow


def wired_over(**market: object):
    """All playbooks, all features recorded, the expert of rules."""
    tree = {
        "run_id": "both-ways",
        "market": market,
        "portfolio": {"risk_per_trade": 0.0025, "positions_per_symbol": 2},
        "playbooks": [
            {"name": "breakout"},
            {"name": "breakout", "params": {"lookback": 12, "trend_ema": 50, "min_adx": None}},
            {"name": "pullback", "exits": {"trailing": {"activation_r": 1, "distance_atr": 1}}},
            {"name": "mean_reversion", "exits": {"anchor": "fill", "target_atr": None}},
        ],
        "limits": {"max_drawdown_fraction": 0.1, "reducing_resume": 5},
        "decider": {"provider": "rules", "min_confidence": 0.4},
    }
    return wire(load_resolved(tree, "a test"))


def with_holes(bars: Bars, seed: int) -> Bars:
    """The same without single bars and without a long stretch."""
    rng = np.random.default_rng(seed)
    n = len(bars)
    keep = rng.random(n) > 0.05
    start = int(rng.integers(n // 2, n - 100))
    keep[start : start + 40] = False
    columns = ("time", "open", "high", "low", "close", "volume")
    return replace(bars, **{name: getattr(bars, name)[keep] for name in columns})


def assert_both_ways(wired, at_once: int) -> Collected:
    whole, journal = Collected(), Collected()
    result = wired.session.run(journal=whole)
    run = live(wired, journal)
    for chunk in arrivals(wired.session.markets, at_once):
        run.feed(chunk)
    run.finish()
    told, expected = journal.told(), whole.told()
    for mine, other in zip(told, expected, strict=False):
        assert mine == other
    assert len(told) == len(expected)
    assert run.trades == len(result.trades)
    return journal


@pytest.mark.parametrize("at_once", [1, 250])
def test_three_made_markets_with_holes(at_once):
    bars = 750 if at_once == 1 else 3_000
    wired = wired_over(
        provider="synthetic", symbols=["BTC/USDT", "ETH/USDT", "SOL/USDT"], timeframe="1h",
        bars=bars, seed=5, warmup_bars=370,
    )  # fmt: skip
    one, two, three = (
        with_holes(bars, number) for number, bars in enumerate(wired.session.markets)
    )
    stamps = one.time[::8]
    rates = np.random.default_rng(1).normal(0, 1e-3, len(stamps))
    markets = (replace(one, funding=Funding(stamps, rates)), two.slice(100, len(two)), three)
    journal = assert_both_ways(
        replace(wired, session=replace(wired.session, markets=markets)), at_once
    )
    assert len(journal.of("fills")) > (10 if at_once == 1 else 300)
    names = journal.batches[0].candidates.feature_names
    assert len(names) > 30


COINS = {
    "symbols": ["BTCUSDT_PERP", "ETHUSDT_PERP", "SOLUSDT_PERP"],
    "start": "2022-11-01",
    "end": "2023-09-01",
    "funding": True,
}
SHARE = {"symbols": ["AAPL"], "calendar": "sessions"}


@pytest.mark.parametrize("market", [COINS, SHARE], ids=["three coins", "a share"])
def test_real_markets(market_dir, market):
    files = {"provider": "files", "path": str(market_dir), "timeframe": "1h", "tick_size": 0.01}
    journal = assert_both_ways(wired_over(**files, **market), 97)
    assert len(journal.of("fills")) > 50


class Forgetful:
    """A journal that counts what it is handed and keeps none of it."""

    def __init__(self) -> None:
        self.decisions = self.orders = self.outcomes = 0

    def due(self) -> bool:
        return False

    def append(self, facts: Facts) -> None:
        self.decisions += len(facts.candidates)
        self.orders += len(facts.orders)
        self.outcomes += len(facts.outcomes)


@pytest.mark.parametrize(
    ("bars", "decisions"), [(6_000, 10_000), pytest.param(30_000, 100_000, marks=pytest.mark.sweep)]
)
def test_so_many_decisions_leave_no_trace_in_memory(bars, decisions):
    markets = [grid_bars(bars, k, symbol=f"S{k}A/USDT", funding=True) for k in range(2)]
    session = session_over(*markets, exits=Exits(1.0, 2.0, 8), warmup=5)
    journal = Forgetful()
    run = live_over(whimsical(session, 2, 1.0), journal)
    cut = list(arrivals(markets, 500))
    for chunk in cut[:8]:
        run.feed(chunk)
    before = journal.decisions
    gc.collect()
    tracemalloc.start()
    for chunk in cut[8:]:
        run.feed(chunk)
    gc.collect()
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert journal.decisions - before > decisions
    assert journal.orders > decisions // 20
    assert journal.outcomes > decisions
    assert grown < 2**20  # of 10 MiB that a hundred thousand may take

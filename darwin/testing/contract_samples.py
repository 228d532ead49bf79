"""What contract suites put before plug-ins: markets, questions to an expert, orders to a broker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

import numpy as np

from darwin.core.account import Account
from darwin.core.candidate import Candidate, CandidateTable, Exits, Scan, Trailing
from darwin.core.clock import Clock
from darwin.core.features import FeatureFrame
from darwin.core.market import Bars, FloatArray, Timeframe
from darwin.core.trade import Order, OutcomeTable
from darwin.data.synthetic import SyntheticProvider
from darwin.engine.proposals import Quiet, Setup, propose
from darwin.features.pipeline import Frame
from darwin.playbooks.breakout import Breakout
from darwin.testing.builders import make_bars
from darwin.trading.brackets import resolve
from darwin.trading.costs import Costs
from darwin.trading.foresight import Foresight


@cache
def sample_markets() -> Mapping[str, Bars]:
    """Bars of several characters, by name: lively, planted, without volume, dead."""
    planted = SyntheticProvider(
        bars=800,
        seed=1,
        edge=0.3,
        start_ms=1_704_067_200_000,
        timeframe=Timeframe.parse("1h"),
        symbols=("ETH/USDT",),
    )
    still = make_bars(close=np.full(150, 64.0), volatility=0.0)
    silent = make_bars(500, seed=2, volatility=0.02)
    return {
        "a random walk": make_bars(500, seed=1),
        "a synthetic market": planted.bars("ETH/USDT"),
        "a market without volume": replace(silent, volume=np.full(len(silent), np.nan)),
        "a dead market": still,
    }


class Case(NamedTuple):
    """One question to an expert."""

    candidate: Candidate
    features: FloatArray
    account: Account


def questions(needs: Sequence[str]) -> list[Case]:
    """Real candidates with the features an expert needs, before accounts in several states."""
    bars = sample_markets()["a synthetic market"]
    rule = Breakout(lookback=10, buffer_atr=0.0, min_adx=None)
    table = propose(
        [bars], [Setup("breakout", rule, Exits())], Clock.of([bars]), Quiet(), Frame, tuple(needs)
    )
    accounts = (
        Account(10_000.0, 0.0, 0.0, 0, 0.0),
        Account(6_000.0, 5_500.0, 400.0, 3, -0.4),
        Account(25_000.0, 25_000.0, 0.0, 10, 0.0),
    )
    return [
        Case(candidate, table.features[candidate.row].copy(), accounts[candidate.row % 3])
        for candidate in candidates_of(table)
    ]


@dataclass(frozen=True, slots=True)
class _EveryBar:
    """Proposes both sides at every bar."""

    def scan(self, frame: FeatureFrame) -> Scan:
        always = np.ones(len(frame), dtype=np.bool_)
        return Scan(always, always)


class Market(NamedTuple):
    """What a broker is opened on, and the orders it gets; every third candidate is ordered."""

    clock: Clock
    foresight: Foresight
    orders: tuple[Order, ...]


@cache
def busy_market() -> Market:
    """Three symbols with gaps at their opens; one ends early, one begins late."""
    markets = [
        _with_gaps(make_bars(160, symbol="BTC/USDT", seed=3, volatility=0.02), 3),
        _with_gaps(make_bars(120, symbol="ETH/USDT", seed=4, volatility=0.02), 4),
        _with_gaps(make_bars(90, symbol="SOL/USDT", seed=5, start="2024-01-04"), 5),
    ]
    clock = Clock.of(markets)
    exits = (Exits(0.8, 1.6, 6), Exits(1.5, None, None, Trailing(0.5, 1.0)))
    setups = [Setup(f"every_bar#{i}", _EveryBar(), each) for i, each in enumerate(exits)]
    table = propose(markets, setups, clock, Quiet(warmup_bars=20), Frame)
    costs = Costs()
    rows = [np.flatnonzero(table.symbol == s) for s in range(len(markets))]
    parts = [
        resolve(table.select(own), bars, costs) for own, bars in zip(rows, markets, strict=True)
    ]
    back = np.argsort(np.concatenate(rows), kind="stable")
    outcomes = OutcomeTable.joined(parts).select(back)
    orders = tuple(
        Order(c.id, c.row, c.symbol, c.playbook, c.side, c.bar_time, 1.0 + c.row / 7, c.close, "")
        for c in candidates_of(table)
        if c.row % 3 == 0
    )
    return Market(clock, Foresight.of(table, outcomes, markets, clock, costs), orders)


def candidates_of(table: CandidateTable) -> Iterator[Candidate]:
    """The rows of `table`, as an expert is shown them."""
    names = [name for name in Candidate._fields if name != "row"]
    columns = [getattr(table, name).tolist() for name in names]
    for row, values in enumerate(zip(*columns, strict=True)):
        yield Candidate(row=row, **dict(zip(names, values, strict=True)))


def _with_gaps(bars: Bars, seed: int) -> Bars:
    """The same bars opening anywhere near the close before them, so that some entries gap."""
    gap = np.random.default_rng(seed).normal(0.0, 0.012, len(bars))
    opened = bars.open * np.exp(gap)
    high, low = np.maximum(bars.high, opened), np.minimum(bars.low, opened)
    return replace(bars, open=opened, high=high, low=low)

"""Cutting the data at random points changes nothing that was known before the cut."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from darwin.brokers.simulated import SimulatedBroker
from darwin.core.candidate import CandidateTable, Exits, Trailing
from darwin.core.market import Bars, Timeframe
from darwin.core.trade import Exit, OutcomeTable, Status
from darwin.data.files import FilesProvider
from darwin.data.synthetic import SyntheticProvider
from darwin.deciders.rules import RulesDecider
from darwin.engine.proposals import Quiet, Setup
from darwin.engine.result import RunResult
from darwin.engine.session import Session
from darwin.engine.step import Rules
from darwin.features.catalog import NAMES
from darwin.features.pipeline import Frame
from darwin.playbooks.breakout import Breakout
from darwin.playbooks.mean_reversion import MeanReversion
from darwin.playbooks.pullback import Pullback
from darwin.trading.costs import Costs
from darwin.trading.limits import Limits
from darwin.trading.sizing import Sizing

pytestmark = pytest.mark.slow

HOUR = Timeframe.parse("1h")
WARMUP_BARS = 400
CUTS = 20


def play(*markets: Bars) -> RunResult:
    """The three playbooks on real features, judged, sized and limited, all features recorded."""
    setups = (
        Setup("breakout", Breakout(), Exits(1.2, 2.4, 32, Trailing(1.0, 1.2))),
        Setup("pullback", Pullback(), Exits(1.2, 2.4, 32, anchor="fill")),
        Setup("mean_reversion", MeanReversion(), Exits(1.5, None, None, Trailing(0.5, 1.0))),
    )
    limits = Limits(max_drawdown_fraction=0.1, reducing_resume_days=10)
    return Session(
        markets=markets,
        setups=setups,
        decider=RulesDecider(),
        rules=Rules(10_000.0, Sizing(risk_per_trade=0.0025), limits, Costs()),
        open_broker=lambda foresight, clock: SimulatedBroker(foresight, clock, Costs()),
        frame_of=Frame,
        quiet=Quiet(WARMUP_BARS),
        recorded_features=NAMES,
    ).run()


def test_cutting_real_bars_changes_nothing_before_the_cut(market_dir):
    bars = FilesProvider(market_dir, HOUR).bars("BTCUSDT")
    assert len(bars) == 70_356
    assert_cuts_change_nothing((bars,), seed=301)


def test_cutting_a_perpetual_with_funding_changes_nothing_before_the_cut(market_dir):
    start = int(np.datetime64("2023-01-01", "ms").astype(np.int64))
    provider = FilesProvider(market_dir, HOUR, start_ms=start, funding=True)
    markets = tuple(provider.bars(symbol) for symbol in ("BTCUSDT_PERP", "ETHUSDT_PERP"))
    assert_cuts_change_nothing(markets, seed=302, cuts=5)


def test_cutting_synthetic_bars_changes_nothing_before_the_cut():
    provider = SyntheticProvider(
        bars=12_000,
        seed=303,
        edge=0.2,
        start_ms=0,
        timeframe=HOUR,
        symbols=("BTC/USDT", "ETH/USDT"),
    )
    assert_cuts_change_nothing(tuple(map(provider.bars, provider.symbols)), seed=304)


def assert_cuts_change_nothing(markets: tuple[Bars, ...], seed: int, cuts: int = CUTS) -> None:
    whole = play(*markets)
    assert len(whole.trades) > 500
    first, last = int(markets[0].time[WARMUP_BARS + 200]), int(markets[0].time[-1])
    for now in np.random.default_rng(seed).integers(first, last, cuts).tolist():
        part = play(*(bars.slice(0, int(np.searchsorted(bars.time, now))) for bars in markets))
        end = max(int(bars.time[-1]) for bars in part.markets)
        assert end < now
        assert_same_candidates(part.candidates, whole.candidates, now)
        assert_same_outcomes(part.outcomes, whole.outcomes)
        assert_same_account(part, whole, end)


def assert_same_candidates(part: CandidateTable, whole: CandidateTable, now: int) -> None:
    assert len(part) == np.count_nonzero(whole.bar_time < now) > 0
    for field in fields(CandidateTable):
        mine, theirs = getattr(part, field.name), getattr(whole, field.name)
        if isinstance(mine, tuple | str):
            assert mine == theirs, field.name
        else:
            assert_same_bits(mine, theirs[: len(part)], field.name)
    assert set(NAMES) <= set(part.feature_names)


def assert_same_outcomes(part: OutcomeTable, whole: OutcomeTable) -> None:
    """What was resolved, or cancelled at its open, stays so; the rest was not guessed."""
    known = np.flatnonzero(part.status != Status.UNRESOLVED)
    open_ = np.flatnonzero(part.status == Status.UNRESOLVED)
    for field in fields(OutcomeTable):
        mine, theirs = getattr(part, field.name), getattr(whole, field.name)
        assert_same_bits(mine[known], theirs[known], field.name)
    assert np.isnan(part.r[open_]).all()
    assert (part.exit_bar[open_] == -1).all()


def assert_same_account(part: RunResult, whole: RunResult, end: int) -> None:
    """Orders, fills and marks up to the cut; only the forced end differs."""
    settled = [fill for fill in part.fills if fill.reason != Exit.END_OF_RUN]
    assert settled == [fill for fill in whole.fills if fill.time <= end]
    assert list(part.orders) == [order for order in whole.orders if order.bar_time <= end]
    marks = len(part.equity.time) - 1  # the last one knows of the forced end
    assert_same_bits(part.equity.equity[:marks], whole.equity.equity[:marks], "equity")
    assert_same_bits(part.equity.exposure[:marks], whole.equity.exposure[:marks], "exposure")
    happened = [event for event in whole.safety_events if event.time < end]
    assert [event for event in part.safety_events if event.time < end] == happened


def assert_same_bits(mine: np.ndarray, theirs: np.ndarray, what: str) -> None:
    """Equal to the last bit; NaN equals NaN."""
    assert_array_equal(mine, theirs, err_msg=what)
    if mine.dtype == np.float64:
        assert_array_equal(np.signbit(mine), np.signbit(theirs), err_msg=what)

"""The back-test work: Donchian-20 breakout, ATR-14 bracket, one position, 0.1 % a side."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from darwin.brokers.simulated import SimulatedBroker
from darwin.core.candidate import Exits
from darwin.core.market import Bars, Timeframe
from darwin.data.synthetic import SyntheticProvider
from darwin.deciders.rules import RulesDecider
from darwin.engine.proposals import Quiet, Setup
from darwin.engine.session import Session
from darwin.engine.step import Rules
from darwin.features.pipeline import Frame
from darwin.playbooks.breakout import Breakout
from darwin.trading.costs import Costs
from darwin.trading.limits import Limits
from darwin.trading.sizing import Sizing

LOOKBACK, STOP_ATR, TARGET_ATR, TIME_STOP, FEE = 20, 1.0, 2.0, 60, 0.001
MARKET = Path(__file__).resolve().parent.parent.parent / "shared" / "market"
NO_LIMITS = Limits(*(None,) * 10)


def minutes(count: int, seed: int = 1) -> Bars:
    """One-minute bars of the synthetic null world."""
    provider = SyntheticProvider(
        bars=count,
        seed=seed,
        edge=0.0,
        start_ms=1_577_836_800_000,
        timeframe=Timeframe.parse("1m"),
        symbols=("BTC/USDT",),
    )
    return provider.bars("BTC/USDT")


def real(name: str, timeframe: str) -> Bars | None:
    """Bars of the real series `name` without funding, or None where it is not at hand."""
    from darwin.data.files import FilesProvider

    if not MARKET.is_dir():
        return None
    return FilesProvider(MARKET, Timeframe.parse(timeframe)).bars(name)


def session(bars: Bars) -> Session:
    """The work as a library call."""
    costs = Costs(maker_bps=FEE * 1e4, taker_bps=FEE * 1e4, half_spread_bps=0.0, slippage_bps=0.0)
    bare = Breakout(lookback=LOOKBACK, buffer_atr=0.0, min_adx=None)
    sizing = Sizing("fixed_units", units=1.0, max_positions=None, max_exposure_fraction=None)
    return Session(
        markets=(replace(bars, funding=None),),
        setups=(Setup("breakout", bare, Exits(STOP_ATR, TARGET_ATR, TIME_STOP)),),
        decider=RulesDecider(take_all=True),
        rules=Rules(1e9, sizing, NO_LIMITS, costs),
        open_broker=lambda foresight, clock: SimulatedBroker(foresight, clock, costs),
        frame_of=Frame,
        quiet=Quiet(warmup_bars=0, sessions=True),
    )

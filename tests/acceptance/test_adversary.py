"""An expert that wants everything, at every bar, on both sides, breaks no hard limit.

The account is reckoned anew, from orders, fills, cancellations and bars alone, in the plainest way.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np
import pytest

from darwin.brokers.simulated import SimulatedBroker
from darwin.core.account import Account
from darwin.core.agents import AGENTS, GATE, META_LEARNER, PASS, PORTFOLIO, TO_SKIP, TO_TAKE, Advice
from darwin.core.candidate import Candidate, Exits, Scan, Trailing
from darwin.core.clock import Clock
from darwin.core.decision import Reason, Verdict
from darwin.core.features import FeatureFrame
from darwin.core.market import DAY_MS, Bars, FloatArray
from darwin.core.trade import Fill, Order, Phase
from darwin.engine.consult import Terms
from darwin.engine.proposals import Quiet, Setup
from darwin.engine.result import RunResult
from darwin.engine.session import Session
from darwin.engine.step import Rules
from darwin.features.pipeline import Frame
from darwin.testing.builders import make_bars
from darwin.trading.costs import Costs
from darwin.trading.limits import Limits
from darwin.trading.sizing import Sizing
from tests.engine.doors import Does, always, seated, terms

SYMBOLS = ("BTC/USDT", "ETH/USDT", "BNB/USDT", "SOL/USDT", "XRP/USDT")
START_USD = 100_000.0
A_HAIR = 1.0 + 1e-9
PER_SYMBOL = 3


@dataclass(frozen=True)
class Always:
    """Proposes both sides at every bar."""

    def scan(self, frame: FeatureFrame) -> Scan:
        always = np.ones(len(frame), dtype=bool)
        return Scan(always, always)


@dataclass(frozen=True)
class Greedy:
    """Takes everything and is sure of it, without promising so: the step has to walk."""

    needs: tuple[str, ...] = ()
    takes_everything: Verdict | None = None

    def decide(self, candidate: Candidate, features: FloatArray, account: Account) -> Verdict:
        return Verdict(True, 1.0, 1.0, (), 0.0)


TIGHT = Limits(
    max_positions=7,
    max_exposure_fraction=1.0,
    max_position_usd=30_000.0,
    max_orders_per_bar=3,
    max_orders_per_day=20,
    max_daily_loss_fraction=0.02,
    max_drawdown_fraction=0.06,
    price_collar_fraction=0.004,
    reducing_resume_days=3,
)
ON_MARGIN = Limits(
    max_positions=None,
    max_exposure_fraction=2.5,
    max_position_usd=45_000.0,
    max_orders_per_bar=None,
    max_orders_per_day=None,
    max_daily_loss_fraction=None,
    max_drawdown_fraction=0.5,
    price_collar_fraction=None,
)
FOR_GOOD = Limits(
    max_positions=12,
    max_exposure_fraction=1.0,
    max_position_usd=None,
    max_orders_per_bar=4,
    max_orders_per_day=60,
    max_daily_loss_fraction=0.01,
    max_drawdown_fraction=0.15,
)


def play(limits: Limits, sizing: Sizing, costs: Costs, agents: Terms | None = None) -> RunResult:
    """The run of an expert that takes everything, with `agents` that hold all of the capital."""
    setups = (
        Setup("always", Always(), Exits(0.8, 1.6, 8)),
        Setup("always#2", Always(), Exits(1.5, None, 24, Trailing(0.5, 1.0))),
    )
    return Session(
        markets=tuple(market(symbol, seed) for seed, symbol in enumerate(SYMBOLS, start=201)),
        setups=setups,
        decider=Greedy(),
        rules=Rules(START_USD, sizing, limits, costs, PER_SYMBOL),
        open_broker=lambda foresight, clock: SimulatedBroker(
            foresight, clock, costs, limits.price_collar_fraction
        ),
        frame_of=Frame,
        quiet=Quiet(warmup_bars=400),
        agents=agents,
    ).run(inputs=None if agents is None else seated(*AGENTS))


def market(symbol: str, seed: int) -> Bars:
    """A walk around 100 whose opens leave the close before them; each symbol misses other bars."""
    bars = make_bars(1_500, symbol=symbol, seed=seed, volatility=0.008)
    rng = np.random.default_rng(seed)
    opened = bars.open * np.exp(rng.normal(0.0, 0.003, len(bars)))
    high, low = np.maximum(bars.high, opened), np.minimum(bars.low, opened)
    bars = replace(bars, open=opened, high=high, low=low)
    there = np.flatnonzero(rng.random(len(bars)) > 0.02)
    columns = ("time", "open", "high", "low", "close", "volume")
    return replace(bars, **{name: getattr(bars, name)[there] for name in columns})


WORLDS = pytest.mark.parametrize(
    ("limits", "sizing", "costs", "refusals"),
    [
        pytest.param(
            TIGHT,
            Sizing(risk_per_trade=0.004, max_position_usd=30_000.0),
            Costs(0.5, 1.0, 0.5, 0.0),
            {"MAX_POSITIONS", "ORDERS_PER_BAR", "ORDERS_PER_DAY", "DAILY_LOSS", "DRAWDOWN"}
            | {"EXPOSURE", "PRICE_COLLAR", "POSITION_OPEN"},
            id="every limit at once",
        ),
        pytest.param(
            ON_MARGIN,
            Sizing("fixed_units", units=200.0, max_exposure_fraction=None, max_positions=None),
            Costs(0.0, 0.2, 0.0, 0.0),
            {"EXPOSURE", "MAX_POSITION_VALUE", "POSITION_OPEN"},
            id="orders that sizing does not clip",
        ),
        pytest.param(
            FOR_GOOD,
            Sizing(risk_per_trade=0.01),
            Costs(),
            {"DAILY_LOSS", "DRAWDOWN"},
            id="stopped for good",
        ),
    ],
)


@WORLDS
def test_no_hard_limit_is_ever_broken(limits, sizing, costs, refusals):
    result = play(limits, sizing, costs)
    assert len(result.candidates) >= 20_000
    assert {Reason[name] for name in refusals} <= {Reason(code) for code in set(result.reasons)}
    assert len(result.trades) > 50
    assert_limits_kept(result, limits)


def extreme(agent: str) -> Does:
    """All or nothing, by the digits of what it sees, and mostly all."""

    def answer(observation: np.ndarray) -> Advice:
        drawn = crc32(observation.tobytes())
        if agent == META_LEARNER:
            return Advice(TO_SKIP if drawn % 8 == 0 else TO_TAKE, 1.0)
        return Advice(float(drawn % 8 != 0), 1.0 if agent == GATE else None)

    return Does(answer)


@WORLDS
@pytest.mark.parametrize("always_all", [True, False])
def test_agents_at_the_extremes_break_no_hard_limit(always_all, limits, sizing, costs, refusals):
    everything = {GATE: always(PASS), META_LEARNER: always(TO_TAKE), PORTFOLIO: always(1.0)}
    policies = everything if always_all else {agent: extreme(agent) for agent in AGENTS}
    result = play(limits, sizing, costs, terms(policies, max_override_rate=1.0))
    assert len(result.trades) > 50
    assert_limits_kept(result, limits)
    asked = Counter(result.consulted.agent.tolist())
    assert set(asked) == {0, 1, 2}
    assert result.consulted.followed.mean() > 0.9
    assert sum(asked.values()) > 50_000


def assert_limits_kept(result: RunResult, limits: Limits) -> None:
    books = Books(result)
    watch = Watch(limits)
    per_bar: Counter[int] = Counter()
    per_day: Counter[int] = Counter()
    orders = list(result.orders)
    for instant, time in enumerate(books.clock.time.tolist()):
        books.settle_until(time)
        equity = books.equity(instant)
        assert equity == pytest.approx(result.equity.equity[instant], rel=1e-9)
        forbidden = watch.forbids(time, equity)
        while orders and orders[0].bar_time == time:
            order = orders.pop(0)
            assert not forbidden, (time, forbidden)
            books.pending[order.candidate_id] = order
            per_bar[time] += 1
            per_day[time // DAY_MS] += 1
            assert_within(books, limits, order, instant, equity)
    assert not orders
    assert max(per_bar.values()) <= (limits.max_orders_per_bar or 10_000)
    assert max(per_day.values()) <= (limits.max_orders_per_day or 10_000)
    assert_fills_within_collar(result, limits)


def assert_within(books: Books, limits: Limits, order: Order, instant: int, equity: float) -> None:
    """With `order` already among what is pending."""
    held = books.value_of(order.symbol, instant)
    everything = sum(books.value_of(symbol, instant) for symbol in range(len(SYMBOLS)))
    if limits.max_positions is not None:
        assert len(books.open) + len(books.pending) <= limits.max_positions
    if limits.max_exposure_fraction is not None:
        assert everything <= limits.max_exposure_fraction * equity * A_HAIR
    if limits.max_position_usd is not None:
        assert held <= limits.max_position_usd * A_HAIR
    mine = [o for o in (*books.pending.values(), *books.open.values()) if o.symbol == order.symbol]
    assert len(mine) <= PER_SYMBOL


def assert_fills_within_collar(result: RunResult, limits: Limits) -> None:
    if limits.price_collar_fraction is None:
        return
    close = result.candidates.close
    moved = [abs(f.mid_price / close[f.row] - 1.0) for f in result.fills if f.is_entry]
    assert max(moved) <= limits.price_collar_fraction * A_HAIR


class Books:
    """Cash, positions and pending orders, one event after the other."""

    def __init__(self, result: RunResult) -> None:
        self.clock = Clock.of(result.markets)
        self.cash = result.starting_equity_usd
        self.open: dict[int, Fill] = {}
        self.pending: dict[int, Order] = {}
        self._fills = sorted(result.fills, key=lambda f: (f.time, f.phase, not f.is_entry))
        self._cancels = sorted(result.cancels, key=lambda c: c.time)

    def settle_until(self, time: int) -> None:
        """Book what happened up to and within the bar that opens at `time`."""
        while self._cancels and self._cancels[0].time <= time:
            cancel = self._cancels.pop(0)
            if cancel.order.candidate_id in self.pending:
                del self.pending[cancel.order.candidate_id]
        while self._fills and self._fills[0].time <= time and self._fills[0].phase <= Phase.MARK:
            fill = self._fills.pop(0)
            paid = fill.side * fill.units * fill.price * (1 if fill.is_entry else -1)
            self.cash -= paid + fill.fee_usd + fill.funding_usd
            if fill.is_entry:
                del self.pending[fill.candidate_id]
                self.open[fill.candidate_id] = fill
            else:
                assert self.open.pop(fill.candidate_id).units == fill.units

    def equity(self, instant: int) -> float:
        held = (f.side * f.units * self._close(f.symbol, instant) for f in self.open.values())
        return self.cash + sum(held)

    def value_of(self, symbol: int, instant: int) -> float:
        """What a symbol's positions are worth at the close, with what its orders ask for."""
        mine = sum(f.units for f in self.open.values() if f.symbol == symbol)
        waiting = sum(o.units * o.price for o in self.pending.values() if o.symbol == symbol)
        return mine * self._close(symbol, instant) + waiting

    def _close(self, symbol: int, instant: int) -> float:
        return float(self.clock.close[symbol][instant])


@dataclass
class Watch:
    """Daily loss and drawdown by hand, mark by mark."""

    limits: Limits
    peak: float = START_USD
    last: float = START_USD
    day: int = -1
    day_start: float = START_USD
    lost_today: bool = False
    reduced_at: int | None = None

    def forbids(self, time: int, equity: float) -> str:
        """Say what forbids entries at this close, "" if nothing does."""
        if time // DAY_MS != self.day:
            self.day, self.day_start, self.lost_today = time // DAY_MS, self.last, False
        self.last = equity
        daily, drawdown = self.limits.max_daily_loss_fraction, self.limits.max_drawdown_fraction
        if daily is not None and equity <= self.day_start * (1.0 - daily) / A_HAIR:
            self.lost_today = True
        wait = self.limits.reducing_resume_days
        if self.reduced_at is not None:
            if wait is not None and time >= self.reduced_at + wait * DAY_MS:
                self.reduced_at, self.peak = None, equity
        else:
            self.peak = max(self.peak, equity)
            if drawdown is not None and equity <= self.peak * (1.0 - drawdown) / A_HAIR:
                self.reduced_at = time
        if self.reduced_at is not None:
            return "drawdown"
        return "daily loss" if self.lost_today else ""

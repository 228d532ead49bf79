"""Small consistent inputs for tests: bars of a random walk, and a whole run worked out by hand.

A test names only what matters to it; the rest has a default. The run made here comes from no
engine: `desk.py` reckons its brackets, fills and marks in the plainest way, so that whatever reads
a `RunResult` can be tested without the loop that writes one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from darwin.core.candidate import LONG, SHORT, CandidateTable, candidate_ids, setup_key
from darwin.core.decision import Reason
from darwin.core.market import Bars, FloatArray, Funding, IntArray, Timeframe
from darwin.engine.result import RunResult, SafetyEvent, VerdictColumns
from darwin.testing.desk import Desk, outcome_table, resolve
from darwin.trading.costs import Costs


def make_bars(
    count: int = 500,
    *,
    symbol: str = "BTC/USDT",
    timeframe: str = "1h",
    start: str = "2024-01-01",
    price: float = 100.0,
    volatility: float = 0.01,
    close: Sequence[float] | FloatArray | None = None,
    funding_rate: float | None = None,
    seed: int = 0,
) -> Bars:
    """Bars of a martingale with `volatility` per bar, or with the closes given.

    Each bar opens at the close before it; high and low reach beyond by chance. `funding_rate`
    adds a funding payment at every eighth bar.
    """
    rng = np.random.default_rng(seed)
    frame = Timeframe.parse(timeframe)
    if close is None:
        steps = rng.normal(-volatility * volatility / 2, volatility, count)
        closes = price * np.exp(np.cumsum(steps))
    else:
        closes = np.asarray(close, dtype=np.float64)
    size = len(closes)
    opens = np.concatenate([[price if close is None else closes[0]], closes[:-1]])
    reach = np.abs(rng.normal(0, volatility / 2, (2, size)))
    first = int(np.datetime64(start, "ms").astype(np.int64))
    time = first + frame.ms * np.arange(size, dtype=np.int64)
    funding = None
    if funding_rate is not None:
        funding = Funding(time[::8], np.full(len(time[::8]), funding_rate))
    return Bars(
        symbol=symbol,
        timeframe=frame,
        time=time,
        open=opens,
        high=np.maximum(opens, closes) * np.exp(reach[0]),
        low=np.minimum(opens, closes) * np.exp(-reach[1]),
        close=closes,
        volume=np.exp(rng.normal(3, 1, size)),
        funding=funding,
    )


@dataclass(frozen=True, slots=True)
class Setup:
    """What the fabricated run does, alike for every candidate."""

    every_bars: int = 10  # a candidate at every so many bars, long and short in turn
    warmup_bars: int = 50
    stop: float = 0.012  # as a fraction of the close
    target: float = 0.02
    time_stop_bars: int = 24
    risk_per_trade: float = 0.01
    least_confidence: float = 0.3  # the expert skips below that; 0 takes everything


def make_result(
    *markets: Bars,
    setup: Setup | None = None,
    playbooks: tuple[str, ...] = ("breakout",),
    costs: Costs | None = None,
    starting_equity_usd: float = 10_000.0,
    safety_events: Sequence[SafetyEvent] = (),
    flags: tuple[str, ...] = ("thin volume",),
    seed: int = 0,
) -> RunResult:
    """A run over `markets` (default: one random walk of 500 bars) that balances to the cent.

    The expert's confidence is noise; the first skipped candidate carries `flags`.
    """
    markets = markets or (make_bars(),)
    setup, costs = setup or Setup(), costs or Costs()
    clock = np.unique(np.concatenate([bars.time for bars in markets]))
    table = _candidates(markets, clock, playbooks, setup)
    endings = [resolve(markets, table, row, costs) for row in range(len(table))]
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0, 1, len(table))
    desk = Desk(markets, clock, table, endings, setup.risk_per_trade, costs, starting_equity_usd)
    for row in range(len(table)):
        desk.consider(row, bool(confidence[row] >= setup.least_confidence))
    reasons = np.array(desk.reasons, dtype=np.int8)
    asked = ~np.isin(reasons, [Reason.POSITION_OPEN])
    skipped = np.flatnonzero(reasons == Reason.EXPERT_SKIP)
    return RunResult(
        symbols=tuple(bars.symbol for bars in markets),
        playbooks=playbooks,
        markets=tuple(markets),
        first_bar=tuple(min(setup.warmup_bars, len(bars)) for bars in markets),
        candidates=table,
        reasons=reasons,
        verdicts=VerdictColumns(
            asked=asked,
            take=asked & (confidence >= setup.least_confidence),
            confidence=np.where(asked, confidence, np.nan),
            quality=np.where(asked, confidence[::-1], np.nan),
            cost_usd=np.where(asked, 0.01, np.nan),
            flags={int(skipped[0]): flags} if len(skipped) and flags else {},
        ),
        outcomes=outcome_table(endings),
        orders=tuple(desk.orders),
        cancels=tuple(desk.cancels),
        fills=tuple(sorted(desk.fills, key=lambda fill: (fill.instant, fill.phase, fill.symbol))),
        trades=tuple(sorted(desk.trades, key=lambda trade: (trade.exit.instant, trade.symbol))),
        safety_events=tuple(safety_events),
        equity=desk.marks(),
        starting_equity_usd=starting_equity_usd,
        costs=costs,
    )


def _candidates(
    markets: Sequence[Bars], clock: IntArray, playbooks: Sequence[str], setup: Setup
) -> CandidateTable:
    pieces = []
    for s, bars in enumerate(markets):
        at = np.arange(setup.warmup_bars, len(bars), setup.every_bars, dtype=np.int64)
        for k, at_bar in enumerate(at):
            side, nth = (LONG, SHORT)[k % 2], (k // 2) % len(playbooks)
            key = setup_key(bars.symbol, bars.timeframe.name, playbooks[nth], "", side)
            id_ = candidate_ids(key, bars.time[at_bar : at_bar + 1])[0]
            pieces.append((bars.time[at_bar], s, nth, side, at_bar, id_, bars.close[at_bar]))
    pieces.sort(key=lambda piece: (*piece[:3], -piece[3]))
    m = len(pieces)
    columns = list(zip(*pieces, strict=True)) if pieces else [()] * 7
    time, symbol, book, sides, bar = (np.array(c, dtype=np.int64) for c in columns[:5])
    close = np.array(columns[6], dtype=np.float64)
    return CandidateTable(
        id=np.array(columns[5], dtype=np.uint64),
        symbol=symbol,
        playbook=book,
        side=sides,
        bar=bar,
        bar_time=time,
        instant=np.searchsorted(clock, time),
        close=close,
        stop_distance=close * setup.stop,
        target_distance=close * setup.target,
        time_stop_bars=np.full(m, float(setup.time_stop_bars)),
        trail_activation_r=np.full(m, np.inf),
        trail_distance=np.full(m, np.inf),
        from_fill=np.zeros(m, dtype=bool),
        features=np.zeros((m, 0)),
    )

"""A desk that trades candidates in the plainest way, for the runs that builders fabricate.

It is no engine: brackets without trailing, one position per symbol, one candidate at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from darwin.core.candidate import LONG, CandidateTable
from darwin.core.decision import Reason
from darwin.core.market import Bars, FloatArray, IntArray
from darwin.core.trade import Cancel, Exit, Fill, Order, OutcomeTable, Phase, Status, Trade
from darwin.engine.result import EquityCurve
from darwin.trading.costs import Costs, funding_paid_until


class Ending(NamedTuple):
    """How one bracket ended, in mid prices."""

    status: Status
    entry_bar: int = -1
    entry: float = np.nan
    stop: float = np.nan
    target: float = np.nan
    exit_bar: int = -1
    exit: float = np.nan
    reason: int = -1
    phase: int = -1
    ambiguous: bool = False
    funding: float = np.nan
    r: float = np.nan


def resolve(markets: Sequence[Bars], table: CandidateTable, row: int, costs: Costs) -> Ending:
    """Follow the bracket of candidate `row` bar by bar; the stop wins a bar that touches both."""
    bars, side = markets[int(table.symbol[row])], int(table.side[row])
    first = int(table.bar[row]) + 1
    stop = float(table.close[row] - side * table.stop_distance[row])
    target = float(table.close[row] + side * table.target_distance[row])
    if first >= len(bars):
        return Ending(Status.UNRESOLVED)
    entry = float(bars.open[first])
    left = side * (entry - stop)
    if side * (target - entry) <= 0 or left < 0.25 * table.stop_distance[row]:
        return Ending(Status.GAPPED, first, stop=stop, target=target)
    found = _walk(bars, side, first, stop, target, int(table.time_stop_bars[row]))
    if found is None:
        return Ending(Status.UNRESOLVED, first, entry, stop, target)
    at, price, reason, phase, ambiguous = found
    paid = funding_paid_until(bars)
    funding = 0.0 if paid is None else side * float(paid[at] - paid[first])
    net = _net_per_unit(side, entry, price, reason, costs)[0] - funding
    return Ending(
        Status.RESOLVED, first, entry, stop, target, at, price, reason, phase, ambiguous,
        funding, net / abs(entry - stop),
    )  # fmt: skip


def _walk(
    bars: Bars, side: int, first: int, stop: float, target: float, time_stop: int
) -> tuple[int, float, int, int, bool] | None:
    for t in range(first, len(bars)):
        opened = float(bars.open[t])
        worst, best = (bars.low[t], bars.high[t]) if side == LONG else (bars.high[t], bars.low[t])
        if t > first and side * (opened - stop) <= 0:
            return t, opened, Exit.STOP, Phase.OPEN, False
        if t > first and side * (opened - target) >= 0:
            return t, opened, Exit.TARGET, Phase.OPEN, False
        if t - first >= time_stop:
            return t, opened, Exit.TIME_STOP, Phase.OPEN, False
        if side * (worst - stop) <= 0:
            return t, stop, Exit.STOP, Phase.INTRABAR, bool(side * (best - target) >= 0)
        if side * (best - target) >= 0:
            return t, target, Exit.TARGET, Phase.INTRABAR, False
    return None


def _net_per_unit(
    side: int, entry: float, price: float, reason: int, costs: Costs
) -> tuple[float, float, float, float, float]:
    """Net before funding, both fill prices, both fees, each for one unit."""
    bought = entry * (1 + side * costs.slip)
    resting = reason == Exit.TARGET
    sold = price if resting else price * (1 - side * costs.slip)
    fees = bought * costs.taker, sold * (costs.maker if resting else costs.taker)
    return side * (sold - bought) - fees[0] - fees[1], bought, sold, *fees


def outcome_table(endings: Sequence[Ending]) -> OutcomeTable:
    """Turn endings, one per candidate, into the columns of a run."""
    columns = list(zip(*endings, strict=True)) if endings else [()] * len(Ending._fields)
    by_name = dict(zip(Ending._fields, columns, strict=True))
    small = {name: np.array(by_name[name], np.int8) for name in ("status", "reason", "phase")}
    real = {
        name: np.array(by_name[name], np.float64)
        for name in ("entry", "stop", "target", "exit", "funding", "r")
    }
    return OutcomeTable(
        status=small["status"],
        entry_bar=np.array(by_name["entry_bar"], np.int64),
        entry_price=real["entry"],
        stop_price=real["stop"],
        target_price=real["target"],
        exit_bar=np.array(by_name["exit_bar"], np.int64),
        exit_price=real["exit"],
        exit_reason=small["reason"],
        exit_phase=small["phase"],
        ambiguous=np.array(by_name["ambiguous"], np.bool_),
        funding=real["funding"],
        r=real["r"],
    )


class Desk:
    """Takes candidates in order, one position per symbol, and keeps the books."""

    def __init__(
        self,
        markets: Sequence[Bars],
        clock: IntArray,
        table: CandidateTable,
        endings: Sequence[Ending],
        risk_per_trade: float,
        costs: Costs,
        start: float,
    ) -> None:
        self.markets, self.clock, self.table, self.endings = markets, clock, table, endings
        self.risk_per_trade, self.costs, self.start = risk_per_trade, costs, start
        self.reasons: list[Reason] = []
        self.orders: list[Order] = []
        self.cancels: list[Cancel] = []
        self.fills: list[Fill] = []
        self.trades: list[Trade] = []
        self.free_at = [0] * len(markets)

    def consider(self, row: int, liked: bool) -> None:
        """Give candidate `row` its one reason; trade it if the symbol is free and `liked`."""
        table, ending = self.table, self.endings[row]
        symbol, now = int(table.symbol[row]), int(table.instant[row])
        if self.free_at[symbol] > now:
            self.reasons.append(Reason.POSITION_OPEN)
            return
        if not liked:
            self.reasons.append(Reason.EXPERT_SKIP)
            return
        earned = sum(t.net_pnl_usd for t in self.trades if t.exit.instant <= now)
        budget = (self.start + earned) / len(self.markets)
        units = min(
            (self.start + earned) * self.risk_per_trade / table.stop_distance[row],
            0.9 * budget / table.close[row],
        )
        order = Order(
            int(table.id[row]), row, symbol, int(table.playbook[row]), int(table.side[row]),
            int(table.bar_time[row]), float(units), float(table.close[row]), "",
        )  # fmt: skip
        self.orders.append(order)
        if ending.entry_bar < 0 or ending.status == Status.GAPPED:
            self._cancel(order, ending, now)
            return
        self.reasons.append(Reason.TAKEN)
        self.trades.append(self._trade(order, ending))
        self.free_at[symbol] = self.trades[-1].exit.instant

    def _cancel(self, order: Order, ending: Ending, now: int) -> None:
        reason = Reason.NO_NEXT_BAR if ending.entry_bar < 0 else Reason.GAPPED
        at = now if ending.entry_bar < 0 else now + 1
        self.reasons.append(reason)
        self.cancels.append(Cancel(order, int(self.clock[at]), at, int(reason)))

    def _trade(self, order: Order, ending: Ending) -> Trade:
        bars, side = self.markets[order.symbol], order.side
        at, price, why, phase = ending.exit_bar, ending.exit, ending.reason, ending.phase
        if ending.status == Status.UNRESOLVED:
            at, price = len(bars) - 1, float(bars.close[-1])
            why, phase = Exit.END_OF_RUN, Phase.MARK
        paid = funding_paid_until(bars)
        units = order.units
        funding = 0.0 if paid is None else side * float(paid[at] - paid[ending.entry_bar]) * units
        net, bought, sold, *fees = _net_per_unit(side, ending.entry, price, why, self.costs)
        head = (order.candidate_id, order.row, order.symbol, order.playbook, side)
        entry = Fill(
            *head, True, int(bars.time[ending.entry_bar]), self._instant(bars, ending.entry_bar),
            Phase.OPEN, units, bought, ending.entry, fees[0] * units, 0.0, -1, ending.stop,
        )  # fmt: skip
        leave = Fill(
            *head, False, int(bars.time[at]), self._instant(bars, at),
            phase, units, sold, price, fees[1] * units, funding, why, np.nan,
        )  # fmt: skip
        self.fills += [entry, leave]
        slippage = (abs(bought - ending.entry) + abs(sold - price)) * units
        risk = abs(ending.entry - ending.stop) * units
        earned = net * units - funding
        return Trade(
            *head, units, entry, leave, side * (price - ending.entry) * units, sum(fees) * units,
            slippage, funding, earned, risk, earned / risk,
        )  # fmt: skip

    def _instant(self, bars: Bars, bar: int) -> int:
        return int(np.searchsorted(self.clock, bars.time[bar]))

    def marks(self) -> EquityCurve:
        """Mark the account at every close of the clock."""
        g = len(self.clock)
        equity, exposure = np.full(g, self.start), np.zeros(g)
        positions = np.zeros(g, dtype=np.int64)
        closes, paids = zip(*(self._on_clock(bars) for bars in self.markets), strict=True)
        for trade in self.trades:
            a, b = trade.entry.instant, trade.exit.instant
            close, paid = closes[trade.symbol][a:b], paids[trade.symbol]
            earned = trade.side * trade.units * (close - trade.entry.price) - trade.entry.fee_usd
            equity[a:b] += earned - trade.side * trade.units * (paid[a:b] - paid[a])
            equity[b:] += trade.net_pnl_usd
            exposure[a:b] += trade.units * close
            positions[a:b] += 1
        return EquityCurve(self.clock, equity, exposure, positions)

    def _on_clock(self, bars: Bars) -> tuple[FloatArray, FloatArray]:
        at = np.maximum(np.searchsorted(bars.time, self.clock, side="right") - 1, 0)
        paid = funding_paid_until(bars)
        return bars.close[at], np.zeros(len(at)) if paid is None else paid[at]

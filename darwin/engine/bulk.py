"""The short cut of a replay in which nothing about the account can change a ruling.

With a fixed size, no cap, no limit and an expert that takes everything, whether a candidate is
taken depends only on whether its symbol is free, so that the walk is a chain of "first candidate
after the exit" and all fills are columns. It must give what `step` gives, number for number; a
test holds the two against each other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darwin.core.candidate import CandidateTable
from darwin.core.clock import Clock
from darwin.core.columns import Columns
from darwin.core.decision import Reason
from darwin.core.market import BoolArray, IntArray
from darwin.core.trade import Cancel, Fill, Order, OutcomeTable, Phase, Status, Trade
from darwin.engine.step import Rules
from darwin.trading.foresight import Foresight

_NEVER = np.iinfo(np.int64).max


def applies(rules: Rules) -> bool:
    """Whether the account's terms leave no room for the account to matter."""
    sizing, limits = rules.sizing, rules.limits
    caps = (
        sizing.max_order_usd, sizing.max_position_usd, sizing.max_exposure_fraction,
        limits.max_positions, limits.max_exposure_fraction, limits.max_position_usd,
        limits.max_orders_per_bar, limits.max_orders_per_day, limits.max_daily_loss_fraction,
        limits.max_drawdown_fraction, limits.price_collar_fraction,
    )  # fmt: skip
    return (
        sizing.method == "fixed_units"
        and rules.risk is None
        and rules.positions_per_symbol == 1
        and all(cap is None for cap in caps)
        and all(lot is None for lot in rules.lot_size)
    )


@dataclass(frozen=True, slots=True)
class Bulk:
    """What the walk leaves: a reason per candidate, and columnar facts."""

    reasons: NDArray[np.int8]
    orders: Columns[Order]
    cancels: tuple[Cancel, ...]
    fills: Columns[Fill]
    trades: Columns[Trade]


def walk(
    table: CandidateTable,
    outcomes: OutcomeTable,
    foresight: Foresight,
    clock: Clock,
    rules: Rules,
) -> Bulk:
    """Take every candidate whose symbol is free, with the fixed size."""
    units = rules.sizing.units or 0.0
    big_enough = units * table.close >= max(rules.sizing.min_order_usd, math.ulp(0.0))
    reasons = np.where(big_enough, np.int8(Reason.POSITION_OPEN), np.int8(Reason.MINIMUM_ORDER))
    ordered = np.zeros(len(table), dtype=np.bool_)
    for symbol in range(len(clock.close)):
        mine = np.flatnonzero(table.symbol == symbol)
        taken, busy = _chain(table, outcomes, mine, big_enough)
        reasons[busy] = Reason.POSITION_OPEN
        ordered[taken] = True
    rows = np.flatnonzero(ordered)
    status = outcomes.status[rows]
    reasons[rows] = np.where(status == Status.GAPPED, Reason.GAPPED, Reason.TAKEN)
    unfilled = outcomes.entry_bar[rows] < 0
    reasons[rows[unfilled]] = Reason.NO_NEXT_BAR
    orders = _orders(table, rows, units)
    entered = rows[(status != Status.GAPPED) & ~unfilled]
    fills, trades = _fills(table, foresight, entered, units, rules)
    return Bulk(reasons, orders, _cancels(orders, rows, reasons, foresight, clock), fills, trades)


def _chain(
    table: CandidateTable,
    outcomes: OutcomeTable,
    mine: IntArray,
    big_enough: BoolArray,
) -> tuple[IntArray, IntArray]:
    """Follow one symbol: the rows ordered, and the rows that found it busy."""
    bar = table.bar[mine]
    status, entry = outcomes.status[mine], outcomes.entry_bar[mine]
    free_at = np.where(status == Status.GAPPED, entry, outcomes.exit_bar[mine])
    free_at = np.where((status == Status.UNRESOLVED) | (entry < 0), _NEVER, free_at)
    usable = np.flatnonzero(big_enough[mine])
    if not len(usable):
        return mine[:0], mine[:0]
    following = np.searchsorted(bar[usable], free_at[usable], side="left").tolist()
    at, chain, end = 0, [], len(usable)
    while at < end:
        chain.append(at)
        at = following[at]
    taken = usable[chain]
    free_again = np.searchsorted(bar, free_at[taken], side="left")
    marks = np.zeros(len(mine) + 1, dtype=np.int64)
    np.add.at(marks, taken + 1, 1)
    np.add.at(marks, np.maximum(free_again, taken + 1), -1)
    return mine[taken], mine[np.cumsum(marks[:-1]) > 0]


def _orders(table: CandidateTable, rows: IntArray, units: float) -> Columns[Order]:
    return Columns(
        Order,
        table.id[rows],
        rows,
        table.symbol[rows],
        table.playbook[rows],
        table.side[rows],
        table.bar_time[rows],
        np.full(len(rows), units),
        table.close[rows],
        [""] * len(rows),
    )


def _cancels(
    orders: Columns[Order],
    rows: IntArray,
    reasons: NDArray[np.int8],
    foresight: Foresight,
    clock: Clock,
) -> tuple[Cancel, ...]:
    """Entries taken back, in the order in which it happened."""
    cancels = []
    for position in np.flatnonzero(reasons[rows] != Reason.TAKEN).tolist():
        row, order = int(rows[position]), orders[position]
        if reasons[row] == Reason.NO_NEXT_BAR:
            time, instant = int(clock.time[-1]), len(clock) - 1
        else:
            time, instant = int(foresight.entry_time[row]), int(foresight.entry_instant[row])
        cancels.append(Cancel(order, time, instant, int(reasons[row])))
    late = [c.reason == Reason.NO_NEXT_BAR for c in cancels]
    order_of = sorted(range(len(cancels)), key=lambda i: (late[i], cancels[i].time, i))
    return tuple(cancels[i] for i in order_of)


def _fills(
    table: CandidateTable, foresight: Foresight, rows: IntArray, units: float, rules: Rules
) -> tuple[Columns[Fill], Columns[Trade]]:
    """Entry and exit fills of `rows` in total order, and the trades they close by exit."""
    k = len(rows)
    f = foresight
    who = (table.id[rows], rows, table.symbol[rows], table.playbook[rows], table.side[rows])
    size = np.full(k, units)
    fee = rules.costs.taker * f.entry_price[rows] * units
    exit_fee = f.exit_fee[rows] * f.exit_price[rows] * units
    entry = (
        *who, np.ones(k, np.bool_), f.entry_time[rows], f.entry_instant[rows],
        np.full(k, Phase.OPEN.value), size, f.entry_price[rows], f.entry_mid[rows], fee,
        np.zeros(k), np.full(k, -1), f.stop_price[rows],
    )  # fmt: skip
    exit_ = (
        *who, np.zeros(k, np.bool_), f.exit_time[rows], f.exit_instant[rows], f.exit_phase[rows],
        size, f.exit_price[rows], f.exit_mid[rows], exit_fee, f.funding[rows] * units,
        f.exit_reason[rows], f.stop_price[rows],
    )  # fmt: skip
    both = [np.concatenate(pair) for pair in zip(entry, exit_, strict=True)]
    _, _, symbol, playbook, side, is_entry, time, _, phase, *_ = both
    order = np.lexsort((is_entry, -side, playbook, symbol, phase, time))
    by_exit = order[~is_entry[order]] - k
    return (
        Columns(Fill, *(column[order] for column in both)),
        _trades([c[by_exit] for c in entry], [c[by_exit] for c in exit_]),
    )


def _trades(entry: list[np.ndarray], exit_: list[np.ndarray]) -> Columns[Trade]:
    """Settle positions as `trading.ledger.close` does, whole columns at a time."""
    entries, exits = Columns(Fill, *entry), Columns(Fill, *exit_)
    direction = entries.column("side") * entries.column("units")
    gross = direction * (exits.column("mid_price") - entries.column("mid_price"))
    moved = direction * (exits.column("price") - entries.column("price"))
    fees = entries.column("fee_usd") + exits.column("fee_usd")
    funding = exits.column("funding_usd")
    net = moved - fees - funding
    distance = np.abs(entries.column("mid_price") - entries.column("stop_price"))
    risk = distance * entries.column("units")
    return Columns(
        Trade, *entry[:5], entries.column("units"), entries, exits, gross, fees, gross - moved,
        funding, net, risk, net / risk,
    )  # fmt: skip

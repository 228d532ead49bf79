"""Brackets: stop, target, trailing and time stop resolved against the price path alone.

One function, `advance`, moves any number of brackets over any number of bars. The replay calls it
on blocks of bars for all candidates at once, live trading on one bar for the open ones; it only
compares and takes extremes, so both give the same bits. Shorts are walked in the mirror
(prices negated), which floats do exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from darwin.core.candidate import CandidateTable
from darwin.core.market import Bars, BoolArray, FloatArray, IntArray
from darwin.core.trade import Exit, OutcomeTable, Phase, Status
from darwin.trading.costs import Costs, funding_paid_until

MIN_STOP_LEFT = 0.25
"""An entry is cancelled when the open leaves less than this share of the planned stop distance."""

_FIRST_BLOCK, _LARGEST_BLOCK = 4, 256
_ON_GRID = 1e-6  # of a tick
_ROWS_AT_ONCE = 16_384  # what the processor's cache holds
_NOT_YET = -1


@dataclass(slots=True)
class Brackets:
    """Open brackets, mirrored so that each is a long; every array has shape (k,)."""

    stop: FloatArray  # initial stop
    target: FloatArray  # +inf without one
    trail_from: FloatArray  # the high that arms the trailing stop; +inf without one
    trail_distance: FloatArray
    bars_left: FloatArray  # bars until the time stop; +inf without one
    highest: FloatArray  # highest high of previous bars; -inf before the first

    def keep(self, rows: BoolArray) -> Brackets:
        """The brackets where `rows` is true."""
        return Brackets(*(getattr(self, name)[rows] for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class Ends:
    """Where brackets ended within some bars: `offset` is the bar there, -1 where none did, (k,)."""

    offset: IntArray
    price: FloatArray
    reason: NDArray[np.int8]
    phase: NDArray[np.int8]
    ambiguous: BoolArray


def advance(
    state: Brackets,
    open_: FloatArray,
    high: FloatArray,
    low: FloatArray,
    known: BoolArray,
    unattended: BoolArray | None = None,
) -> Ends:
    """Move brackets over the next w bars, prices of shape (k, w), mirrored for shorts.

    `known` is false beyond the end of the data; nothing ends there. Per bar: the time stop and an
    open beyond the stop leave at the open, then the stop, then an open beyond the target, then the
    target. At an open that is `unattended` no time stop is there to leave: it does at the first
    later one that is not, while stop and target rest at the venue. `state` is brought forward in
    place for those that did not end.
    """
    k, w = open_.shape
    reached = np.maximum.accumulate(np.column_stack((state.highest, high)), axis=1)
    highest, state.highest = reached[:, :w], reached[:, w].copy()
    stop = np.broadcast_to(state.stop[:, None], (k, w))
    trailing = highest >= state.trail_from[:, None]
    if trailing.any():
        ratchet = np.where(trailing, highest - state.trail_distance[:, None], -np.inf)
        trailing = ratchet > stop
        stop = np.where(trailing, ratchet, stop)
    target = state.target[:, None]
    stopped = low <= stop
    time_up = np.arange(w) >= state.bars_left[:, None]
    if unattended is not None:
        time_up &= ~unattended
    ended = (stopped | (high >= target) | time_up) & known
    state.bars_left = state.bars_left - w

    offset = np.where(ended.any(axis=1), ended.argmax(axis=1), _NOT_YET)
    at = (np.arange(k), np.maximum(offset, 0))
    opened, level, goal = open_[at], stop[at], state.target
    at_stop, at_target = stopped[at], high[at] >= goal
    leaves_by_time = time_up[at]
    gap_stop = opened <= level
    gap_target = (opened >= goal) & ~at_stop
    by_stop = at_stop & ~leaves_by_time
    price = np.where(at_stop, level, goal)
    price = np.where(gap_stop | gap_target | leaves_by_time, opened, price)
    stop_kind = np.where(trailing[at], Exit.TRAILING_STOP, Exit.STOP)
    reason = np.where(by_stop, stop_kind, np.where(leaves_by_time, Exit.TIME_STOP, Exit.TARGET))
    at_open = leaves_by_time | np.where(at_stop, gap_stop, gap_target)
    phase = np.where(at_open, Phase.OPEN, Phase.INTRABAR)
    return Ends(
        offset=offset,
        price=price,
        reason=reason.astype(np.int8),
        phase=phase.astype(np.int8),
        ambiguous=by_stop & at_target & ~gap_stop,
    )


def levels_at_open(
    table: CandidateTable, open_: FloatArray, tick: float | None
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Place stop and target for entries at `open_` (m,); the third says which are cancelled.

    With a tick size the stop is rounded away from the price and the target too, so that rounding
    never makes a bracket tighter than asked.
    """
    side = table.side.astype(np.float64)
    anchor = np.where(table.from_fill, open_, table.close)
    stop = anchor - side * table.stop_distance
    target = anchor + side * table.target_distance
    if tick is not None:
        stop, target = _on_grid(stop, tick, -side), _on_grid(target, tick, side)
    left = side * (open_ - stop)
    beyond_target = side * (target - open_) <= 0
    too_close = ~(left >= MIN_STOP_LEFT * table.stop_distance)
    return stop, target, too_close | beyond_target


def _on_grid(price: FloatArray, tick: float, way: FloatArray) -> FloatArray:
    """Round to ticks in the direction `way` (±1); what is on the grid already stays."""
    steps = price / tick
    ticks = np.where(way > 0, np.ceil(steps - _ON_GRID), np.floor(steps + _ON_GRID))
    decimals = -int(Decimal(repr(tick)).as_tuple().exponent)
    snapped: FloatArray = np.round(ticks * tick, max(decimals, 0))
    return snapped


def resolve(
    table: CandidateTable, bars: Bars, costs: Costs, tick: float | None = None
) -> OutcomeTable:
    """Resolve every candidate of one symbol against its bars, entering at the next open.

    What the data do not show stays UNRESOLVED. Prices are mid prices; `r` is net of `costs`.
    """
    m, n = len(table), len(bars)
    entry_bar = np.where(table.bar + 1 < n, table.bar + 1, -1)
    has_entry = entry_bar >= 0
    entry_price = np.where(has_entry, bars.open[np.maximum(entry_bar, 0)], np.nan)
    stop, target, cancelled = levels_at_open(table, entry_price, tick)
    gapped = has_entry & cancelled
    out = _blank(m)
    out.status[gapped] = Status.GAPPED
    out.entry_bar[:] = entry_bar
    live = np.flatnonzero(has_entry & ~gapped)
    out.entry_price[live], out.stop_price[live] = entry_price[live], stop[live]
    out.target_price[live] = target[live]
    for start in range(0, len(live), _ROWS_AT_ONCE):
        _resolve_rows(table, bars, live[start : start + _ROWS_AT_ONCE], out)
    _charge(table, bars, costs, out)
    return out


def _blank(m: int) -> OutcomeTable:
    return OutcomeTable(
        status=np.full(m, Status.UNRESOLVED, dtype=np.int8),
        entry_bar=np.full(m, -1, dtype=np.int64),
        entry_price=np.full(m, np.nan),
        stop_price=np.full(m, np.nan),
        target_price=np.full(m, np.nan),
        exit_bar=np.full(m, -1, dtype=np.int64),
        exit_price=np.full(m, np.nan),
        exit_reason=np.full(m, -1, dtype=np.int8),
        exit_phase=np.full(m, -1, dtype=np.int8),
        ambiguous=np.zeros(m, dtype=np.bool_),
        funding=np.zeros(m),
        r=np.full(m, np.nan),
    )


def opened_brackets(
    table: CandidateTable, rows: IntArray, entry: FloatArray, stop: FloatArray, target: FloatArray
) -> Brackets:
    """Brackets just entered at mid price `entry`, mirrored where short; all of shape (k,)."""
    side = table.side[rows].astype(np.float64)
    risk = np.abs(entry - stop)
    activation = table.trail_activation_r[rows]
    has_trail = np.isfinite(activation)
    trail_from = np.full(len(rows), np.inf)
    trail_from[has_trail] = (side * entry + np.where(has_trail, activation, 0.0) * risk)[has_trail]
    return Brackets(
        stop=side * stop,
        target=side * target,
        trail_from=trail_from,
        trail_distance=np.where(has_trail, table.trail_distance[rows], 0.0),
        bars_left=table.time_stop_bars[rows].astype(np.float64),
        highest=np.full(len(rows), -np.inf),
    )


def _resolve_rows(table: CandidateTable, bars: Bars, live: IntArray, out: OutcomeTable) -> None:
    """Walk the brackets of the `live` rows and note how they ended."""
    state = opened_brackets(
        table, live, out.entry_price[live], out.stop_price[live], out.target_price[live]
    )
    ends = walk(bars, out.entry_bar[live], table.side[live] < 0, state)
    done = ends.offset >= 0
    rows = live[done]
    out.status[rows] = Status.RESOLVED
    out.exit_bar[rows] = ends.offset[done]
    out.exit_price[rows] = ends.price[done]
    out.exit_reason[rows] = ends.reason[done]
    out.exit_phase[rows] = ends.phase[done]
    out.ambiguous[rows] = ends.ambiguous[done]


def walk(
    bars: Bars, at: IntArray, short: BoolArray, state: Brackets, *, was_stale: bool = False
) -> Ends:
    """Advance brackets from bar `at` (k,) to the end of `bars`, in blocks that grow as they end.

    `was_stale` says that the bar before these came too late to act on. `offset` of the result
    counts from the first of `bars`. `state` is brought forward in place for those that did not end,
    so that the walk may go on over later bars.
    """
    n, k = len(bars), len(at)
    ended = _none_ended(k)
    blind = _unattended(bars, was_stale=was_stale)
    live, going, block = np.arange(k), state.keep(np.ones(k, dtype=np.bool_)), _FIRST_BLOCK
    while len(live):
        width = min(block, n - int(at.min()))
        ends = advance(going, *_ahead(bars, at, short[live], width, blind))
        done = ends.offset >= 0
        rows = live[done]
        ended.offset[rows] = at[done] + ends.offset[done]
        ended.price[rows] = np.where(short[rows], -ends.price[done], ends.price[done])
        ended.reason[rows], ended.phase[rows] = ends.reason[done], ends.phase[done]
        ended.ambiguous[rows] = ends.ambiguous[done]
        at = at + width
        over = ~done & (at >= n)
        state.highest[live[over]] = going.highest[over]
        state.bars_left[live[over]] = going.bars_left[over] + (at[over] - n)
        stay = ~done & (at < n)
        live, at, going = live[stay], at[stay], going.keep(stay)
        block = min(block * 2, _LARGEST_BLOCK)
    return ended


def _none_ended(k: int) -> Ends:
    none = np.full(k, -1, dtype=np.int8)
    price, ambiguous = np.full(k, np.nan), np.zeros(k, dtype=np.bool_)
    return Ends(np.full(k, _NOT_YET), price, none, none.copy(), ambiguous)


def _unattended(bars: Bars, *, was_stale: bool) -> BoolArray | None:
    """At which opens nobody acts, as the bar before came too late, (n,); None: at none."""
    if bars.stale is None and not was_stale:
        return None
    stale = np.zeros(len(bars), dtype=np.bool_) if bars.stale is None else bars.stale
    return np.concatenate(([was_stale], stale[:-1]))


def _ahead(
    bars: Bars, at: IntArray, short: BoolArray, width: int, blind: BoolArray | None
) -> tuple[FloatArray, FloatArray, FloatArray, BoolArray, BoolArray | None]:
    """The bars at[i], at[i] + 1, … as `advance` wants them, (k, width): open, high, low, known.

    With them, at which opens nobody acts.

    Beyond the last bar stands the last bar again, which makes no extreme more extreme.
    """
    n = len(bars)
    index = at[:, None] + np.arange(width)
    known = index < n
    np.minimum(index, n - 1, out=index)
    open_, high, low = bars.open[index], bars.high[index], bars.low[index]
    if short.any():
        mirror = short[:, None]
        high, low = np.where(mirror, -low, high), np.where(mirror, -high, low)
        open_ = np.where(mirror, -open_, open_)
    return open_, high, low, known, None if blind is None else blind[index]


def _charge(table: CandidateTable, bars: Bars, costs: Costs, out: OutcomeTable) -> None:
    """Fill in funding and net R of what is resolved."""
    rows = np.flatnonzero(out.status == Status.RESOLVED)
    side = table.side[rows].astype(np.float64)
    entry, exit_ = out.entry_price[rows], out.exit_price[rows]
    paid = funding_paid_until(bars)
    if paid is not None:
        due = paid[out.exit_bar[rows]] - paid[out.entry_bar[rows]]
        out.funding[rows] = side * due + 0.0  # never -0.0, which SQLite would not keep
    out.r[rows] = net_r(
        side, entry, out.stop_price[rows], exit_, out.exit_reason[rows], out.funding[rows], costs
    )


def net_r(
    side: FloatArray,
    entry: FloatArray,
    stop: FloatArray,
    exit_: FloatArray,
    reason: NDArray[np.int8],
    funding: FloatArray,
    costs: Costs,
) -> FloatArray:
    """R net of costs, per unit: P&L over |entry − initial stop|, both reckoned at mid prices.

    The denominator leaves half-spread and slippage out on purpose: with them in, a higher cost
    would widen the risk and could *raise* R (docs/decisions).
    """
    resting = reason == Exit.TARGET
    exit_slip = np.where(resting, 0.0, costs.slip)
    exit_fee = np.where(resting, costs.maker, costs.taker)
    paid = entry * (1.0 + side * costs.slip)
    got = exit_ * (1.0 - side * exit_slip)
    net = side * (got - paid) - costs.taker * paid - exit_fee * got - funding
    r: FloatArray = net / np.abs(entry - stop)
    return r

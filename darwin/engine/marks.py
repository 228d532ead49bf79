"""Equity at every close, folded from the fills of a run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from darwin.core.account import EquityMark
from darwin.core.clock import Clock
from darwin.core.columns import column
from darwin.core.market import DAY_MS, Bars, FloatArray, IntArray
from darwin.core.trade import Fill
from darwin.engine.result import EquityCurve
from darwin.trading.costs import funding_paid_until

_INSTANTS_AT_ONCE = 32_768  # what the processor's cache holds


def funding_by_instant(markets: Sequence[Bars], clock: Clock) -> tuple[FloatArray | None, ...]:
    """What a long of one unit has paid by each instant, per symbol, (g,); None without funding."""
    columns: list[FloatArray | None] = []
    for bars in markets:
        paid = funding_paid_until(bars)
        if paid is not None:
            latest = np.searchsorted(bars.time, clock.time, side="right") - 1
            paid = np.where(latest >= 0, paid[np.maximum(latest, 0)], 0.0)
        columns.append(paid)
    return tuple(columns)


def equity_curve(
    fills: Sequence[Fill],
    clock: Clock,
    funding: Sequence[FloatArray | None],
    starting_equity_usd: float,
) -> EquityCurve:
    """Mark the account at each close: cash plus positions, less funding not yet settled."""
    g = len(clock)
    instant = column(fills, "instant").astype(np.int64)
    symbol_of = column(fills, "symbol")
    cash = _cash_after(fills, starting_equity_usd)
    equity = cash[_latest(instant, g)]
    exposure, positions = np.zeros(g), np.zeros(g, dtype=np.int64)
    for symbol, close in enumerate(clock.close):
        mine = np.flatnonzero(symbol_of == symbol)
        if not len(mine):
            continue
        first, paid = int(instant[mine[0]]), funding[symbol]
        net, gross, count, base = _held_after(fills, mine, paid)
        latest = _latest(instant[mine], g)
        for start in range(first, g, _INSTANTS_AT_ONCE):
            part = slice(start, start + _INSTANTS_AT_ONCE)
            now = latest[part] - 1
            price, held = close[part], net[now]
            value = held * price
            equity[part] += value
            exposure[part] += np.abs(value) if gross is None else gross[now] * price
            positions[part] += count[now]
            if paid is not None:
                equity[part] -= held * paid[part] - base[now]
    return EquityCurve(clock.time, equity, exposure, positions)


def daily_marks(curve: EquityCurve) -> list[EquityMark]:
    """The account at the last close of each UTC day."""
    day = curve.time // DAY_MS
    last = np.flatnonzero(np.append(day[1:] != day[:-1], True)) if len(day) else day
    columns = (curve.time, curve.equity, curve.exposure, curve.positions)
    return list(map(EquityMark, *(column[last].tolist() for column in columns)))


def _latest(instant: IntArray, g: int) -> NDArray[np.int32]:
    """How many of the events at `instant` (ascending) have happened by each instant, (g,)."""
    edges = np.concatenate(([0], instant, [g]))
    return np.repeat(np.arange(len(instant) + 1, dtype=np.int32), np.diff(edges))


def _cash_after(fills: Sequence[Fill], starting_equity_usd: float) -> FloatArray:
    """Cash before the first fill and after each, shape (fills + 1,)."""
    sold = np.where(column(fills, "is_entry"), -1.0, 1.0) * column(fills, "side")
    moves = sold * column(fills, "units") * column(fills, "price")
    moves = moves - column(fills, "fee_usd") - column(fills, "funding_usd")
    return np.cumsum(np.concatenate(([starting_equity_usd], moves)))


def _held_after(
    fills: Sequence[Fill], mine: IntArray, paid: FloatArray | None
) -> tuple[FloatArray, FloatArray | None, IntArray, FloatArray]:
    """Net units, gross units, positions and funding base of one symbol after each of its fills.

    Gross is None where it is |net|, there being one position at most. Sums are made anew
    from what is open, so that nothing is left over when all is closed.
    """
    is_entry, size, side, identity, instant = (
        column(fills, name)[mine]
        for name in ("is_entry", "units", "side", "candidate_id", "instant")
    )
    units = side * size
    base = np.zeros(len(mine)) if paid is None else units * paid[instant]
    if is_entry[::2].all() and not is_entry[1::2].any():  # never more than one position
        count = is_entry.astype(np.int64)
        return units * count, None, count, base * count
    rows = []
    held: dict[int, tuple[float, float, float]] = {}
    for who, enters, *amounts in zip(identity, is_entry, units, size, base, strict=True):
        if enters:
            held[who] = (amounts[0], amounts[1], amounts[2])
        else:
            del held[who]
        net, gross, funded = 0.0, 0.0, 0.0
        for one in held.values():
            net, gross, funded = net + one[0], gross + one[1], funded + one[2]
        rows.append((net, gross, len(held), funded))
    net_units, gross_units, counts, bases = zip(*rows, strict=True)
    return np.array(net_units), np.array(gross_units), np.array(counts), np.array(bases)

"""The brackets of one symbol's candidates, followed from bar to bar as the bars arrive.

The replay resolves all brackets of a run at once (`brackets.resolve`); this does the same for bars
that come in pieces, one or thousands at a time, and gives the same bits for any pieces.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from darwin.core.candidate import CandidateTable
from darwin.core.facts import END
from darwin.core.market import Bars, BoolArray, FloatArray, IntArray
from darwin.core.trade import Exit, Phase, Status
from darwin.trading.brackets import (
    Brackets,
    levels_at_open,
    net_r,
    opened_brackets,
    walk,
)
from darwin.trading.costs import Costs
from darwin.trading.tracked import Told, Tracked


@dataclass(frozen=True, slots=True)
class _Held:
    """Brackets that were entered, each array of shape (k,)."""

    id: NDArray[np.uint64]
    row: IntArray
    playbook: IntArray
    side: IntArray
    entry_time: IntArray
    entry_price: FloatArray
    stop_price: FloatArray
    target_price: FloatArray
    paid: FloatArray  # what a long unit had paid in funding before the entry

    def __len__(self) -> int:
        return len(self.id)

    def keep(self, rows: BoolArray) -> _Held:
        """Those where `rows` is true."""
        return _Held(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def joined(self, other: _Held) -> _Held:
        """These and then the others."""
        names = self.__dataclass_fields__
        return _Held(*(np.concatenate((getattr(self, n), getattr(other, n))) for n in names))


class Tracker:
    """Follows every candidate of one symbol, taken or not."""

    def __init__(self, symbol: int, costs: Costs, tick: float | None = None) -> None:
        """Begin before the first bar of `symbol`, the number of it in the run."""
        self._symbol, self._costs, self._tick = symbol, costs, tick
        self._bars, self._was_stale = 0, False
        self._waiting: CandidateTable | None = None  # their next bar has not come
        self._waiting_rows: IntArray = np.empty(0, dtype=np.int64)
        self._held: _Held | None = None
        self._state: Brackets | None = None

    def push(
        self, bars: Bars, fresh: CandidateTable, rows: IntArray, paid: FloatArray | None
    ) -> Tracked:
        """Follow the brackets over the next `bars`, at least one.

        `fresh` are the candidates that stand at these bars, `rows` their row numbers in the run;
        `paid` is what a long unit has paid in funding by each bar's open, (n,), or None.
        """
        first, self._bars = self._bars, self._bars + len(bars)
        told = Told(self._symbol)
        table, rows = self._due(fresh, rows)
        if table is not None:
            entry = table.bar + 1 - first
            now = entry < len(bars)
            self._wait(table.select(~now), rows[~now])
            at = self._enter(bars, table.select(now), rows[now], entry[now], paid, told)
        else:
            at = np.empty(0, dtype=np.int64)
        if self._held is not None:
            start = np.zeros(len(self._held), dtype=np.int64)
            start[len(start) - len(at) :] = at
            self._follow(bars, start, paid, told)
        self._was_stale = bars.stale is not None and bool(bars.stale[-1])
        return told.tracked()

    def finish(self, close: float, paid: float, last: int) -> Tracked:
        """End the run at bar `last`: what is open leaves at the symbol's last `close`.

        `paid` is what a long unit has paid in funding by its last bar. The outcomes stay
        unresolved; all is told of bar 0.
        """
        told = Told(self._symbol)
        table, held = self._waiting, self._held
        if table is not None:
            waiting = (table.id, self._waiting_rows, table.playbook, table.side)
            told.outcome(*waiting, 0, Status.UNRESOLVED, last, END)
        if held is not None:
            due = held.side.astype(np.float64) * (paid - held.paid) + 0.0
            k = len(held)
            reason, phase = np.full(k, int(Exit.END_OF_RUN)), np.full(k, int(Phase.MARK))
            told.end(held.id, np.zeros(k, dtype=np.int64), phase, np.full(k, close), reason, due)
            told.outcome(
                held.id, held.row, held.playbook, held.side, 0, Status.UNRESOLVED, last, END,
                entry_time=held.entry_time, entry_price=held.entry_price,
                stop_price=held.stop_price, target_price=held.target_price,
            )  # fmt: skip
        self._waiting = self._held = self._state = None
        return told.tracked()

    def _due(self, fresh: CandidateTable, rows: IntArray) -> tuple[CandidateTable | None, IntArray]:
        """Those who waited and the fresh ones, without their features."""
        if not len(fresh):
            return self._waiting, self._waiting_rows
        fresh = replace(fresh, features=fresh.features[:, :0])
        if self._waiting is None:
            return fresh, rows
        both = CandidateTable.joined([self._waiting, fresh])
        return both, np.concatenate((self._waiting_rows, rows))

    def _wait(self, table: CandidateTable, rows: IntArray) -> None:
        self._waiting, self._waiting_rows = (table if len(table) else None), rows

    def _enter(
        self,
        bars: Bars,
        table: CandidateTable,
        rows: IntArray,
        entry: IntArray,
        paid: FloatArray | None,
        told: Told,
    ) -> IntArray:
        """Meet the opens; returns the bars of those entered, who are held from now on."""
        price, time = bars.open[entry], bars.time[entry]
        stop, target, gapped = levels_at_open(table, price, self._tick)
        told.open(entry, table.id, gapped, price, stop)
        if gapped.any():
            out = table.select(gapped)
            told.outcome(
                out.id, rows[gapped], out.playbook, out.side, entry[gapped], Status.GAPPED,
                time[gapped], Phase.OPEN, entry_time=time[gapped],
            )  # fmt: skip
        ok = np.flatnonzero(~gapped)
        entry, price, stop, target = entry[ok], price[ok], stop[ok], target[ok]
        if not len(ok):
            return entry
        before = np.zeros(len(ok)) if paid is None else paid[entry]
        held = _Held(
            table.id[ok], rows[ok], table.playbook[ok], table.side[ok], time[ok], price, stop,
            target, before,
        )  # fmt: skip
        state = opened_brackets(table, ok, price, stop, target)
        if self._held is None or self._state is None:
            self._held, self._state = held, state
        else:
            self._held, self._state = self._held.joined(held), _joined(self._state, state)
        return entry

    def _follow(self, bars: Bars, at: IntArray, paid: FloatArray | None, told: Told) -> None:
        """Advance what is held, each bracket from bar `at` on, (k,); tell of those that end."""
        held, state = self._held, self._state
        if held is None or state is None:
            return
        ends = walk(bars, at, held.side < 0, state, was_stale=self._was_stale)
        out = ends.offset >= 0
        if not out.any():
            return
        gone, bar = held.keep(out), ends.offset[out]
        side, reason = gone.side.astype(np.float64), ends.reason[out]
        phase, price = ends.phase[out], ends.price[out]
        due = np.zeros(len(gone)) if paid is None else side * (paid[bar] - gone.paid) + 0.0
        told.end(gone.id, bar, phase, price, reason, due)
        told.outcome(
            gone.id, gone.row, gone.playbook, gone.side, bar, Status.RESOLVED, bars.time[bar],
            phase, entry_time=gone.entry_time, entry_price=gone.entry_price,
            stop_price=gone.stop_price, target_price=gone.target_price, exit_time=bars.time[bar],
            exit_price=price, exit_phase=phase, exit_reason=reason, ambiguous=ends.ambiguous[out],
            funding=due,
            r=net_r(side, gone.entry_price, gone.stop_price, price, reason, due, self._costs),
        )  # fmt: skip
        stay = ~out
        self._held, self._state = (held.keep(stay), state.keep(stay)) if stay.any() else (None,) * 2


def _joined(one: Brackets, other: Brackets) -> Brackets:
    names = Brackets.__slots__
    return Brackets(*(np.concatenate((getattr(one, n), getattr(other, n))) for n in names))

"""The fills each candidate would have, per unit: what the simulation charges on its bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darwin.core.candidate import CandidateTable
from darwin.core.clock import Clock
from darwin.core.market import Bars, FloatArray, IntArray
from darwin.core.trade import Exit, OutcomeTable, Phase, Status
from darwin.trading.costs import Costs, funding_paid_until


@dataclass(frozen=True, slots=True)
class Foresight:
    """Entry and exit of every candidate if it were ordered; every array has shape (m,).

    Prices are what is paid and got, half-spread and slippage included; `*_mid` are without.
    Times are bar open times, -1 where the data end before. A position whose exit the data do not
    show is closed at its symbol's last close, at the last instant of the clock (`END_OF_RUN`).
    """

    status: NDArray[np.int8]
    entry_time: IntArray
    entry_instant: IntArray
    entry_mid: FloatArray
    entry_price: FloatArray
    stop_price: FloatArray
    exit_time: IntArray
    exit_instant: IntArray
    exit_phase: IntArray
    exit_mid: FloatArray
    exit_price: FloatArray
    exit_fee: FloatArray  # fraction of traded value
    exit_reason: IntArray
    funding: FloatArray  # per unit, paid

    @classmethod
    def of(
        cls,
        table: CandidateTable,
        outcomes: OutcomeTable,
        markets: Sequence[Bars],
        clock: Clock,
        costs: Costs,
    ) -> Foresight:
        """Charge `costs` on the outcomes of `table`."""
        m = len(table)
        entry_instant, exit_instant = np.full(m, -1), np.full(m, -1)
        funding, exit_mid = outcomes.funding.copy(), outcomes.exit_price.copy()
        open_ended = (outcomes.status == Status.UNRESOLVED) & (outcomes.entry_bar >= 0)
        for number, bars in enumerate(markets):
            mine = table.symbol == number
            of_bar = clock.instant_of_bar[number]
            for instants, bar in (
                (entry_instant, outcomes.entry_bar),
                (exit_instant, outcomes.exit_bar),
            ):
                rows = np.flatnonzero(mine & (bar >= 0))
                instants[rows] = of_bar[bar[rows]]
            rows = np.flatnonzero(mine & open_ended)
            exit_mid[rows] = bars.close[-1] if len(bars) else np.nan
            paid = funding_paid_until(bars)
            if paid is not None:
                due = paid[-1] - paid[outcomes.entry_bar[rows]]
                funding[rows] = table.side[rows] * due + 0.0
        exit_instant[open_ended] = len(clock) - 1
        reason = np.where(open_ended, Exit.END_OF_RUN, outcomes.exit_reason).astype(np.int64)
        resting = reason == Exit.TARGET
        side = table.side.astype(np.float64)
        return cls(
            status=outcomes.status,
            entry_time=_time_of(clock, entry_instant),
            entry_instant=entry_instant,
            entry_mid=outcomes.entry_price,
            entry_price=costs.entry_price(outcomes.entry_price, side),
            stop_price=outcomes.stop_price,
            exit_time=_time_of(clock, exit_instant),
            exit_instant=exit_instant,
            exit_phase=np.where(open_ended, Phase.MARK, outcomes.exit_phase).astype(np.int64),
            exit_mid=exit_mid,
            exit_price=np.where(resting, exit_mid, costs.exit_price(exit_mid, side)),
            exit_fee=np.where(resting, costs.maker, costs.taker),
            exit_reason=reason,
            funding=funding,
        )


def _time_of(clock: Clock, instant: IntArray) -> IntArray:
    if not len(clock):
        return instant
    return np.where(instant >= 0, clock.time[np.maximum(instant, 0)], -1)

"""The ledger: the fold of all fills into cash, positions and closed trades."""

from __future__ import annotations

import math

from darwin.core.candidate import id_text
from darwin.core.trade import Fill, Position, Trade
from darwin.errors import LedgerError


class Ledger:
    """Cash, open positions and closed trades after the fills folded so far.

    Cash starts at `starting_equity_usd`; buying lowers it, selling (short too) raises it, fees
    and funding lower it. `positions` is keyed by candidate id, in order of entry.
    """

    __slots__ = ("cash", "count", "fills", "positions", "trades")

    def __init__(self, starting_equity_usd: float, symbols: int) -> None:
        """Open the books with cash alone."""
        self.cash = starting_equity_usd
        self.count = [0] * symbols  # open positions per symbol
        self.positions: dict[int, Position] = {}
        self.fills: list[Fill] = []
        self.trades: list[Trade] = []

    def fold(self, fill: Fill) -> Trade | None:
        """Book one fill; an exit returns the trade it closes. Raises LedgerError, changing nothing.

        A fill balances when its numbers are finite and positive, an entry opens a position that
        was not there, and an exit closes one that was, with all its units and on its side.
        """
        if not (0.0 < fill.units < math.inf and 0.0 < fill.price < math.inf):
            raise _doubt(fill, f"units {fill.units} at price {fill.price}")
        costs = fill.fee_usd + fill.funding_usd
        if not math.isfinite(costs):
            raise _doubt(fill, f"fee {fill.fee_usd}, funding {fill.funding_usd}")
        value = fill.side * fill.units * fill.price
        if fill.is_entry:
            if fill.candidate_id in self.positions:
                raise _doubt(fill, "its position is open already")
            self.positions[fill.candidate_id] = Position(fill)
            self.count[fill.symbol] += 1
            self.cash -= value + costs
            self.fills.append(fill)
            return None
        position = self.positions.get(fill.candidate_id)
        if position is None:
            raise _doubt(fill, "it closes a position that is not open")
        entry = position.entry
        if (entry.units, entry.side, entry.symbol) != (fill.units, fill.side, fill.symbol):
            raise _doubt(fill, f"it closes {fill.units} of {entry.units} units")
        del self.positions[fill.candidate_id]
        self.count[fill.symbol] -= 1
        self.cash += value - costs
        self.fills.append(fill)
        trade = close(entry, fill)
        self.trades.append(trade)
        return trade


def close(entry: Fill, exit_: Fill) -> Trade:
    """Settle a position: what was earned before and after every cost, and R."""
    direction = entry.side * entry.units
    gross = direction * (exit_.mid_price - entry.mid_price)
    moved = direction * (exit_.price - entry.price)
    fees = entry.fee_usd + exit_.fee_usd
    net = moved - fees - exit_.funding_usd
    risk = Position(entry).risk_usd
    return Trade(
        entry.candidate_id,
        entry.row,
        entry.symbol,
        entry.playbook,
        entry.side,
        entry.units,
        entry,
        exit_,
        gross,
        fees,
        gross - moved,
        exit_.funding_usd,
        net,
        risk,
        net / risk,
    )


def _doubt(fill: Fill, why: str) -> LedgerError:
    kind = "entry" if fill.is_entry else "exit"
    return LedgerError(
        f"the {kind} fill of candidate {id_text(fill.candidate_id)} does not balance: {why}",
        mend="compare the broker's statement with `fills`; trading has stopped",
    )

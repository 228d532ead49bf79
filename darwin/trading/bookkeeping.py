"""What facts must add up to: fills balance, every candidate has one ending and one outcome."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from darwin.core.trade import Fill
from darwin.errors import LedgerError, RecordError
from darwin.trading.ledger import Ledger

_SIDES = {"long": 1, "short": -1}


_ORDER, _ENDING, _OUTCOME = 1, 2, 4
_NAMES = {_ORDER: "order", _ENDING: "ending", _OUTCOME: "outcome"}


class Bookkeeping:
    """The fold of a run's facts; holds what is open and forgets what is settled."""

    def __init__(self, symbols: tuple[str, ...]) -> None:
        """Open the books of a run over `symbols`, before its first fact."""
        self.candidates = 0
        self._symbols = {name: code for code, name in enumerate(symbols)}
        self._ledger = Ledger(0.0, len(symbols))
        self._open: dict[str, tuple[int, int]] = {}  # by candidate id: its seq, what is to come
        self._folds: dict[str, Callable[[int, Mapping[str, Any]], str]] = {
            "candidates": self._candidate,
            "verdicts": self._verdict,
            "agent_decisions": self._decision,
            "orders": self._order,
            "fills": self._fill,
            "outcomes": self._outcome,
        }

    def fold(self, table: str, seq: int, row: Mapping[str, Any]) -> None:
        """Take one fact, by the names of its columns. Raises RecordError where it does not fit."""
        fold = self._folds.get(table)
        if fold is None:
            return
        try:
            what = fold(seq, row)
        except (TypeError, ValueError, ZeroDivisionError) as fault:
            what = f"is no fact of its kind ({fault})"
        if what:
            raise RecordError(what, table=table, seq=seq, candidate_id=str(row["candidate_id"]))

    def close(self) -> None:
        """End a run that is finished. Raises RecordError if something of it is still to come."""
        for candidate_id, (seq, lacks) in self._open.items():
            lacking = " and ".join(name for bit, name in _NAMES.items() if lacks & bit)
            raise RecordError(
                f"never had its {lacking}", table="candidates", seq=seq, candidate_id=candidate_id
            )
        for fill in (position.entry for position in self._ledger.positions.values()):
            raise RecordError(
                "entered a position that was never left",
                table="fills", seq=fill.row, candidate_id=f"{fill.candidate_id:016x}",
            )  # fmt: skip

    def _candidate(self, seq: int, row: Mapping[str, Any]) -> str:
        if row["candidate_id"] in self._open:
            return "was proposed before"
        ordered = _ORDER | _ENDING if row["reason"] is None else 0
        self._open[row["candidate_id"]] = seq, ordered | _OUTCOME
        self.candidates += 1
        return ""

    def _verdict(self, seq: int, row: Mapping[str, Any]) -> str:
        return "" if row["candidate_id"] in self._open else "judges no candidate that is open"

    def _decision(self, seq: int, row: Mapping[str, Any]) -> str:
        return "" if row["candidate_id"] in self._open else "is about no candidate that is open"

    def _order(self, seq: int, row: Mapping[str, Any]) -> str:
        if row["kind"] == "submitted":
            return self._settle(row, _ORDER, 0)
        return self._settle(row, _ENDING, _ORDER)

    def _outcome(self, seq: int, row: Mapping[str, Any]) -> str:
        return self._settle(row, _OUTCOME, 0)

    def _fill(self, seq: int, row: Mapping[str, Any]) -> str:
        fill = self._as_fill(seq, row)
        try:
            self._ledger.fold(fill)
        except LedgerError as fault:
            return f"does not balance: {fault.what.partition(': ')[2]}"
        self._ledger.fills.clear()  # a run may have millions
        self._ledger.trades.clear()
        return self._settle(row, _ENDING, _ORDER) if fill.is_entry else ""

    def _settle(self, row: Mapping[str, Any], what: int, after: int) -> str:
        """Note that `what` has come, which may come once, and not before `after`."""
        seq, lacks = self._open.get(row["candidate_id"], (0, 0))
        if not lacks & what:
            return f"is a second {_NAMES[what]} of its candidate, or of none that is open"
        if after & lacks:
            return "comes before the order of its candidate"
        if lacks == what:
            del self._open[row["candidate_id"]]
        else:
            self._open[row["candidate_id"]] = seq, lacks & ~what
        return ""

    def _as_fill(self, seq: int, row: Mapping[str, Any]) -> Fill:
        """A stored fill; its row number stands for its seq. Raises ValueError where it is none."""
        if row["symbol"] not in self._symbols or row["side"] not in _SIDES:
            raise ValueError(f"{row['side']} {row['symbol']}")
        entry = row["kind"] == "entry"
        if entry and not abs(row["mid_price"] - row["stop_price"]) > 0:
            raise ValueError("its stop is its price")
        return Fill(
            int(row["candidate_id"], 16), seq, self._symbols[row["symbol"]], -1,
            _SIDES[row["side"]], entry, row["time"], -1, row["phase"], row["units"],
            row["price"], row["mid_price"], row["fee_usd"], row["funding_usd"], -1,
            row["stop_price"] if entry else math.nan,
        )  # fmt: skip

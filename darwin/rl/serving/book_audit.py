"""Whether recorded rebalances follow from what is recorded of them.

Like decisions about candidates (`audit`): made again from observation and model, ruled on again.
What a limit has cut hangs on what the book held: `darwin replay` makes that again, not this.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darwin.core.agents import Role, Standing, Why
from darwin.core.market import FloatArray
from darwin.core.ports import AnyPolicies, AnyPolicy
from darwin.core.rebalance import BookAdvice, BookPage
from darwin.engine.consult import advise_on_book
from darwin.engine.rebalancing import toward
from darwin.errors import RecordError
from darwin.rl.serving.audit import TOLERANCE, Audit
from darwin.rl.serving.history import Charters
from darwin.store.book_columns import as_numbers


class BookAudit(Audit):
    """The fold of the facts of a run of a book."""

    TABLE, KEY = "rebalances", "rebalance_id"

    def __init__(
        self,
        page: BookPage,
        stands: FloatArray,
        policies: AnyPolicies | None,
        charters: Charters | None = None,
    ) -> None:
        """`stands` is what the book holds without the agent, shape (n,)."""
        super().__init__(policies, charters)
        self._book_page, self._stands = page, stands
        self._open: dict[tuple[str, str], int] = {}  # rebalances without an outcome: their seq
        self._last_id = ""

    def fold(self, table: str, seq: int, row: Mapping[str, Any]) -> None:
        """Take one fact. Raises RecordError where it does not fit."""
        if table == self.TABLE:
            self._history.candidate = (row["rebalance_id"], row["bar_time"])
            self._open[row["rebalance_id"], row["role"]] = seq
            self._last_id = row["rebalance_id"]
        elif table == "holdings" and not self._open.pop((row["rebalance_id"], row["role"]), 0):
            raise self._error("is of a rebalance that is not waiting for it", table, seq, row)
        try:
            super().fold(table, seq, row)
        except (TypeError, ValueError) as fault:
            raise self._error(f"is no fact of its kind ({fault})", table, seq, row) from fault

    def close(self) -> None:
        """End a finished run: all but the last rebalance know what came of them."""
        for (rebalance_id, _), seq in self._open.items():
            if rebalance_id != self._last_id:
                raise RecordError(
                    "never had its outcome", table=self.TABLE, seq=seq, candidate_id=rebalance_id
                )

    def _page(self, agent: str) -> BookPage | None:
        return self._book_page if agent == self._book_page.name else None

    def _advise(
        self, page: BookPage, policy: AnyPolicy, seen: NDArray[np.float32]
    ) -> tuple[BookAdvice | None, Why, str]:
        return advise_on_book(page, policy, seen)

    def _out_of_place(self, row: Mapping[str, Any], page: BookPage) -> str:
        if not np.array_equal(as_numbers(row["baseline_weights"]), self._stands):
            return "names other weights as the baseline than stand without the agent"
        if row["action"] is None:
            return ""
        action = tuple(as_numbers(row["action"]).tolist())
        if not page.is_legal(action):
            return "has advice that its agent may not give"
        if not np.array_equal(as_numbers(row["advised_weights"]), page.target(action)):
            return "names other weights than its action asks for"
        return ""

    def _told(self, row: Mapping[str, Any]) -> tuple[Any, float | None]:
        return tuple(as_numbers(row["action"]).tolist()), row["probability"]

    def _is_alike(self, advice: BookAdvice, told: tuple[Any, float | None]) -> bool:
        action, probability = told
        if (advice.probability is None) != (probability is None):
            return False
        away = abs((advice.probability or 0.0) - (probability or 0.0))
        return len(action) == len(advice.action) and all(
            abs(now - then) <= TOLERANCE
            for now, then in zip((*advice.action, away), (*action, 0.0), strict=True)
        )

    def _requested(self, row: Mapping[str, Any], page: BookPage) -> bool:
        return False

    def _would_skip(self, row: Mapping[str, Any], page: BookPage) -> bool:
        return False

    def _ruled_otherwise(
        self, row: Mapping[str, Any], page: BookPage, why: Why, standing: Standing
    ) -> str:
        if bool(row["followed"]) != (why is Why.ACTIVE):
            return "does not say truly whether its advice was followed"
        if row["limited_by"] and row["role"] == Role.SERVING:
            return ""
        due = self._stands
        if why is Why.ACTIVE:
            due = toward(due, as_numbers(row["advised_weights"]), standing.stage)
        if not np.array_equal(as_numbers(row["final_weights"]), due + 0.0):
            return "let other weights stand than were due"
        return ""

"""Facts as columns of the tables.

What SQLite cannot hold is settled here: an infinite distance says that the bracket has no such
part and becomes NULL, so does what is not known yet; any other NaN or infinity is refused, and
-0.0 becomes 0.0.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np

from darwin.core.account import Alert, EquityMark, SafetyEvent
from darwin.core.book_facts import BookFacts
from darwin.core.candidate import SIDE_NAME, id_text
from darwin.core.columns import column
from darwin.core.decision import Reason
from darwin.core.facts import ORDERED, Facts, Input
from darwin.core.market import BoolArray, FloatArray, IntArray
from darwin.core.trade import Exit, Status
from darwin.errors import IntegrityError
from darwin.store.book_columns import holding_columns, rebalance_columns
from darwin.store.features import pack

T = TypeVar("T")

Columns: TypeAlias = Mapping[str, Sequence[object]]
"""Equally long columns of one table, by name; plain Python values, None for NULL."""


class Names(NamedTuple):
    """What the codes of symbols and playbooks stand for."""

    symbols: tuple[str, ...]
    playbooks: tuple[str, ...]


def columns_of(
    facts: Facts | BookFacts, names: Names, tables: Iterable[str] | None = None
) -> dict[str, Columns]:
    """The columns of chained tables, by name; of all that such facts may have, unless told."""
    if isinstance(facts, BookFacts):
        return {table: _BOOK_COLUMNS[table](facts) for table in tables or _BOOK_COLUMNS}
    return {table: _COLUMNS[table](facts, names) for table in tables or _COLUMNS}


def _input_columns(facts: Facts, names: Names) -> Columns:
    return input_columns(facts.inputs)


def input_columns(said: Sequence[Input]) -> Columns:
    """What came from outside."""
    return {
        "kind": [one.kind for one in said],
        "candidate_id": [id_text(one.candidate_id) for one in said],
        "time": [one.time for one in said],
        "by": [one.by for one in said],
        "reason": [one.reason for one in said],
        "agent_name": [one.agent or None for one in said],
        "detail": [one.detail or None for one in said],
    }


def _candidate_columns(facts: Facts, names: Names) -> Columns:
    """Every candidate with its bracket, and how its decision ended it, if that did."""
    table = facts.candidates
    decided = [_ENDS[code] for code in facts.decided.tolist()]
    return {
        "candidate_id": _ids(table.id),
        "symbol": _named(names.symbols, table.symbol),
        "playbook": _named(names.playbooks, table.playbook),
        "side": [SIDE_NAME[side] for side in table.side.tolist()],
        "bar_time": table.bar_time.tolist(),
        "close": _finite("candidates.close", table.close),
        "stop_distance": _finite("candidates.stop_distance", table.stop_distance),
        "target_distance": _part("candidates.target_distance", table.target_distance),
        "time_stop_bars": _counted_part("candidates.time_stop_bars", table.time_stop_bars),
        "trail_activation_r": _part("candidates.trail_activation_r", table.trail_activation_r),
        "trail_distance": _part("candidates.trail_distance", table.trail_distance),
        "anchor": ["fill" if from_fill else "signal" for from_fill in table.from_fill.tolist()],
        "stage": [stage for stage, _ in decided],
        "reason": [reason for _, reason in decided],
        "feature_version": [table.feature_version] * len(table),
        "features": pack(table.features),
    }


def _verdict_columns(facts: Facts, names: Names) -> Columns:
    """The expert's answers, where it was asked."""
    said = [verdict for _, verdict in facts.verdicts]
    calls = [verdict.call for verdict in said]
    rows = np.array([row for row, _ in facts.verdicts], dtype=np.int64) - facts.first_row
    return {
        "candidate_id": _ids(facts.candidates.id[rows]),
        "take": [int(verdict.take) for verdict in said],
        "confidence": _finite("verdicts.confidence", [verdict.confidence for verdict in said]),
        "quality": _finite("verdicts.quality", [verdict.quality for verdict in said]),
        "risk_flags": [
            json.dumps(verdict.risk_flags) if verdict.risk_flags else "[]" for verdict in said
        ],
        "cost_usd": _finite("verdicts.cost_usd", [verdict.cost_usd for verdict in said]),
        "prompt_sha256": [call and call.prompt_sha256 for call in calls],
        "input_tokens": [call and call.input_tokens for call in calls],
        "output_tokens": [call and call.output_tokens for call in calls],
        "latency_us": [call and call.latency_us for call in calls],
    }


def _order_columns(facts: Facts, names: Names) -> Columns:
    """Submissions, then cancellations, each a fact of its own."""
    orders, cancels = facts.orders, facts.cancels
    every = [*orders, *(cancel.order for cancel in cancels)]
    return {
        "candidate_id": [id_text(order.candidate_id) for order in every],
        "kind": ["submitted"] * len(orders) + ["cancelled"] * len(cancels),
        "symbol": [names.symbols[order.symbol] for order in every],
        "side": [SIDE_NAME[order.side] for order in every],
        "time": [*(order.bar_time for order in orders), *(cancel.time for cancel in cancels)],
        "units": _finite("orders.units", [order.units for order in every]),
        "price": _finite("orders.price", [order.price for order in every]),
        "clipped_by": [order.clipped_by for order in every],
        "reason": [*[None] * len(orders), *(Reason(cancel.reason).text for cancel in cancels)],
    }


def _fill_columns(facts: Facts, names: Names) -> Columns:
    """Entries and exits."""
    fills = facts.fills
    entry = column(fills, "is_entry").astype(np.bool_).tolist()
    return {
        "candidate_id": [id_text(fill.candidate_id) for fill in fills],
        "kind": ["entry" if enters else "exit" for enters in entry],
        "symbol": _named(names.symbols, column(fills, "symbol")),
        "side": [SIDE_NAME[side] for side in column(fills, "side").tolist()],
        "time": column(fills, "time").tolist(),
        "phase": column(fills, "phase").tolist(),
        "units": _finite("fills.units", column(fills, "units")),
        "price": _finite("fills.price", column(fills, "price")),
        "mid_price": _finite("fills.mid_price", column(fills, "mid_price")),
        "fee_usd": _finite("fills.fee_usd", column(fills, "fee_usd")),
        "funding_usd": _finite("fills.funding_usd", column(fills, "funding_usd")),
        "stop_price": [
            stop if enters else None
            for stop, enters in zip(column(fills, "stop_price").tolist(), entry, strict=True)
        ],
        "reason": [
            None if enters else _EXITS[why]
            for why, enters in zip(column(fills, "reason").tolist(), entry, strict=True)
        ],
    }


def _outcome_columns(facts: Facts, names: Names) -> Columns:
    """How each bracket ended, taken or not."""
    table = facts.outcomes
    known = table.status == Status.RESOLVED
    entered = np.isfinite(table.entry_price)
    return {
        "candidate_id": _ids(table.id),
        "status": [Status(code).name.lower() for code in table.status.tolist()],
        "entry_time": _but_null(table.entry_time.tolist(), table.entry_time < 0),
        "entry_price": _finite_or_null(
            "outcomes.entry_price", table.entry_price, ~known & ~entered
        ),
        "stop_price": _finite_or_null("outcomes.stop_price", table.stop_price, ~entered),
        "target_price": _finite_or_null(
            "outcomes.target_price", table.target_price, ~entered | np.isinf(table.target_price)
        ),
        "exit_time": _but_null(table.exit_time.tolist(), table.exit_time < 0),
        "exit_price": _finite_or_null("outcomes.exit_price", table.exit_price, ~known),
        "exit_phase": _but_null(table.exit_phase.tolist(), ~known),
        "exit_reason": [_EXITS.get(code) for code in table.exit_reason.tolist()],
        "ambiguous": table.ambiguous.astype(np.int64).tolist(),
        "funding": _finite_or_null("outcomes.funding", table.funding, ~known),
        "r": _finite_or_null("outcomes.r", table.r, ~known),
    }


def _safety_columns(facts: Facts, names: Names) -> Columns:
    return safety_columns(facts.safety_events)


def safety_columns(events: Sequence[SafetyEvent]) -> Columns:
    """What changed what the account, or an agent, may do."""
    return {
        "time": [event.time for event in events],
        "kind": [event.kind for event in events],
        "detail": [event.detail for event in events],
        "agent_name": [event.agent or None for event in events],
    }


def _decision_columns(facts: Facts, names: Names) -> Columns:
    """What agents advised, and what stood."""
    told = facts.decisions
    table = facts.candidates
    rows = np.array([one.row for one in told], dtype=np.int64) - facts.first_row
    return {
        "candidate_id": _ids(table.id[rows]),
        "agent_name": [one.agent for one in told],
        "role": [one.role.value for one in told],
        "bar_time": table.bar_time[rows].tolist(),
        "mode": [one.mode.value for one in told],
        "action": _given("agent_decisions.action", [one.action for one in told]),
        "probability": _given("agent_decisions.probability", [one.probability for one in told]),
        "baseline_action": _finite(
            "agent_decisions.baseline_action", [one.baseline_action for one in told]
        ),
        "final_action": _finite("agent_decisions.final_action", [one.final_action for one in told]),
        "followed": [int(one.followed) for one in told],
        "reason": [one.why.value for one in told],
        "model_version": [one.model and one.model.version for one in told],
        "model_sha256": [one.model and one.model.sha256 for one in told],
        "feature_schema": [one.feature_schema for one in told],
        "observation": [one.observation for one in told],
        "latency_us": [one.latency_us for one in told],
    }


def alert_columns(alerts: Sequence[Alert]) -> Columns:
    """What a person should look at."""
    return {
        "time": [one.time for one in alerts],
        "kind": [one.kind for one in alerts],
        "agent_name": [one.agent or None for one in alerts],
        "detail": [one.detail for one in alerts],
    }


def mark_columns(marks: Sequence[EquityMark]) -> Columns:
    """The last mark of each UTC day."""
    time = np.array([mark.time for mark in marks], dtype="datetime64[ms]")
    return {
        "day": np.datetime_as_string(time.astype("datetime64[D]")).tolist(),
        "time": [mark.time for mark in marks],
        "equity_usd": _finite("equity_marks.equity_usd", [mark.equity_usd for mark in marks]),
        "exposure_usd": _finite("equity_marks.exposure_usd", [mark.exposure_usd for mark in marks]),
        "positions": [mark.positions for mark in marks],
    }


_ENDS: dict[int, tuple[str | None, str | None]] = {
    ORDERED: (None, None),
    **{int(reason): (reason.stage, reason.text) for reason in Reason},
}
_EXITS = {int(exit_): exit_.text for exit_ in Exit}

_COLUMNS: dict[str, Callable[[Facts, Names], Columns]] = {
    "inputs": _input_columns,
    "candidates": _candidate_columns,
    "verdicts": _verdict_columns,
    "orders": _order_columns,
    "fills": _fill_columns,
    "outcomes": _outcome_columns,
    "safety_events": _safety_columns,
    "agent_decisions": _decision_columns,
}
_BOOK_COLUMNS: dict[str, Callable[[BookFacts], Columns]] = {
    "inputs": lambda facts: input_columns(facts.inputs),
    "safety_events": lambda facts: safety_columns(facts.safety_events),
    "rebalances": lambda facts: rebalance_columns(facts.rebalances),
    "holdings": lambda facts: holding_columns(facts.holdings),
}


def _ids(numbers: Sequence[int] | np.ndarray) -> list[str]:
    return [f"{number:016x}" for number in np.asarray(numbers, dtype=np.uint64).tolist()]


def _named(names: tuple[str, ...], codes: IntArray) -> list[str]:
    return [names[code] for code in codes.tolist()]


def _finite(name: str, values: FloatArray | Sequence[float]) -> list[float]:
    """Values as Python floats. Raises IntegrityError where one is NaN or infinite."""
    numbers = np.asarray(values, dtype=np.float64)
    _refuse(name, numbers, ~np.isfinite(numbers))
    plain: list[float] = (numbers + 0.0).tolist()  # never -0.0, which SQLite would not keep
    return plain


def _finite_or_null(name: str, values: FloatArray, null: BoolArray) -> list[float | None]:
    """The same, with NULL where `null` says so."""
    _refuse(name, values, ~np.isfinite(values) & ~null)
    return _but_null((values + 0.0).tolist(), null)


def _given(name: str, values: Sequence[float | None]) -> list[float | None]:
    """The same of values that may be missing."""
    none = np.array([value is None for value in values], dtype=np.bool_)
    numbers = np.array([0.0 if value is None else value for value in values], dtype=np.float64)
    return _finite_or_null(name, numbers, none)


def _part(name: str, values: FloatArray) -> list[float | None]:
    """A part that a bracket may lack: NULL where it is infinite."""
    return _finite_or_null(name, values, np.isinf(values))


def _counted_part(name: str, values: FloatArray) -> list[int | None]:
    """The same of a part that is counted: a whole number, or NULL where it is infinite."""
    _refuse(name, values, np.isfinite(values) & (values != np.rint(values)))
    return [None if value is None else int(value) for value in _part(name, values)]


def _refuse(name: str, values: FloatArray, bad: BoolArray) -> None:
    if bad.any():
        row = int(bad.argmax())
        raise IntegrityError(
            f"{name} would be {values[row]}, which is no fact",
            where=f"row {row} of {len(values)}",
            mend="nothing was recorded; report this, it should not happen",
        )


def _but_null(values: Sequence[T], null: BoolArray) -> list[T | None]:
    if not null.any():
        return list(values)
    return [None if skip else value for value, skip in zip(values, null.tolist(), strict=True)]

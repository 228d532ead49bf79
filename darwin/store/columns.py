"""The facts of a run as columns of the tables.

What SQLite cannot hold is settled here: an infinite distance says that the bracket has no such
part and becomes NULL, so does what is not known yet; any other NaN or infinity is refused.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TypeAlias, TypeVar

import numpy as np

from darwin.core.candidate import SIDE_NAME, id_text
from darwin.core.decision import Reason
from darwin.core.market import DAY_MS, Bars, BoolArray, FloatArray, IntArray
from darwin.core.trade import Cancel, Exit, Order, Phase, Status
from darwin.errors import IntegrityError
from darwin.store.facts import RunFacts
from darwin.store.features import pack

T = TypeVar("T")

Columns: TypeAlias = dict[str, Sequence[object]]
"""Equally long columns of one table, by name; plain Python values, None for NULL."""


def candidate_columns(run: RunFacts) -> Columns:
    """Every candidate with its bracket, and where and why it ended."""
    table = run.candidates
    reasons = [Reason(code) for code in run.reasons.tolist()]
    return {
        "candidate_id": [id_text(number) for number in table.id.tolist()],
        "symbol": _named(run.symbols, table.symbol),
        "playbook": _named(run.playbooks, table.playbook),
        "side": [SIDE_NAME[side] for side in table.side.tolist()],
        "bar_time": table.bar_time.tolist(),
        "close": _finite("candidates.close", table.close),
        "stop_distance": _finite("candidates.stop_distance", table.stop_distance),
        "target_distance": _part("candidates.target_distance", table.target_distance),
        "time_stop_bars": _part("candidates.time_stop_bars", table.time_stop_bars),
        "trail_activation_r": _part("candidates.trail_activation_r", table.trail_activation_r),
        "trail_distance": _part("candidates.trail_distance", table.trail_distance),
        "anchor": ["fill" if from_fill else "signal" for from_fill in table.from_fill.tolist()],
        "stage": [reason.stage for reason in reasons],
        "reason": [reason.text for reason in reasons],
        "feature_version": [table.feature_version] * len(table),
        "features": pack(table.features),
    }


def verdict_columns(run: RunFacts) -> Columns:
    """The expert's answers, where it was asked."""
    said = run.verdicts
    rows = np.flatnonzero(said.asked)
    return {
        "candidate_id": [id_text(number) for number in run.candidates.id[rows].tolist()],
        "take": said.take[rows].astype(np.int64).tolist(),
        "confidence": _finite("verdicts.confidence", said.confidence[rows]),
        "quality": _finite("verdicts.quality", said.quality[rows]),
        "risk_flags": [json.dumps(list(said.flags.get(row, ()))) for row in rows.tolist()],
        "cost_usd": _finite("verdicts.cost_usd", said.cost_usd[rows]),
    }


def order_columns(run: RunFacts) -> Columns:
    """Submissions and cancellations, each a fact of its own, in the order they happened."""
    facts: list[tuple[tuple[int, int, int], Order, int | None]] = [
        ((order.bar_time, Phase.DECIDE, order.row), order, None) for order in run.orders
    ]
    facts += [
        ((cancel.time, _phase(cancel), cancel.order.row), cancel.order, cancel.reason)
        for cancel in run.cancels
    ]
    facts.sort(key=lambda fact: fact[0])
    whens, orders, reasons = zip(*facts, strict=True) if facts else ((), (), ())
    return {
        "candidate_id": [id_text(order.candidate_id) for order in orders],
        "kind": ["submitted" if why is None else "cancelled" for why in reasons],
        "symbol": [run.symbols[order.symbol] for order in orders],
        "side": [SIDE_NAME[order.side] for order in orders],
        "time": [time for time, _, _ in whens],
        "units": _finite("orders.units", [order.units for order in orders]),
        "price": _finite("orders.price", [order.price for order in orders]),
        "clipped_by": [order.clipped_by for order in orders],
        "reason": [None if why is None else Reason(why).text for why in reasons],
    }


def fill_columns(run: RunFacts) -> Columns:
    """Entries and exits, in the order they happened."""
    fills = run.fills
    return {
        "candidate_id": [id_text(fill.candidate_id) for fill in fills],
        "kind": ["entry" if fill.is_entry else "exit" for fill in fills],
        "symbol": [run.symbols[fill.symbol] for fill in fills],
        "side": [SIDE_NAME[fill.side] for fill in fills],
        "time": [fill.time for fill in fills],
        "phase": [int(fill.phase) for fill in fills],
        "units": _finite("fills.units", [fill.units for fill in fills]),
        "price": _finite("fills.price", [fill.price for fill in fills]),
        "mid_price": _finite("fills.mid_price", [fill.mid_price for fill in fills]),
        "fee_usd": _finite("fills.fee_usd", [fill.fee_usd for fill in fills]),
        "funding_usd": _finite("fills.funding_usd", [fill.funding_usd for fill in fills]),
        "stop_price": [fill.stop_price if fill.is_entry else None for fill in fills],
        "reason": [None if fill.is_entry else Exit(fill.reason).text for fill in fills],
    }


def outcome_columns(run: RunFacts) -> Columns:
    """How every candidate's bracket ended, taken or not."""
    table, symbol = run.outcomes, run.candidates.symbol
    known = table.status == Status.RESOLVED
    entered = np.isfinite(table.entry_price)
    return {
        "candidate_id": [id_text(number) for number in run.candidates.id.tolist()],
        "status": [Status(code).name.lower() for code in table.status.tolist()],
        "entry_time": _times(run.markets, symbol, table.entry_bar),
        "entry_price": _finite_or_null(
            "outcomes.entry_price", table.entry_price, ~known & ~entered
        ),
        "stop_price": _finite_or_null("outcomes.stop_price", table.stop_price, ~entered),
        "target_price": _finite_or_null(
            "outcomes.target_price", table.target_price, ~entered | np.isinf(table.target_price)
        ),
        "exit_time": _times(run.markets, symbol, np.where(known, table.exit_bar, -1)),
        "exit_price": _finite_or_null("outcomes.exit_price", table.exit_price, ~known),
        "exit_phase": _but_null(table.exit_phase.tolist(), ~known),
        "exit_reason": [
            Exit(code).text if code >= 0 else None for code in table.exit_reason.tolist()
        ],
        "ambiguous": table.ambiguous.astype(np.int64).tolist(),
        "funding": _finite_or_null("outcomes.funding", table.funding, ~known),
        "r": _finite_or_null("outcomes.r", table.r, ~known),
    }


def equity_columns(run: RunFacts) -> Columns:
    """The last mark of each UTC day."""
    curve = run.equity
    day = curve.time // DAY_MS
    last = np.flatnonzero(np.append(day[1:] != day[:-1], True)) if len(day) else day
    return {
        "day": np.datetime_as_string(day[last].astype("datetime64[D]")).tolist(),
        "time": curve.time[last].tolist(),
        "equity_usd": _finite("equity_marks.equity_usd", curve.equity[last]),
        "exposure_usd": _finite("equity_marks.exposure_usd", curve.exposure[last]),
        "positions": curve.positions[last].tolist(),
    }


def safety_columns(run: RunFacts) -> Columns:
    """What changed what the account may do, in the order it happened."""
    return {
        "time": [event.time for event in run.safety_events],
        "kind": [event.kind for event in run.safety_events],
        "detail": [event.detail for event in run.safety_events],
    }


def _phase(cancel: Cancel) -> int:
    """An entry falls through at the open; what never saw a next bar does when the run ends."""
    return Phase.DECIDE + 1 if cancel.reason == Reason.NO_NEXT_BAR else Phase.OPEN


def _named(names: tuple[str, ...], codes: IntArray) -> list[str]:
    return [names[code] for code in codes.tolist()]


def _times(markets: tuple[Bars, ...], symbol: IntArray, bar: IntArray) -> list[int | None]:
    """Open times of bars given by symbol and row, both (m,); None where the row is -1."""
    times = np.zeros(len(bar), dtype=np.int64)
    for code, bars in enumerate(markets):
        rows = np.flatnonzero((symbol == code) & (bar >= 0))
        times[rows] = bars.time[bar[rows]]
    return _but_null(times.tolist(), bar < 0)


def _finite(name: str, values: FloatArray | Sequence[float]) -> list[float]:
    """Values as Python floats. Raises IntegrityError where one is NaN or infinite."""
    column = np.asarray(values, dtype=np.float64)
    _refuse(name, column, ~np.isfinite(column))
    plain: list[float] = column.tolist()
    return plain


def _finite_or_null(name: str, values: FloatArray, null: BoolArray) -> list[float | None]:
    """The same, with NULL where `null` says so."""
    _refuse(name, values, ~np.isfinite(values) & ~null)
    return _but_null(values.tolist(), null)


def _part(name: str, values: FloatArray) -> list[float | None]:
    """A part that a bracket may lack: NULL where it is infinite."""
    return _finite_or_null(name, values, np.isinf(values))


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

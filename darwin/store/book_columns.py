"""Facts of a book as columns of its tables: numbers of many assets stand as bytes, float64."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from darwin.core.book_facts import Held, Rebalanced
from darwin.core.candidate import id_text
from darwin.core.market import FloatArray
from darwin.errors import IntegrityError


def rebalance_columns(told: Sequence[Rebalanced]) -> Mapping[str, Sequence[object]]:
    """What agents of a book advised, and what stood."""
    return {
        "rebalance_id": [id_text(one.at.id) for one in told],
        "agent_name": [one.agent for one in told],
        "role": [one.role.value for one in told],
        "bar_time": [one.at.bar_time for one in told],
        "mode": [one.mode.value for one in told],
        "action": [one.action and as_bytes("rebalances.action", one.action) for one in told],
        "probability": [one.probability for one in told],
        "advised_weights": [
            one.advised and as_bytes("rebalances.advised_weights", one.advised) for one in told
        ],
        "baseline_weights": [as_bytes("rebalances.baseline_weights", o.baseline) for o in told],
        "final_weights": [as_bytes("rebalances.final_weights", one.final) for one in told],
        "limited_by": [one.limited_by for one in told],
        "followed": [int(one.followed) for one in told],
        "reason": [one.why.value for one in told],
        "model_version": [one.model and one.model.version for one in told],
        "model_sha256": [one.model and one.model.sha256 for one in told],
        "feature_schema": [one.feature_schema for one in told],
        "observation": [one.observation for one in told],
        "latency_us": [one.latency_us for one in told],
    }


def holding_columns(told: Sequence[Held]) -> Mapping[str, Sequence[object]]:
    """What came of rebalances."""
    return {
        "rebalance_id": [id_text(one.at.id) for one in told],
        "agent_name": [one.agent for one in told],
        "role": [one.role.value for one in told],
        "known_time": [one.known_time for one in told],
        "advised_return": [_finite("holdings.advised_return", o.advised_return) for o in told],
        "baseline_returns": [
            as_bytes("holdings.baseline_returns", o.baseline_returns) for o in told
        ],
        "asset_returns": [as_bytes("holdings.asset_returns", one.asset_returns) for one in told],
        "book_return": [_finite("holdings.book_return", one.book_return) for one in told],
        "turnover": [_finite("holdings.turnover", one.turnover) for one in told],
        "cost": [_finite("holdings.cost", one.cost) for one in told],
    }


def as_bytes(name: str, values: Sequence[float]) -> bytes:
    """Numbers as float64, little-endian. Raises IntegrityError where one is NaN or infinite."""
    numbers = np.array(values, dtype="<f8") + 0.0  # never -0.0
    if not np.isfinite(numbers).all():
        raise _no_fact(name, numbers.tolist())
    return numbers.tobytes()


def as_numbers(stored: bytes) -> FloatArray:
    """Read what `as_bytes` has written. Raises ValueError for no whole numbers."""
    return np.frombuffer(stored, dtype="<f8")


def _finite(name: str, value: float | None) -> float | None:
    if value is None:
        return None
    if not math.isfinite(value):
        raise _no_fact(name, value)
    return value + 0.0


def _no_fact(name: str, value: object) -> IntegrityError:
    return IntegrityError(
        f"{name} would be {value}, which is no fact",
        mend="nothing was recorded; report this, it should not happen",
    )

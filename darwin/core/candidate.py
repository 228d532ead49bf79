"""A candidate: a setup that a playbook proposes at a bar's close, with its bracket."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from darwin.core.market import BoolArray, FloatArray, IntArray

LONG, SHORT = 1, -1
SIDE_NAME = {LONG: "long", SHORT: "short"}


@dataclass(frozen=True, slots=True)
class Trailing:
    """Once a previous bar reached `activation_r` × risk, trail by `distance_atr` × ATR."""

    activation_r: float
    distance_atr: float


@dataclass(frozen=True, slots=True)
class Exits:
    """How a bracket is built: distances in ATR at the signal bar; None switches a part off."""

    stop_atr: float = 1.2
    target_atr: float | None = 2.4
    time_stop_bars: int | None = 32
    trailing: Trailing | None = None
    anchor: str = "signal"  # what the distances are measured from: "signal" close or "fill"
    atr_period: int = 14

    @property
    def take_profit_r(self) -> float:
        """TP of the bracket: target distance over stop distance, 10 where there is no target."""
        return 10.0 if self.target_atr is None else self.target_atr / self.stop_atr


class Bracket(NamedTuple):
    """Distances in price units; `inf` where there is no target, trailing or time stop."""

    stop_distance: float
    target_distance: float
    time_stop_bars: float
    trail_activation_r: float
    trail_distance: float


class Scan(NamedTuple):
    """What a playbook saw: at which bars it proposes which side; both of shape (n,)."""

    long: BoolArray
    short: BoolArray


class Candidate(NamedTuple):
    """One setup. `id` is a hash of run-independent inputs; written as 16 hex digits outside."""

    id: int
    row: int  # position in the run's total order
    symbol: int  # index into the run's symbols
    playbook: int  # index into the run's playbooks
    side: int  # LONG or SHORT
    bar_time: int  # open time of the signal bar, ms UTC
    instant: int  # index of that time on the run's clock
    close: float
    stop_distance: float
    target_distance: float


@dataclass(frozen=True, slots=True)
class CandidateTable:
    """All candidates of a run in total order: bar time, symbol, playbook, side (long first).

    Every array has shape (m,). `bar` is the row in the symbol's own bars. `features` has one
    column per name in `feature_names` and is empty (m, 0) when nobody asked for features.
    """

    id: NDArray[np.uint64]
    symbol: IntArray
    playbook: IntArray
    side: IntArray
    bar: IntArray
    bar_time: IntArray
    instant: IntArray
    close: FloatArray
    stop_distance: FloatArray
    target_distance: FloatArray
    time_stop_bars: FloatArray
    trail_activation_r: FloatArray
    trail_distance: FloatArray
    from_fill: BoolArray  # bracket anchored at the fill instead of the signal's close
    features: FloatArray
    feature_names: tuple[str, ...] = ()
    feature_version: str = ""

    def __len__(self) -> int:
        return len(self.id)

    @classmethod
    def joined(cls, parts: Sequence[CandidateTable]) -> CandidateTable:
        """All `parts`, one after the other; they share features and version."""
        if len(parts) == 1:
            return parts[0]
        columns = {name: np.concatenate([getattr(p, name) for p in parts]) for name in _COLUMNS}
        return cls(
            **columns,
            feature_names=parts[0].feature_names,
            feature_version=parts[0].feature_version,
        )

    def select(self, rows: IntArray | BoolArray) -> CandidateTable:
        """The candidates at `rows`, in that order."""
        return replace(self, **{name: getattr(self, name)[rows] for name in _COLUMNS})


_COLUMNS = tuple(
    name
    for name in CandidateTable.__dataclass_fields__
    if name not in ("feature_names", "feature_version")
)


def setup_key(symbol: str, timeframe: str, playbook: str, params: str, side: int) -> int:
    """Digest what a family of setups has in common: 64 bits of SHA-256 over its description."""
    text = "\x1f".join((symbol, timeframe, playbook, params, SIDE_NAME[side]))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def candidate_ids(setup: int, bar_time: IntArray) -> NDArray[np.uint64]:
    """Mix setup and bar time into ids, shape (m,).

    The finaliser of SplitMix64 (Steele, Lea, Flood 2014) is a bijection, so that two bars of one
    setup never share an id.
    """
    x = bar_time.astype(np.uint64) + np.uint64(setup)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: NDArray[np.uint64] = x ^ (x >> np.uint64(31))
    return mixed


def id_text(candidate_id: int) -> str:
    """Write an id as the outside sees it: 16 hex digits."""
    return f"{int(candidate_id):016x}"

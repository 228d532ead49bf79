"""From bars to candidates: every playbook scans every symbol, in one total order."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any

import numpy as np

from darwin.core.candidate import (
    LONG,
    SHORT,
    CandidateTable,
    Exits,
    candidate_ids,
    setup_key,
)
from darwin.core.clock import Clock
from darwin.core.features import FeatureFrame
from darwin.core.market import Bars, BoolArray, IntArray
from darwin.core.ports import Playbook


@dataclass(frozen=True, slots=True)
class Setup:
    """A playbook as a run uses it: its name there, its rule, its exits."""

    name: str
    playbook: Playbook
    exits: Exits

    def params_text(self) -> str:
        """Canonical text of rule and exits, which candidate ids are made from."""
        rule: Any = self.playbook
        kind = f"{type(rule).__module__}:{type(rule).__qualname__}"
        params = asdict(rule) if is_dataclass(rule) and not isinstance(rule, type) else {}
        return json.dumps([kind, params, asdict(self.exits)], sort_keys=True)

    def said(self) -> str:
        """The rule in words: what its author wrote of it, then its parameters."""
        rule: Any = self.playbook
        words = " ".join((type(rule).__doc__ or "").split())
        params = asdict(rule) if is_dataclass(rule) and not isinstance(rule, type) else {}
        values = ", ".join(f"{name}={json.dumps(value)}" for name, value in params.items())
        return " ".join(part for part in (words, f"Here: {values}." if values else "") if part)


@dataclass(frozen=True, slots=True)
class Quiet:
    """When no candidate may arise: at the start, and after a long gap, until warmed up."""

    warmup_bars: int = 400
    max_gap_bars: int = 24
    sessions: bool = False  # closures of session markets are no gaps

    def allows(self, bars: Bars) -> BoolArray:
        """Say for each bar whether candidates may arise at it, shape (n,)."""
        allowed: BoolArray = self.bars_since_restart(bars) >= self.warmup_bars
        return allowed

    def bars_since_restart(
        self, bars: Bars, since: int | None = None, counted: int = 0
    ) -> IntArray:
        """Count for each bar those since the start or the last long gap, shape (n,).

        Bars that go on from earlier ones need the open time of the last of those as `since`, and
        how many were `counted` with it.
        """
        place = np.arange(len(bars))
        latest = np.full(len(bars), -counted)
        if not self.sessions and len(bars):
            before = np.concatenate((bars.time[:1] if since is None else [since], bars.time[:-1]))
            missing = (bars.time - before) // bars.timeframe.ms - 1
            latest[missing > self.max_gap_bars] = place[missing > self.max_gap_bars]
            np.maximum.accumulate(latest, out=latest)
        since_restart: IntArray = place - latest
        return since_restart


def propose(
    markets: Sequence[Bars],
    setups: Sequence[Setup],
    clock: Clock,
    quiet: Quiet,
    frame_of: Callable[[Bars], FeatureFrame],
    feature_keys: Sequence[str] = (),
) -> CandidateTable:
    """Collect all candidates of a run in total order."""
    parts = []
    for number, bars in enumerate(markets):
        allowed, instant = quiet.allows(bars), clock.instant_of_bar[number]
        keys = setup_keys(bars, setups)
        frame = frame_of(bars)
        parts.append(scan_symbol(number, bars, setups, keys, frame, allowed, instant, feature_keys))
    return in_total_order(parts, len(setups))


def in_total_order(parts: Sequence[CandidateTable], setups: int) -> CandidateTable:
    """All candidates of `parts`, one for each symbol: by instant, symbol, playbook, long first."""
    table = CandidateTable.joined(parts)
    # one sort key: instant, symbol, playbook, long before short
    key = (table.instant * (table.symbol.max(initial=0) + 1) + table.symbol) * setups
    order = np.argsort((key + table.playbook) * 2 + (table.side == SHORT), kind="stable")
    return table.select(order)


def setup_keys(bars: Bars, setups: Sequence[Setup]) -> list[tuple[int, int]]:
    """What the ids of candidates are made from, besides bar times: (long, short) per setup."""
    symbol, timeframe = bars.symbol, bars.timeframe.name
    keys = []
    for setup in setups:
        rule = (symbol, timeframe, setup.name, setup.params_text())
        keys.append((setup_key(*rule, LONG), setup_key(*rule, SHORT)))
    return keys


def scan_symbol(
    number: int,
    bars: Bars,
    setups: Sequence[Setup],
    keys: Sequence[tuple[int, int]],
    frame: FeatureFrame,
    allowed: BoolArray,
    instant: IntArray,
    feature_keys: Sequence[str],
    first_bar: int = 0,
) -> CandidateTable:
    """Let all `setups` scan bars of one symbol; `frame`, `allowed` and `instant` are by bar.

    A setup at a bar whose ATR is not yet known or zero is no candidate: it would have no bracket.
    `keys` are the symbol's `setup_keys`; `first_bar` is how many bars of the symbol came before.
    """
    rows: list[IntArray] = []
    owner: list[tuple[int, int]] = []  # (playbook, side) of each entry of `rows`
    for index, setup in enumerate(setups):
        scan = setup.playbook.scan(frame)
        usable = allowed & (frame[f"atr_{setup.exits.atr_period}"] > 0.0)
        for side, seen in ((LONG, scan.long), (SHORT, scan.short)):
            rows.append(np.flatnonzero(seen & usable))
            owner.append((index, side))
    bar = np.concatenate(rows)
    counts = [len(found) for found in rows]
    playbook = np.repeat(np.array([index for index, _ in owner], dtype=np.int64), counts)
    side_of = np.repeat(np.array([side for _, side in owner], dtype=np.int64), counts)
    ids = [
        candidate_ids(keys[i][0 if side == LONG else 1], bars.time[found])
        for (i, side), found in zip(owner, rows, strict=True)
    ]
    atr = np.concatenate(
        [
            frame[f"atr_{setups[i].exits.atr_period}"][found]
            for (i, _), found in zip(owner, rows, strict=True)
        ]
    )
    distance = {
        name: np.array([value(setup.exits) for setup in setups])[playbook]
        for name, value in _EXIT_COLUMNS.items()
    }
    return CandidateTable(
        id=np.concatenate(ids),
        symbol=np.full(len(bar), number, dtype=np.int64),
        playbook=playbook,
        side=side_of,
        bar=first_bar + bar,
        bar_time=bars.time[bar],
        instant=instant[bar],
        close=bars.close[bar],
        stop_distance=distance["stop_atr"] * atr,
        target_distance=distance["target_atr"] * atr,
        time_stop_bars=distance["time_stop_bars"],
        trail_activation_r=distance["trail_activation_r"],
        trail_distance=distance["trail_atr"] * atr,
        from_fill=distance["from_fill"].astype(np.bool_),
        features=frame.take(feature_keys, bar) if feature_keys else np.empty((len(bar), 0)),
        feature_names=tuple(feature_keys),
        feature_version=frame.version if feature_keys else "",
    )


def _or_inf(value: float | None) -> float:
    return np.inf if value is None else float(value)


_EXIT_COLUMNS: dict[str, Callable[[Exits], float]] = {
    "stop_atr": lambda e: e.stop_atr,
    "target_atr": lambda e: _or_inf(e.target_atr),
    "time_stop_bars": lambda e: _or_inf(e.time_stop_bars),
    "trail_activation_r": lambda e: np.inf if e.trailing is None else e.trailing.activation_r,
    "trail_atr": lambda e: np.inf if e.trailing is None else e.trailing.distance_atr,
    "from_fill": lambda e: float(e.anchor == "fill"),
}

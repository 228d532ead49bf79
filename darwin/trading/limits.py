"""Hard limits: asked last, refusing only, from configuration alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from darwin.core.account import Finding, SafetyEvent
from darwin.core.decision import Reason
from darwin.core.market import DAY_MS, BoolArray, FloatArray, IntArray

STALE, FRESH = "stale", "fresh"
"""Kinds of what happens to an account whose bars come too late, and in time again."""

HALTED, DOUBT, RECONCILED = "halted", "doubt", "reconciled"
"""Kinds of what a venue's statement brings about: a stop of all entries, one more doubt while they
are stopped, a difference that was put right."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What an account may never do; None switches a limit off."""

    max_positions: int | None = 10
    max_exposure_fraction: float | None = 1.0
    max_position_usd: float | None = None
    max_orders_per_bar: int | None = 5
    max_orders_per_day: int | None = 50
    max_daily_loss_fraction: float | None = 0.05
    max_drawdown_fraction: float | None = 0.25
    price_collar_fraction: float | None = None
    max_refusals_per_bar: int | None = 100  # beyond it an order storm: HALTED
    reducing_resume_days: int | None = None  # None: never without a person

    def most_of_one_usd(self, agents_most_usd: float) -> float:
        """What one position may be worth, where the agents that act in it are held to a cap.

        inf is no cap, of theirs or of both. Theirs may only tighten the account's.
        """
        own = math.inf if self.max_position_usd is None else self.max_position_usd
        return min(own, agents_most_usd)


class OrderCount:
    """Orders of this bar and of this UTC day, and how many the former refused."""

    __slots__ = ("_bar", "_day", "_limits", "_on_bar", "_on_day", "_refused", "storm")

    def __init__(self, limits: Limits) -> None:
        """Start with none counted."""
        self._limits = limits
        self._bar = self._day = -1
        self._on_bar = self._on_day = self._refused = 0
        self.storm = False

    def objection(self, time: int) -> Reason | None:
        """Say whether one more order at bar `time` is one too many."""
        if time != self._bar:
            self._bar, self._on_bar, self._refused = time, 0, 0
        if time // DAY_MS != self._day:
            self._day, self._on_day = time // DAY_MS, 0
        limits = self._limits
        if limits.max_orders_per_bar is not None and self._on_bar >= limits.max_orders_per_bar:
            self._refused += 1
            most = limits.max_refusals_per_bar
            self.storm = most is not None and self._refused > most
            return Reason.ORDERS_PER_BAR
        if limits.max_orders_per_day is not None and self._on_day >= limits.max_orders_per_day:
            return Reason.ORDERS_PER_DAY
        return None

    def add(self) -> None:
        """Count the order that `objection` has just let through."""
        self._on_bar += 1
        self._on_day += 1


class LossWatch:
    """The fold of equity marks into peak, daily loss and drawdown.

    Fed with marks in time order in chunks of any size; the events do not depend on the chunks.
    A daily loss blocks entries until the next UTC day. A drawdown blocks them until a named person
    lifts it; in replay `reducing_resume_days` is that act, and it starts a new peak.
    """

    __slots__ = (
        "_blocked", "_day", "_day_start", "_last", "_limits", "_reduced_at", "_stale", "_tell",
        "events", "halted", "peak",
    )  # fmt: skip

    def __init__(
        self,
        limits: Limits,
        starting_equity_usd: float,
        tell: Callable[[SafetyEvent], object] | None = None,
    ) -> None:
        """Start before the first bar; `tell` hears of each event as it is noted in `events`."""
        self._limits, self._tell = limits, tell
        self._day = -1
        self._day_start = self._last = self.peak = starting_equity_usd
        self._blocked = self._stale = False
        self._reduced_at: int | None = None
        self.halted = False
        self.events: list[SafetyEvent] = []

    def objection(self) -> Reason | None:
        """What forbids new entries now, if anything."""
        if self.halted:
            return Reason.HALTED
        if self._reduced_at is not None:
            return Reason.DRAWDOWN
        return Reason.DAILY_LOSS if self._blocked else None

    def halt(self, time: int, why: str, row: int) -> None:
        """Stop all entries until a person lifts it; the decision on candidate `row` caused it.

        With row −1 it was a venue's statement.
        """
        if not self.halted:
            self.halted = True
            self._note(SafetyEvent(time, HALTED, why, row))

    def compare(self, time: int, finding: Finding) -> None:
        """Hear where a venue's statement differs from the ledger; a doubt stops all entries."""
        if finding.settled:
            self._note(SafetyEvent(time, RECONCILED, finding.detail))
        elif self.halted:
            self._note(SafetyEvent(time, DOUBT, finding.detail))
        else:
            self.halt(time, finding.detail, -1)

    def release(self, time: int, equity: float, why: str, row: int) -> None:
        """Lift a halt or a drawdown stop, before the decision on candidate `row`; a new peak."""
        if self.halted or self._reduced_at is not None:
            self.halted, self._reduced_at, self.peak = False, None, equity
            self._note(SafetyEvent(time, "resumed", why, row))

    def advance(self, time: IntArray, equity: FloatArray, stale: BoolArray | None = None) -> None:
        """Fold marks: bar open `time` (k,) and `equity` at those closes (k,).

        `stale` says which of them are of bars that came too late to act on; None: none of them.
        """
        if len(time) == 0:
            return
        turns = self._turns(time, stale)
        limits = self._limits
        if limits.max_daily_loss_fraction is None and limits.max_drawdown_fraction is None:
            self.peak = max(self.peak, float(equity.max()))
            self._note_all(turns)
            return
        days = time // DAY_MS
        if days[0] == days[-1]:
            self._note_all([*turns, *self._advance_day(int(days[0]), time, equity)])
            return
        starts = np.flatnonzero(np.diff(days)) + 1
        happened = turns
        for a, b in zip((0, *starts.tolist()), (*starts.tolist(), len(time)), strict=True):
            happened += self._advance_day(int(days[a]), time[a:b], equity[a:b])
        self._note_all(happened)

    def _turns(self, time: IntArray, stale: BoolArray | None) -> list[SafetyEvent]:
        """Where bars begin to come too late, and where they are in time again."""
        if stale is None or not (self._stale or stale.any()):
            return []
        turned = np.flatnonzero(np.diff(stale, prepend=self._stale))
        self._stale = bool(stale[-1])
        return [
            SafetyEvent(int(time[at]), STALE, "bars came too late to act on: no entries")
            if stale[at]
            else SafetyEvent(int(time[at]), FRESH, "bars come in time again")
            for at in turned.tolist()
        ]

    def _advance_day(self, day: int, time: IntArray, equity: FloatArray) -> list[SafetyEvent]:
        if day != self._day:
            self._day, self._day_start, self._blocked = day, self._last, False
        self._last = float(equity[-1])
        happened: list[SafetyEvent] = []
        self._watch_drawdown(time, equity, happened)
        most = self._limits.max_daily_loss_fraction
        if most is not None and not self._blocked:
            bad = equity <= self._day_start * (1.0 - most)
            if bad.any():
                self._blocked = True
                at = int(bad.argmax())
                lost = 1.0 - float(equity[at]) / self._day_start
                happened.append(
                    SafetyEvent(int(time[at]), "daily_loss", f"lost {lost:.2%} since the day began")
                )
        return happened

    def _note_all(self, happened: list[SafetyEvent]) -> None:
        for event in sorted(happened, key=lambda event: event.time):
            self._note(event)

    def _note(self, event: SafetyEvent) -> None:
        self.events.append(event)
        if self._tell is not None:
            self._tell(event)

    def _watch_drawdown(
        self, time: IntArray, equity: FloatArray, happened: list[SafetyEvent]
    ) -> None:
        most, wait_days = self._limits.max_drawdown_fraction, self._limits.reducing_resume_days
        while len(time):
            if self._reduced_at is not None:
                if wait_days is None:
                    return
                over = time >= self._reduced_at + wait_days * DAY_MS
                if not over.any():
                    return
                at = int(over.argmax())
                self._reduced_at, self.peak = None, float(equity[at])
                detail = f"entries allowed again after {wait_days} days"
                happened.append(SafetyEvent(int(time[at]), "resumed", detail))
                time, equity = time[at + 1 :], equity[at + 1 :]
                continue
            peaks = np.maximum(np.maximum.accumulate(equity), self.peak)
            deep = equity <= peaks * (1.0 - most) if most is not None else np.zeros(1, np.bool_)
            if not deep.any():
                self.peak = float(peaks[-1])
                return
            at = int(deep.argmax())
            self.peak, self._reduced_at = float(peaks[at]), int(time[at])
            depth = 1.0 - float(equity[at]) / self.peak
            detail = f"equity fell {depth:.2%} below its peak"
            happened.append(SafetyEvent(int(time[at]), "reducing", detail))
            time, equity = time[at + 1 :], equity[at + 1 :]

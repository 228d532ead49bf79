"""One order's life at a venue: what was planned, what was filled, where its stop stands."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from darwin.brokers.exchange_answers import VenueFill, same
from darwin.brokers.exchange_names import CLOSE, STOP, TARGET
from darwin.core.candidate import CandidateTable
from darwin.core.decision import Reason
from darwin.core.market import Bars
from darwin.core.trade import Exit, Fill, Order, Phase
from darwin.trading.brackets import levels_at_open


class Stage(Enum):
    """How far an order has come."""

    ENTERING = "entering"  # what became of the entry is not known yet
    HELD = "held"
    OVER = "over"  # left, or never entered


@dataclass(frozen=True, slots=True)
class Pieces:
    """Fills of one act, folded."""

    units: float
    price: float  # average
    fee_usd: float
    first: int  # when, ms UTC
    last: int

    @classmethod
    def of(cls, fills: Iterable[VenueFill]) -> Pieces:
        """Fold fills, at least one, in the order of their trade ids."""
        some = sorted(fills, key=lambda fill: fill.trade_id)
        units = math.fsum(fill.units for fill in some)
        value = math.fsum(fill.units * fill.price for fill in some)
        price = some[0].price if len(some) == 1 else value / units
        fee, times = math.fsum(fill.fee_usd for fill in some), [fill.time for fill in some]
        return cls(units, price, fee, min(times), max(times))


@dataclass(slots=True)
class Case:
    """An order with its bracket, from its decision to its exit."""

    order: Order
    plan: CandidateTable  # one row
    tick: float | None
    asks_first: bool  # an earlier attempt may have sent it
    stage: Stage = Stage.ENTERING
    why_not: Reason | None = None  # it was never entered
    mid: float = math.nan  # the price it was sent at
    filled: float = 0.0  # units of the entry, as the venue says
    entered: Pieces | None = None  # its fills
    entry: Fill | None = None  # once it is told
    out: dict[int, VenueFill] = field(default_factory=dict)  # what reduced it, by trade id
    numbers: dict[str, int] = field(default_factory=dict)  # by purpose: of its order now
    recovered: bool = True  # False: which orders an earlier attempt sent is not known yet
    leaving: int | None = None  # the `Exit` for which it is closed at the market
    first_stop: float = math.nan
    stop: float = math.nan  # as it is ratcheted
    target: float = math.inf
    bars_held: int = 0
    best: float = -math.inf  # highest high of those bars, mirrored for shorts

    @property
    def side(self) -> int:
        """Of the position."""
        return self.order.side

    @property
    def entered_at(self) -> int:
        """When its entry was filled, ms UTC."""
        if self.entered is not None:
            return self.entered.first
        return self.order.bar_time if self.entry is None else self.entry.time

    @property
    def units(self) -> float:
        """What was entered."""
        return self.filled if self.entry is None else self.entry.units

    @property
    def left(self) -> float:
        """What of it the venue should still hold."""
        gone = math.fsum(fill.units for fill in self.out.values())
        return 0.0 if same(gone, self.units) else self.units - gone

    @property
    def has_target(self) -> bool:
        """Whether the bracket has one."""
        return math.isfinite(self.target)

    def place_levels(self, mid: float) -> bool:
        """Reckon stop and target for an entry at `mid`; whether it would be a gapped one."""
        stop, target, gapped = levels_at_open(self.plan, np.array([mid]), self.tick)
        self.first_stop = self.stop = stop.item()
        self.target = target.item()
        return bool(gapped.item())

    def pass_bar(self, bar: Bars) -> None:
        """Go on by a bar of its symbol, which has closed."""
        if self.stage is Stage.OVER or bar.time.item() <= self.order.bar_time:
            return
        self.bars_held += 1
        high = bar.high.item() if self.side > 0 else -bar.low.item()
        self.best = max(self.best, high)

    def time_is_up(self) -> bool:
        """Whether it leaves at the next open."""
        return self.bars_held >= self.plan.time_stop_bars.item()

    def ratcheted(self) -> float:
        """Where the trailing stop belongs now; it never loosens."""
        activation = self.plan.trail_activation_r.item()
        mid = self.mid if self.entry is None else self.entry.mid_price
        if not math.isfinite(activation) or math.isnan(mid):
            return self.stop
        armed = self.side * mid + activation * abs(mid - self.first_stop)
        if self.best < armed:
            return self.stop
        trailed = self.best - self.plan.trail_distance.item()
        return self.side * max(trailed, self.side * self.stop)

    def entry_fill(self, got: Pieces, time: int, instant: int, opened_at: float) -> Fill:
        """The entry as the ledger books it; `opened_at` is the open of its bar, NaN: not known."""
        order = self.order
        mid = next((p for p in (opened_at, self.mid) if math.isfinite(p)), got.price)
        return Fill(
            order.candidate_id, order.row, order.symbol, order.playbook, order.side, True, time,
            instant, int(Phase.OPEN), got.units, got.price, mid, got.fee_usd, 0.0, -1,
            self.first_stop,
        )  # fmt: skip

    def exit_fill(
        self, entry: Fill, why: Exit, time: int, instant: int, phase: int, mid: float
    ) -> Fill:
        """The exit as the ledger books it; `mid` is NaN where nobody knows it."""
        got = Pieces.of(self.out.values())
        return Fill(
            entry.candidate_id, entry.row, entry.symbol, entry.playbook, entry.side, False, time,
            instant, phase, entry.units, got.price, mid if math.isfinite(mid) else got.price,
            got.fee_usd, 0.0, int(why), entry.stop_price,
        )  # fmt: skip

    def why_left(self, purpose: str) -> Exit:
        """Why it left, if the last of it went by an order of that purpose; empty: by hand."""
        if purpose == STOP:
            raised = not same(self.stop, self.first_stop)
            return Exit.TRAILING_STOP if raised else Exit.STOP
        if purpose == TARGET:
            return Exit.TARGET
        if purpose == CLOSE and self.leaving is not None:
            return Exit(self.leaving)
        return Exit.TIME_STOP if purpose == CLOSE and self.time_is_up() else Exit.UNPLANNED

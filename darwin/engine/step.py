"""One step of the loop: what happens to a fill, a cancellation, a candidate."""

from __future__ import annotations

import math
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darwin.core.account import Account, Alert, SafetyEvent
from darwin.core.agents import GATE, META_LEARNER, PORTFOLIO, Decision
from darwin.core.candidate import Candidate
from darwin.core.decision import Reason, Verdict
from darwin.core.facts import LATE, RELEASE, Input
from darwin.core.market import FloatArray
from darwin.core.ports import Broker, Decider, Inputs, Moment, Remembering, Witness
from darwin.core.stake import RiskRule
from darwin.core.trade import Cancel, Fill, Order
from darwin.engine.consult import Door
from darwin.engine.consulted import ConsultedColumns
from darwin.engine.instants import Instants, Series
from darwin.engine.left import Left
from darwin.engine.track_record import OwnRecord, TrackRecord
from darwin.safety.monitor import Monitor
from darwin.trading.costs import Costs
from darwin.trading.ledger import Ledger
from darwin.trading.limits import Limits, LossWatch, OrderCount
from darwin.trading.sizing import Size, Sizing, capped, full_size, scaled


@dataclass(frozen=True, slots=True)
class Rules:
    """The account's terms: its money, how it sizes, what it never does, what trading costs."""

    starting_equity_usd: float
    sizing: Sizing
    limits: Limits
    costs: Costs
    positions_per_symbol: int = 1
    lot_size: tuple[float | None, ...] = ()  # per symbol
    risk: RiskRule | None = None  # sizes in the place of a method of `sizing`


class Step:
    """The account and everything that may happen to it; the timeline decides when.

    It cannot tell a replay from bars that arrive one by one: it is told of fills, cancellations
    and candidates in total order and answers with orders to the broker.
    """

    def __init__(
        self,
        rules: Rules,
        decider: Decider,
        broker: Broker,
        clock: Instants,
        funding: Sequence[Series | None],
        reasons: MutableMapping[int, int] | NDArray[np.int8],
        inputs: Inputs | None = None,
    ) -> None:
        """Open the account. `funding[s]` is what a long unit has paid by each instant, or None.

        `reasons` is where the reason of each candidate is noted, by row. Without `attend` no agent
        takes part.
        """
        symbols = len(clock.close)
        self._rules, self._decider, self._broker = rules, decider, broker
        self._clock, self._funding, self._inputs = clock, funding, inputs
        self._funded: dict[int, float] = {}  # by open position: what a long unit had paid before
        self.ledger = Ledger(rules.starting_equity_usd, symbols)
        self.monitor, self.alerts = Monitor(), list[Alert]()
        self.watch = LossWatch(rules.limits, rules.starting_equity_usd, self._on_loss)
        self._watched = 0  # instants the watch has seen
        self._orders_allowed = OrderCount(rules.limits)
        self._pending: dict[int, Order] = {}
        self._waiting = [0] * symbols  # pending entries per symbol
        self._lot = rules.lot_size or (None,) * symbols
        self._entry_cost = (1.0 + rules.costs.slip) * (1.0 + rules.costs.taker) - 1.0
        self.reasons = reasons
        self.too_late: Callable[[Candidate], bool] | None = None  # on paper: by the venue's clock
        self._late = -1  # row of the candidate that is on record as decided too late
        self.door: Door | None = None
        self._witness: Witness | None = None
        self.record = TrackRecord()
        self._remembering = decider if isinstance(decider, Remembering) else None
        self._own = OwnRecord()  # kept for a decider that remembers
        self.consulted: list[ConsultedColumns] | None = None  # a list: remember consultations in it
        self.inputs: list[Input] = []
        self.verdicts: list[tuple[int, Verdict]] = []
        self.orders: list[Order] = []
        self.cancels: list[Cancel] = []

    @property
    def fills(self) -> list[Fill]:
        """All fills so far, in the order of events."""
        return self.ledger.fills

    @property
    def safety_events(self) -> list[SafetyEvent]:
        """What changed what the account may do, in the order it happened."""
        return self.watch.events

    @property
    def wants_outcomes(self) -> bool:
        """Whether somebody here hears of what became of candidates."""
        return self.door is not None or self._remembering is not None

    @property
    def is_patient(self) -> bool:
        """Whether its expert may take its time over each candidate."""
        return self._remembering is not None

    def at_stake(self) -> frozenset[int]:
        """Numbers of the symbols of which something is held or ordered."""
        both = zip(self.ledger.count, self._waiting, strict=True)
        return frozenset(symbol for symbol, (held, sent) in enumerate(both) if held or sent)

    def attend(self, door: Door, witness: Witness | None = None) -> None:
        """Let agents take part, through this door; `witness` sees what they decide."""
        self.door, self._witness = door, witness

    def take_decisions(self) -> list[Decision]:
        """Hand out the decisions of agents since the last time."""
        if self.door is None or not self.door.decisions:
            return []
        taken, self.door.decisions = self.door.decisions, []
        if self.consulted is not None:
            self.consulted.append(ConsultedColumns.of_decisions(taken))
        return taken

    def take_alerts(self, reached: int) -> list[Alert]:
        """Hand out what a person should look at up to bar `reached`, in the order of time.

        However often it is asked, all answers together are in the same order.
        """
        taken = [alert for alert in self.alerts if alert.time <= reached]
        self.alerts[:] = [alert for alert in self.alerts if alert.time > reached]
        return sorted(taken, key=lambda alert: alert.time)

    def on_gaps(self, found: Sequence[tuple[int, str]]) -> None:
        """Hear where bars are missing, in the order of time."""
        for time, detail in found:
            self.alerts.extend(self.monitor.missed_bars(time, detail))

    def on_outcome(self, row: int, r: float, known_ms: int) -> None:
        """Learn what became of the bracket of candidate `row`, before a later one is judged."""
        self.record.settle(row, r)
        self._own.settle(row, r)
        if self._witness is not None:
            self._witness.settled(row, r, known_ms)

    def on_broker(self, event: Fill | Cancel) -> None:
        """Fold a fill into the ledger, or note an entry that did not happen."""
        if isinstance(event, Cancel):
            self._forget(event.order)
            self.reasons[event.order.row] = event.reason
            self.cancels.append(event)
            return
        self.watch_until(event.instant)
        paid = self._funding[event.symbol]
        if event.is_entry:
            self._forget(self._pending[event.candidate_id])
            self.reasons[event.row] = Reason.TAKEN
            if paid is not None:
                self._funded[event.candidate_id] = paid.item(event.instant)
        self.ledger.fold(event)
        if paid is not None and not event.is_entry:
            del self._funded[event.candidate_id]

    def on_candidate(self, candidate: Candidate, features: FloatArray) -> None:
        """Judge one candidate; it ends here with a reason, or an order goes to the broker."""
        if self._witness is not None:
            self.watch_until(candidate.instant + 1)  # it hears of a fall before the next decision
        if self._inputs is not None:
            for one in self._inputs.before(candidate):
                self._on_input(one, candidate)
        if self._clock.stale is not None and self._clock.stale.item(candidate.instant):
            self.reasons[candidate.row] = Reason.STALE
            return
        symbol = candidate.symbol
        busy = self.ledger.count[symbol] + self._waiting[symbol]
        if busy >= self._rules.positions_per_symbol:
            self.reasons[candidate.row] = Reason.POSITION_OPEN
            return
        if self._witness is None or self.door is None:
            self._decide(candidate, features, busy)
            return
        door, asked, before = self.door, len(self.verdicts), len(self.door.decisions)
        self._decide(candidate, features, busy)
        take = self.verdicts[-1][1].take if len(self.verdicts) > asked else None
        self._witness.decided(candidate, door.decisions[before:], take)

    def _decide(self, candidate: Candidate, features: FloatArray, busy: int) -> None:
        """Judge, size and order; `busy` are positions and orders of its symbol."""
        symbol, account = candidate.symbol, self.account(candidate.instant)
        left, verdict = self._judge(candidate, features, account)
        if verdict is None:
            self.reasons[candidate.row] = Reason.GATE_SKIP
            return
        if not left.share > 0.0:
            set_aside = Reason.OVERRIDE if verdict.take else Reason.EXPERT_SKIP
            self.reasons[candidate.row] = set_aside
            return
        if self._comes_too_late(candidate):
            self.reasons[candidate.row] = Reason.STALE
            return
        held = self._held_usd(symbol, candidate.instant) if busy else 0.0
        size = self._full_size(candidate, account, held)
        objection = size.objection
        if objection is None:
            size, left = self._scale(candidate, size, left, account, verdict)
            size = self._cap(candidate, size, left, held)
            objection = size.objection
        if objection is None:
            value = size.units * candidate.close
            objection = self._limit(candidate, account, held, value, left.most_usd)
        if objection is not None:
            self.reasons[candidate.row] = objection
            return
        self._order(candidate, size.units, size.clipped_by)

    def _full_size(self, candidate: Candidate, account: Account, held_usd: float) -> Size:
        """What the rule of sizing asks for, within the caps."""
        risk, stake = self._rules.risk, None
        if risk is not None:
            now = candidate.instant + 1
            seen = slice(max(now - 1 - risk.bars, 0), now)
            time, close = self._clock.time[seen], self._clock.close[candidate.symbol][seen]
            stake = risk.stake(account, candidate.stop_distance, time, close)
        return full_size(
            self._rules.sizing,
            account,
            candidate.close,
            candidate.stop_distance,
            held_usd,
            self._entry_cost,
            self._lot[candidate.symbol],
            stake,
        )

    def _comes_too_late(self, candidate: Candidate) -> bool:
        """Whether time ran out while it was judged, by the clock of a venue or by the record."""
        if self._late == candidate.row:
            return True
        if self.too_late is None or not self.too_late(candidate):
            return False
        at = (candidate.row, candidate.id, candidate.bar_time)
        self.inputs.append(Input(*at, LATE, "clock", "the decision came too late to act on"))
        return True

    def _judge(
        self, candidate: Candidate, features: FloatArray, account: Account
    ) -> tuple[Left, Verdict | None]:
        """What gate, expert and meta-learner leave of the order, and the expert's verdict.

        The verdict is None where the gate left nothing, so that the expert was not asked.
        """
        door, left = self.door, Left()
        if door is not None and GATE in door:
            moment = Moment(account, self._rules.starting_equity_usd)
            left = left.after(door.consult(GATE, candidate, moment))
            if not left.share > 0.0:
                return left, None
        verdict = self._verdict(candidate, features, account)
        self.verdicts.append((candidate.row, verdict))
        self.alerts.extend(self.monitor.judged(candidate.bar_time, verdict.failure))
        if door is None or META_LEARNER not in door:
            return (left if verdict.take else left.nothing()), verdict
        known = self.record.accuracies(candidate)
        moment = Moment(account, self._rules.starting_equity_usd, verdict, *known)
        self.record.note(candidate, verdict.take)
        return left.after(door.consult(META_LEARNER, candidate, moment)), verdict

    def _verdict(self, candidate: Candidate, features: FloatArray, account: Account) -> Verdict:
        """Ask the expert, who may be told of its own record."""
        if self._remembering is None:
            return self._decider.decide(candidate, features, account)
        known = self._own.about(candidate)
        verdict = self._remembering.decide_knowing(candidate, features, account, known)
        self._own.note(candidate, verdict)
        return verdict

    def _scale(
        self, candidate: Candidate, full: Size, left: Left, account: Account, verdict: Verdict
    ) -> tuple[Size, Left]:
        """The part of full size that all agents together leave, and what they leave."""
        door = self.door
        if door is not None and PORTFOLIO in door:
            moment = Moment(account, self._rules.starting_equity_usd, verdict)
            ruling = door.consult(PORTFOLIO, candidate, moment)
            left = left.after(ruling)
            if not ruling.share > 0.0:
                return Size(0.0, full.clipped_by, Reason.SIZED_TO_ZERO), left
        if left.share == 1.0:
            return full, left
        least, lot = self._rules.sizing.min_order_usd, self._lot[candidate.symbol]
        return scaled(full, left.share, candidate.close, least, lot), left

    def _cap(self, candidate: Candidate, size: Size, left: Left, held_usd: float) -> Size:
        """The part of a size that the caps of the agents that act in it allow."""
        if left.most_usd == math.inf:
            return size
        least, lot = self._rules.sizing.min_order_usd, self._lot[candidate.symbol]
        return capped(size, left.most_usd - held_usd, candidate.close, least, lot)

    def watch_until(self, instant: int) -> None:
        """Show the loss watch all closes before `instant`; positions did not change among them."""
        start = self._watched
        if instant <= start:
            return
        equity = np.full(instant - start, self.ledger.cash)
        for position in self.ledger.positions.values():
            entry = position.entry
            value = entry.units * self._clock.close[entry.symbol][start:instant]
            equity += entry.side * value
            paid = self._funding[entry.symbol]
            if paid is not None:
                since = self._funded[entry.candidate_id]
                equity -= entry.side * entry.units * (paid[start:instant] - since)
        stale = None if self._clock.stale is None else self._clock.stale[start:instant]
        self.watch.advance(self._clock.time[start:instant], equity, stale)
        self._watched = instant

    def account(self, instant: int) -> Account:
        """Mark the account at the close of `instant`, the last one whose events are known."""
        self.watch_until(instant + 1)
        gross, equity = 0.0, self.ledger.cash
        for position in self.ledger.positions.values():
            entry = position.entry
            value = entry.units * self._clock.close[entry.symbol].item(instant)
            gross += value
            equity += entry.side * value - self._unpaid_funding(entry, instant)
        pending = 0.0
        for order in self._pending.values():
            pending += order.units * order.price
        drawdown = min(equity / self.watch.peak - 1.0, 0.0)
        return Account(equity, gross, pending, len(self.ledger.positions), drawdown)

    def tell(self, event: SafetyEvent) -> None:
        """Note what safety has to say of an agent."""
        self.watch.events.append(event)
        if self._witness is not None:
            self._witness.noted(event)

    def _on_loss(self, event: SafetyEvent) -> None:
        self.alerts.extend(self.monitor.happened(event))
        if self._witness is not None:
            self._witness.noted(event)

    def _on_input(self, one: Input, candidate: Candidate) -> None:
        """Let an act of a person take effect, before `candidate` is judged."""
        self.inputs.append(one)
        if self.door is not None:
            self.door.heed(one)
        if self._witness is not None:
            self._witness.heard(one)
        if one.kind == LATE:
            self._late = candidate.row
        if one.kind == RELEASE:
            equity = self.account(candidate.instant).equity
            why = f"released by {one.by}: {one.reason}"
            self.watch.release(candidate.bar_time, equity, why, candidate.row)

    def _order(self, candidate: Candidate, units: float, clipped_by: str) -> None:
        order = Order(
            candidate.id,
            candidate.row,
            candidate.symbol,
            candidate.playbook,
            candidate.side,
            candidate.bar_time,
            units,
            candidate.close,
            clipped_by,
        )
        self._orders_allowed.add()
        self._pending[order.candidate_id] = order
        self._waiting[order.symbol] += 1
        self.orders.append(order)
        self._broker.submit(order)

    def _forget(self, order: Order) -> None:
        del self._pending[order.candidate_id]
        self._waiting[order.symbol] -= 1

    def _limit(
        self, candidate: Candidate, account: Account, held_usd: float, value_usd: float,
        agents_most_usd: float,
    ) -> Reason | None:  # fmt: skip
        """Ask the hard limits, last, refusing only; written so that NaN refuses."""
        limits = self._rules.limits
        objection = self.watch.objection()
        if objection is not None:
            return objection
        most = limits.max_positions
        if most is not None and account.open_positions + len(self._pending) >= most:
            return Reason.MAX_POSITIONS
        fraction = limits.max_exposure_fraction
        if fraction is not None and not _within(
            account.gross_exposure + account.pending_exposure + value_usd,
            fraction * account.equity,
        ):
            return Reason.EXPOSURE
        if not _within(held_usd + value_usd, limits.most_of_one_usd(agents_most_usd)):
            return Reason.MAX_POSITION_VALUE
        objection = self._orders_allowed.objection(candidate.bar_time)
        if self._orders_allowed.storm:
            why = "order storm: too many orders refused on one bar"
            self.watch.halt(candidate.bar_time, why, candidate.row)
        return objection

    def _held_usd(self, symbol: int, instant: int) -> float:
        price = self._clock.close[symbol].item(instant)
        positions = self.ledger.positions.values()
        open_units = sum(p.entry.units for p in positions if p.entry.symbol == symbol)
        waiting = sum(o.units * o.price for o in self._pending.values() if o.symbol == symbol)
        return open_units * price + waiting

    def _unpaid_funding(self, entry: Fill, instant: int) -> float:
        paid = self._funding[entry.symbol]
        if paid is None:
            return 0.0
        return entry.side * entry.units * (paid.item(instant) - self._funded[entry.candidate_id])


def _within(value: float, most: float) -> bool:
    """Whether `value` keeps within `most`, up to rounding of the sums that made both."""
    return value <= most * (1.0 + 1e-12)

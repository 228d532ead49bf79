"""The acts of a broker at an exchange: to enter, to guard what is held, to leave."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from darwin.brokers.exchange_answers import (
    OPEN,
    Ask,
    Refusal,
    VenueOrder,
    same,
)
from darwin.brokers.exchange_case import Case, Pieces, Stage
from darwin.brokers.exchange_clerk import Clerk, Patience
from darwin.brokers.exchange_client import ExchangeClient
from darwin.brokers.exchange_names import CLOSE, ENTRY, STOP, TARGET, Names
from darwin.brokers.fills import objection
from darwin.core.account import Finding
from darwin.core.candidate import id_text
from darwin.core.decision import Reason
from darwin.core.trade import Exit
from darwin.errors import UnreachableError

_MOST_CLOSES = 3  # at a time, each for what the one before has left


class Desk(Clerk):
    """Acts for cases."""

    def __init__(
        self,
        client: ExchangeClient,
        names: Names,
        symbols: Sequence[str],
        bar_ms: int,
        collar: float | None,
        patience: Patience,
        find: Callable[[Finding], None],
    ) -> None:
        """Begin without a case; `find` hears what was put right."""
        super().__init__(client, patience)
        self.names = names
        self._symbols, self._bar_ms, self._collar, self.find = symbols, bar_ms, collar, find

    def enter(self, case: Case) -> None:
        """Bring an entry to its end, and guard what it filled."""
        order, client = case.order, self.client
        name = self.names.of(order.candidate_id, ENTRY)
        placed = self.look(name) if case.asks_first else None
        if placed is None:
            placed = self._send_entry(case, name)
            if placed is None:
                return
        case.asks_first = True
        placed = self.settled(placed)
        if not placed.filled:
            self.never_entered(case, Reason.UNFILLED, "nothing of the entry was filled in time")
            return
        if not same(placed.filled, order.units):
            part = f"{placed.filled:g} of {order.units:g} units"
            self.settle(case, f"the entry was filled by {part}, the rest was taken back")
        case.filled = placed.filled
        if not case.first_stop > 0.0:  # an earlier attempt sent it, and its stop may rest already
            case.place_levels(self.collect(case).price)
            case.recovered = False
        case.stage = Stage.HELD
        client.begin()
        self.guard(case, {})
        self.collect(case)

    def collect(self, case: Case) -> Pieces:
        """Know the fills of an entry, which may be told later than it is filled."""
        if case.entered is None:
            name = self.names.of(case.order.candidate_id, ENTRY)
            case.entered = Pieces.of(self.gather(name, case.filled))
        return case.entered

    def _send_entry(self, case: Case, name: str) -> VenueOrder | None:
        """Send an entry unless it is late, or the price has moved; None: the case is over."""
        order, client = case.order, self.client
        symbol = self._symbols[order.symbol]
        late_ms = client.now_ms() - order.bar_time - self._bar_ms
        if late_ms > 1e3 * self.patience.sent_s:
            late = f"{late_ms / 1e3:g} s after its close"
            self.never_entered(case, Reason.NOT_SENT, f"{late} it is too late to send the entry")
            return None
        case.mid = client.price(symbol)
        gapped = case.place_levels(case.mid)
        why_not = objection(order, case.mid, gapped, self._collar)
        if why_not is not None:
            self.never_entered(case, why_not)
            return None
        case.asks_first = True  # should it be unclear what became of it
        placed = self.send(Ask(name, symbol, order.side, "market", order.units))
        if isinstance(placed, Refusal):
            self.never_entered(case, Reason.REJECTED, f"the venue refused it: {placed.reason}")
            return None
        return placed

    def never_entered(self, case: Case, reason: Reason, detail: str = "") -> None:
        """End a case whose entry did not happen."""
        case.stage, case.why_not = Stage.OVER, reason
        if detail:
            self.settle(case, detail)

    def settle(self, case: Case, detail: str) -> None:
        """Say what was put right."""
        symbol = self._symbols[case.order.symbol]
        who = id_text(case.order.candidate_id)
        self.find(Finding(f"{symbol}, candidate {who}: {detail}", True))

    def guard(self, case: Case, opened: dict[str, VenueOrder]) -> None:
        """See that stop and target of what is held rest at the venue; `opened` do for certain."""
        if not case.recovered:
            self._recover(case)
        for purpose in (STOP, TARGET) if case.has_target else (STOP,):
            if case.left and self.name(case, purpose) not in opened:
                self._replace(case, purpose)

    def _replace(self, case: Case, purpose: str) -> None:
        """Place a stop or target that is not listed, unless it turns out to be there."""
        number = case.numbers.get(purpose, 0)
        if number:
            found = self.look(self.name(case, purpose))
            if found is not None and found.filled:
                self._fold(case, found)
            if not case.left or (found is not None and found.status == OPEN):
                return
            if self._is_flat(case):
                return  # whoever closed it, the comparison of positions will tell
            gone = "not there any more" if found is None else f"cancelled: {found.reason}"
            self.settle(case, f"its {purpose} was {gone}; it is placed again")
        case.numbers[purpose] = number + 1
        price = case.stop if purpose == STOP else case.target
        kind = "stop" if purpose == STOP else "limit"
        placed = self.send(self._exit(case, purpose, kind, price))
        if isinstance(placed, Refusal):
            self.settle(case, f"its {purpose} was refused: {placed.reason}")
            if purpose == STOP:
                self.leave(case, Exit.UNPLANNED)

    def _is_flat(self, case: Case) -> bool:
        return self._symbols[case.order.symbol] not in self.client.positions()

    def leave(self, case: Case, why: Exit) -> None:
        """Close what is held at the market; stop and target rest until it is."""
        case.leaving = int(why)
        if case.numbers.get(CLOSE):
            before = self.look(self.name(case, CLOSE))
            if before is not None:
                self._fold(case, self.settled(before))
        for _ in range(_MOST_CLOSES):
            if not case.left:
                return
            case.numbers[CLOSE] = case.numbers.get(CLOSE, 0) + 1
            placed = self.send(self._exit(case, CLOSE, "market", None))
            if isinstance(placed, Refusal):
                raise UnreachableError(f"the venue refuses to close: {placed.reason}")
            self._fold(case, self.settled(placed))

    def ratchet(self, case: Case) -> None:
        """Move the stop after the price, where the bracket trails."""
        wanted = case.ratcheted()
        if same(wanted, case.stop):
            return
        if self.client.move(self.name(case, STOP), wanted) is not None:
            case.stop = wanted

    def _fold(self, case: Case, order: VenueOrder) -> None:
        """Take the fills of an exit."""
        if order.filled:
            fills = self.gather(order.client_id, order.filled)
            case.out |= {fill.trade_id: fill for fill in fills}

    def tidy(self, case: Case, opened: dict[str, VenueOrder]) -> None:
        """Take back what rests of a case that is over."""
        for purpose in (STOP, TARGET, CLOSE):
            name = self.name(case, purpose)
            if opened.pop(name, None) is not None:
                self.client.cancel(name)

    def name(self, case: Case, purpose: str) -> str:
        """Of its order of that purpose, as it is now."""
        number = max(case.numbers.get(purpose, 0), 1)
        return self.names.of(case.order.candidate_id, purpose, number)

    def _exit(self, case: Case, purpose: str, kind: str, price: float | None) -> Ask:
        symbol = self._symbols[case.order.symbol]
        group = "" if purpose == CLOSE else self.names.of(case.order.candidate_id, ENTRY)
        name = self.name(case, purpose)
        return Ask(name, symbol, -case.side, kind, case.left, price, True, group)

    def _recover(self, case: Case) -> None:
        """Learn which orders of a position an earlier attempt has sent."""
        found: dict[str, VenueOrder] = {}
        wanted = {STOP, TARGET} if case.has_target else {STOP}
        may_be_closing = case.leaving is not None or case.time_is_up()
        for look in range(self.patience.looks):
            if look:
                self.client.pause(self.patience.look_every_s)
            for purpose in (STOP, TARGET, CLOSE):
                number = case.numbers.get(purpose, 0)
                while (order := self._of_number(case, purpose, number + 1)) is not None:
                    number, found[purpose] = number + 1, order
                    self._fold(case, order)
                case.numbers[purpose] = number
            if STOP in found:
                self._stop_as_it_rests(case, found[STOP])
            rest = {purpose for purpose, order in found.items() if order.status == OPEN}
            if not case.left or (wanted <= rest and not may_be_closing):
                break
        case.recovered = True

    def _of_number(self, case: Case, purpose: str, number: int) -> VenueOrder | None:
        return self.client.order(self.names.of(case.order.candidate_id, purpose, number))

    def _stop_as_it_rests(self, case: Case, order: VenueOrder) -> None:
        if order.price is None:
            return
        case.stop = order.price
        if case.entry is None:
            case.first_stop = order.price

"""The acts of a broker at an exchange: to enter, to guard what is held, to leave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from darwin.brokers.exchange_answers import (
    OPEN,
    Ask,
    Refusal,
    VenueFill,
    VenueOrder,
    same,
)
from darwin.brokers.exchange_case import Case, Pieces, Stage
from darwin.brokers.exchange_client import ExchangeClient
from darwin.brokers.exchange_names import CLOSE, ENTRY, STOP, TARGET, Names
from darwin.brokers.fills import objection
from darwin.core.account import Finding
from darwin.core.candidate import id_text
from darwin.core.decision import Reason
from darwin.core.trade import Exit
from darwin.errors import UnreachableError

_MOST_SENDS = 3  # of one order, each after it was looked for in vain, or of closes for what is left


@dataclass(frozen=True, slots=True)
class Patience:
    """How long things may take at a venue, in seconds."""

    listed_s: float = 10.0  # until an order that was taken must be listed, and its fills told
    filled_s: float = 5.0  # until what a market order has not filled is taken back
    sent_s: float = 60.0  # after the close of its bar an entry may still be sent
    look_every_s: float = 0.5


class Desk:
    """Acts for cases. What it cannot know within the deadline raises UnreachableError."""

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
        self.client, self.names, self.patience = client, names, patience
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
        placed = self._settled(placed)
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

    def send(self, ask: Ask) -> VenueOrder | Refusal:
        """Send an order; what is not acknowledged is looked for before anything else is done."""
        for _ in range(_MOST_SENDS):
            placed = self.client.place(ask) or self.look(ask.client_id)
            if placed is not None:
                return placed
        raise UnreachableError(f"nobody knows what became of the order {ask.client_id}")

    def look(self, client_id: str) -> VenueOrder | None:
        """Look for an order, with patience; None: it was never taken."""
        until = self.client.now() + self.patience.listed_s
        while True:
            found = self.client.order(client_id)
            if found is not None or self.client.now() >= until:
                return found
            self.client.pause(self.patience.look_every_s)

    def gather(self, client_id: str, units: float) -> list[VenueFill]:
        """The fills of an order that has filled so many units."""
        until = self.client.now() + self.patience.listed_s
        while True:
            fills = self.client.fills(client_id=client_id)
            told = sum(fill.units for fill in fills)
            if same(told, units):
                return fills
            if self.client.now() >= until:
                raise UnreachableError(
                    f"the venue says that {client_id} filled {units:g} units,"
                    f" and tells of fills of {told:g}"
                )
            self.client.pause(self.patience.look_every_s)

    def _settled(self, placed: VenueOrder) -> VenueOrder:
        """A market order once it is done; what it does not fill in time is taken back."""
        client = self.client
        until = client.now() + self.patience.filled_s
        while placed.status == OPEN and client.now() < until:
            client.pause(self.patience.look_every_s)
            placed = client.order(placed.client_id) or placed
        if placed.status != OPEN:
            return placed
        client.cancel(placed.client_id)
        over = self.look(placed.client_id)
        if over is None or over.status == OPEN:
            raise UnreachableError(f"the order {placed.client_id} cannot be taken back")
        return over

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
                self._fold(case, self._settled(before))
        for _ in range(_MOST_SENDS):
            if not case.left:
                return
            case.numbers[CLOSE] = case.numbers.get(CLOSE, 0) + 1
            placed = self.send(self._exit(case, CLOSE, "market", None))
            if isinstance(placed, Refusal):
                raise UnreachableError(f"the venue refuses to close: {placed.reason}")
            self._fold(case, self._settled(placed))

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
        until, found = self.client.now() + self.patience.listed_s, dict[str, VenueOrder]()
        while True:
            for purpose in (STOP, TARGET, CLOSE):
                number = case.numbers.get(purpose, 0)
                while (order := self._of_number(case, purpose, number + 1)) is not None:
                    number, found[purpose] = number + 1, order
                    self._fold(case, order)
                case.numbers[purpose] = number
            if STOP in found:
                self._stop_as_it_rests(case, found[STOP])
            wanted = {STOP, TARGET} if case.has_target else {STOP}
            rest = {purpose for purpose, order in found.items() if order.status == OPEN}
            if wanted <= rest or not case.left or self.client.now() >= until:
                case.recovered = True
                return
            self.client.pause(self.patience.look_every_s)

    def _of_number(self, case: Case, purpose: str, number: int) -> VenueOrder | None:
        return self.client.order(self.names.of(case.order.candidate_id, purpose, number))

    def _stop_as_it_rests(self, case: Case, order: VenueOrder) -> None:
        if order.price is None:
            return
        case.stop = order.price
        if case.entry is None:
            case.first_stop = order.price

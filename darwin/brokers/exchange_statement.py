"""The statement of a venue against what is held: fills, stray orders, positions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from darwin.brokers.exchange_answers import VenueFill, VenueOrder, same
from darwin.brokers.exchange_case import Case, Stage
from darwin.brokers.exchange_desk import Desk
from darwin.brokers.exchange_names import ENTRY, Name
from darwin.core.account import Finding
from darwin.core.candidate import id_text


class Statement:
    """Compares; what it cannot put right is a doubt, told once for as long as it lasts."""

    def __init__(self, desk: Desk, symbols: Sequence[str]) -> None:
        """Start with nothing compared."""
        self._desk, self._symbols = desk, symbols
        self._seen = 0  # the last trade id
        self._known: set[int] = set()  # trade ids that were counted
        self._told: set[str] = set()  # doubts that last
        self._since: int | None = None  # fills by hand before that time are none of our business

    def begin(self, since: int) -> None:
        """Hear from when on the venue is watched, ms UTC."""
        if self._since is None:
            self._since = since

    def take_fills(
        self, cases: Mapping[int, Case], doubts: list[str], *, anew: bool = False
    ) -> None:
        """Count the fills that are new, each once by its trade id; `anew` reads all of them."""
        for fill in self._desk.client.fills(since=0 if anew else self._seen):
            self._seen = max(self._seen, fill.trade_id)
            if fill.trade_id in self._known:
                continue
            name = self._desk.names.read(fill.client_id)
            if name is None:
                self._by_hand(fill, cases.values(), doubts)
            elif not self._count(fill, name, cases.get(name.candidate_id), doubts):
                continue
            self._known.add(fill.trade_id)

    def _count(self, fill: VenueFill, name: Name, case: Case | None, doubts: list[str]) -> bool:
        """Count a fill of this run; whether that is done with."""
        if case is None:
            doubts.append(
                f"{fill.symbol}: trade {fill.trade_id} filled {fill.units:g} units of"
                f" {fill.client_id}, which this run never ordered"
            )
        elif case.stage is Stage.ENTERING:
            return False
        elif name.purpose != ENTRY and (case.stage is Stage.HELD or fill.trade_id in case.out):
            case.out[fill.trade_id] = fill
        elif case.why_not is not None:
            doubts.append(
                f"{fill.symbol}, candidate {id_text(name.candidate_id)}: {fill.units:g} units of"
                f" its {name.purpose} were filled after it was given up"
            )
        return True

    def _by_hand(self, fill: VenueFill, cases: Iterable[Case], doubts: list[str]) -> None:
        """Somebody else traded on the account: where that closes a position, it is booked."""
        for case in cases:
            held = case.stage is Stage.HELD and self._symbols[case.order.symbol] == fill.symbol
            if held and case.left and fill.side == -case.side and fill.time >= case.entered_at:
                units = min(fill.units, case.left)
                case.out[fill.trade_id] = fill._replace(
                    units=units, fee_usd=fill.fee_usd * units / fill.units
                )
        if self._since is not None and fill.time >= self._since:
            way = "bought" if fill.side > 0 else "sold"
            doubts.append(
                f"{fill.symbol}: somebody {way} {fill.units:g} units at the venue"
                f" (trade {fill.trade_id})"
            )

    def cancel_strays(self, cases: Mapping[int, Case], opened: Mapping[str, VenueOrder]) -> None:
        """Take back open orders of this run that nothing held asks for."""
        for client_id in opened:
            name = self._desk.names.read(client_id)
            if name is None:
                continue
            case = cases.get(name.candidate_id)
            if case is not None and case.stage is Stage.ENTERING:
                continue
            held = case is not None and case.stage is Stage.HELD
            if held and case is not None and self._desk.name(case, name.purpose) == client_id:
                continue
            self._desk.client.cancel(client_id)
            self._desk.find(Finding(f"the order {client_id} was left over and is taken back", True))

    def compare(self, cases: Mapping[int, Case], doubts: list[str]) -> None:
        """Compare positions; a difference is read anew until it is gone, or has lasted."""
        client, patience = self._desk.client, self._desk.patience
        until = client.now() + patience.listed_s
        while different := self._differences(cases):
            if client.now() >= until:
                break
            client.pause(patience.look_every_s)
            self.take_fills(cases, doubts, anew=True)
        doubts += different

    def _differences(self, cases: Mapping[int, Case]) -> list[str]:
        at_venue = self._desk.client.positions()
        expected = dict.fromkeys(at_venue, 0.0)
        unclear = set()
        for case in cases.values():
            symbol = self._symbols[case.order.symbol]
            if case.stage is Stage.ENTERING:
                unclear.add(symbol)
            elif case.stage is Stage.HELD:
                expected[symbol] = expected.get(symbol, 0.0) + case.side * case.left
        return [
            f"{symbol}: the venue holds {at_venue.get(symbol, 0.0):g} units, the ledger {units:g}"
            for symbol, units in sorted(expected.items())
            if symbol not in unclear and not same(at_venue.get(symbol, 0.0), units)
        ]

    def tell(self, doubts: Sequence[str]) -> None:
        """Tell of doubts that were not there the last time."""
        for doubt in dict.fromkeys(doubts):
            if doubt not in self._told:
                self._desk.find(Finding(doubt, False))
        self._told = set(doubts)

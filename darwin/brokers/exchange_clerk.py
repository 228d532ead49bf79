"""What a broker at an exchange does for certain: send an order, find it, see it to its end."""

from __future__ import annotations

import math
from dataclasses import dataclass

from darwin.brokers.exchange_answers import (
    OPEN,
    Ask,
    Refusal,
    VenueFill,
    VenueOrder,
    same,
)
from darwin.brokers.exchange_client import ExchangeClient
from darwin.errors import UnreachableError

MOST_SENDS = 3
"""How often one order is sent, each time after it was looked for in vain."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long things may take at a venue, in seconds."""

    listed_s: float = 10.0  # until an order that was taken must be listed, and its fills told
    filled_s: float = 5.0  # until what a market order has not filled is taken back
    sent_s: float = 60.0  # after the close of its bar an entry may still be sent
    look_every_s: float = 0.5

    @property
    def looks(self) -> int:
        """How often something that must be listed is looked for."""
        return 1 + math.ceil(self.listed_s / self.look_every_s)


class Clerk:
    """Orders and their fills, without knowing what they are for.

    What it cannot know within the deadline raises UnreachableError.
    """

    def __init__(self, client: ExchangeClient, patience: Patience) -> None:
        """Ask through `client`, with `patience`."""
        self.client, self.patience = client, patience

    def send(self, ask: Ask) -> VenueOrder | Refusal:
        """Send an order; what is not acknowledged is looked for before anything else is done."""
        for _ in range(MOST_SENDS):
            placed = self.client.place(ask) or self.look(ask.client_id)
            if placed is not None:
                return placed
        raise UnreachableError(f"nobody knows what became of the order {ask.client_id}")

    def look(self, client_id: str) -> VenueOrder | None:
        """Look for an order, with patience; None: it was never taken."""
        for look in range(self.patience.looks):  # not by time, which faults may use up
            if look:
                self.client.pause(self.patience.look_every_s)
            found = self.client.order(client_id)
            if found is not None:
                return found
        return None

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

    def settled(self, placed: VenueOrder) -> VenueOrder:
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

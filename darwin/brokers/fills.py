"""Fills as a simulation makes them of orders: what every broker that plays the market charges."""

from __future__ import annotations

from darwin.core.decision import Reason
from darwin.core.trade import Fill, Order, Phase


def objection(order: Order, mid: float, gapped: bool, collar: float | None) -> Reason | None:
    """Why an entry at the open `mid` is taken back, or None; a gapped one has no `mid`."""
    if gapped:
        return Reason.GAPPED
    if collar is not None and not abs(mid - order.price) <= collar * order.price:
        return Reason.PRICE_COLLAR
    return None


def entry_fill(
    order: Order, time: int, instant: int, mid: float, price: float, fee: float, stop: float
) -> Fill:
    """The fill of an entry at an open; `fee` is a fraction of traded value."""
    units = order.units
    return Fill(
        order.candidate_id, order.row, order.symbol, order.playbook, order.side, True, time,
        instant, Phase.OPEN.value, units, price, mid, fee * price * units, 0.0, -1, stop,
    )  # fmt: skip


def exit_fill(
    entry: Fill,
    time: int,
    instant: int,
    phase: int,
    mid: float,
    price: float,
    fee: float,
    funding: float,
    reason: int,
) -> Fill:
    """The fill that closes `entry`; `funding` is what was paid per unit since then."""
    units = entry.units
    return Fill(
        entry.candidate_id, entry.row, entry.symbol, entry.playbook, entry.side, False, time,
        instant, phase, units, price, mid, fee * price * units, funding * units, reason,
        entry.stop_price,
    )  # fmt: skip

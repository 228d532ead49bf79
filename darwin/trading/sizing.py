"""Sizing: how many units an order asks for, and what cut them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from darwin.core.account import Account
from darwin.core.agents import AGENT_CAP
from darwin.core.decision import Reason
from darwin.core.stake import Stake

DUST = 1e-9
"""A share of equity too small to be an order: what rounding leaves of a room that is full."""


@dataclass(frozen=True, slots=True)
class Sizing:
    """The rule for full size, and the caps that clip it; None switches a cap off.

    Methods: `risk` loses `risk_per_trade` of equity at the stop; `equal_weight` gives each of
    `max_positions` the same share of equity; `fixed_units` always asks for `units`; `risk_manager`
    for what a rule of risk wants (`core.stake.RiskRule`).
    """

    method: str = "risk"
    risk_per_trade: float = 0.01
    units: float | None = None
    max_positions: int | None = 10
    max_exposure_fraction: float | None = 1.0
    min_order_usd: float = 10.0
    max_order_usd: float | None = None
    max_position_usd: float | None = None


class Size(NamedTuple):
    """Units to order, what clipped them, and the objection when nothing can be ordered."""

    units: float
    clipped_by: str
    objection: Reason | None


def full_size(
    rule: Sizing,
    account: Account,
    price: float,
    stop_distance: float,
    held_usd: float,
    entry_cost: float,
    lot: float | None,
    stake: Stake | None = None,
) -> Size:
    """Reckon full size at the signal's close.

    `held_usd` is what the symbol's positions are worth already, `entry_cost` the fraction that an
    entry costs, `lot` the smallest step of units. Caps are asked in the order order cap, exposure,
    cash, and the tightest is named. A fully funded account (`max_exposure_fraction` at most 1)
    must be able to pay for what it orders; above 1, or None, it trades on margin. With a `stake`
    the caps clip what it wants, and its figures stand before their names.
    """
    if stake is None:
        wanted = _wanted_units(rule, account, price, stop_distance)
        return _clipped(rule, account, price, held_usd, entry_cost, lot, wanted)
    size = _clipped(rule, account, price, held_usd, entry_cost, lot, stake.units)
    told = f"{stake.told}; {size.clipped_by}" if size.clipped_by else stake.told
    objection = size.objection
    if objection is Reason.MINIMUM_ORDER and stake.full * price >= rule.min_order_usd:
        objection = Reason.RISK_MANAGER
    return Size(size.units, told, objection)


def _clipped(
    rule: Sizing,
    account: Account,
    price: float,
    held_usd: float,
    entry_cost: float,
    lot: float | None,
    wanted: float,
) -> Size:
    if not 0.0 < wanted < math.inf:
        return Size(0.0, "", Reason.MINIMUM_ORDER)
    room, clipped_by, empty = math.inf, "", Reason.MINIMUM_ORDER
    fraction = rule.max_exposure_fraction
    committed = account.gross_exposure + account.pending_exposure
    if rule.max_order_usd is not None:
        room, clipped_by = rule.max_order_usd, "order cap"
    if rule.max_position_usd is not None and rule.max_position_usd - held_usd < room:
        room, clipped_by = rule.max_position_usd - held_usd, "order cap"
        empty = Reason.MAX_POSITION_VALUE
    if fraction is not None:
        exposure_room = fraction * account.equity - committed
        if exposure_room < room:
            room, clipped_by, empty = exposure_room, "exposure", Reason.EXPOSURE
        if fraction <= 1.0:
            cash_room = (account.equity - committed) / (1.0 + entry_cost)
            if cash_room < room:
                room, clipped_by, empty = cash_room, "cash", Reason.CASH
    units = wanted
    if not wanted * price <= room:
        units = room / price
    else:
        clipped_by = ""
    objection = empty if clipped_by else Reason.MINIMUM_ORDER
    dust = DUST * abs(account.equity) if clipped_by else 0.0
    if lot is not None:
        whole = whole_lots(units, lot)
        clipped_by = clipped_by or ("lot" if whole < units else "")
        units = whole
    least = max(rule.min_order_usd, dust, math.ulp(0.0))
    if not units * price >= least:
        return Size(0.0, clipped_by, objection)
    return Size(units, clipped_by, None)


def scaled(full: Size, share: float, price: float, least_usd: float, lot: float | None) -> Size:
    """The part `share`, 0..1, of a full size, in whole lots; below the minimum order it is none."""
    units = full.units * share
    if lot is not None:
        units = whole_lots(units, lot)
    if not units * price >= max(least_usd, math.ulp(0.0)):
        return Size(0.0, full.clipped_by, Reason.MINIMUM_ORDER)
    return Size(units, full.clipped_by, None)


def capped(size: Size, room_usd: float, price: float, least_usd: float, lot: float | None) -> Size:
    """A size cut to the room that the cap of agents leaves, and named after what else cut it.

    Below the minimum order it is none: the position is as large as it may be.
    """
    if size.objection is not None or size.units * price <= room_usd:
        return size
    clipped_by = f"{size.clipped_by}; {AGENT_CAP}" if size.clipped_by else AGENT_CAP
    units = max(room_usd, 0.0) / price
    if lot is not None:
        units = whole_lots(units, lot)
    if not units * price >= max(least_usd, math.ulp(0.0)):
        return Size(0.0, clipped_by, Reason.MAX_POSITION_VALUE)
    return Size(units, clipped_by, None)


def whole_lots(units: float, lot: float) -> float:
    """Round down to lots in decimals, so that 0.3 is three lots of 0.1 and not two."""
    return float(math.floor(units / lot + 1e-9) * Decimal(repr(lot)))


def _wanted_units(rule: Sizing, account: Account, price: float, stop_distance: float) -> float:
    if rule.method == "fixed_units":
        return rule.units or 0.0
    if rule.method == "equal_weight":
        return account.equity / (rule.max_positions or 1) / price
    return account.equity * rule.risk_per_trade / stop_distance

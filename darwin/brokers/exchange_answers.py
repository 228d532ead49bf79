"""What an exchange says, read strictly: a number that is none is no answer."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

OPEN, FILLED, CANCELLED = "open", "filled", "cancelled"
_SIDES = {"buy": 1, "sell": -1}
_SAME = 1e-9  # two sums of the same units, of which rounding made two


class Ask(NamedTuple):
    """An order as it is sent."""

    client_id: str
    symbol: str
    side: int  # 1 buys, -1 sells
    type: str  # "market", "stop", "limit"
    quantity: float
    price: float | None = None
    reduce_only: bool = False
    group: str = ""  # one of a group cancels the others

    def body(self) -> dict[str, Any]:
        """As the API takes it."""
        told = self._asdict()
        told["side"] = "buy" if self.side > 0 else "sell"
        return told


class VenueOrder(NamedTuple):
    """An order as the venue tells of it."""

    client_id: str
    status: str
    quantity: float
    filled: float
    price: float | None
    reason: str


class VenueFill(NamedTuple):
    """A fill as the venue tells of it; `client_id` is empty where a person traded."""

    trade_id: int
    client_id: str
    symbol: str
    side: int
    units: float
    price: float
    fee_usd: float
    time: int


class Refusal(NamedTuple):
    """The venue does not take an order, and says why."""

    reason: str


def same(one: float, other: float) -> bool:
    """Whether two numbers of units are the same, up to rounding; False for NaN."""
    return abs(one - other) <= _SAME * max(abs(one), abs(other), _SAME)


def read(body: bytes) -> dict[str, Any]:
    """The JSON object of an answer. Raises ValueError for anything else, NaN included."""
    told = json.loads(body, parse_constant=_no_number)
    if not isinstance(told, dict):
        raise ValueError("no object")
    return told


def read_order(told: Mapping[str, Any]) -> VenueOrder:
    """Raises ValueError, KeyError or TypeError for what is no order."""
    if told["status"] not in (OPEN, FILLED, CANCELLED):
        raise ValueError(f"status {told['status']}")
    price = told.get("price")
    return VenueOrder(
        str(told["client_id"]), told["status"], _number(told["quantity"]),
        _number(told["filled"]), None if price is None else _number(price),
        str(told.get("reason", "")),
    )  # fmt: skip


def read_fill(told: Mapping[str, Any]) -> VenueFill:
    """Raises ValueError, KeyError or TypeError for what is no fill."""
    units, price = _number(told["units"]), _number(told["price"])
    if not (units > 0.0 and price > 0.0):
        raise ValueError(f"{units} units at {price}")
    return VenueFill(
        _whole(told["trade_id"]), str(told["client_id"] or ""), str(told["symbol"]),
        _SIDES[told["side"]], units, price, _number(told["fee_usd"]), _whole(told["time"]),
    )  # fmt: skip


def read_fills(told: Mapping[str, Any]) -> tuple[list[VenueFill], int | None]:
    """The fills of a page, and since which trade id the next one is asked for."""
    after = told["next"]
    return [read_fill(one) for one in told["fills"]], None if after is None else _whole(after)


def read_positions(told: Mapping[str, Any]) -> dict[str, float]:
    """Units by symbol, negative where short."""
    return {str(one["symbol"]): _number(one["units"]) for one in told["positions"]}


def read_price(told: Mapping[str, Any]) -> float:
    """What a symbol trades at."""
    price = _number(told["price"])
    if not price > 0.0:
        raise ValueError(f"price {price}")
    return price


def read_time(told: Mapping[str, Any]) -> int:
    """What time it is at the venue, ms UTC."""
    return _whole(told["now_ms"])


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{value!r} is no number")
    if not math.isfinite(value):
        raise ValueError(f"{value!r} is no number")
    return float(value)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{value!r} is no whole number")
    return value


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")

"""What goes wrong at the scripted exchange, and when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from darwin.errors import ConfigError

ANSWERS = {
    "lost": "the request is done, the connection is closed without an answer",
    "reset after": "the request is done, the connection is reset",
    "reset before": "the connection is reset, nothing is done",
    "hang after": "the request is done, no answer comes while the client waits",
    "hang before": "nothing is done, and no answer comes",
    "rate limit": "429 with Retry-After, nothing is done",
    "error": "500, nothing is done",
    "error after": "503, though the request is done",
    "malformed": "the request is done, the answer is no JSON",
    "nan": "the request is done, the numbers of the answer are NaN",
    "reject": "422 with a reason, nothing is done",
}
"""Faults of an answer, by name."""

ORDERS = {
    "partial": "the order fills in `pieces`, shares of it; what is left comes later or never",
    "stale": "the order is taken, the next `reads` looks at it do not show it",
}
"""Faults of an order that is taken."""

FILLS = {
    "duplicated": "each fill is told twice, on one page and again on the next",
    "shuffled": "fills are told in reverse",
}
"""Faults of a page of fills."""

POSITIONS = {"misstated": "positions are told with `units` of `symbol` too many"}
"""Faults of a statement."""

KINDS = ANSWERS | ORDERS | FILLS | POSITIONS
"""All kinds of faults and what each does."""

_ON = {"partial": "POST /v1/orders", "stale": "POST /v1/orders", "reject": "POST /v1/orders"}
_ON |= dict.fromkeys(FILLS, "GET /v1/fills") | dict.fromkeys(POSITIONS, "GET /v1/positions")


@dataclass(slots=True)
class Fault:
    """One fault: what, at which requests, how often.

    It waits for requests whose "METHOD /path" begins with `on` and which, of an order, bear `of`
    in the client id; lets `skip` of them pass and strikes the next `times`.
    """

    kind: str
    on: str = ""
    of: str = ""
    skip: int = 0
    times: int = 1
    pieces: tuple[float, ...] = (0.4,)
    rest_comes: bool = True
    reads: int = 3
    units: float = 1.0
    symbol: str = ""
    retry_after_s: float = 1.0
    reason: str = "insufficient funds"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(
                f"the exchange knows no fault '{self.kind}'", mend=f"one of {', '.join(KINDS)}"
            )
        self.on = self.on or _ON.get(self.kind, "")
        self.pieces = tuple(self.pieces)

    @classmethod
    def of_json(cls, told: dict[str, Any]) -> Fault:
        """Make one of the fields of a JSON object. Raises ConfigError for a field unknown."""
        names = {field.name for field in fields(cls)}
        if unknown := sorted(set(told) - names):
            raise ConfigError(
                f"a fault has no field '{unknown[0]}'", mend=f"one of {', '.join(sorted(names))}"
            )
        return cls(**told)


class Faults:
    """The faults to come."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._waiting = list(faults)
        self.struck: list[str] = []  # kinds, as they struck

    def add(self, fault: Fault) -> None:
        """One more."""
        self._waiting.append(fault)

    def clear(self) -> None:
        """Let nothing go wrong any more."""
        self._waiting.clear()

    def strike(self, kinds: Iterable[str], request: str, client_id: str = "") -> Fault | None:
        """The first fault of `kinds` that this request meets."""
        for fault in self._waiting:
            if fault.kind not in kinds or not request.startswith(fault.on):
                continue
            if fault.of not in client_id:
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            fault.times -= 1
            if not fault.times:
                self._waiting.remove(fault)
            self.struck.append(fault.kind)
            return fault
        return None

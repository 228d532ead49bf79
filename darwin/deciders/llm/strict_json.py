"""Reads JSON that a stranger wrote, refusing all that JSON readers let pass.

Refused are duplicate keys, NaN and infinities, numbers that no float can hold, nesting deeper than
the parser goes, and anything after the value. A number that has a fraction or an exponent comes as
`Decimal`, so that nothing of it is rounded before it is judged.
"""

from __future__ import annotations

import json
import math
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, NoReturn

LONGEST_INTEGER = 18  # digits; 64 bits hold them


class Flaw(StrEnum):
    """What is wrong with a text that should be JSON."""

    NOT_JSON = "not json"
    SOMETHING_AFTER = "something after"
    DUPLICATE_KEY = "duplicate key"
    NOT_FINITE = "not finite"
    TOO_DEEP = "too deep"


class FlawError(ValueError):
    """Raised by `read`; says which flaw, and nothing of the text."""

    def __init__(self, flaw: Flaw) -> None:
        super().__init__(flaw.value)
        self.flaw = flaw


def read(text: str) -> Any:
    """Read the one JSON value in `text`. Raises FlawError, and nothing else."""
    try:
        return _DECODER.decode(text)
    except FlawError:
        raise
    except json.JSONDecodeError as error:
        after = error.msg == "Extra data"
        raise FlawError(Flaw.SOMETHING_AFTER if after else Flaw.NOT_JSON) from None
    except RecursionError:
        raise FlawError(Flaw.TOO_DEEP) from None


def is_whole(text: str) -> bool:
    """Whether `text` holds no half character, so that it can be sent and stored."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise FlawError(Flaw.DUPLICATE_KEY)
    return table


def _refuse_constant(text: str) -> NoReturn:
    raise FlawError(Flaw.NOT_FINITE)


def _fraction(text: str) -> Decimal:
    try:
        if math.isfinite(float(text)):
            return Decimal(text)
    except InvalidOperation:  # an exponent of twenty digits
        pass
    raise FlawError(Flaw.NOT_FINITE)


def _integer(text: str) -> int:
    if len(text.lstrip("-")) > LONGEST_INTEGER:
        raise FlawError(Flaw.NOT_FINITE)
    return int(text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_constant=_refuse_constant,
    parse_float=_fraction,
    parse_int=_integer,
)

"""What a model's answer means: an `Answer`, or the `Fault` for which it means nothing.

The whole text must be one JSON object of `SCHEMA`, at most 16 KiB; white space around it is all
that is tolerated. No code fence, no word before or after it, no second object, no key twice,
unknown or missing, no bool or text in the place of a number, no number that is rounded into its
bounds, no half character, no control character (a line break in the reason is one). Nothing is
mended, cut, clamped or picked out: what is not an answer is a fault, and the caller skips.
"""

from __future__ import annotations

import unicodedata
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from darwin.deciders.llm.strict_json import Flaw, FlawError, read

LARGEST_ANSWER = 16 * 1024  # bytes of UTF-8
MOST_FLAGS = 8
LONGEST_FLAG = 60  # characters
LONGEST_REASON = 600
TAKE, SKIP = "take", "skip"

SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {
        "action": {"type": "string", "enum": [TAKE, SKIP]},
        "confidence": {
            "type": "number",
            "description": "0 to 1: how likely the trade ends with a profit after costs",
        },
        "quality": {
            "type": "number",
            "description": "0 to 1: how well the setup fits its playbook",
        },
        "risk_flags": {
            "type": "array",
            "items": {"type": "string"},
            "description": f"at most {MOST_FLAGS} short words of caution, "
            f"each of at most {LONGEST_FLAG} characters on one line",
        },
        "reason": {
            "type": "string",
            "description": f"at most {LONGEST_REASON} characters on one line",
        },
    },
    "required": ["action", "confidence", "quality", "risk_flags", "reason"],
    "additionalProperties": False,
}
"""For structured output. Bounds stand in words: servers refuse a schema with words they lack."""

_KEYS = frozenset(("action", "confidence", "quality", "risk_flags", "reason"))
_JSON_SPACE = " \t\r\n"


class Fault(StrEnum):
    """Why a text is no answer. The list is closed, so that faults can be counted."""

    TOO_LARGE = "too large"
    EMPTY = "empty"
    NOT_JSON = "not json"
    NOT_ONE_OBJECT = "not one object"
    TOO_DEEP = "too deep"
    DUPLICATE_KEY = "duplicate key"
    UNKNOWN_KEY = "unknown key"
    MISSING_KEY = "missing key"
    NOT_FINITE = "not finite"
    WRONG_TYPE = "wrong type"
    UNKNOWN_ACTION = "unknown action"
    OUT_OF_RANGE = "out of range"
    TOO_MANY_FLAGS = "too many flags"
    TEXT_TOO_LONG = "text too long"
    ODD_CHARACTER = "odd character"


class Answer(NamedTuple):
    """What a model said of a candidate."""

    take: bool
    confidence: float  # 0..1
    quality: float  # 0..1
    risk_flags: tuple[str, ...]
    reason: str


class _FaultError(ValueError):
    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


_OF_FLAW = {
    Flaw.NOT_JSON: Fault.NOT_JSON,
    Flaw.SOMETHING_AFTER: Fault.NOT_ONE_OBJECT,
    Flaw.DUPLICATE_KEY: Fault.DUPLICATE_KEY,
    Flaw.NOT_FINITE: Fault.NOT_FINITE,
    Flaw.TOO_DEEP: Fault.TOO_DEEP,
}


def parse_answer(text: str) -> Answer | Fault:
    """Understand `text` as a whole, or say why it is no answer. Never raises."""
    if len(text.encode("utf-8", "surrogatepass")) > LARGEST_ANSWER:
        return Fault.TOO_LARGE
    if not text.strip(_JSON_SPACE):
        return Fault.EMPTY
    try:
        return _answer(read(text))
    except FlawError as error:
        return _OF_FLAW[error.flaw]
    except _FaultError as error:
        return error.fault


def _answer(tree: Any) -> Answer:
    if not isinstance(tree, dict):
        raise _FaultError(Fault.NOT_ONE_OBJECT)
    if tree.keys() - _KEYS:
        raise _FaultError(Fault.UNKNOWN_KEY)
    if _KEYS - tree.keys():
        raise _FaultError(Fault.MISSING_KEY)
    return Answer(
        _take(tree["action"]),
        _share(tree["confidence"]),
        _share(tree["quality"]),
        _flags(tree["risk_flags"]),
        _line(tree["reason"], LONGEST_REASON),
    )


def _take(value: Any) -> bool:
    if not isinstance(value, str):
        raise _FaultError(Fault.WRONG_TYPE)
    if value not in (TAKE, SKIP):
        raise _FaultError(Fault.UNKNOWN_ACTION)
    return value == TAKE


def _share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise _FaultError(Fault.WRONG_TYPE)
    if not (0 <= value <= 1):
        raise _FaultError(Fault.OUT_OF_RANGE)
    return abs(float(value))  # −0 is 0


def _flags(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise _FaultError(Fault.WRONG_TYPE)
    if len(value) > MOST_FLAGS:
        raise _FaultError(Fault.TOO_MANY_FLAGS)
    return tuple(_line(flag, LONGEST_FLAG) for flag in value)


def _line(value: Any, longest: int) -> str:
    if not isinstance(value, str):
        raise _FaultError(Fault.WRONG_TYPE)
    if len(value) > longest:
        raise _FaultError(Fault.TEXT_TOO_LONG)
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in value):
        raise _FaultError(Fault.ODD_CHARACTER)
    return value

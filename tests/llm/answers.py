"""Answers that are none, each in one way; and a plain reading of the schema, written apart."""

from __future__ import annotations

import json
import math
from fractions import Fraction

from darwin.deciders.llm.parse import Fault

GOOD = {
    "action": "take",
    "confidence": 0.8,
    "quality": 0.5,
    "risk_flags": ["thin volume"],
    "reason": "trend and volume agree",
}
TAKE = json.dumps(GOOD)


def but(**changes: object) -> str:
    return json.dumps(GOOD | changes)


def without(*keys: str) -> str:
    return json.dumps({key: value for key, value in GOOD.items() if key not in keys})


def swapped(old: str, new: str) -> str:
    assert old in TAKE
    return TAKE.replace(old, new, 1)


MALFORMED: dict[str, tuple[str, Fault]] = {
    "nothing": ("", Fault.EMPTY),
    "white space": (" \n\t ", Fault.EMPTY),
    "a word": ("take", Fault.NOT_JSON),
    "a sentence before": (f"Here it is: {TAKE}", Fault.NOT_JSON),
    "a sentence after": (f"{TAKE} I hope that helps.", Fault.NOT_ONE_OBJECT),
    "a code fence": (f"```json\n{TAKE}\n```", Fault.NOT_JSON),
    "a bare fence": (f"```\n{TAKE}\n```", Fault.NOT_JSON),
    "a fence after": (f"{TAKE}\n```", Fault.NOT_ONE_OBJECT),
    "two objects": (f"{TAKE}\n{TAKE}", Fault.NOT_ONE_OBJECT),
    "two that disagree": (f"{but(action='skip')}{TAKE}", Fault.NOT_ONE_OBJECT),
    "a comma after": (f"{TAKE},", Fault.NOT_ONE_OBJECT),
    "a NUL after": (f"{TAKE}\0", Fault.NOT_ONE_OBJECT),
    "a hard space before": (f"\u00a0{TAKE}", Fault.NOT_JSON),
    "a byte order mark": (f"\ufeff{TAKE}", Fault.NOT_JSON),
    "a list of one": (f"[{TAKE}]", Fault.NOT_ONE_OBJECT),
    "a string of it": (json.dumps(TAKE), Fault.NOT_ONE_OBJECT),
    "a number": ("1", Fault.NOT_ONE_OBJECT),
    "null": ("null", Fault.NOT_ONE_OBJECT),
    "cut off": (TAKE[:-1], Fault.NOT_JSON),
    "cut off in a word": (TAKE[:40], Fault.NOT_JSON),
    "single quotes": (TAKE.replace('"', "'"), Fault.NOT_JSON),
    "a trailing comma": (f"{TAKE[:-1]},}}", Fault.NOT_JSON),
    "a comment": (swapped("{", "{ /* sure */"), Fault.NOT_JSON),
    "a bare key": (swapped('"action"', "action"), Fault.NOT_JSON),
    "a raw line break in text": (swapped("trend and", "trend\nand"), Fault.NOT_JSON),
    "an action twice": (swapped("{", '{"action": "skip", '), Fault.DUPLICATE_KEY),
    "a key twice, escaped": (swapped("{", '{"\\u0061ction": "skip", '), Fault.DUPLICATE_KEY),
    "no action": (without("action"), Fault.MISSING_KEY),
    "no reason": (without("reason"), Fault.MISSING_KEY),
    "an empty object": ("{}", Fault.MISSING_KEY),
    "a size": (but(size=5), Fault.UNKNOWN_KEY),
    "a stop": (but(stop=0.001), Fault.UNKNOWN_KEY),
    "another case": (swapped('"action"', '"Action"'), Fault.UNKNOWN_KEY),
    "wrapped": (json.dumps({"answer": GOOD}), Fault.UNKNOWN_KEY),
    "a buy": (but(action="buy"), Fault.UNKNOWN_ACTION),
    "a loud take": (but(action="TAKE"), Fault.UNKNOWN_ACTION),
    "a padded take": (but(action="take "), Fault.UNKNOWN_ACTION),
    "both": (but(action="take or skip"), Fault.UNKNOWN_ACTION),
    "true for an action": (but(action=True), Fault.WRONG_TYPE),
    "a list of actions": (but(action=["take"]), Fault.WRONG_TYPE),
    "confidence in quotes": (but(confidence="0.8"), Fault.WRONG_TYPE),
    "true for confidence": (but(confidence=True), Fault.WRONG_TYPE),
    "null for quality": (but(quality=None), Fault.WRONG_TYPE),
    "confidence in a list": (but(confidence=[0.8]), Fault.WRONG_TYPE),
    "80 percent": (but(confidence=80), Fault.OUT_OF_RANGE),
    "a little above 1": (but(confidence=1.0000001), Fault.OUT_OF_RANGE),
    "above 1 by less than a float": (swapped("0.8", "1." + 30 * "0" + "1"), Fault.OUT_OF_RANGE),
    "negative": (but(quality=-0.1), Fault.OUT_OF_RANGE),
    "negative by less than a float": (swapped("0.5", "-1e-400"), Fault.OUT_OF_RANGE),
    "NaN": (swapped("0.8", "NaN"), Fault.NOT_FINITE),
    "infinity": (swapped("0.8", "Infinity"), Fault.NOT_FINITE),
    "minus infinity": (swapped("0.5", "-Infinity"), Fault.NOT_FINITE),
    "1e999": (swapped("0.8", "1e999"), Fault.NOT_FINITE),
    "an endless number": (swapped("0.8", "9" * 5000), Fault.NOT_FINITE),
    "an endless exponent": (swapped("0.8", "1e-" + "9" * 30), Fault.NOT_FINITE),
    "nine flags": (but(risk_flags=["x"] * 9), Fault.TOO_MANY_FLAGS),
    "a flag of 61": (but(risk_flags=["x" * 61]), Fault.TEXT_TOO_LONG),
    "one flag, no list": (but(risk_flags="thin"), Fault.WRONG_TYPE),
    "a flag that is a number": (but(risk_flags=[1]), Fault.WRONG_TYPE),
    "a reason of 601": (but(reason="x" * 601), Fault.TEXT_TOO_LONG),
    "an object for a reason": (but(reason={"text": "x"}), Fault.WRONG_TYPE),
    "half a character": (swapped("trend", "\\ud800"), Fault.ODD_CHARACTER),
    "half a character, raw": (swapped("trend", "\ud800"), Fault.ODD_CHARACTER),
    "a NUL": (but(reason="a\0b"), Fault.ODD_CHARACTER),
    "a line break, escaped": (but(reason="a\nb"), Fault.ODD_CHARACTER),
    "an escape sequence": (but(risk_flags=["\x1b[2J"]), Fault.ODD_CHARACTER),
    "a deep list": ("[" * 8000 + "]" * 8000, Fault.TOO_DEEP),
    "a deep flag": (swapped('["thin volume"]', "[" * 8000 + "]" * 8000), Fault.TOO_DEEP),
    "deep objects": ('{"a":' * 3000, Fault.TOO_DEEP),
    "padded beyond 16 KiB": (TAKE + " " * (16 * 1024), Fault.TOO_LARGE),
    "a long reason in long characters": (but(reason="\U0001f680" * 5000), Fault.TOO_LARGE),
}


def plainly_acceptable(text: str) -> bool:
    """Read the schema word for word, by another way than `parse` goes.

    Python's own reader, told to keep pairs and the digits of numbers, and a check of each value.
    """
    if len(text.encode("utf-8", "surrogatepass")) > 16384:
        return False
    try:
        pairs = json.loads(
            text,
            object_pairs_hook=lambda pairs: pairs if pairs else {},
            parse_float=lambda digits: ("number", digits),
            parse_int=lambda digits: ("number", digits),
            parse_constant=lambda word: ("constant", word),
        )
    except (ValueError, RecursionError):
        return False
    if not isinstance(pairs, list) or not all(isinstance(pair, tuple) for pair in pairs):
        return False
    if sorted(pair[0] for pair in pairs) != sorted(GOOD):
        return False
    value = dict(pairs)
    return (
        value["action"] in ("take", "skip")
        and _share(value["confidence"])
        and _share(value["quality"])
        and isinstance(value["risk_flags"], list)
        and len(value["risk_flags"]) <= 8
        and all(_line(flag, 60) for flag in value["risk_flags"])
        and _line(value["reason"], 600)
    )


def _share(value: object) -> bool:
    if not (isinstance(value, tuple) and value[0] == "number"):
        return False
    digits = value[1]
    if not math.isfinite(float(digits)) or len(digits.partition("e")[2]) > 6:
        return False
    return 0 <= Fraction(digits) <= 1


def _line(value: object, longest: int) -> bool:
    return (
        isinstance(value, str)
        and len(value) <= longest
        and not any(
            ord(char) < 32 or 127 <= ord(char) < 160 or 0xD800 <= ord(char) < 0xE000
            for char in value
        )
    )

"""Reads a JSON object of a model file as plain values, refusing all that JSON readers let pass."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from darwin.errors import ModelError

LONGEST_INTEGER = 18  # digits; more have no use in a model
_QUOTED_AT_MOST = 60
_RETRAIN = "take a fresh copy of the model, or export it again"


def read_object(raw: bytes, what: str) -> dict[str, Any]:
    """Read the one object in `raw`; `what` names the file. Raises ModelError.

    Refused are duplicate keys, NaN, numbers beyond 64 bits, nesting deeper than the parser goes,
    anything but UTF-8, and anything after the object. The caller caps the size.
    """
    try:
        tree = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_integer,
        )
    except _FlawError as flaw:
        raise refusal(what, str(flaw)) from flaw
    except UnicodeDecodeError as error:
        raise refusal(what, f"is not UTF-8 (byte {error.start})") from error
    except json.JSONDecodeError as error:
        raise refusal(what, f"is not valid JSON: {error.msg}, byte {error.pos}") from error
    except RecursionError as error:
        raise refusal(what, "is nested too deeply") from error
    if not isinstance(tree, dict):
        raise refusal(what, "is not a JSON object")
    return tree


def refusal(what: str, fault: str, mend: str = _RETRAIN) -> ModelError:
    """Say what is wrong with the file `what`."""
    return ModelError(f"{what} {fault}", mend=mend)


def quoted(text: object) -> str:
    """Text from a file as a message may show it: ASCII, on one line, not too long."""
    shown = ascii(text)
    return shown if len(shown) <= _QUOTED_AT_MOST else f"{shown[:_QUOTED_AT_MOST]}…"


class _FlawError(ValueError):
    """Something that JSON allows and a model file may not hold."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for key, value in pairs:
        if key in table:
            raise _FlawError(f"holds the key {quoted(key)} twice")
        table[key] = value
    return table


def _refuse_constant(text: str) -> NoReturn:
    raise _FlawError(f"holds {text}, which is no number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _FlawError(f"holds {quoted(text)}, which is too large")
    return value


def _integer(text: str) -> int:
    if len(text.lstrip("-")) > LONGEST_INTEGER:
        raise _FlawError(f"holds {quoted(text)}, which is too large")
    return int(text)

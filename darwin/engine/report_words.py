"""How a report says numbers: signs, percents, dollars, dates in UTC. NaN is said as n/a."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

MINUS = "\N{MINUS SIGN}"
MISSING = "n/a"


def plain(value: Any) -> Any:
    """Make a tree of dicts and lists fit for JSON: numpy to Python, NaN and infinity to None."""
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def iso(ms: int) -> str:
    """A time in ms UTC as ISO 8601, whole seconds: `2024-01-31T23:00:00Z`."""
    return str(np.datetime64(int(ms), "ms").astype("datetime64[s]")) + "Z"


def day(ms: int) -> str:
    """The UTC date of a time in ms: `2024-01-31`."""
    return str(np.datetime64(int(ms), "ms").astype("datetime64[D]"))


def number(value: float | None, digits: int = 2, sign: bool = False) -> str:
    """A number with thousands apart; `sign` writes the plus too."""
    if value is None or not math.isfinite(value):
        return MISSING
    rounded = round(value, digits) + 0.0
    text = f"{abs(rounded):,.{digits}f}"
    if rounded < 0:
        return MINUS + text
    return "+" + text if sign and rounded > 0 else text


def percent(fraction: float | None, digits: int = 1, sign: bool = False) -> str:
    """A fraction as per cent: 0.123 is 12.3 %."""
    if fraction is None or not math.isfinite(fraction):
        return MISSING
    return number(fraction * 100, digits, sign) + "\N{NO-BREAK SPACE}%"


def usd(value: float | None, sign: bool = False) -> str:
    """Dollars and cents."""
    text = number(value, 2, sign)
    return text if text == MISSING else text + "\N{NO-BREAK SPACE}USD"


def count(value: int, one: str, many: str | None = None) -> str:
    """A counted noun: 1 trade, 1,234 trades."""
    return f"{value:,} {one if value == 1 else many or one + 's'}"

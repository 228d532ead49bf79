"""What a key stands for: a name with whole numbers, and the formula registered under that name.

`atr_14` is the name `atr` with one number; `x4_atr_14` is the same over closed bars of four times
the timeframe. A formula says which function to apply to which other keys; keys that no formula
defines are the bar itself: open, high, low, close, volume, close_time.
"""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, TypeVar

from darwin.errors import ConfigError

SOURCES = {
    "open": "Open of the bar",
    "high": "High of the bar",
    "low": "Low of the bar",
    "close": "Close of the bar",
    "volume": "Volume of the bar, NaN where the source has none",
    "close_time": "When the bar closes, in ms UTC",
}
HIGHER_SOURCES = ("open", "high", "low", "close", "close_time")
LONGEST = 10_000  # the largest number a key may hold

_HIGHER = re.compile(r"x(\d+)_(.+)")
_NUMBERED = re.compile(r"([a-z]\w*?)((?:_\d+)*)")


@dataclass(frozen=True, slots=True)
class Formula:
    """`function(*inputs)`, applied to whole columns; with a memory `function(*inputs, carry)`.

    A function without a memory works row by row. One with a memory takes the carry of the chunk
    before (None at the beginning) and returns (values, carry).
    """

    function: partial[Any]
    inputs: tuple[str, ...]
    remembers: bool

    def __str__(self) -> str:
        numbers = ",".join(f"{name}={value!r}" for name, value in self.function.keywords.items())
        return f"{self.function.func.__name__}({numbers};{','.join(self.inputs)})"


def rowwise(function: Callable[..., Any], *inputs: str, **numbers: float) -> Formula:
    """A formula that works row by row on the columns `inputs`."""
    return Formula(partial(function, **numbers), inputs, remembers=False)


def recall(kernel: Callable[..., Any], source: str, **numbers: int) -> Formula:
    """A formula with a memory: a kernel of `windows` or `recursions` over the column `source`."""
    return Formula(partial(kernel, **numbers), (source,), remembers=True)


_Definition: TypeAlias = Callable[..., Formula]
_Def = TypeVar("_Def", bound=_Definition)
_DEFINITIONS: dict[str, _Definition] = {}


def define(definition: _Def) -> _Def:
    """Register a definition under its own name; its parameters are the numbers of the key.

    The first line of its docstring describes the key, with the parameters in braces.
    """
    _DEFINITIONS[definition.__name__] = definition
    return definition


def known_names() -> tuple[str, ...]:
    """Every name a key may start with, sorted."""
    return tuple(sorted((*_DEFINITIONS, *SOURCES)))


def higher(key: str) -> tuple[int, str] | None:
    """Split `x4_atr_14` into 4 and `atr_14`; None for a key of the run's own timeframe."""
    match = _HIGHER.fullmatch(key)
    if match is None:
        return None
    factor = int(match[1])
    if not (2 <= factor <= LONGEST) or match[1] != str(factor):
        raise ConfigError(
            f"'{key}' asks for bars of {match[1]} times the timeframe",
            mend=f"write a whole number from 2 to {LONGEST} behind the x, as in x4_{match[2]}",
        )
    return factor, match[2]


def formula(key: str) -> Formula:
    """The formula of a key. Raises ConfigError with a suggestion when it names none."""
    definition, numbers = _lookup(key)
    return definition(*numbers)


def describe(key: str) -> str:
    """Say in one line what a key is. Raises ConfigError like `formula`."""
    over = higher(key)
    if over is not None:
        return f"{describe(over[1])}, over closed bars of {over[0]} times the timeframe"
    if key in SOURCES:
        return SOURCES[key]
    definition, numbers = _lookup(key)
    first_line = (inspect.getdoc(definition) or "").partition("\n")[0]
    names = inspect.signature(definition).parameters
    return first_line.rstrip(".").format(**dict(zip(names, numbers, strict=True)))


def expand(key: str) -> str:
    """Write a key out in full down to the bar: what it means, independent of names."""
    over = higher(key)
    if over is not None:
        return f"x{over[0]}[{expand(over[1])}]"
    if key in SOURCES:
        return key
    found = formula(key)
    return f"{found}<{';'.join(expand(source) for source in found.inputs)}>"


def _lookup(key: str) -> tuple[_Definition, list[int]]:
    match = _NUMBERED.fullmatch(key)
    name, digits = (match[1], match[2].split("_")[1:]) if match else (key, [])
    definition = _DEFINITIONS.get(name)
    if definition is None:
        raise _unknown(key, name, digits)
    wanted = list(inspect.signature(definition).parameters)
    if len(digits) != len(wanted):
        sample = "_".join((name, *(f"<{parameter}>" for parameter in wanted)))
        raise ConfigError(
            f"'{key}' has {len(digits)} numbers where '{name}' takes {len(wanted)}",
            mend=f"write {sample}",
        )
    for text, parameter in zip(digits, wanted, strict=True):
        if not (1 <= int(text) <= LONGEST) or text != str(int(text)):
            raise ConfigError(
                f"'{text}' is no number of bars for '{parameter}' in '{key}'",
                mend=f"write a whole number from 1 to {LONGEST}",
            )
    return definition, [int(text) for text in digits]


def _unknown(key: str, name: str, digits: list[str]) -> ConfigError:
    close = difflib.get_close_matches(name, known_names(), n=1)
    if not close:
        return ConfigError(
            f"no feature called '{key}'", mend=f"known names: {', '.join(known_names())}"
        )
    wanted = _DEFINITIONS.get(close[0])
    count = len(inspect.signature(wanted).parameters) if wanted else 0
    numbers = digits if len(digits) == count else ["<bars>"] * count
    return ConfigError(
        f"no feature called '{key}'", mend=f"did you mean '{'_'.join((close[0], *numbers))}'?"
    )

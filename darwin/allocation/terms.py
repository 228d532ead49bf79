"""How a figure of a rule of risk is checked: once, where it is written down."""

from __future__ import annotations

from numbers import Real

from darwin.errors import ConfigError


def require(name: str, value: object, least: float, most: float, *, above: bool = False) -> None:
    """Raise ConfigError unless `value` is a number from `least` (or `above` it) to `most`."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    low_enough = number and (value > least if above else value >= least)  # type: ignore[operator]
    if not (low_enough and value <= most):  # type: ignore[operator]
        start = f"above {least:g}" if above else f"from {least:g}"
        raise ConfigError(
            f"{name} is {value!r}", where=name, mend=f"write a number {start} to {most:g}"
        )

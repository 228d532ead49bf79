"""Dates on the command line."""

from __future__ import annotations

import click


def instant(text: str, option: str) -> int:
    """Read a date or time in UTC as ms. Raises click.BadParameter, naming `option`."""
    from darwin.config.values import instant_ms

    try:
        return instant_ms(text)
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{text!r} is no date; write 2024-01-31 or 2024-01-31T15:00:00Z", param_hint=option
        ) from None

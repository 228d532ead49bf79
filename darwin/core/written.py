"""Counts, numbers and times as commands and pages write them: one way for both."""

from __future__ import annotations

from datetime import UTC, datetime


def when(time_ms: int) -> str:
    """Write ms UTC to the minute."""
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"


def minute(iso: str) -> str:
    """Write an ISO 8601 time to the minute, without its zone, which is UTC throughout."""
    return iso[:16].replace("T", " ")


def count(value: int | None) -> str:
    """Write 70,356; nothing for None."""
    return "" if value is None else f"{value:,}"


def number(value: float | None) -> str:
    """Write eight significant digits, thousands apart; nothing for None."""
    return "" if value is None else f"{value:,.8g}"


def signed(value: float | None) -> str:
    """Write four decimals with the sign; nothing for None."""
    return "" if value is None else f"{value:+,.4f}"


def percent(share: float) -> str:
    """Write a share of capital as it is given: 5%."""
    return f"{share:.0%}"

"""When an agent is to be trained anew, and on what: the terms, without a clock."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple


class Schedule(NamedTuple):
    """The terms of one agent; either `cron` or `interval_days` says when."""

    enabled: bool = True
    cron: str | None = None  # five fields, of the wall clock in `timezone`
    interval_days: int | None = 7  # at 03:00 of that clock
    timezone: str = "UTC"
    last_days: float = 30.0  # of market time that is learned from
    timesteps: int = 20_000  # for how long
    since: datetime | None = None  # when it was said so; None: nobody did, it is the default
    by: str = ""
    reason: str = ""

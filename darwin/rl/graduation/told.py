"""What a reading of the record gives to a trial: from which runs, and what was recorded there."""

from __future__ import annotations

from typing import NamedTuple

from darwin.rl.graduation.increments import Entry, Outcome

Told = tuple[str, Entry | Outcome]
"""A candidate or rebalance, and what was recorded of it."""


class Source(NamedTuple):
    """A run whose decisions are evidence under a contract."""

    run_id: str
    number: int

"""What is to be told now: the rule, which knows no database and no clock.

A key is told at once, and then not again for a while: what comes meanwhile is counted and told at
the end of it. So many notices an hour are told one by one; what is beyond that waits for room, and
where more waits than there is room for, the last place is a summary. What is critical has as many
places again, of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from darwin.service.notices.happenings import Severity
from darwin.service.notices.memory import Held, Memory

SUMMARY = "summary"
_NAMED = 5  # of what a summary is about


@dataclass(frozen=True, slots=True)
class Manners:
    """How much people are told."""

    least: Severity = Severity.WARNING  # what is less is never told
    quiet: timedelta = timedelta(hours=1)  # between two notices of one key
    an_hour: int = 20  # notices, and as many again of what is critical


class Notice(NamedTuple):
    """One that is to be told."""

    key: str
    severity: Severity
    text: str
    keys: Mapping[str, int]  # what it speaks of, and how often that was


def to_tell(
    memory: Memory, new: Mapping[str, Held], now: datetime, manners: Manners
) -> list[Notice]:
    """The notices for what is `new` and what was held back before, the most urgent first."""
    waiting = dict(memory.held)
    for key, held in new.items():
        before = waiting.get(key)
        waiting[key] = held if before is None else held._replace(times=before.times + held.times)
    ripe = {
        key: held
        for key, held in waiting.items()
        if held.severity.rank >= manners.least.rank and _may_speak(memory, key, now, manners.quiet)
    }
    urgent = {k: h for k, h in ripe.items() if h.severity is Severity.CRITICAL}
    others = {k: h for k, h in ripe.items() if h.severity is not Severity.CRITICAL}
    return [
        *_within(urgent, _room(memory, now, manners, urgent=True)),
        *_within(others, _room(memory, now, manners, urgent=False)),
    ]


def _may_speak(memory: Memory, key: str, now: datetime, quiet: timedelta) -> bool:
    last = memory.told.get(key)
    return last is None or now >= last + quiet


def _room(memory: Memory, now: datetime, manners: Manners, *, urgent: bool) -> int:
    since = now - timedelta(hours=1)
    told = [
        due
        for due in memory.dues
        if due.at > since and (due.severity is Severity.CRITICAL) is urgent
    ]
    return max(manners.an_hour - len(told), 0)


def _within(ripe: Mapping[str, Held], room: int) -> list[Notice]:
    """As many one by one as there is room for; the rest, if there is any, in the last place."""
    if not ripe or not room:
        return []
    keys = list(ripe)
    alone = len(keys) if len(keys) <= room else room - 1
    told = [_one(key, ripe[key]) for key in keys[:alone]]
    return [*told, _summary({key: ripe[key] for key in keys[alone:]})] if keys[alone:] else told


def _one(key: str, held: Held) -> Notice:
    often = f" ({held.times:,} times, this is the last)" if held.times > 1 else ""
    return Notice(key, held.severity, held.text + often, {key: held.times})


def _summary(rest: Mapping[str, Held]) -> Notice:
    times = sum(held.times for held in rest.values())
    named = [held.text for held in rest.values()][:_NAMED]
    more = f"; and {len(rest) - _NAMED:,} others" if len(rest) > _NAMED else ""
    text = f"{times:,} more about {len(rest):,} matters: {'; '.join(named)}{more}"
    severity = max((held.severity for held in rest.values()), key=lambda one: one.rank)
    return Notice(SUMMARY, severity, text, {key: held.times for key, held in rest.items()})

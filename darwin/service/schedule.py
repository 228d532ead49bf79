"""When a retraining is due by its schedule: a pure function of schedule and time.

A cron expression means the wall clock of its zone. cronsim reads it as Debian's cron does: a time
that the clock jumps over is due right after the jump, one that it shows twice is due once, the
first time. The interval counts days of that clock from Monday 1970-01-05, so that every host and
every restart comes to the same days, and 7 means Mondays.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from darwin.core.schedule import Schedule
from darwin.errors import ConfigError

AT = time(3, 0)
"""Of the local day, of a schedule by interval."""
FIRST_DAY = date(1970, 1, 5)  # a Monday
_CRON = 'write "0 3 * * 0" for Sundays at 03:00: minute, hour, day, month, weekday'
_LONGEST = 100  # characters of a cron expression
_SPANS = tuple(timedelta(days=days) for days in (0.05, 1.1, 8, 32, 370, 1900, 4000))


def next_due(schedule: Schedule, after: datetime) -> datetime | None:
    """The first due time later than `after`, in UTC. None: it is off, or never due."""
    return next(_due(schedule, after), None) if schedule.enabled else None


def latest_due(schedule: Schedule, since: datetime, now: datetime) -> datetime | None:
    """The last due time later than `since` and not later than `now`, in UTC; None: there is none.

    However many were missed: of them the latest alone is made up for.
    """
    if not schedule.enabled:
        return None
    for span in _SPANS:
        begin = max(since, now - span)
        found = None
        for due in _due(schedule, begin):
            if due > now:
                break
            found = due
        if found is not None or begin == since:
            return found
    return None


def require_sense(schedule: Schedule) -> None:
    """Raise ConfigError, naming what cannot be meant of a schedule."""
    _zone(schedule.timezone)
    if (schedule.cron is None) == (schedule.interval_days is None):
        raise _refused("either cron or a number of days says when", "name one of them")
    if schedule.interval_days is not None and not 1 <= schedule.interval_days <= 366:
        raise _refused("the days are 1 to 366", "write 7 for every week")
    if not 0 < schedule.last_days <= 1e5:
        raise _refused("the last days are more than 0, at most 100,000", "write 30")
    if not 1 <= schedule.timesteps <= 1_000_000_000:
        raise _refused("the timesteps are 1 to 1,000,000,000", "write 20000")
    if schedule.cron is not None:
        _require_cron(schedule._replace(enabled=True))


def _require_cron(schedule: Schedule) -> None:
    expression = schedule.cron or ""
    if len(expression) > _LONGEST or len(expression.split()) != 5:
        raise _refused(f"{expression[:_LONGEST]!r} is no cron expression of five fields", _CRON)
    if next_due(schedule, datetime(2026, 1, 1, tzinfo=UTC)) is None:
        raise _refused(f"cron {expression!r} is never due", _CRON)


def _due(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    """Due times later than `after`, in order."""
    zone = _zone(schedule.timezone)
    local = after.astimezone(zone)
    times = (
        _by_cron(schedule.cron, local)
        if schedule.cron is not None
        else _by_days(schedule.interval_days or 7, local.date(), zone)
    )
    for one in times:
        due = one.astimezone(UTC)
        if due > after:
            yield due


def _by_cron(expression: str, local: datetime) -> Iterator[datetime]:
    """Times after `local`. Raises ConfigError for an expression that cronsim cannot read."""
    try:
        from cronsim import CronSim, CronSimError  # noqa: PLC0415  of an extra; days need it not
    except ImportError as fault:
        raise _refused(
            "cron expressions need cronsim, which the core install leaves out",
            'pip install -e ".[service]", or name a number of days',
        ) from fault
    try:
        return CronSim(expression, local)
    except CronSimError as fault:
        raise _refused(f"cron {expression!r}: {fault}", _CRON) from fault


def _by_days(interval: int, day: date, zone: ZoneInfo) -> Iterator[datetime]:
    """Each `interval`th day from `day` on, at 03:00; where there is none, as long after the gap."""
    day -= timedelta(days=(day - FIRST_DAY).days % interval)
    while day.year < date.max.year:
        yield datetime.combine(day, AT, tzinfo=zone)
        day += timedelta(days=interval)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as fault:
        raise _refused(
            f"{ascii(name)[:80]} is no time zone", "write UTC, or a name such as Europe/Berlin"
        ) from fault


def _refused(what: str, mend: str) -> ConfigError:
    return ConfigError(what, where="the schedule", mend=mend)

"""When a retraining is due: by the clock on the wall, through summer time, once for each time."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from darwin.core.schedule import Schedule
from darwin.errors import ConfigError
from darwin.service.schedule import latest_due, next_due, require_sense

YEAR = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe")


def cron(expression: str, zone: str = "UTC") -> Schedule:
    return Schedule(cron=expression, interval_days=None, timezone=zone)


def every(schedule: Schedule, since: datetime, until: datetime) -> list[datetime]:
    found, at = [], since
    while (due := next_due(schedule, at)) is not None and due <= until:
        found.append(due)
        at = due
    return found


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("by_days", [True, False])
def test_a_weekly_schedule_is_due_at_three_of_the_local_clock_all_year(
    zone: str, by_days: bool
) -> None:
    schedule = Schedule(timezone=zone) if by_days else cron("0 3 * * 1", zone)
    found = every(schedule, *YEAR)
    assert len(found) == 52
    for due in found:
        local = due.astimezone(ZoneInfo(zone))
        assert (local.weekday(), local.hour, local.minute) == (0, 3, 0)


@pytest.mark.parametrize(
    ("zone", "day", "clock", "due"),
    [
        ("Europe/Berlin", "2026-03-29", "30 2", "2026-03-29T01:00Z"),  # 02:00 becomes 03:00
        ("Europe/Berlin", "2026-10-25", "30 2", "2026-10-25T00:30Z"),  # 02:30 comes twice
        ("America/New_York", "2026-03-08", "30 2", "2026-03-08T07:00Z"),
        ("America/New_York", "2026-11-01", "30 1", "2026-11-01T05:30Z"),
        ("Australia/Lord_Howe", "2026-10-04", "15 2", "2026-10-03T15:30Z"),  # half an hour alone
        ("Australia/Lord_Howe", "2026-04-05", "45 1", "2026-04-04T14:45Z"),
    ],
)
def test_a_time_that_the_clock_skips_or_shows_twice_is_due_once(
    zone: str, day: str, clock: str, due: str
) -> None:
    begin = datetime.fromisoformat(f"{day}T00:00").replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    found = every(cron(f"{clock} * * *", zone), begin, begin + timedelta(hours=20))
    assert found == [datetime.fromisoformat(due.replace("Z", "+00:00"))]


def test_an_hour_that_comes_twice_is_not_due_in_its_second_pass() -> None:
    schedule = cron("30 2 * * *", "Europe/Berlin")
    first, second_pass = "2026-10-25T00:30+00:00", "2026-10-25T01:10+00:00"
    now = datetime.fromisoformat(second_pass)
    assert next_due(schedule, now) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)
    assert latest_due(schedule, YEAR[0], now) == datetime.fromisoformat(first)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("expression", ["30 2 * * *", "0 3 * * 0", "0 0 1 * *", None])
def test_the_latest_due_time_is_the_last_that_was_next(zone: str, expression: str | None) -> None:
    schedule = Schedule(interval_days=9, timezone=zone) if expression is None else cron(
        expression, zone
    )  # fmt: skip
    found = every(schedule, *YEAR)
    for hours in range(0, 365 * 24, 101):
        now = YEAR[0] + timedelta(hours=hours)
        known = [due for due in found if due <= now]
        assert latest_due(schedule, YEAR[0], now) == (known[-1] if known else None)
    for due in found[:30]:
        assert latest_due(schedule, YEAR[0], due) == due
        assert latest_due(schedule, due, due) is None, "what is not later than since is done"


def test_what_is_off_is_never_due() -> None:
    off = Schedule(enabled=False)
    assert next_due(off, YEAR[0]) is None
    assert latest_due(off, *YEAR) is None


@pytest.mark.parametrize(
    "bad",
    [
        cron("x"), cron("0 3 * *"), cron("0 0 3 * * 1"), cron("0 3 30 2 *"), cron("60 3 * * *"),
        cron("0 3 * * 0" + " " * 200), cron("0 3 * * 0", "Europe/Nowhere"),
        cron("0 3 * * 0", "../../etc/passwd"), Schedule(timezone="\x00"),
        Schedule(interval_days=0), Schedule(interval_days=367), Schedule(cron="0 3 * * 0"),
        Schedule(interval_days=None), Schedule(last_days=float("nan")), Schedule(last_days=0.0),
        Schedule(timesteps=0),
    ],
)  # fmt: skip
def test_a_schedule_that_cannot_be_meant_is_refused_in_one_line(bad: Schedule) -> None:
    with pytest.raises(ConfigError) as caught:
        require_sense(bad)
    assert caught.value.mend
    assert len(str(caught.value)) < 300
    json.dumps(caught.value.lines())

"""Schedules of retraining, as people set them: the log `schedule_events`; the newest row holds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select

from darwin.core.schedule import Schedule
from darwin.store import logs
from darwin.store.db import Database
from darwin.store.runs import iso_time
from darwin.store.schema import schedule_events


def set_schedule(
    database: Database, agent: str, schedule: Schedule, *, by: str, reason: str, at: datetime
) -> Schedule:
    """Write down that `schedule` holds for `agent` from now on; gives it as it holds."""
    with database.write() as connection:
        logs.append(
            connection, schedule_events, agent_name=agent, enabled=int(schedule.enabled),
            cron=schedule.cron, interval_days=schedule.interval_days, timezone=schedule.timezone,
            last_days=float(schedule.last_days), timesteps=schedule.timesteps, by=by,
            reason=reason, at=iso_time(at),
        )  # fmt: skip
    return read_schedule(database, agent)


def read_schedule(database: Database, agent: str) -> Schedule:
    """What holds for an agent; the default where nobody has set anything."""
    query = select(schedule_events).where(schedule_events.c.agent_name == agent)
    newest = query.order_by(schedule_events.c.id.desc()).limit(1)
    with database.read() as connection:
        row = connection.execute(newest).mappings().one_or_none()
    return Schedule() if row is None else _schedule(row)


def _schedule(row: Mapping[Any, Any]) -> Schedule:
    return Schedule(
        bool(row["enabled"]), row["cron"], row["interval_days"], row["timezone"],
        row["last_days"], row["timesteps"], datetime.fromisoformat(row["at"]), row["by"],
        row["reason"],
    )  # fmt: skip
